//===- OperatorsPointwise.cpp - Element by element ------------------------===//
//
// Symbolic while all operands are; a generic as soon as one is a float tensor
// at run time. Integers and booleans never leave the arithmetic here: they are
// written out where an operation at run time needs them.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

SymbolicTensor *import::trySymbolic(Call &c,
                                    ArrayRef<SymbolicTensor *> operands,
                                    Type type, SymbolicFn symbolic) {
  Lowering &lowering = c.lowering;
  bool small = llvm::all_of(operands, [&](SymbolicTensor *q) {
    return q->rank() <= 1 && lowering.elementsOf(q);
  });
  size_t count = 1;
  for (SymbolicTensor *q : operands)
    if (small && q->elements->size() != 1)
      count = q->elements->size();
  if (small && llvm::all_of(operands, [&](SymbolicTensor *q) {
        return q->elements->size() == 1 || q->elements->size() == count;
      })) {
    bool scalar =
        llvm::all_of(operands, [](SymbolicTensor *q) { return !q->rank(); });
    Sizes elements;
    c.math.dims.clear();
    for (size_t i = 0; i < count; ++i) {
      Sizes args;
      for (SymbolicTensor *q : operands)
        args.push_back((*q->elements)[q->elements->size() == 1 ? 0 : i]);
      Expr element = symbolic(args);
      if (!element)
        return nullptr;
      elements.push_back(element);
    }
    return lowering.fromElements(elements, scalar, type);
  }
  for (SymbolicTensor *q : operands)
    if (!lowering.functionOf(q))
      return nullptr;
  auto shape = lowering.broadcast(operands);
  if (!shape)
    return nullptr;
  Sizes args;
  for (SymbolicTensor *q : operands)
    args.push_back(lowering.functionAt(q, *shape));
  c.math.dims = *shape;
  Expr function = symbolic(args);
  return function ? lowering.fromFunction(*shape, type, function) : nullptr;
}

bool import::sameTypes(Call &c, ArrayRef<SymbolicTensor *> operands) {
  for (SymbolicTensor *q : operands)
    if (q->type != operands[0]->type)
      return c.refuse("operands have different element types"), false;
  return true;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static Expr unwrappedArithmetic(Call &c, Expr a, Expr b) {
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

static Expr integerArithmetic(Call &c, Expr a, Expr b, Type type) {
  Expr result = unwrappedArithmetic(c, a, b);
  return result ? inRangeOf(c, result, type) : nullptr;
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

static SymbolicTensor *arithmetic(Call &c, SymbolicTensor *a,
                                  SymbolicTensor *b) {
  Lowering &lowering = c.lowering;
  if (!sameTypes(c, {a, b}))
    return nullptr;
  if (a->isBool())
    return c.refuse("is arithmetic on booleans");
  ScalarOp op = floatArithmetic(c.op);
  SymbolicTensor *symbolic =
      trySymbolic(c, {a, b}, a->type, [&](ArrayRef<Expr> args) -> Expr {
        if (a->isInt())
          return integerArithmetic(c, args[0], args[1], a->type);
        return c.math.apply(op, args, lowering.formatOf(a->type));
      });
  if (symbolic || !lowering.refusal.empty())
    return symbolic;
  if (a->isInt())
    return c.refuse("is integer arithmetic on values that are not known");
  SymbolicTensor *result =
      op == ScalarOp::Div ? lowering.divide(a, b) : lowering.binary(op, a, b);
  if (result && op == ScalarOp::Mul)
    result->paddingIsZero = (a->paddingIsZero && b->paddingIsFinite) ||
                            (b->paddingIsZero && a->paddingIsFinite);
  return result;
}

static Results lowerArithmetic(Call &c) {
  if (c.op == "Mod" && c.input(0)->isFloat())
    return one(c.refuse("is a remainder of floats"));
  SymbolicTensor *result = c.input(0);
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    if (!c.input(i))
      continue;
    result = arithmetic(c, result, c.input(i));
    if (!result)
      return {};
  }
  return one(result);
}

/// The function of one operand that is ONNX's operator `name`.
static ScalarOp unaryNamed(StringRef name) {
  auto op = ScalarOp::Add;
  while (name != import::name(op) && op != ScalarOp::Cast)
    op = static_cast<ScalarOp>(static_cast<int>(op) + 1);
  return op;
}

static Results lowerUnary(Call &c) {
  SymbolicTensor *q = c.input(0);
  if (!q->isFloat()) {
    Arithmetic &math = c.math;
    if (!q->isInt() || (c.op != "Neg" && c.op != "Abs"))
      return one(c.refuse("on integers or booleans"));
    return one(trySymbolic(c, q, q->type, [&](ArrayRef<Expr> args) {
      return inRangeOf(c, c.op == "Neg" ? math.neg(args[0]) : math.abs(args[0]),
                       q->type);
    }));
  }
  return one(c.lowering.unary(unaryNamed(c.op), q));
}

/// x to a power that is one whole number, by squares.
static SymbolicTensor *wholePower(Compose &o, SymbolicTensor *x,
                                  int64_t power) {
  SymbolicTensor *result = nullptr, *square = x;
  for (int64_t left = std::abs(power); left && !o.failed(); left >>= 1) {
    if (left & 1)
      result = result ? o.mul(result, square) : square;
    if (left > 1)
      square = o.mul(square, square);
  }
  return power < 0 ? o("Reciprocal", {result}) : result;
}

/// exp(e * log|x|), where that has a value; and what C has elsewhere.
static SymbolicTensor *anyPower(Compose &o, SymbolicTensor *x,
                                SymbolicTensor *e) {
  const double infinity = std::numeric_limits<double>::infinity();
  SymbolicTensor *one = o.constant(1), *zero = o.constant(0);
  SymbolicTensor *size = o("Abs", {x});
  SymbolicTensor *power = o("Exp", {o.mul(e, o("Log", {size}))});
  power = o.where(o("Equal", {size, one}), one, power);
  SymbolicTensor *whole = o("Equal", {o("Floor", {e}), e});
  SymbolicTensor *half = o.mul(e, o.constant(0.5));
  SymbolicTensor *even = o("Equal", {o("Floor", {half}), half});
  SymbolicTensor *signless =
      o.where(o("Or", {whole, o("Equal", {size, o.constant(infinity)})}), power,
              o.constant(std::nan("")));
  SymbolicTensor *odd = o("And", {whole, o("Not", {even})});
  signless = o.where(odd, o("Neg", {power}), signless);
  // -0 is known by its inverse.
  SymbolicTensor *negative = o.less(x, zero);
  SymbolicTensor *isZero = o("Equal", {x, zero});
  SymbolicTensor *below = o.less(o("Reciprocal", {x}), zero);
  negative = o("Or", {negative, o("And", {isZero, o("And", {below, odd})})});
  power = o.where(negative, signless, power);
  power = o.where(o("Equal", {x, one}), one, power);
  return o.where(o("Equal", {e, zero}), one, power);
}

static Results lowerPow(Call &c) {
  SymbolicTensor *q = c.input(0), *exponent = c.input(1);
  Lowering &lowering = c.lowering;
  Expr e = lowering.functionOf(exponent);
  if (q->isInt()) {
    auto power = e && e->isInt() ? e->constant() : std::nullopt;
    if (!power || *power < 0 || *power > 16)
      return one(c.refuse("raises integers to a power that is not 0 to 16"));
    return one(trySymbolic(c, {q}, q->type, [&](ArrayRef<Expr> args) {
      return inRangeOf(c, c.math.product(Sizes(*power, args[0])), q->type);
    }));
  }
  if (!q->isFloat() || exponent->isBool())
    return one(c.refuse("of booleans"));
  std::optional<double> power;
  if (e && e->kind == ExprKind::FloatConstant)
    power = e->floatValue();
  else if (e && e->isInt() && e->constant())
    power = static_cast<double>(*e->constant());
  if (power)
    exponent = lowering.fromFunction(exponent->shape, q->type,
                                     lowering.constantOf(*power, q->type));
  else
    exponent = converted(c, exponent, q->type);
  if (!exponent)
    return {};
  // No PE has the function itself: it is for what is known.
  if (SymbolicTensor *symbolic =
          trySymbolic(c, {q, exponent}, q->type, [&](ArrayRef<Expr> args) {
            Expr power =
                c.math.apply(ScalarOp::Pow, args, lowering.formatOf(q->type));
            return c.math.readsData(power) ? nullptr : power;
          }))
    return one(symbolic);
  Compose o(c);
  if (!power)
    return one(anyPower(o, q, exponent));
  auto shape = lowering.broadcast({q, exponent});
  if (!shape)
    return {};
  SymbolicTensor *result;
  if (*power == 0.5)
    result = lowering.unary(ScalarOp::Sqrt, q);
  else if (*power == -1)
    result = lowering.unary(ScalarOp::Reciprocal, q);
  else if (*power == 2 || *power == 3)
    result = lowering.pointwise(
        q, q->type, [&](OpBuilder &b, Location at, ValueRange args) -> Value {
          Value square = arith::MulFOp::create(b, at, args[0], args[0]);
          return *power == 2
                     ? square
                     : Value(arith::MulFOp::create(b, at, square, args[0]));
        });
  else if (*power == 0)
    result = lowering.fromFunction(q->shape, q->type,
                                   lowering.constantOf(1, q->type));
  else if (std::abs(*power) <= 64 && *power == std::floor(*power))
    result = wholePower(o, q, static_cast<int64_t>(*power));
  else if (std::isfinite(*power) && *power != std::floor(*power))
    // The logarithm of what is below 0 is NaN, as the power is.
    result = o("Exp", {o.mul(exponent, o("Log", {q}))});
  else
    result = anyPower(o, q, exponent);
  if (result && *shape != Sizes(result->shape))
    result = o("Expand",
               {result, lowering.fromElements(*shape, false,
                                              lowering.builder.getI64Type())});
  return one(result);
}

static Results lowerClip(Call &c) {
  SymbolicTensor *q = c.input(0);
  Lowering &lowering = c.lowering;
  SymbolicTensor *low = c.input(1), *high = c.input(2);
  auto attribute = [&](StringRef name) -> SymbolicTensor * {
    if (!c.has(name))
      return nullptr;
    return lowering.fromFunction({}, q->type,
                                 lowering.constantOf(c.real(name, 0), q->type));
  };
  if (c.version < 11) {
    low = attribute("min");
    high = attribute("max");
  }
  // A bound that is not a number bounds nothing.
  auto isAbsent = [&](SymbolicTensor *bound) {
    Expr value = bound ? lowering.functionOf(bound) : Expr();
    return !bound || (value && value->kind == ExprKind::FloatConstant &&
                      std::isnan(value->floatValue()));
  };
  for (auto [bound, op] : {std::pair(low, "Max"), std::pair(high, "Min")}) {
    if (isAbsent(bound))
      continue;
    Call step = c;
    step.op = op;
    q = arithmetic(step, q, bound);
    if (!q)
      return {};
  }
  return one(q);
}

static Results lowerGelu(Call &c) {
  SymbolicTensor *q = c.input(0);
  if (!q->isFloat())
    return one(c.refuse("of a value that is not a float"));
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
        // The gate is 0 far below, where x may be -inf.
        Value finite = arith::MaximumFOp::create(
            b, at, mul(x, constant(0.5)),
            constant(x.getType().isF16() ? -65504.0 : -1e38));
        return mul(finite, add(gate, constant(1)));
      }));
}

ArrayRef<OperatorEntry> import::pointwiseOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Add", 2, 2, lowerArithmetic},
      {"", "Clip", 1, 3, lowerClip},
      {"", "Div", 2, 2, lowerArithmetic},
      {"", "Gelu", 1, 1, lowerGelu},
      {"", "Max", 1, OperatorEntry::anyNumber, lowerArithmetic},
      {"", "Min", 1, OperatorEntry::anyNumber, lowerArithmetic},
      {"", "Mod", 2, 2, lowerArithmetic},
      {"", "Mul", 2, 2, lowerArithmetic},
      {"", "Pow", 2, 2, lowerPow},
      {"", "Sub", 2, 2, lowerArithmetic},
// Functions of one operand: those of Functions.def that ONNX has, and what
// import makes of them.
#define UNARY_0(name)
#define UNARY_1(name) {"", #name, 1, 1, lowerUnary},
#define UNARY_2(name)
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value)           \
  UNARY_##operands(name)
#define COMPOSED(name, operands, op, weight, temporaries, finite, value)       \
  UNARY_##operands(name)
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  UNARY_##onnx(name)
#include "waferloom/Scalar/Functions.def"
      UNARY_1(Reciprocal) UNARY_1(Relu) UNARY_1(Sigmoid)};
  return table;
}
