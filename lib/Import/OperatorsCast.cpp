//===- OperatorsCast.cpp - Other element types ----------------------------===//

#include "Operators.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include "llvm/ADT/STLExtras.h"

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

/// One element from one type to another, as the file means it.
static Expr castElement(Call &c, Expr e, Type to) {
  Arithmetic &math = c.math;
  Lowering &lowering = c.lowering;
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

SymbolicTensor *import::converted(Call &c, SymbolicTensor *q, Type to) {
  if (!to || to.isBF16())
    return c.refuse("casts to an element type that is not supported");
  if (q->type == to)
    return q;
  SymbolicTensor *result = trySymbolic(c, {q}, to, [&](ArrayRef<Expr> args) {
    return castElement(c, args[0], to);
  });
  if (result || !c.lowering.refusal.empty())
    return result;
  // There is no double precision at run time.
  if (to.isF64())
    return converted(c, q, c.lowering.builder.getF32Type());
  if (!q->isFloat())
    return c.refuse("casts a value that is not known");
  result = c.lowering.pointwise(
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
          return arith::ExtFOp::create(b, at, type, x);
        return arith::TruncFOp::create(b, at, type, x);
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

DenseElementsAttr import::narrowed(DenseElementsAttr elements) {
  if (!elements.getElementType().isF64() || elements.getNumElements() < 2)
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

Type import::elementTypeOf(OpBuilder &b, int64_t number) {
  switch (number) {
  case 1:
    return b.getF32Type();
  case 2:
    return b.getIntegerType(8, /*isSigned=*/false);
  case 3:
    return b.getI8Type();
  case 4:
    return b.getIntegerType(16, /*isSigned=*/false);
  case 5:
    return b.getI16Type();
  case 6:
    return b.getI32Type();
  case 7:
    return b.getI64Type();
  case 9:
    return b.getI1Type();
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return b.getIntegerType(32, /*isSigned=*/false);
  case 13:
    return b.getIntegerType(64, /*isSigned=*/false);
  default:
    return nullptr;
  }
}

static Results lowerCast(Call &c) {
  return one(converted(c, c.input(0),
                       elementTypeOf(c.lowering.builder, c.integer("to", 0))));
}

static Results lowerCastLike(Call &c) {
  return one(converted(c, c.input(0), c.input(1)->type));
}

ArrayRef<OperatorEntry> import::castOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Cast", 1, 1, lowerCast},
      {"", "CastLike", 2, 2, lowerCastLike},
  };
  return table;
}
