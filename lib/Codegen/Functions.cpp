// Every function is the same three steps: bring the argument into a small
// interval with exact arithmetic, evaluate a polynomial there (or improve a
// guess taken from the bit pattern by Newton's method), and undo the first step
// on the bit pattern. Selects at the end restore what the interval lost: zeros,
// infinities. NaN passes through since every path multiplies the argument.

#include "Functions.h"

#include "llvm/ADT/STLExtras.h"

#include <limits>

using namespace waferloom;
using namespace waferloom::codegen;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace {
/// Short names for the steps of one function over one shape.
struct Sequence {
  Emitter &emitter;
  ArrayRef<int64_t> shape;

  Ref fresh(Word type = Word::f32) { return emitter.temporary(type, shape); }
  Ref make(Opcode op, Ref a, Ref b, Word type = Word::f32) {
    Ref result = fresh(type);
    emitter.vector(op, shape, result, a, b);
    return result;
  }
  void into(Ref dst, Opcode op, Ref a, Ref b) {
    emitter.vector(op, shape, dst, a, b);
  }
  /// a + b * c with one rounding; `c` is a constant.
  Ref fma(Ref a, Ref b, float c) {
    Ref result = fresh();
    emitter.vector(Opcode::fma, shape, result, a, b, Ref::constant(c));
    return result;
  }
  bool isScalar() const {
    return llvm::all_of(shape, [](int64_t n) { return n == 1; });
  }
  /// dst = a + b * c. For a single number the machine multiplies and adds in
  /// one instruction; a vector takes two, by `product`.
  void multiplyAdd(Ref dst, Ref a, Ref b, Ref c, Ref product) {
    if (isScalar()) {
      emitter.vector(Opcode::fma, shape, dst, a, b, c);
      return;
    }
    into(product, Opcode::mul, b, c);
    into(dst, Opcode::add, product, a);
  }
  Ref convert(Ref a, Word type) {
    Ref result = fresh(type);
    emitter.vector(Opcode::convert, shape, result, a);
    return result;
  }
  Ref select(Ref condition, Ref yes, Ref no) {
    Ref result = fresh();
    emitter.vector(Opcode::select, shape, result, condition, yes, no);
    return result;
  }
  void select(Ref dst, Ref condition, Ref yes, Ref no) {
    emitter.vector(Opcode::select, shape, dst, condition, yes, no);
  }
  /// Horner's rule with the machine's shortest steps.
  Ref shortPolynomial(Ref x, ArrayRef<float> coefficients) {
    Ref sum = fma(Ref::constant(coefficients[1]), x, coefficients.front());
    for (float coefficient : coefficients.drop_front(2))
      multiplyAdd(sum, Ref::constant(coefficient), sum, x, sum);
    return sum;
  }
  /// Horner's rule by products and sums alone, each with one rounding;
  /// coefficients from the highest power down.
  Ref polynomial(Ref x, ArrayRef<float> coefficients) {
    Ref sum = fma(Ref::constant(coefficients[1]), x, coefficients.front());
    for (float coefficient : coefficients.drop_front(2)) {
      into(sum, Opcode::mul, sum, x);
      into(sum, Opcode::add, sum, Ref::constant(coefficient));
    }
    return sum;
  }
};

/// The same bytes seen as another type of 32 bits.
Ref as(Ref ref, Word type) {
  ref.type = type;
  return ref;
}
constexpr float infinity = std::numeric_limits<float>::infinity();
} // namespace

// exp(x) = 2^n * exp(r) with n = round(x / ln 2) and |r| <= ln(2) / 2. ln 2 is
// split in two so that r is exact to the last bit of x. Adding 1.5 * 2^23
// rounds: the sum's last bits are n, here n + 127, the exponent of 2^n. The
// ends need no selects: from n = -127 on that exponent is the one of 0, at 128
// the one of infinity. The polynomials' errors are 8e-8, 2.6e-6 and 7.5e-5; for
// the latter two ln 2 need not be split.
//
// Where n is known to be far from both ends, and errors of halves will do, n is
// added to the exponent of the polynomial as an integer, which is quicker than
// a product.
//
// exp(s x), s a power of two or its negative, takes no instruction more: r is
// reduced by n * ln 2 / s, and the polynomial is one of s r.
static SmallVector<float, 6> coefficientsOfExp(Accuracy accuracy) {
  switch (accuracy) {
  case Accuracy::Full:
    return {8.29761940985918e-3f, 4.191562905907631e-2f, 0.16667576134204865f,
            0.4999889135360718f,  0.9999997019767761f,   1.0f};
  case Accuracy::Near:
    return {4.145839810e-2f, 0.1679103076f, 0.5000436902f, 0.9999633431f,
            0.9999992847f};
  case Accuracy::Half:
    return {0.16566743f, 0.50496819f, 1.00016451f, 0.99992793f};
  }
  llvm_unreachable("every accuracy has a polynomial");
}

void codegen::emitExponential(Emitter &emitter, ArrayRef<int64_t> shape,
                              Ref dst, Ref x, Exponent exponent) {
  Sequence s{emitter, shape};
  const bool isBounded = !exponent.mayVanish && !exponent.mayOverflow &&
                         exponent.accuracy == Accuracy::Half;
  const float rounder = isBounded ? 12582912.0f : 12582912.0f + 127;
  const float scale = exponent.scale;
  Ref clamped = x;
  if (exponent.mayVanish)
    clamped = s.make(Opcode::max, x, Ref::constant(-88.0f));
  if (exponent.mayOverflow)
    clamped = s.make(Opcode::min, clamped, Ref::constant(88.8f));
  Ref shifted = s.fma(Ref::constant(rounder), clamped, scale * 1.44269504f);
  Ref n = s.make(Opcode::sub, shifted, Ref::constant(rounder));
  const bool isFull = exponent.accuracy == Accuracy::Full;
  Ref r = s.fma(clamped, n, (isFull ? -0.693359375f : -0.693147181f) / scale);
  if (isFull)
    r = s.fma(r, n, 2.12194440e-4f / scale);
  SmallVector<float, 6> coefficients = coefficientsOfExp(exponent.accuracy);
  float power = 1;
  for (float &coefficient : llvm::reverse(coefficients)) {
    coefficient *= power;
    power *= scale;
  }
  Ref value = s.shortPolynomial(r, coefficients);
  Ref bits = as(shifted, Word::i32);
  s.into(bits, Opcode::shl, bits, Ref::constant(int32_t(23)));
  if (isBounded)
    s.into(as(dst, Word::i32), Opcode::add, as(value, Word::i32), bits);
  else
    s.into(dst, Opcode::mul, value, shifted);
}

void codegen::emitExp(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  emitExponential(emitter, shape, dst, x, Exponent());
}

void codegen::emitQuickExp(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                           Ref x) {
  Exponent exponent;
  exponent.accuracy = Accuracy::Half;
  emitExponential(emitter, shape, dst, x, exponent);
}

// From 2^23 on the last bits of a number are those of an integer: here of the
// exponent, which is 127 for 2^0. What is added to a needs no b yet.
void codegen::emitPowerOfTwo(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                             Ref a, Ref b) {
  Sequence s{emitter, shape};
  Ref shifted = s.make(Opcode::add, a, Ref::constant(0x1p23f + 127));
  Ref bits = s.make(Opcode::sub, shifted, b);
  s.into(bits, Opcode::max, bits, Ref::constant(0x1p23f));
  s.into(as(dst, Word::i32), Opcode::shl, as(bits, Word::i32),
         Ref::constant(int32_t(23)));
}

// A constant minus the bit pattern of x is that of a y with x * y = h between
// 0.707 and 0.729, if the constant is chosen so that mantissas carry where they
// must. y * (a - b * h) with the best a and b is 1.1e-4 off (half the last bit
// of an f16 is 4.9e-4). One of Newton's steps, y * (2 - x * y), takes that to
// the last bits, and makes an infinity of 1/0 with the sign of the zero: y is
// then 1.2e38. What is too large for y's exponent counts as infinite.
void codegen::emitReciprocal(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                             Ref x, Divisor divisor) {
  Sequence s{emitter, shape};
  const bool mayBeZero = !divisor.isBounded && !divisor.isPositive;
  const Accuracy accuracy = mayBeZero ? Accuracy::Full : divisor.accuracy;
  Ref y = s.make(Opcode::sub, Ref::constant(int32_t(0x7EB50400)),
                 as(x, Word::i32), Word::i32);
  y = as(y, Word::f32);
  Ref h = s.make(Opcode::mul, x, y);
  Ref result = divisor.isBounded ? dst : y;
  const bool isFull = accuracy == Accuracy::Full;
  Ref inverse =
      accuracy == Accuracy::Near
          ? s.shortPolynomial(h, {2.704152107f, -5.823260784f, 4.179803371f})
          : s.shortPolynomial(h, {-1.940978527f, 2.786535501f});
  s.into(isFull ? y : result, Opcode::mul, y, inverse);
  if (isFull) {
    s.into(h, Opcode::mul, x, y);
    s.into(h, Opcode::sub, Ref::constant(2.0f), h);
    s.into(result, Opcode::mul, y, h);
  }
  if (divisor.isBounded)
    return;
  Ref magnitude = x;
  if (!divisor.isPositive) {
    magnitude = s.fresh();
    emitter.vector(Opcode::abs, shape, magnitude, x);
  }
  Ref isLarge =
      s.make(Opcode::lt, Ref::constant(0x1p125f), magnitude, Word::i32);
  s.select(dst, isLarge, Ref::constant(0.0f), y);
}

void codegen::emitReciprocal(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                             Ref x) {
  emitReciprocal(emitter, shape, dst, x, Divisor());
}

// A guess y from half the bit pattern leaves h = x * y * y between two numbers
// that are 12 % apart, with a constant that also makes mantissas carry where
// they must. y * (a - h * (b - c * h)) is 2e-5 off with the best a, b, c; one
// power of h more takes that to 4e-7.
static void emitRsqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst, Ref x,
                      bool isQuick) {
  Sequence s{emitter, shape};
  Ref guess = s.make(Opcode::shr, as(x, Word::i32), Ref::constant(int32_t(1)),
                     Word::i32);
  s.into(guess, Opcode::sub,
         Ref::constant(int32_t(isQuick ? 0x5f300000 : 0x5e9fc000)), guess);
  Ref y = as(guess, Word::f32);
  // Not y * y first: that is infinite for 0, whose root is 0.
  Ref h = s.make(Opcode::mul, y, x);
  s.into(h, Opcode::mul, h, y);
  Ref root =
      isQuick
          ? s.shortPolynomial(h, {0.4464300871f, -1.388882041f, 1.942497969f})
          : s.shortPolynomial(
                h, {-89.65746307f, 74.80640411f, -24.75369072f, 4.911808968f});
  s.into(dst, Opcode::mul, y, root);
}

void codegen::emitRsqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                        Ref x) {
  ::emitRsqrt(emitter, shape, dst, x, false);
}

void codegen::emitQuickRsqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                             Ref x) {
  ::emitRsqrt(emitter, shape, dst, x, true);
}

// The root of what is infinite is taken of the largest number, and multiplied
// with infinity.
void codegen::emitSqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  Sequence s{emitter, shape};
  Ref root =
      s.make(Opcode::min, x, Ref::constant(std::numeric_limits<float>::max()));
  emitRsqrt(emitter, shape, root, root);
  s.into(root, Opcode::mul, root, x);
  Ref isNegative = s.make(Opcode::lt, x, Ref::constant(0.0f), Word::i32);
  s.select(dst, isNegative,
           Ref::constant(std::numeric_limits<float>::quiet_NaN()), root);
}

// x = 2^n * (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), read off the bit
// pattern; log(1 + f) = f - f * f / 2 + f^3 * P(f), a polynomial with a
// relative error of 4e-8. ln 2 is split in two so that n * ln 2 is exact in its
// first part.
void codegen::emitNormalLog(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                            Ref x) {
  Sequence s{emitter, shape};
  Ref bits = as(x, Word::i32);
  Ref n =
      s.make(Opcode::sub, bits, Ref::constant(int32_t(0x3f3504f3)), Word::i32);
  s.into(n, Opcode::sar, n, Ref::constant(int32_t(23)));
  Ref shifted = s.make(Opcode::shl, n, Ref::constant(int32_t(23)), Word::i32);
  s.into(shifted, Opcode::sub, bits, shifted);
  Ref f = as(shifted, Word::f32);
  s.into(f, Opcode::sub, f, Ref::constant(1.0f));
  Ref power = s.convert(n, Word::f32);
  Ref square = s.make(Opcode::mul, f, f);
  Ref value = s.polynomial(f, {0.0870026201f, -0.142673507f, 0.149147645f,
                               -0.165776014f, 0.199630663f, -0.250013351f,
                               0.333339095f});
  s.into(value, Opcode::mul, value, f);
  s.into(value, Opcode::sub, value, Ref::constant(0.5f));
  s.into(value, Opcode::mul, value, square);
  Ref small = s.make(Opcode::mul, power, Ref::constant(-2.12194440e-4f));
  s.into(value, Opcode::add, value, small);
  s.into(value, Opcode::add, value, f);
  s.into(power, Opcode::mul, power, Ref::constant(0.693359375f));
  s.into(dst, Opcode::add, value, power);
}

// Subnormal numbers are brought to normal ones; what has no finite logarithm is
// put in at the end.
void codegen::emitLog(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  Sequence s{emitter, shape};
  Ref subnormal = s.make(Opcode::lt, x, Ref::constant(0x1p-126f), Word::i32);
  Ref scaled = s.make(Opcode::mul, x, Ref::constant(0x1p24f));
  s.select(scaled, subnormal, scaled, x);
  Ref value = s.fresh();
  emitNormalLog(emitter, shape, value, scaled);
  Ref lower = s.make(Opcode::sub, value, Ref::constant(16.6355323f)); // 24 ln 2
  s.select(value, subnormal, lower, value);
  Ref test = s.make(Opcode::eq, x, Ref::constant(0.0f), Word::i32);
  s.select(value, test, Ref::constant(-infinity), value);
  s.into(test, Opcode::lt, x, Ref::constant(0.0f));
  s.select(value, test, Ref::constant(std::numeric_limits<float>::quiet_NaN()),
           value);
  // Neither inf nor NaN is below infinity.
  s.into(test, Opcode::lt, x, Ref::constant(infinity));
  s.select(dst, test, value, x);
}

// x = n * pi/2 + r. pi/2 is split into three floats; n has at most 17 bits, so
// with one rounding per step the first two differences are exact. The quadrant
// n mod 4 picks sine or cosine of r and its sign. Beyond its range the result
// is not a number: no wrong number that looks right.
static void emitQuadrants(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                          Ref x, int32_t quarter) {
  Sequence s{emitter, shape};
  Ref turns = s.make(Opcode::mul, x, Ref::constant(0.636619772f));
  Ref n = s.convert(turns, Word::i32);
  Ref whole = s.convert(n, Word::f32);
  Ref r = s.fma(x, whole, -1.57079637050628662109375f);
  r = s.fma(r, whole, 4.37113900018624283e-8f);
  r = s.fma(r, whole, 1.71512451e-15f);
  Ref square = s.make(Opcode::mul, r, r);
  Ref sine = s.polynomial(
      square, {2.718311493989822e-6f, -1.9839334836096632e-4f,
               8.333329385889463e-3f, -1.6666666641626524e-1f, 1.0f});
  s.into(sine, Opcode::mul, sine, r);
  Ref cosine =
      s.polynomial(square, {2.443315711809948e-5f, -1.388731625493765e-3f,
                            4.166664568298827e-2f, -0.5f, 1.0f});
  s.into(n, Opcode::add, n, Ref::constant(quarter));
  Ref odd = s.make(Opcode::bit_and, n, Ref::constant(int32_t(1)), Word::i32);
  Ref value = s.select(odd, cosine, sine);
  s.into(n, Opcode::bit_and, n, Ref::constant(int32_t(2)));
  s.into(n, Opcode::shl, n, Ref::constant(int32_t(30)));
  s.into(as(value, Word::i32), Opcode::bit_xor, as(value, Word::i32), n);
  Ref magnitude = s.fresh();
  emitter.vector(Opcode::abs, shape, magnitude, x);
  Ref isBeyond = s.make(Opcode::lt, Ref::constant(2e5f), magnitude, Word::i32);
  s.select(dst, isBeyond,
           Ref::constant(std::numeric_limits<float>::quiet_NaN()), value);
}

void codegen::emitSin(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  emitQuadrants(emitter, shape, dst, x, 0);
}

void codegen::emitCos(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  emitQuadrants(emitter, shape, dst, x, 1);
}

// 1 / (1 + exp(-x)). Beyond the clamps it is 0 or 1 to the last bit of what an
// f32 has beside it; within them, 1 + exp(-x) is a divisor that needs none.
void codegen::emitSigmoid(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                          Ref x, Accuracy accuracy) {
  Sequence s{emitter, shape};
  Ref bounded = s.make(Opcode::max, x, Ref::constant(-86.0f));
  s.into(bounded, Opcode::min, bounded, Ref::constant(86.0f));
  Ref power = s.fresh();
  emitExponential(emitter, shape, power, bounded, {accuracy, false, false, -1});
  s.into(power, Opcode::add, power, Ref::constant(1.0f));
  emitReciprocal(emitter, shape, dst, power, {true, accuracy, true});
}

// tanh(x) = 1 - 2 / (exp(2x) + 1); beyond |x| = 10 it is 1 to the last bit.
void codegen::emitTanh(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  Sequence s{emitter, shape};
  Ref bounded = s.make(Opcode::max, x, Ref::constant(-10.0f));
  s.into(bounded, Opcode::min, bounded, Ref::constant(10.0f));
  Ref power = s.fresh();
  emitExponential(emitter, shape, power, bounded,
                  {Accuracy::Full, false, false, 2});
  s.into(power, Opcode::add, power, Ref::constant(1.0f));
  Ref inverse = s.fresh();
  emitReciprocal(emitter, shape, inverse, power, {true, Accuracy::Full, true});
  emitter.vector(Opcode::fma, shape, dst, Ref::constant(1.0f), inverse,
                 Ref::constant(-2.0f));
}

// Abramowitz and Stegun 7.1.26: with t = 1 / (1 + p |x|),
// erf |x| = 1 - poly(t) exp(-x^2), absolute error below 1.5e-7.
void codegen::emitErf(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  Sequence s{emitter, shape};
  Ref magnitude = s.fresh();
  emitter.vector(Opcode::abs, shape, magnitude, x);
  s.into(magnitude, Opcode::min, magnitude, Ref::constant(9.0f));
  Ref base = s.fma(Ref::constant(1.0f), magnitude, 0.3275911f);
  Ref t = s.fresh();
  emitReciprocal(emitter, shape, t, base, {true, Accuracy::Full, true});
  Ref sum = s.shortPolynomial(t, {1.061405429f, -1.453152027f, 1.421413741f,
                                  -0.284496736f, 0.254829592f});
  s.into(sum, Opcode::mul, sum, t);
  Ref square = s.make(Opcode::mul, magnitude, magnitude);
  Ref power = s.fresh();
  emitExponential(emitter, shape, power, square,
                  {Accuracy::Full, false, false, -1});
  s.into(sum, Opcode::mul, sum, power);
  s.into(sum, Opcode::sub, Ref::constant(1.0f), sum);
  // The sign of x on the result.
  Ref sign =
      s.make(Opcode::bit_and, as(x, Word::i32),
             Ref::constant(std::numeric_limits<int32_t>::min()), Word::i32);
  s.into(as(dst, Word::i32), Opcode::bit_or, as(sum, Word::i32), sign);
}

// A conversion rounds to the nearest whole number, halves to even; the next one
// is a comparison away. The sign of x keeps -0, and from 2^23 on all numbers
// are whole: there, x is the answer, which infinities and NaN are, too.
static void emitWhole(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst, Ref x,
                      Opcode correction) {
  Sequence s{emitter, shape};
  Ref whole = s.convert(x, Word::i32);
  Ref value = s.convert(whole, Word::f32);
  if (correction != Opcode::mov) {
    bool isDown = correction == Opcode::sub;
    Ref beyond =
        s.make(Opcode::lt, isDown ? x : value, isDown ? value : x, Word::i32);
    s.into(value, correction, value, s.convert(beyond, Word::f32));
  }
  Ref sign =
      s.make(Opcode::bit_and, as(x, Word::i32),
             Ref::constant(std::numeric_limits<int32_t>::min()), Word::i32);
  s.into(as(value, Word::i32), Opcode::bit_or, as(value, Word::i32), sign);
  Ref magnitude = s.fresh();
  emitter.vector(Opcode::abs, shape, magnitude, x);
  Ref isSmall =
      s.make(Opcode::lt, magnitude, Ref::constant(0x1p23f), Word::i32);
  s.select(dst, isSmall, value, x);
}

void codegen::emitFloor(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                        Ref x) {
  emitWhole(emitter, shape, dst, x, Opcode::sub);
}

void codegen::emitCeil(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  emitWhole(emitter, shape, dst, x, Opcode::add);
}

void codegen::emitRound(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                        Ref x) {
  emitWhole(emitter, shape, dst, x, Opcode::mov);
}
