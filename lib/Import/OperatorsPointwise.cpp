//===- OperatorsPointwise.cpp - Element by element ------------------------===//
//
// Symbolic while all operands are; a generic as soon as one is a float tensor
// at run time. Integers and booleans never leave the arithmetic here: they are
// written out where an operation at run time needs them.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

using SymbolicFn = function_ref<Expr(ArrayRef<Expr>)>;

/// Applies `symbolic` if every operand is an index function; otherwise null
/// without a refusal.
static Quantity *trySymbolic(Call &c, ArrayRef<Quantity *> operands, Type type,
                             SymbolicFn symbolic) {
  Lowering &lowering = c.lowering;
  bool small = llvm::all_of(operands, [&](Quantity *q) {
    return q->rank() <= 1 && lowering.elementsOf(q);
  });
  size_t count = 1;
  for (Quantity *q : operands)
    if (small && q->elements->size() != 1)
      count = q->elements->size();
  if (small && llvm::all_of(operands, [&](Quantity *q) {
        return q->elements->size() == 1 || q->elements->size() == count;
      })) {
    bool scalar =
        llvm::all_of(operands, [](Quantity *q) { return !q->rank(); });
    Sizes elements;
    c.math.dims.clear();
    for (size_t i = 0; i < count; ++i) {
      Sizes args;
      for (Quantity *q : operands)
        args.push_back((*q->elements)[q->elements->size() == 1 ? 0 : i]);
      Expr element = symbolic(args);
      if (!element)
        return nullptr;
      elements.push_back(element);
    }
    return lowering.fromElements(elements, scalar, type);
  }
  for (Quantity *q : operands)
    if (!lowering.functionOf(q))
      return nullptr;
  auto shape = lowering.broadcast(operands);
  if (!shape)
    return nullptr;
  Sizes args;
  for (Quantity *q : operands)
    args.push_back(lowering.functionAt(q, *shape));
  c.math.dims = *shape;
  Expr function = symbolic(args);
  return function ? lowering.fromFunction(*shape, type, function) : nullptr;
}

static bool sameTypes(Call &c, ArrayRef<Quantity *> operands) {
  for (Quantity *q : operands)
    if (q->type != operands[0]->type)
      return c.refuse("operands have different element types"), false;
  return true;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static Expr integerArithmetic(Call &c, Expr a, Expr b) {
  Arithmetic &math = c.math;
  if (c.op == "Add")
    return math.add(a, b);
  if (c.op == "Sub")
    return math.sub(a, b);
  if (c.op == "Mul")
    return math.mul(a, b);
  if (c.op == "Max")
    return math.max(a, b);
  if (c.op == "Min")
    return math.min(a, b);
  auto divisor = b->constant();
  if (divisor && *divisor == 0)
    return c.refuse("divides by zero");
  if (c.op == "Div")
    return math.truncDiv(a, b);
  return c.integer("fmod", 0) ? math.truncMod(a, b) : math.floorMod(a, b);
}

static ScalarOp floatArithmetic(StringRef op) {
  return llvm::StringSwitch<ScalarOp>(op)
      .Case("Add", ScalarOp::Add)
      .Case("Sub", ScalarOp::Sub)
      .Case("Mul", ScalarOp::Mul)
      .Case("Div", ScalarOp::Div)
      .Case("Max", ScalarOp::Max)
      .Default(ScalarOp::Min);
}

static Quantity *arithmetic(Call &c, Quantity *a, Quantity *b) {
  Lowering &lowering = c.lowering;
  if (!sameTypes(c, {a, b}))
    return nullptr;
  if (a->isBool())
    return c.refuse("is arithmetic on booleans");
  ScalarOp op = floatArithmetic(c.op);
  Quantity *symbolic =
      trySymbolic(c, {a, b}, a->type, [&](ArrayRef<Expr> args) -> Expr {
        if (a->isInt())
          return integerArithmetic(c, args[0], args[1]);
        return c.math.apply(op, args, lowering.formatOf(a->type));
      });
  if (symbolic || !lowering.refusal.empty())
    return symbolic;
  if (a->isInt())
    return c.refuse("is integer arithmetic on values that are not known");
  Quantity *result =
      op == ScalarOp::Div ? lowering.divide(a, b) : lowering.binary(op, a, b);
  if (result && op == ScalarOp::Mul)
    result->tailIsZero = (a->tailIsZero && b->tailIsFinite) ||
                         (b->tailIsZero && a->tailIsFinite);
  return result;
}

Results import::lowerArithmetic(Call &c) {
  if (c.op == "Mod" && c.input(0)->isFloat())
    return one(c.refuse("is a remainder of floats"));
  Quantity *result = c.input(0);
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    if (!c.input(i))
      continue;
    result = arithmetic(c, result, c.input(i));
    if (!result)
      return {};
  }
  return one(result);
}

Results import::lowerUnary(Call &c) {
  Quantity *q = c.input(0);
  if (!q->isFloat()) {
    Arithmetic &math = c.math;
    if (!q->isInt() || (c.op != "Neg" && c.op != "Abs"))
      return one(c.refuse("on integers or booleans"));
    return one(trySymbolic(c, q, q->type, [&](ArrayRef<Expr> args) {
      return c.op == "Neg" ? math.neg(args[0]) : math.abs(args[0]);
    }));
  }
  ScalarOp op = llvm::StringSwitch<ScalarOp>(c.op)
                    .Case("Abs", ScalarOp::Abs)
                    .Case("Ceil", ScalarOp::Ceil)
                    .Case("Cos", ScalarOp::Cos)
                    .Case("Erf", ScalarOp::Erf)
                    .Case("Exp", ScalarOp::Exp)
                    .Case("Floor", ScalarOp::Floor)
                    .Case("Log", ScalarOp::Log)
                    .Case("Neg", ScalarOp::Neg)
                    .Case("Reciprocal", ScalarOp::Reciprocal)
                    .Case("Relu", ScalarOp::Relu)
                    .Case("Sigmoid", ScalarOp::Sigmoid)
                    .Case("Sin", ScalarOp::Sin)
                    .Case("Sqrt", ScalarOp::Sqrt)
                    .Default(ScalarOp::Tanh);
  return one(c.lowering.unary(op, q));
}

Results import::lowerPow(Call &c) {
  Quantity *q = c.input(0), *exponent = c.input(1);
  Lowering &lowering = c.lowering;
  Expr e = lowering.functionOf(exponent);
  if (q->isInt()) {
    auto power = e && e->isInt() ? e->constant() : std::nullopt;
    if (!power || *power < 0 || *power > 16)
      return one(c.refuse("raises integers to a power that is not 0 to 16"));
    return one(trySymbolic(c, {q}, q->type, [&](ArrayRef<Expr> args) {
      return c.math.product(Sizes(*power, args[0]));
    }));
  }
  std::optional<double> power;
  if (e && e->kind == ExprKind::FloatConstant)
    power = e->floatValue();
  else if (e && e->isInt() && e->constant())
    power = static_cast<double>(*e->constant());
  if (!power) {
    if (exponent->type != q->type)
      return one(c.refuse("base and exponent have different types"));
    return one(lowering.binary(ScalarOp::Pow, q, exponent));
  }
  Quantity *constant = lowering.fromFunction(
      exponent->shape, q->type, lowering.constantOf(*power, q->type));
  if (Quantity *symbolic =
          trySymbolic(c, {q, constant}, q->type, [&](ArrayRef<Expr> args) {
            return c.math.apply(ScalarOp::Pow, args,
                                lowering.formatOf(q->type));
          }))
    return one(symbolic);
  if (*power == 0.5)
    return one(lowering.unary(ScalarOp::Sqrt, q));
  if (*power == -1)
    return one(lowering.unary(ScalarOp::Reciprocal, q));
  if (*power != 2 && *power != 3)
    return one(lowering.binary(ScalarOp::Pow, q, constant));
  return one(lowering.pointwise(
      q, q->type, [&](OpBuilder &b, Location at, ValueRange args) -> Value {
        Value square = arith::MulFOp::create(b, at, args[0], args[0]);
        return *power == 2
                   ? square
                   : Value(arith::MulFOp::create(b, at, square, args[0]));
      }));
}

Results import::lowerClip(Call &c) {
  Quantity *q = c.input(0);
  Lowering &lowering = c.lowering;
  Quantity *low = c.input(1), *high = c.input(2);
  auto attribute = [&](StringRef name) -> Quantity * {
    if (!c.has(name))
      return nullptr;
    return lowering.fromFunction({}, q->type,
                                 lowering.constantOf(c.real(name, 0), q->type));
  };
  if (c.version < 11) {
    low = attribute("min");
    high = attribute("max");
  }
  for (auto [bound, op] : {std::pair(low, "Max"), std::pair(high, "Min")}) {
    if (!bound)
      continue;
    Call step = c;
    step.op = op;
    q = arithmetic(step, q, bound);
    if (!q)
      return {};
  }
  return one(q);
}

Results import::lowerGelu(Call &c) {
  Quantity *q = c.input(0);
  bool tanh = c.text("approximate", "none") == "tanh";
  return one(c.lowering.pointwise(
      q, q->type, [&](OpBuilder &b, Location at, ValueRange args) -> Value {
        Value x = args[0];
        auto constant = [&](double value) -> Value {
          return arith::ConstantOp::create(b, at,
                                           b.getFloatAttr(x.getType(), value));
        };
        auto mul = [&](Value l, Value r) -> Value {
          return arith::MulFOp::create(b, at, l, r);
        };
        auto add = [&](Value l, Value r) -> Value {
          return arith::AddFOp::create(b, at, l, r);
        };
        Value gate;
        if (tanh) {
          Value cube = mul(mul(x, x), mul(x, constant(0.044715)));
          Value inner = mul(add(x, cube), constant(std::sqrt(2 / M_PI)));
          gate = math::TanhOp::create(b, at, inner);
        } else {
          gate = math::ErfOp::create(b, at, mul(x, constant(std::sqrt(0.5))));
        }
        return mul(mul(x, constant(0.5)), add(gate, constant(1)));
      }));
}

//===----------------------------------------------------------------------===//
// Predicates
//===----------------------------------------------------------------------===//

Results import::lowerComparison(Call &c) {
  Quantity *a = c.input(0), *b = c.input(1);
  Arithmetic &math = c.math;
  if (!sameTypes(c, {a, b}))
    return {};
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
  Quantity *result = trySymbolic(c, {a, b}, type, symbolic);
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

Results import::lowerLogic(Call &c) {
  Arithmetic &math = c.math;
  for (Quantity *q : c.inputs)
    if (!q->isBool())
      return one(c.refuse("operands are not booleans"));
  Quantity *result = trySymbolic(
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

Results import::lowerIsNaN(Call &c) {
  Quantity *q = c.input(0);
  Type type = c.lowering.builder.getI1Type();
  Quantity *result = trySymbolic(
      c, {q}, type, [&](ArrayRef<Expr> args) { return c.math.isNaN(args[0]); });
  if (result || !c.lowering.refusal.empty())
    return one(result);
  return one(c.lowering.pointwise(
      q, type, [](OpBuilder &b, Location at, ValueRange args) -> Value {
        return arith::CmpFOp::create(b, at, arith::CmpFPredicate::UNO, args[0],
                                     args[0]);
      }));
}

Results import::lowerWhere(Call &c) {
  Quantity *condition = c.input(0), *a = c.input(1), *b = c.input(2);
  Lowering &lowering = c.lowering;
  if (!sameTypes(c, {a, b}))
    return {};
  Quantity *result =
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
  auto constant = [&](Quantity *q) -> std::optional<double> {
    Expr function = lowering.functionOf(q);
    if (function && function->kind == ExprKind::FloatConstant)
      return function->floatValue();
    return std::nullopt;
  };
  auto isZero = [&](Quantity *q) {
    auto value = constant(q);
    return value ? *value == 0 : q->tailIsZero;
  };
  auto isFinite = [&](Quantity *q) {
    auto value = constant(q);
    return value ? std::isfinite(*value) : q->tailIsFinite || q->tailIsZero;
  };
  result->tailIsZero = isZero(a) && isZero(b);
  result->tailIsFinite = isFinite(a) && isFinite(b);
  return one(result);
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

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

static Quantity *cast(Call &c, Quantity *q, Type to) {
  if (!to || to.isBF16())
    return c.refuse("casts to an element type that is not supported");
  if (q->type == to)
    return q;
  Quantity *result = trySymbolic(c, {q}, to, [&](ArrayRef<Expr> args) {
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

Results import::lowerCast(Call &c) {
  return one(
      cast(c, c.input(0), typeOf(c.lowering.builder, c.integer("to", 0))));
}

Results import::lowerCastLike(Call &c) {
  return one(cast(c, c.input(0), c.input(1)->type));
}
