// The arithmetic of single elements, and which of it an instruction means. Both
// engines' loops are instantiated with these, so that they cannot differ.

#ifndef WAFERLOOM_LIB_EXECUTOR_OPERATIONS_H
#define WAFERLOOM_LIB_EXECUTOR_OPERATIONS_H

#include "Half.h"
#include "Prepared.h"
#include <cmath>
#include <limits>
#include <type_traits>

namespace waferloom::executor {

/// How elements lie in memory, and what they compute as: the same.
template <typename T>
struct Plain {
  using Value = T;
  using Stored = T;
  static Value load(const char *at) {
    Value value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  static void store(char *at, Value value) {
    std::memcpy(at, &value, sizeof value);
  }
};
using F32 = Plain<float>;
using I32 = Plain<int32_t>;
/// Patterns: unsigned, so that everything wraps.
using U32 = Plain<uint32_t>;
using U16 = Plain<uint16_t>;
/// Halves compute as singles.
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
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a & b);
  }
};
struct Or {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a | b);
  }
};
struct Xor {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(a ^ b);
  }
};
/// Distances are unsigned; 32 and more shift everything out, of 16 bits 16 and
/// more.
struct ShiftLeft {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(b < 32 ? uint32_t(a) << b : 0);
  }
};
struct ShiftRight {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(b < 32 ? uint32_t(a) >> b : 0);
  }
};
struct ShiftArithmetic {
  template <typename T>
  static T apply(T a, T b) {
    return static_cast<T>(static_cast<std::make_signed_t<T>>(a) >>
                          (b < 32 ? b : 31));
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

/// Floats compute in their type, integers as patterns, so that they wrap.
template <typename Loops, typename F>
inline typename Loops::Kernel arithmetic(Type type) {
  return type == Type::f32   ? Loops::template binary<F32, F32, F>
         : type == Type::f16 ? Loops::template binary<F16, F16, F>
                             : Loops::template binary<U32, U32, F>;
}

template <typename Loops, typename F>
inline typename Loops::Kernel sign(Type type) {
  return type == Type::f32   ? Loops::template unary<F32, F32, F>
         : type == Type::f16 ? Loops::template unary<F16, F16, F>
                             : Loops::template unary<U32, U32, F>;
}

template <typename Loops, typename F>
inline typename Loops::Kernel order(Type type) {
  return type == Type::f32   ? Loops::template binary<F32, F32, F>
         : type == Type::f16 ? Loops::template binary<F16, F16, F>
                             : Loops::template binary<I32, I32, F>;
}

template <typename Loops, typename F>
inline typename Loops::Kernel comparison(Type type) {
  return type == Type::f32   ? Loops::template binary<I32, F32, F>
         : type == Type::f16 ? Loops::template binary<I32, F16, F>
                             : Loops::template binary<I32, I32, F>;
}

template <typename Loops>
inline typename Loops::Kernel multiplyAddOf(Type type, Type factors) {
  if (type == Type::i32)
    return Loops::multiplyAddInteger;
  if (type == Type::f16)
    return Loops::template multiplyAdd<F16, F16>;
  if (factors == Type::f16)
    return Loops::template multiplyAdd<F32, F16>;
  return Loops::multiplyAddFloat();
}

template <typename Loops>
inline typename Loops::Kernel conversion(Type to, Type from) {
  switch (to) {
  case Type::f32:
    return from == Type::f32   ? Loops::template unary<U32, U32, Copy>
           : from == Type::f16 ? Loops::template unary<F32, F16, Copy>
                               : Loops::template unary<F32, I32, ToFloat>;
  case Type::f16:
    return from == Type::f32   ? Loops::template unary<F16, F32, Copy>
           : from == Type::f16 ? Loops::template unary<U16, U16, Copy>
                               : Loops::template unary<F16, I32, ToFloat>;
  case Type::i32:
    return from == Type::f32   ? Loops::template unary<I32, F32, ToInteger>
           : from == Type::f16 ? Loops::template unary<I32, F16, ToInteger>
                               : Loops::template unary<U32, U32, Copy>;
  }
  return nullptr;
}

/// Patterns of 16 or 32 bits.
template <typename Loops, typename F>
inline typename Loops::Kernel bitwise(Type type) {
  return type == Type::f16 ? Loops::template binary<U16, U16, F>
                           : Loops::template binary<U32, U32, F>;
}

/// The loops of a vector operation; null for types that the checker refuses.
template <typename Loops>
inline typename Loops::Kernel select(const Instruction &i) {
  switch (i.op) {
  case Opcode::mov:
    return i.dst.type == Type::f16 ? Loops::template unary<U16, U16, Copy>
                                   : Loops::template unary<U32, U32, Copy>;
  case Opcode::add:
    return arithmetic<Loops, Add>(i.dst.type);
  case Opcode::sub:
    return arithmetic<Loops, Subtract>(i.dst.type);
  case Opcode::mul:
    return arithmetic<Loops, Multiply>(i.dst.type);
  case Opcode::max:
    return order<Loops, Maximum>(i.dst.type);
  case Opcode::min:
    return order<Loops, Minimum>(i.dst.type);
  case Opcode::neg:
    return sign<Loops, Negate>(i.dst.type);
  case Opcode::abs:
    return sign<Loops, Absolute>(i.dst.type);
  case Opcode::fma:
    return multiplyAddOf<Loops>(i.dst.type, i.b.type);
  case Opcode::eq:
    return comparison<Loops, Equal>(i.a.type);
  case Opcode::lt:
    return comparison<Loops, Less>(i.a.type);
  case Opcode::le:
    return comparison<Loops, LessEqual>(i.a.type);
  case Opcode::select:
    return i.dst.type == Type::f16 ? Loops::template choose<U16>
                                   : Loops::template choose<U32>;
  case Opcode::bit_and:
    return bitwise<Loops, And>(i.dst.type);
  case Opcode::bit_or:
    return bitwise<Loops, Or>(i.dst.type);
  case Opcode::bit_xor:
    return bitwise<Loops, Xor>(i.dst.type);
  case Opcode::shl:
    return bitwise<Loops, ShiftLeft>(i.dst.type);
  case Opcode::shr:
    return bitwise<Loops, ShiftRight>(i.dst.type);
  case Opcode::sar:
    return bitwise<Loops, ShiftArithmetic>(i.dst.type);
  case Opcode::convert:
    return conversion<Loops>(i.dst.type, i.a.type);
  case Opcode::floor_div:
    return Loops::template binary<I32, I32, FloorDivide>;
  case Opcode::floor_mod:
    return Loops::template binary<I32, I32, FloorRemainder>;
  default:
    return nullptr;
  }
}

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_OPERATIONS_H
