// The vector operations: one loop nest over four dimensions, instantiated for
// each operation and type. Elements are computed in index order, one after the
// other, so that operands may overlap and a destination stride of 0 folds.

#include "Half.h"
#include "Prepared.h"
#include <cmath>
#include <limits>

namespace waferloom::executor {

namespace {
/// How elements lie in memory, and what they compute as.
struct F32 {
  using Value = float;
  using Stored = float;
  static Value load(const char *at) {
    Value value;
    std::memcpy(&value, at, 4);
    return value;
  }
  static void store(char *at, Value value) { std::memcpy(at, &value, 4); }
};
struct F16 {
  using Value = float;
  using Stored = uint16_t;
  static Value load(const char *at) {
    uint16_t half;
    std::memcpy(&half, at, 2);
    return floatOfHalf(half);
  }
  static void store(char *at, Value value) {
    uint16_t half = halfOfFloat(value);
    std::memcpy(at, &half, 2);
  }
};
struct I32 {
  using Value = int32_t;
  using Stored = int32_t;
  static Value load(const char *at) {
    Value value;
    std::memcpy(&value, at, 4);
    return value;
  }
  static void store(char *at, Value value) { std::memcpy(at, &value, 4); }
};
/// Patterns: unsigned, so that everything wraps.
struct U32 {
  using Value = uint32_t;
  using Stored = uint32_t;
  static Value load(const char *at) {
    Value value;
    std::memcpy(&value, at, 4);
    return value;
  }
  static void store(char *at, Value value) { std::memcpy(at, &value, 4); }
};
struct U16 {
  using Value = uint16_t;
  using Stored = uint16_t;
  static Value load(const char *at) {
    Value value;
    std::memcpy(&value, at, 2);
    return value;
  }
  static void store(char *at, Value value) { std::memcpy(at, &value, 2); }
};
} // namespace

/// Calls body(d, a, b, c) with the addresses of each element that is stored.
template <typename Body>
static inline void forElements(const Instruction &i, const Addresses &x,
                               Body body) {
  const Operand *operands[5] = {&i.dst, &i.a, &i.b, &i.c, &i.predicate};
  ptrdiff_t offset[5];
  for (uint32_t i0 = 0; i0 < i.shape[0]; ++i0)
    for (uint32_t i1 = 0; i1 < i.shape[1]; ++i1)
      for (uint32_t i2 = 0; i2 < i.shape[2]; ++i2) {
        for (int k = 0; k < 5; ++k) {
          const int32_t *s = operands[k]->strides;
          offset[k] = ptrdiff_t(i0) * s[0] + ptrdiff_t(i1) * s[1] +
                      ptrdiff_t(i2) * s[2];
        }
        char *d = x.dst + offset[0];
        const char *a = x.a + offset[1], *b = x.b + offset[2],
                   *c = x.c + offset[3];
        ptrdiff_t ds = i.dst.strides[3], as = i.a.strides[3],
                  bs = i.b.strides[3], cs = i.c.strides[3];
        uint32_t n = i.shape[3];
        if (x.predicate) {
          const char *p = x.predicate + offset[4];
          for (uint32_t k = 0; k < n; ++k, d += ds, a += as, b += bs, c += cs,
                        p += i.predicate.strides[3])
            if (I32::load(p) != 0)
              body(d, a, b, c);
        } else {
          for (uint32_t k = 0; k < n; ++k, d += ds, a += as, b += bs, c += cs)
            body(d, a, b, c);
        }
      }
}

template <typename D, typename A, typename F>
static void unary(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *, const char *) {
    D::store(d, F::apply(A::load(a)));
  });
}

/// A row without gaps; the second operand is one too, or a scalar. With fixed
/// strides the compiler computes several elements at once where nothing
/// overlaps, and one after the other where it does.
template <typename D, typename A, typename F, size_t StrideB>
static void denseRow(char *d, const char *a, const char *b, uint32_t n) {
  constexpr size_t to = sizeof(typename D::Stored);
  constexpr size_t from = sizeof(typename A::Stored);
  if (to == from && a == d) {
    for (size_t k = 0; k < n; ++k)
      D::store(d + k * to,
               F::apply(A::load(d + k * to), A::load(b + k * StrideB)));
    return;
  }
  for (size_t k = 0; k < n; ++k)
    D::store(d + k * to,
             F::apply(A::load(a + k * from), A::load(b + k * StrideB)));
}

template <typename D, typename A, typename F>
static void binary(const Instruction &i, const Addresses &x) {
  constexpr int32_t to = sizeof(typename D::Stored);
  constexpr int32_t from = sizeof(typename A::Stored);
  if (i.isLine && !x.predicate && i.dst.strides[3] == to &&
      i.a.strides[3] == from) {
    if (i.b.strides[3] == from)
      return denseRow<D, A, F, from>(x.dst, x.a, x.b, i.shape[3]);
    if (i.b.strides[3] == 0)
      return denseRow<D, A, F, 0>(x.dst, x.a, x.b, i.shape[3]);
  }
  forElements(i, x, [](char *d, const char *a, const char *b, const char *) {
    D::store(d, F::apply(A::load(a), A::load(b)));
  });
}

template <typename D>
static void choose(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *b, const char *c) {
    D::store(d, I32::load(a) != 0 ? D::load(b) : D::load(c));
  });
}

template <typename D, typename B>
static void multiplyAdd(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *b, const char *c) {
    D::store(d, std::fma(B::load(b), B::load(c), D::load(a)));
  });
}

static void multiplyAddInteger(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *b, const char *c) {
    U32::store(d, U32::load(a) + U32::load(b) * U32::load(c));
  });
}

#if defined(__x86_64__)
/// acc[i] += row[i] * c, the inner loop of products, eight at a time.
__attribute__((target("avx2,fma"))) static void
accumulate(float *__restrict acc, const float *__restrict row, float c,
           uint32_t n) {
  for (uint32_t k = 0; k < n; ++k)
    acc[k] = __builtin_fmaf(row[k], c, acc[k]);
}

/// Whether [a, a + bytes) and [b, b + more) have a byte in common.
static bool meet(const char *a, size_t bytes, const char *b, size_t more) {
  return a < b + more && b < a + bytes;
}

/// The same as multiplyAdd<F32, F32> where the host can: both round once.
__attribute__((target("fma"))) static void
multiplyAddNative(const Instruction &i, const Addresses &x) {
  ptrdiff_t ds = i.dst.strides[3], as = i.a.strides[3], bs = i.b.strides[3];
  size_t bytes = size_t(i.shape[3]) * 4;
  if (x.predicate || !i.isLine || i.c.strides[3] != 0 || ds < 0 ||
      meet(x.c, 4, x.dst, size_t(i.shape[3]) * size_t(ds) + 4))
    return multiplyAdd<F32, F32>(i, x);
  float c = F32::load(x.c);
  if (x.a == x.dst && ds == 4 && as == 4 && bs == 4 &&
      !meet(x.b, bytes, x.dst, bytes))
    return accumulate(reinterpret_cast<float *>(x.dst),
                      reinterpret_cast<const float *>(x.b), c, i.shape[3]);
  char *d = x.dst;
  const char *a = x.a, *b = x.b;
  for (uint32_t k = 0; k < i.shape[3]; ++k, d += ds, a += as, b += bs)
    F32::store(d, __builtin_fmaf(F32::load(b), c, F32::load(a)));
}
#endif

namespace {
struct Copy {
  template <typename T>
  static T apply(T a) {
    return a;
  }
};
struct Negate {
  static float apply(float a) { return floatOfBits(bitsOfFloat(a) ^ 1u << 31); }
  static uint32_t apply(uint32_t a) { return 0u - a; }
};
struct Absolute {
  static float apply(float a) { return std::fabs(a); }
  static uint32_t apply(uint32_t a) { return a >> 31 ? 0u - a : a; }
};
struct Add {
  template <typename T>
  static T apply(T a, T b) {
    return a + b;
  }
};
struct Subtract {
  template <typename T>
  static T apply(T a, T b) {
    return a - b;
  }
};
struct Multiply {
  template <typename T>
  static T apply(T a, T b) {
    return a * b;
  }
};
/// A NaN in either operand is the result; -0 is below +0.
struct Maximum {
  static float apply(float a, float b) {
    if (std::isnan(a) || std::isnan(b))
      return std::isnan(a) ? a : b;
    if (a == b)
      return std::signbit(a) ? b : a;
    return a > b ? a : b;
  }
  static int32_t apply(int32_t a, int32_t b) { return a > b ? a : b; }
};
struct Minimum {
  static float apply(float a, float b) {
    if (std::isnan(a) || std::isnan(b))
      return std::isnan(a) ? a : b;
    if (a == b)
      return std::signbit(a) ? a : b;
    return a < b ? a : b;
  }
  static int32_t apply(int32_t a, int32_t b) { return a < b ? a : b; }
};
struct Equal {
  template <typename T>
  static int32_t apply(T a, T b) {
    return a == b;
  }
};
struct Less {
  template <typename T>
  static int32_t apply(T a, T b) {
    return a < b;
  }
};
struct LessEqual {
  template <typename T>
  static int32_t apply(T a, T b) {
    return a <= b;
  }
};
struct And {
  static uint32_t apply(uint32_t a, uint32_t b) { return a & b; }
};
struct Or {
  static uint32_t apply(uint32_t a, uint32_t b) { return a | b; }
};
struct Xor {
  static uint32_t apply(uint32_t a, uint32_t b) { return a ^ b; }
};
/// Distances are unsigned; 32 and more shift everything out.
struct ShiftLeft {
  static uint32_t apply(uint32_t a, uint32_t b) { return b < 32 ? a << b : 0; }
};
struct ShiftRight {
  static uint32_t apply(uint32_t a, uint32_t b) { return b < 32 ? a >> b : 0; }
};
struct ShiftArithmetic {
  static uint32_t apply(uint32_t a, uint32_t b) {
    return static_cast<uint32_t>(static_cast<int32_t>(a) >> (b < 32 ? b : 31));
  }
};
/// Toward minus infinity; by zero: quotient 0, remainder the dividend.
struct FloorDivide {
  static int32_t apply(int32_t a, int32_t b) {
    if (b == 0)
      return 0;
    int64_t quotient = int64_t(a) / b;
    if (int64_t(a) % b != 0 && (a < 0) != (b < 0))
      --quotient;
    return static_cast<int32_t>(static_cast<uint32_t>(quotient));
  }
};
struct FloorRemainder {
  static int32_t apply(int32_t a, int32_t b) {
    if (b == 0)
      return a;
    int64_t remainder = int64_t(a) % b;
    if (remainder != 0 && (remainder < 0) != (b < 0))
      remainder += b;
    return static_cast<int32_t>(remainder);
  }
};
struct ToInteger {
  static int32_t apply(float a) {
    if (std::isnan(a))
      return 0;
    if (a >= 2147483648.0f)
      return std::numeric_limits<int32_t>::max();
    if (a <= -2147483648.0f)
      return std::numeric_limits<int32_t>::min();
    return static_cast<int32_t>(std::nearbyint(a));
  }
};
struct ToFloat {
  static float apply(int32_t a) { return static_cast<float>(a); }
};
} // namespace

/// Floats compute in their type, integers as patterns, so that they wrap.
template <typename F>
static Kernel arithmetic(Type type) {
  return type == Type::f32   ? binary<F32, F32, F>
         : type == Type::f16 ? binary<F16, F16, F>
                             : binary<U32, U32, F>;
}

template <typename F>
static Kernel sign(Type type) {
  return type == Type::f32   ? unary<F32, F32, F>
         : type == Type::f16 ? unary<F16, F16, F>
                             : unary<U32, U32, F>;
}

template <typename F>
static Kernel order(Type type) {
  return type == Type::f32   ? binary<F32, F32, F>
         : type == Type::f16 ? binary<F16, F16, F>
                             : binary<I32, I32, F>;
}

template <typename F>
static Kernel comparison(Type type) {
  return type == Type::f32   ? binary<I32, F32, F>
         : type == Type::f16 ? binary<I32, F16, F>
                             : binary<I32, I32, F>;
}

static Kernel multiplyAddOf(Type type, Type factors) {
  if (type == Type::i32)
    return multiplyAddInteger;
  if (type == Type::f16)
    return multiplyAdd<F16, F16>;
  if (factors == Type::f16)
    return multiplyAdd<F32, F16>;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("fma"))
    return multiplyAddNative;
#endif
  return multiplyAdd<F32, F32>;
}

static Kernel conversion(Type to, Type from) {
  switch (to) {
  case Type::f32:
    return from == Type::f32   ? unary<U32, U32, Copy>
           : from == Type::f16 ? unary<F32, F16, Copy>
                               : unary<F32, I32, ToFloat>;
  case Type::f16:
    return from == Type::f32   ? unary<F16, F32, Copy>
           : from == Type::f16 ? unary<U16, U16, Copy>
                               : unary<F16, I32, ToFloat>;
  case Type::i32:
    return from == Type::f32   ? unary<I32, F32, ToInteger>
           : from == Type::f16 ? unary<I32, F16, ToInteger>
                               : unary<U32, U32, Copy>;
  }
  return nullptr;
}

Kernel kernelOf(const Instruction &i) {
  switch (i.op) {
  case Opcode::mov:
    return i.dst.type == Type::f16 ? unary<U16, U16, Copy>
                                   : unary<U32, U32, Copy>;
  case Opcode::add:
    return arithmetic<Add>(i.dst.type);
  case Opcode::sub:
    return arithmetic<Subtract>(i.dst.type);
  case Opcode::mul:
    return arithmetic<Multiply>(i.dst.type);
  case Opcode::max:
    return order<Maximum>(i.dst.type);
  case Opcode::min:
    return order<Minimum>(i.dst.type);
  case Opcode::neg:
    return sign<Negate>(i.dst.type);
  case Opcode::abs:
    return sign<Absolute>(i.dst.type);
  case Opcode::fma:
    return multiplyAddOf(i.dst.type, i.b.type);
  case Opcode::eq:
    return comparison<Equal>(i.a.type);
  case Opcode::lt:
    return comparison<Less>(i.a.type);
  case Opcode::le:
    return comparison<LessEqual>(i.a.type);
  case Opcode::select:
    return i.dst.type == Type::f16 ? choose<U16> : choose<U32>;
  case Opcode::bit_and:
    return binary<U32, U32, And>;
  case Opcode::bit_or:
    return binary<U32, U32, Or>;
  case Opcode::bit_xor:
    return binary<U32, U32, Xor>;
  case Opcode::shl:
    return binary<U32, U32, ShiftLeft>;
  case Opcode::shr:
    return binary<U32, U32, ShiftRight>;
  case Opcode::sar:
    return binary<U32, U32, ShiftArithmetic>;
  case Opcode::convert:
    return conversion(i.dst.type, i.a.type);
  case Opcode::floor_div:
    return binary<I32, I32, FloorDivide>;
  case Opcode::floor_mod:
    return binary<I32, I32, FloorRemainder>;
  default:
    return nullptr;
  }
}

template <typename F>
static uint32_t foldF32(uint32_t accumulator, uint32_t word) {
  return bitsOfFloat(F::apply(floatOfBits(accumulator), floatOfBits(word)));
}

template <typename F>
static uint32_t foldF16(uint32_t accumulator, uint32_t word) {
  auto half = [](uint32_t x, uint32_t y) -> uint32_t {
    return halfOfFloat(F::apply(floatOfHalf(static_cast<uint16_t>(x)),
                                floatOfHalf(static_cast<uint16_t>(y))));
  };
  return half(accumulator, word) | half(accumulator >> 16, word >> 16) << 16;
}

template <typename F>
static uint32_t foldI32(uint32_t accumulator, uint32_t word) {
  return static_cast<uint32_t>(
      F::apply(static_cast<int32_t>(accumulator), static_cast<int32_t>(word)));
}

Fold foldOf(Opcode fold, Type type) {
  bool f32 = type == Type::f32, f16 = type == Type::f16;
  switch (fold) {
  case Opcode::max:
    return f32 ? foldF32<Maximum> : f16 ? foldF16<Maximum> : foldI32<Maximum>;
  case Opcode::min:
    return f32 ? foldF32<Minimum> : f16 ? foldF16<Minimum> : foldI32<Minimum>;
  default:
    return f32   ? foldF32<Add>
           : f16 ? foldF16<Add>
                 : [](uint32_t a, uint32_t b) { return a + b; };
  }
}

} // namespace waferloom::executor
