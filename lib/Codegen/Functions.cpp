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
  /// Horner's rule; coefficients from the highest power down.
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
// the one of infinity. The polynomials' errors are 8e-8 and 7.5e-5.
static void emitExp(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst, Ref x,
                    bool isQuick) {
  Sequence s{emitter, shape};
  constexpr float rounder = 12582912.0f + 127;
  Ref clamped = s.make(Opcode::max, x, Ref::constant(-88.0f));
  s.into(clamped, Opcode::min, clamped, Ref::constant(88.8f));
  Ref shifted = s.fma(Ref::constant(rounder), clamped, 1.44269504f);
  Ref n = s.make(Opcode::sub, shifted, Ref::constant(rounder));
  Ref value;
  if (isQuick) {
    Ref r = s.fma(clamped, n, -0.693147181f);
    value =
        s.polynomial(r, {0.16566743f, 0.50496819f, 1.00016451f, 0.99992793f});
  } else {
    Ref r = s.fma(clamped, n, -0.693359375f);
    r = s.fma(r, n, 2.12194440e-4f);
    value = s.polynomial(r, {8.29761940985918e-3f, 4.191562905907631e-2f,
                             0.16667576134204865f, 0.4999889135360718f,
                             0.9999997019767761f, 1.0f});
  }
  Ref power = as(shifted, Word::i32);
  s.into(power, Opcode::shl, power, Ref::constant(int32_t(23)));
  s.into(dst, Opcode::mul, value, shifted);
}

void codegen::emitExp(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  ::emitExp(emitter, shape, dst, x, false);
}

void codegen::emitQuickExp(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                           Ref x) {
  ::emitExp(emitter, shape, dst, x, true);
}

// The bit pattern of 1/x is nearly a constant minus that of x, 12 % off. A
// Newton step y = y * (2 - x * y) squares the error and leaves it on one side;
// with 2.0013 the first error is less, and two steps end 8e-5 off (half the
// last bit of an f16 is 5e-4), three at the last bit.
void codegen::emitReciprocal(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                             Ref x, Divisor divisor) {
  Sequence s{emitter, shape};
  constexpr float limit = 8.5070592e37f; // 2^126
  Ref bounded = s.make(Opcode::min, x, Ref::constant(limit));
  if (!divisor.isPositive)
    s.into(bounded, Opcode::max, bounded, Ref::constant(-limit));
  Ref y = s.make(Opcode::sub, Ref::constant(int32_t(0x7EF311C7)),
                 as(bounded, Word::i32), Word::i32);
  y = as(y, Word::f32);
  Ref error = s.fresh();
  // Two steps double the guess for 0 to infinity; a third would make it NaN.
  bool isSelected = !divisor.isPositive && !divisor.isQuick;
  const int steps = divisor.isQuick ? 2 : 3;
  for (int step = 0; step < steps; ++step) {
    s.into(error, Opcode::mul, bounded, y);
    s.into(error, Opcode::sub, Ref::constant(step == 0 ? 2.0013f : 2.0f),
           error);
    s.into(step + 1 == steps && !isSelected ? dst : y, Opcode::mul, y, error);
  }
  if (!isSelected)
    return;
  Ref zero = s.make(Opcode::eq, x, Ref::constant(0.0f), Word::i32);
  s.select(dst, zero, Ref::constant(infinity), y);
}

void codegen::emitReciprocal(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                             Ref x) {
  emitReciprocal(emitter, shape, dst, x, Divisor());
}

// A guess from half the bit pattern is 3.4 % off; each of three steps
// y = y * (1.5 - x / 2 * y * y) takes that to 2e-3, 5e-6, 3e-11. For a single
// number the machine multiplies and adds in one instruction.
static void emitRsqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst, Ref x,
                      int steps) {
  Sequence s{emitter, shape};
  bool isScalar = llvm::all_of(shape, [](int64_t n) { return n == 1; });
  Ref half = s.make(Opcode::shr, as(x, Word::i32), Ref::constant(int32_t(1)),
                    Word::i32);
  s.into(half, Opcode::sub, Ref::constant(int32_t(0x5f3759df)), half);
  Ref y = as(half, Word::f32);
  Ref scaled = s.make(Opcode::mul, x, Ref::constant(isScalar ? -0.5f : 0.5f));
  Ref error = s.fresh();
  for (int step = 0; step < steps; ++step) {
    s.into(error, Opcode::mul, scaled, y);
    if (isScalar) {
      emitter.vector(Opcode::fma, shape, error, Ref::constant(1.5f), error, y);
    } else {
      s.into(error, Opcode::mul, error, y);
      s.into(error, Opcode::sub, Ref::constant(1.5f), error);
    }
    s.into(step + 1 == steps ? dst : y, Opcode::mul, y, error);
  }
}

void codegen::emitRsqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                        Ref x) {
  ::emitRsqrt(emitter, shape, dst, x, 3);
}

void codegen::emitQuickRsqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                             Ref x) {
  ::emitRsqrt(emitter, shape, dst, x, 2);
}

void codegen::emitSqrt(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  Sequence s{emitter, shape};
  Ref root = s.fresh();
  emitRsqrt(emitter, shape, root, x);
  s.into(dst, Opcode::mul, root, x);
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
// n mod 4 picks sine or cosine of r and its sign.
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
  s.into(as(dst, Word::i32), Opcode::bit_xor, as(value, Word::i32), n);
}

void codegen::emitSin(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  emitQuadrants(emitter, shape, dst, x, 0);
}

void codegen::emitCos(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  emitQuadrants(emitter, shape, dst, x, 1);
}

// tanh(x) = 1 - 2 / (exp(2x) + 1); beyond |x| = 10 it is 1 to the last bit.
void codegen::emitTanh(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  Sequence s{emitter, shape};
  Ref bounded = s.make(Opcode::max, x, Ref::constant(-10.0f));
  s.into(bounded, Opcode::min, bounded, Ref::constant(10.0f));
  s.into(bounded, Opcode::mul, bounded, Ref::constant(2.0f));
  Ref power = s.fresh();
  emitExp(emitter, shape, power, bounded);
  s.into(power, Opcode::add, power, Ref::constant(1.0f));
  Ref inverse = s.fresh();
  emitReciprocal(emitter, shape, inverse, power);
  s.into(inverse, Opcode::mul, inverse, Ref::constant(-2.0f));
  s.into(dst, Opcode::add, inverse, Ref::constant(1.0f));
}

// Abramowitz and Stegun 7.1.26: with t = 1 / (1 + p |x|),
// erf |x| = 1 - poly(t) exp(-x^2), absolute error below 1.5e-7.
void codegen::emitErf(Emitter &emitter, ArrayRef<int64_t> shape, Ref dst,
                      Ref x) {
  Sequence s{emitter, shape};
  Ref magnitude = s.fresh();
  emitter.vector(Opcode::abs, shape, magnitude, x);
  s.into(magnitude, Opcode::min, magnitude, Ref::constant(9.0f));
  Ref base = s.make(Opcode::mul, magnitude, Ref::constant(0.3275911f));
  s.into(base, Opcode::add, base, Ref::constant(1.0f));
  Ref t = s.fresh();
  emitReciprocal(emitter, shape, t, base);
  Ref sum = s.polynomial(t, {1.061405429f, -1.453152027f, 1.421413741f,
                             -0.284496736f, 0.254829592f, 0.0f});
  Ref square = s.make(Opcode::mul, magnitude, magnitude);
  s.into(square, Opcode::mul, square, Ref::constant(-1.0f));
  Ref power = s.fresh();
  emitExp(emitter, shape, power, square);
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
