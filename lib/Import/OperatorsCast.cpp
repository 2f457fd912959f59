//===- OperatorsCast.cpp - Other element types ----------------------------===//

#include "Operators.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// One element from one type to another, as the file means it.
static Expr castElement(Call &c, Expr e, Type from, Type to) {
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
  Expr integer = e->isFloat() ? math.toInt(e) : e;
  // A narrower integer wraps; that it never does must be provable.
  unsigned width = to.getIntOrFloatBitWidth();
  if (width >= 32 &&
      (e->isFloat() || from.getIntOrFloatBitWidth() <= width || width == 32))
    return integer;
  auto [low, high] = math.bounds(integer);
  int64_t largest =
      (int64_t(1) << (width - (to.isUnsignedInteger() ? 0 : 1))) - 1;
  int64_t smallest = to.isUnsignedInteger() ? 0 : -largest - 1;
  if (!low || !high || math.lowest(low) < smallest ||
      math.highest(high) > largest)
    return c.refuse("a cast to " + Twine(width) + " bits may wrap");
  return integer;
}

SymbolicTensor *import::converted(Call &c, SymbolicTensor *q, Type to) {
  if (!to || to.isBF16())
    return c.refuse("casts to an element type that is not supported");
  if (q->type == to)
    return q;
  SymbolicTensor *result = trySymbolic(c, {q}, to, [&](ArrayRef<Expr> args) {
    return castElement(c, args[0], q->type, to);
  });
  if (result || !c.lowering.refusal.empty())
    return result;
  if (!q->isFloat())
    return c.refuse("casts a value that is not known");
  return c.lowering.pointwise(
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
}

/// The MLIR type of an element type number of the file.
static Type typeOf(OpBuilder &b, int64_t number) {
  switch (number) {
  case 1:
    return b.getF32Type();
  case 2:
    return b.getIntegerType(8, /*isSigned=*/false);
  case 3:
    return b.getI8Type();
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
  default:
    return nullptr;
  }
}

static Results lowerCast(Call &c) {
  return one(
      converted(c, c.input(0), typeOf(c.lowering.builder, c.integer("to", 0))));
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
