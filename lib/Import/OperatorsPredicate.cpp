//===- OperatorsPredicate.cpp - Comparisons, logic and selection ----------===//
//
// Masks are made here. They stay predicates over the indices until a selection
// or a sum with floats at run time needs them.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static Results lowerComparison(Call &c) {
  SymbolicTensor *a = c.input(0), *b = c.input(1);
  Arithmetic &math = c.math;
  if (!sameTypes(c, {a, b}))
    return {};
  if (a->isBool() && c.op != "Equal")
    return one(c.refuse("orders booleans"));
  auto op = llvm::StringSwitch<Comparison>(c.op)
                .Case("Equal", Comparison::Equal)
                .Case("Less", Comparison::Less)
                .Case("LessOrEqual", Comparison::LessEqual)
                .Case("Greater", Comparison::Greater)
                .Default(Comparison::GreaterEqual);
  Type type = c.lowering.builder.getI1Type();
  auto symbolic = [&](ArrayRef<Expr> args) -> Expr {
    Expr x = args[0], y = args[1];
    if (x->isFloat())
      return math.compare(op, x, y);
    if (x->isBool())
      return math.where(x, y, math.logicalNot(y));
    switch (op) {
    case Comparison::Equal:
      return math.equalZero(math.sub(x, y));
    case Comparison::Less:
      return math.lessEqual(math.add(x, 1), y);
    case Comparison::LessEqual:
      return math.lessEqual(x, y);
    case Comparison::Greater:
      return math.lessEqual(math.add(y, 1), x);
    default:
      return math.lessEqual(y, x);
    }
  };
  SymbolicTensor *result = trySymbolic(c, {a, b}, type, symbolic);
  if (result || !c.lowering.refusal.empty())
    return one(result);
  static const arith::CmpFPredicate predicates[] = {
      arith::CmpFPredicate::OEQ, arith::CmpFPredicate::OLT,
      arith::CmpFPredicate::OLE, arith::CmpFPredicate::OGT,
      arith::CmpFPredicate::OGE};
  if (!a->isFloat())
    return one(c.refuse("compares integers that are not known"));
  return one(c.lowering.pointwise(
      {a, b}, type,
      [&](OpBuilder &builder, Location at, ValueRange args) -> Value {
        return arith::CmpFOp::create(
            builder, at, predicates[static_cast<int>(op)], args[0], args[1]);
      }));
}

static Results lowerLogic(Call &c) {
  Arithmetic &math = c.math;
  for (SymbolicTensor *q : c.inputs)
    if (!q->isBool())
      return one(c.refuse("operands are not booleans"));
  SymbolicTensor *result = trySymbolic(
      c, c.inputs, c.input(0)->type, [&](ArrayRef<Expr> args) -> Expr {
        if (c.op == "Not")
          return math.logicalNot(args[0]);
        if (c.op == "And")
          return math.logicalAnd(args[0], args[1]);
        if (c.op == "Or")
          return math.logicalOr(args[0], args[1]);
        return math.where(args[0], math.logicalNot(args[1]), args[1]);
      });
  return one(result);
}

static Results lowerIsNaN(Call &c) {
  SymbolicTensor *q = c.input(0);
  Type type = c.lowering.builder.getI1Type();
  if (!q->isFloat())
    return one(c.refuse("of a value that is not a float"));
  SymbolicTensor *result = trySymbolic(
      c, {q}, type, [&](ArrayRef<Expr> args) { return c.math.isNaN(args[0]); });
  if (result || !c.lowering.refusal.empty())
    return one(result);
  return one(c.lowering.pointwise(
      q, type, [](OpBuilder &b, Location at, ValueRange args) -> Value {
        return arith::CmpFOp::create(b, at, arith::CmpFPredicate::UNO, args[0],
                                     args[0]);
      }));
}

static Results lowerWhere(Call &c) {
  SymbolicTensor *condition = c.input(0), *a = c.input(1), *b = c.input(2);
  Lowering &lowering = c.lowering;
  if (!sameTypes(c, {a, b}))
    return {};
  if (!condition->isBool())
    return one(c.refuse("its condition is not boolean"));
  SymbolicTensor *result =
      trySymbolic(c, {condition, a, b}, a->type, [&](ArrayRef<Expr> args) {
        return c.math.where(args[0], args[1], args[2]);
      });
  if (result || !lowering.refusal.empty())
    return one(result);
  auto shape = lowering.broadcast({condition, a, b});
  if (!shape)
    return {};
  if (Expr decided = lowering.functionOf(condition)) {
    if (decided->isTrue() && a->shape == *shape)
      return one(a);
    if (decided->isFalse() && b->shape == *shape)
      return one(b);
  }
  result = lowering.pointwise(
      {condition, a, b}, a->type,
      [](OpBuilder &builder, Location at, ValueRange args) -> Value {
        return arith::SelectOp::create(builder, at, args[0], args[1], args[2]);
      });
  if (!result)
    return {};
  auto constant = [&](SymbolicTensor *q) -> std::optional<double> {
    Expr function = lowering.functionOf(q);
    if (function && function->kind == ExprKind::FloatConstant)
      return function->floatValue();
    return std::nullopt;
  };
  auto isZero = [&](SymbolicTensor *q) {
    auto value = constant(q);
    return value ? *value == 0 : q->paddingIsZero;
  };
  auto isFinite = [&](SymbolicTensor *q) {
    auto value = constant(q);
    return value ? std::isfinite(*value)
                 : q->paddingIsFinite || q->paddingIsZero;
  };
  result->paddingIsZero = isZero(a) && isZero(b);
  result->paddingIsFinite = isFinite(a) && isFinite(b);
  return one(result);
}

ArrayRef<OperatorEntry> import::predicateOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "And", 2, 2, lowerLogic},
      {"", "Equal", 2, 2, lowerComparison},
      {"", "Greater", 2, 2, lowerComparison},
      {"", "GreaterOrEqual", 2, 2, lowerComparison},
      {"", "IsNaN", 1, 1, lowerIsNaN},
      {"", "Less", 2, 2, lowerComparison},
      {"", "LessOrEqual", 2, 2, lowerComparison},
      {"", "Not", 1, 1, lowerLogic},
      {"", "Or", 2, 2, lowerLogic},
      {"", "Where", 3, 3, lowerWhere},
      {"", "Xor", 2, 2, lowerLogic},
  };
  return table;
}
