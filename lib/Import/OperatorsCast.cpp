//===- OperatorsCast.cpp - Other element types ----------------------------===//

#include "Operators.h"
#include "TensorBytes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

Expr import::inRangeOf(Call &c, Expr integer, Type type) {
  Arithmetic &math = c.math;
  const unsigned width = type.getIntOrFloatBitWidth();
  const bool isUnsigned = type.isUnsignedInteger();
  if (auto value = integer->constant()) {
    llvm::APInt bits =
        llvm::APInt(64, static_cast<uint64_t>(*value)).trunc(width);
    return math.constant(static_cast<int64_t>(
        (isUnsigned ? bits.zext(64) : bits.sext(64)).getZExtValue()));
  }
  // Run-time integers have 32 bits, and are checked where they are made.
  if (width >= 32 && (!isUnsigned || math.provablyNonNegative(integer)))
    return integer;
  auto [low, high] = math.bounds(integer);
  const int64_t largest =
      (int64_t(1) << (std::min(width, 63u) - (isUnsigned ? 0 : 1))) - 1;
  const int64_t smallest = isUnsigned ? 0 : -largest - 1;
  if (low && high && math.lowest(low) >= smallest &&
      math.highest(high) <= largest)
    return integer;
  if (width >= 32)
    return c.refuse("may wrap at " + Twine(width) + " bits");
  // Narrow ones wrap: the remainder of 2^width, counted from the smallest.
  Expr modulus = math.constant(largest - smallest + 1);
  return math.add(math.floorMod(math.add(integer, -smallest), modulus),
                  smallest);
}

//===----------------------------------------------------------------------===//
// Floats of a byte and less
//===----------------------------------------------------------------------===//

bool import::isSmallFloat(Type type) {
  return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 8;
}

namespace {
/// What a small format has: its values are among those of f32.
struct SmallFloat {
  int digits, least, most; // binary; exponents of normal numbers
  double largest, beyond;  // beyond: what overflows becomes unless it saturates

  explicit SmallFloat(FloatType type) {
    const llvm::fltSemantics &semantics = type.getFloatSemantics();
    digits = static_cast<int>(llvm::APFloat::semanticsPrecision(semantics));
    least = llvm::APFloat::semanticsMinExponent(semantics);
    most = llvm::APFloat::semanticsMaxExponent(semantics);
    llvm::APFloat value = llvm::APFloat::getLargest(semantics);
    bool lost;
    value.convert(llvm::APFloat::IEEEdouble(),
                  llvm::APFloat::rmNearestTiesToEven, &lost);
    largest = value.convertToDouble();
    beyond = isa<Float8E5M2Type>(type)
                 ? std::numeric_limits<double>::infinity()
                 : std::numeric_limits<double>::quiet_NaN();
  }
  /// The distance of numbers from 2^exponent on.
  double step(int exponent) const {
    return std::ldexp(1.0, exponent - digits + 1);
  }
};
} // namespace

static double roundedTo(const SmallFloat &to, double value, bool saturates) {
  if (std::isnan(value))
    return value;
  int exponent = to.least;
  if (value != 0 && std::isfinite(value))
    exponent = std::clamp(std::ilogb(value), to.least, to.most);
  const double rounded =
      std::isinf(value)
          ? value
          : std::nearbyint(value / to.step(exponent)) * to.step(exponent);
  if (std::fabs(rounded) <= to.largest)
    return rounded;
  return std::copysign(saturates ? to.largest : to.beyond, rounded);
}

/// The same at run time. 1.5 * 2^23 steps more and less leave a number that is
/// rounded to whole steps, ties to even.
static Value roundTo(OpBuilder &b, Location at, const SmallFloat &to, Value x,
                     bool saturates) {
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(
        b, at, b.getF32FloatAttr(static_cast<float>(value)));
  };
  Value size = math::AbsFOp::create(b, at, x), rounded;
  for (int exponent = to.least; exponent <= to.most; ++exponent) {
    Value steps = constant(1.5 * 0x1p23 * to.step(exponent));
    Value each = arith::SubFOp::create(
        b, at, arith::AddFOp::create(b, at, x, steps), steps);
    if (!rounded) {
      rounded = each;
      continue;
    }
    Value reaches =
        arith::CmpFOp::create(b, at, arith::CmpFPredicate::OGE, size,
                              constant(std::ldexp(1.0, exponent)));
    rounded = arith::SelectOp::create(b, at, reaches, each, rounded);
  }
  if (saturates) {
    rounded = arith::MinimumFOp::create(b, at, rounded, constant(to.largest));
    return arith::MaximumFOp::create(b, at, rounded, constant(-to.largest));
  }
  Value roundedSize = math::AbsFOp::create(b, at, rounded);
  Value overflows = arith::CmpFOp::create(b, at, arith::CmpFPredicate::OGT,
                                          roundedSize, constant(to.largest));
  // NaN for both signs, or an infinity with the sign of the number.
  Value beyond =
      std::isnan(to.beyond)
          ? constant(to.beyond)
          : Value(arith::MulFOp::create(b, at, rounded, constant(to.beyond)));
  return arith::SelectOp::create(b, at, overflows, beyond, rounded);
}

//===----------------------------------------------------------------------===//
// All types
//===----------------------------------------------------------------------===//

Type import::heldType(Type type) {
  return type.isBF16() || type.isF64()
             ? Type(Float32Type::get(type.getContext()))
             : type;
}

/// One element from one type to another, as the file means it; null where that
/// is no index function.
static Expr castElement(Call &c, Expr e, Type to, bool saturates) {
  Arithmetic &math = c.math;
  Lowering &lowering = c.lowering;
  if (isSmallFloat(to)) {
    std::optional<double> value;
    if (e->isFloat() && e->kind == ExprKind::FloatConstant)
      value = e->floatValue();
    else if (e->isInt() && e->constant())
      value = static_cast<double>(*e->constant());
    if (!value)
      return nullptr;
    return math.floatConstant(
        roundedTo(SmallFloat(cast<FloatType>(to)), *value, saturates),
        Format::F32);
  }
  if (isa<FloatType>(to)) {
    Format format = lowering.formatOf(to);
    if (e->isBool())
      return math.where(e, math.floatConstant(1, format),
                        math.floatConstant(0, format));
    if (e->isInt())
      return math.toFloat(e, format);
    return math.apply(ScalarOp::Cast, {e}, format);
  }
  if (to.isInteger(1)) {
    if (e->isInt())
      return math.logicalNot(math.equalZero(e));
    return e->isFloat() ? math.floatToBool(e) : e;
  }
  if (e->isBool())
    return math.where(e, math.constant(1), math.constant(0));
  if (!e->isFloat())
    return inRangeOf(c, e, to);
  Expr integer = math.toInt(e);
  return to.getIntOrFloatBitWidth() >= 32 ? integer : inRangeOf(c, integer, to);
}

/// A float at run time in another type.
static SymbolicTensor *convertedReal(Call &c, SymbolicTensor *q, Type to,
                                     bool saturates) {
  // The whole part of a float wraps in a small integer, as integers do.
  if (isa<IntegerType>(to) && !to.isInteger(1) &&
      to.getIntOrFloatBitWidth() < 32) {
    q = converted(c, q, c.lowering.builder.getI32Type());
    return q ? converted(c, q, to) : nullptr;
  }
  SymbolicTensor *result = c.lowering.pointwise(
      q, to, [&](OpBuilder &b, Location at, ValueRange args) -> Value {
        Value x = args[0];
        Type type = c.lowering.runtimeType(to);
        if (to.isInteger(1)) {
          Value zero =
              arith::ConstantOp::create(b, at, b.getFloatAttr(x.getType(), 0));
          return arith::CmpFOp::create(b, at, arith::CmpFPredicate::UNE, x,
                                       zero);
        }
        if (!isa<FloatType>(type))
          return arith::FPToSIOp::create(b, at, type, x);
        if (type.getIntOrFloatBitWidth() > x.getType().getIntOrFloatBitWidth())
          x = arith::ExtFOp::create(b, at, type, x);
        if (isSmallFloat(to) && q->type != to)
          return roundTo(b, at, SmallFloat(cast<FloatType>(to)), x, saturates);
        return type == x.getType()
                   ? x
                   : Value(arith::TruncFOp::create(b, at, type, x));
      });
  if (result) {
    // A large number may become infinite in a narrower type.
    bool isWider =
        to.getIntOrFloatBitWidth() >= q->type.getIntOrFloatBitWidth();
    result->paddingIsZero = q->paddingIsZero;
    result->paddingIsFinite =
        q->paddingIsZero || (q->paddingIsFinite && isWider);
  }
  return result;
}

SymbolicTensor *import::converted(Call &c, SymbolicTensor *q, Type to,
                                  bool saturates) {
  if (!to || isa<Float8E8M0FNUType>(to))
    return c.refuse("casts to an element type that is not supported");
  if (to.isBF16())
    to = heldType(to);
  if (q->type == to)
    return q;
  SymbolicTensor *result = trySymbolic(c, {q}, to, [&](ArrayRef<Expr> args) {
    return castElement(c, args[0], to, saturates);
  });
  if (result || !c.lowering.refusal.empty())
    return result;
  // There is no double precision at run time.
  if (to.isF64())
    return converted(c, q, heldType(to));
  if (q->isFloat())
    return convertedReal(c, q, to, saturates);
  if (!isSmallFloat(to))
    return c.refuse("casts a value that is not known");
  q = converted(c, q, c.lowering.builder.getF32Type());
  return q ? converted(c, q, to, saturates) : nullptr;
}

DenseElementsAttr import::narrowed(DenseElementsAttr elements) {
  Type element = elements.getElementType();
  if (!element.isBF16() && !(element.isF64() && elements.getNumElements() > 1))
    return elements;
  return asSingles(elements);
}

DenseElementsAttr import::asSingles(DenseElementsAttr elements) {
  if (elements.getElementType().isF32())
    return elements;
  Type single = Float32Type::get(elements.getContext());
  return cast<DenseFPElementsAttr>(elements).mapValues(
      single, [](const llvm::APFloat &value) {
        llvm::APFloat rounded = value;
        bool loses;
        rounded.convert(llvm::APFloat::IEEEsingle(),
                        llvm::APFloat::rmNearestTiesToEven, &loses);
        return rounded.bitcastToAPInt();
      });
}

void import::narrowDoubles(Call &c) {
  auto isOf = [](Type type) {
    return [type](SymbolicTensor *q) { return q && q->type == type; };
  };
  Type single = c.lowering.builder.getF32Type(),
       twice = c.lowering.builder.getF64Type();
  if (llvm::none_of(c.inputs, isOf(single)) ||
      llvm::none_of(c.inputs, isOf(twice)) || c.op == "CastLike")
    return;
  for (SymbolicTensor *&q : c.inputs)
    if (isOf(twice)(q))
      q = converted(c, q, single);
}

static Results lowerCast(Call &c) {
  return one(converted(c, c.input(0),
                       elementType(static_cast<int32_t>(c.integer("to", 0)),
                                   c.lowering.builder.getContext()),
                       c.integer("saturate", 1) != 0));
}

static Results lowerCastLike(Call &c) {
  return one(converted(c, c.input(0), c.input(1)->type,
                       c.integer("saturate", 1) != 0));
}

/// Integers of one width; bits of floats are no numbers here.
static Results lowerBitCast(Call &c) {
  SymbolicTensor *q = c.input(0);
  Type to = elementType(static_cast<int32_t>(c.integer("to", 0)),
                        c.lowering.builder.getContext());
  auto widthOf = [](Type type) { // a boolean takes a byte
    auto integer = dyn_cast_or_null<IntegerType>(type);
    return !integer ? 0 : std::max(integer.getWidth(), 8u);
  };
  if (!widthOf(to) || widthOf(to) != widthOf(q->type) || to.isInteger(1))
    return one(c.refuse("of other values than integers of one width: the "
                        "machine does not take the bits of one as another"));
  return one(converted(c, q, to));
}

ArrayRef<OperatorEntry> import::castOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "BitCast", 1, 1, lowerBitCast},
      {"", "Cast", 1, 1, lowerCast},
      {"", "CastLike", 2, 2, lowerCastLike},
  };
  return table;
}
