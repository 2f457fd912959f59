// What instructions make of what is known of their sources. Patterns are
// computed as the machine does it (docs/executor.md, E1 to E4).

#include "SlotFacts.h"

#include "waferloom/Image/Half.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using core::Opcode;
using core::OperandAttr;

static constexpr uint32_t minusInfinity = 0xff800000;

static float realOf(Type type, SlotValue value) {
  const auto pattern = static_cast<uint32_t>(value.number);
  return type.isF16() ? image::floatOfHalf(static_cast<uint16_t>(pattern))
                      : llvm::bit_cast<float>(pattern);
}

static SlotValue patternOf(Type type, float value) {
  if (std::isnan(value)) // which one is the host's choice
    return {};
  return SlotValue::bits(type.isF16() ? image::halfOfFloat(value)
                                      : llvm::bit_cast<uint32_t>(value));
}

static SlotValue integer(int32_t value) {
  return SlotValue::bits(static_cast<uint32_t>(value));
}

static int32_t integerOf(SlotValue value) {
  return static_cast<int32_t>(static_cast<uint32_t>(value.number));
}

/// Patterns of integers, and of floats where a sequence looks at their bits.
static SlotValue ofPatterns(Opcode op, uint32_t a, uint32_t b) {
  switch (op) {
  case Opcode::add:
    return SlotValue::bits(a + b);
  case Opcode::sub:
    return SlotValue::bits(a - b);
  case Opcode::mul:
    return SlotValue::bits(a * b);
  case Opcode::bit_and:
    return SlotValue::bits(a & b);
  case Opcode::bit_or:
    return SlotValue::bits(a | b);
  case Opcode::bit_xor:
    return SlotValue::bits(a ^ b);
  case Opcode::shl:
    return SlotValue::bits(b < 32 ? a << b : 0);
  case Opcode::shr:
    return SlotValue::bits(b < 32 ? a >> b : 0);
  case Opcode::eq:
    return integer(a == b);
  case Opcode::lt:
    return integer(static_cast<int32_t>(a) < static_cast<int32_t>(b));
  case Opcode::le:
    return integer(static_cast<int32_t>(a) <= static_cast<int32_t>(b));
  default:
    return {};
  }
}

static SlotValue ofReals(Opcode op, Type type, float a, float b, float c) {
  switch (op) {
  case Opcode::add:
    return patternOf(type, a + b);
  case Opcode::sub:
    return patternOf(type, a - b);
  case Opcode::mul:
    return patternOf(type, a * b);
  case Opcode::fma:
    return patternOf(type, std::fma(b, c, a));
  case Opcode::max:
    return a == b ? SlotValue() : patternOf(type, std::fmax(a, b));
  case Opcode::min:
    return a == b ? SlotValue() : patternOf(type, std::fmin(a, b));
  case Opcode::eq:
    return integer(a == b);
  case Opcode::lt:
    return integer(a < b);
  case Opcode::le:
    return integer(a <= b);
  default:
    return {};
  }
}

/// Sources of which the patterns are known.
static SlotValue computed(core::VectorOp op, ArrayRef<SlotValue> values) {
  auto sources = llvm::to_vector(op.getSources().getAsRange<OperandAttr>());
  const Type from = sources[0].getType(), to = op.getDst().getType();
  if (op.getOp() == Opcode::convert) {
    if (from == to)
      return values[0];
    return from.isInteger(32) || to.isInteger(32)
               ? SlotValue()
               : patternOf(to, realOf(from, values[0]));
  }
  const bool isPattern = from.isInteger(32) || op.getOp() == Opcode::bit_and ||
                         op.getOp() == Opcode::bit_or ||
                         op.getOp() == Opcode::bit_xor ||
                         op.getOp() == Opcode::shl || op.getOp() == Opcode::shr;
  if (values.size() == 2 && isPattern)
    return ofPatterns(op.getOp(), static_cast<uint32_t>(values[0].number),
                      static_cast<uint32_t>(values[1].number));
  if (isPattern || values.size() < 2)
    return {};
  auto real = [&](size_t i) {
    return i < values.size() ? realOf(sources[i].getType(), values[i]) : 0.0f;
  };
  return ofReals(op.getOp(), to, real(0), real(1), real(2));
}

/// Integers that are compared with the position, and what counts from it.
static SlotValue ofBounds(Opcode op, SlotValue a, SlotValue b, int64_t tokens) {
  using Kind = SlotValue::Kind;
  constexpr int64_t small = 1 << 24; // sums of such do not wrap
  auto is = [](SlotValue value, Kind kind) {
    return value.kind == kind && std::abs(value.number) < small;
  };
  if (op == Opcode::add && (is(b, Kind::Before) || is(b, Kind::AtMost)))
    std::swap(a, b);
  const bool isNumber = b.kind == Kind::Bits && std::abs(integerOf(b)) < small;
  const int64_t by = isNumber ? integerOf(b) : 0;
  switch (op) {
  case Opcode::add:
    if (isNumber && (is(a, Kind::Before) || is(a, Kind::AtMost)))
      return {a.kind, a.number + by};
    if (is(a, Kind::Before) && is(b, Kind::AtMost))
      return {Kind::Before, a.number + b.number};
    if (is(a, Kind::AtMost) && is(b, Kind::Before))
      return {Kind::Before, a.number + b.number};
    return {};
  case Opcode::floor_div:
    if (is(a, Kind::Before) && a.number < tokens && isNumber && by > 0)
      return {Kind::SlotOf, by};
    return {};
  case Opcode::eq:
  case Opcode::le:
  case Opcode::lt:
    // p + b < p + a, at least.
    if (is(a, Kind::Behind) && is(b, Kind::Before) && b.number < a.number)
      return integer(0);
    if (is(a, Kind::Before) && is(b, Kind::Behind) && a.number < b.number)
      return integer(op != Opcode::eq);
    return {};
  default:
    return {};
  }
}

SlotValue codegen::evaluate(core::VectorOp op, ArrayRef<SlotValue> values,
                            int64_t tokens) {
  const Opcode code = op.getOp();
  if (code == Opcode::mov)
    return values[0];
  if (code == Opcode::select && values[0].kind == SlotValue::Bits)
    return values[values[0].number != 0 ? 1 : 2];
  auto isKnown = [](SlotValue value) { return value.kind == SlotValue::Bits; };
  if (llvm::all_of(values, isKnown))
    return computed(op, values);
  if (code == Opcode::bit_and &&
      llvm::any_of(values, [](SlotValue value) { return value.isBits(0); }))
    return SlotValue::bits(0);
  // A score that is masked, less the maximum of its row: that is -infinity
  // where all scores are, live ones too, and then the row is NaN without the
  // dead.
  if (code == Opcode::sub && op.getDst().getType().isF32() &&
      values[0].isBits(minusInfinity))
    return values[0];
  if (values.size() == 2 && op.getDst().getType().isInteger(32) &&
      llvm::all_of(
          op.getSources().getAsRange<OperandAttr>(),
          [](OperandAttr source) { return source.getType().isInteger(32); }))
    return ofBounds(code, values[0], values[1], tokens);
  return {};
}

static bool isZero(Type type, SlotValue value) {
  return value.kind == SlotValue::Bits && !type.isInteger(32) &&
         realOf(type, value) == 0;
}

bool codegen::isNeutral(Opcode op, Type type, SlotValue value) {
  if (op == Opcode::add)
    return type.isInteger(32) ? value.isBits(0) : isZero(type, value);
  if (op == Opcode::max)
    return type.isF32() && value.isBits(minusInfinity);
  return false;
}

bool codegen::isNeutral(Type type, SlotValue b, SlotValue c) {
  auto isFinite = [&](SlotValue value) {
    return value.kind == SlotValue::Bits && std::isfinite(realOf(type, value));
  };
  return !type.isInteger(32) && isFinite(b) && isFinite(c) &&
         (isZero(type, b) || isZero(type, c));
}
