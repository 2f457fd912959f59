//===- Axis.h - Axes, digits and padding of a layout ------------*- C++ -*-===//
//
// The plain values that #wafer.region and #wafer.layout are made of.
//
// A region is W x H PEs. Each direction is a product of factors, major to
// minor; a factor is an axis. The index of a dimension is a number in mixed
// radix whose digits are axes (which PE) and local extents (where in the PE).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_AXIS_H
#define WAFERLOOM_DIALECT_WAFER_AXIS_H

#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace waferloom::wafer {

/// One factor of a direction of the region: `x`, `y`, `x0`, `x1`, ...
struct Axis {
  enum Direction : uint8_t { X, Y };
  /// The number of a direction that is not cut into factors.
  static constexpr int8_t whole = -1;

  Direction direction = X;
  int8_t number = whole;

  /// "x", "y", "x0", ...
  std::string str() const;
  /// The axis of that name, or nothing.
  static std::optional<Axis> parse(llvm::StringRef name);

  bool operator==(const Axis &other) const {
    return direction == other.direction && number == other.number;
  }
  bool operator!=(const Axis &other) const { return !(*this == other); }
  bool operator<(const Axis &other) const {
    return direction != other.direction ? direction < other.direction
                                        : number < other.number;
  }
};

/// One digit of an index: an axis, or a local extent in elements.
struct Digit {
  int64_t extent = 0; // 0 for an axis
  Axis axis;

  Digit() = default;
  Digit(int64_t extent) : extent(extent) {}
  Digit(Axis axis) : axis(axis) {}

  bool isAxis() const { return extent == 0; }
  bool operator==(const Digit &other) const {
    return extent == other.extent && (extent != 0 || axis == other.axis);
  }
  bool operator!=(const Digit &other) const { return !(*this == other); }
};

/// What is known of the elements of a dimension beyond its live size.
struct Padding {
  enum Kind : uint8_t {
    None,     ///< there are no such elements
    Constant, ///< `value`
    Finite,   ///< some finite number
    Any,      ///< anything, NaN too
  };
  Kind kind = None;
  double value = 0;

  static Padding none() { return {}; }
  static Padding constant(double value) { return {Constant, value}; }
  static Padding finite() { return {Finite, 0}; }
  static Padding any() { return {Any, 0}; }

  bool isConstant(double v) const { return kind == Constant && value == v; }
  /// "0", "-inf", "num", "any", as layouts print it.
  std::string str() const;

  bool operator==(const Padding &other) const {
    return kind == other.kind && (kind != Constant || value == other.value);
  }
  bool operator!=(const Padding &other) const { return !(*this == other); }
};

inline llvm::hash_code hash_value(const Axis &axis) {
  return llvm::hash_combine(static_cast<int>(axis.direction), axis.number);
}
inline llvm::hash_code hash_value(const Digit &digit) {
  return digit.isAxis() ? hash_value(digit.axis)
                        : llvm::hash_value(digit.extent);
}
inline llvm::hash_code hash_value(const Padding &padding) {
  double value = padding.kind == Padding::Constant && padding.value != 0
                     ? padding.value
                     : 0;
  uint64_t bits;
  static_assert(sizeof(bits) == sizeof(value));
  std::memcpy(&bits, &value, sizeof(bits));
  return llvm::hash_combine(static_cast<int>(padding.kind), bits);
}

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_AXIS_H
