//===- FloatFunctions.cpp - Floats inside index functions -----------------===//
//
// Constants are folded in their own format, with its rounding; an operator is
// pushed into a selection between constants when its other operands are
// constants (masks: (1 - float(m)) * -3.4e38). Nothing else is rewritten.
//
//===----------------------------------------------------------------------===//

#include "Expr.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <cmath>
#include <limits>

using namespace waferloom::import;
using llvm::ArrayRef;
using llvm::SmallVector;

std::optional<waferloom::scalar::Function>
waferloom::import::functionOf(ScalarOp op) {
  if (op >= ScalarOp::Reciprocal)
    return std::nullopt;
  return static_cast<scalar::Function>(op); // both are Functions.def's
}

const char *waferloom::import::name(ScalarOp op) {
  static const char *const own[] = {"Reciprocal", "Sigmoid", "Relu", "Cast"};
  if (std::optional<scalar::Function> function = functionOf(op))
    return scalar::factsOf(*function).name;
  return own[static_cast<size_t>(op) -
             static_cast<size_t>(ScalarOp::Reciprocal)];
}

double waferloom::import::rounded(double value, Format format) {
  if (format == Format::F32)
    return static_cast<float>(value);
  if (format != Format::F16)
    return value;
  llvm::APFloat half(value);
  bool lost;
  half.convert(llvm::APFloat::IEEEhalf(), llvm::APFloat::rmNearestTiesToEven,
               &lost);
  half.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven,
               &lost);
  return half.convertToDouble();
}

double waferloom::import::calculate(ScalarOp op, double a, double b) {
  if (std::optional<waferloom::scalar::Function> function = functionOf(op))
    return waferloom::scalar::evaluate(*function, a, b);
  switch (op) {
  case ScalarOp::Reciprocal:
    return 1.0 / a;
  case ScalarOp::Sigmoid:
    return 1.0 / (1.0 + std::exp(-a));
  case ScalarOp::Relu:
    return a > 0 ? a : 0;
  default:
    return a; // Cast
  }
}

Expr Arithmetic::floatConstant(double value, Format format) {
  value = std::isnan(value) ? std::numeric_limits<double>::quiet_NaN()
                            : rounded(value, format);
  return intern(ExprKind::FloatConstant, llvm::bit_cast<int64_t>(value), {},
                format);
}

static bool isConstant(Expr e) { return e->kind == ExprKind::FloatConstant; }
static bool selectsConstants(Expr e) {
  return e->kind == ExprKind::FloatWhere && isConstant(e->args[1]) &&
         isConstant(e->args[2]);
}

Expr Arithmetic::apply(ScalarOp op, ArrayRef<Expr> args, Format format) {
  if (llvm::all_of(args, isConstant))
    return floatConstant(calculate(op, args[0]->floatValue(),
                                   args.size() > 1 ? args[1]->floatValue() : 0),
                         format);
  auto *selection = llvm::find_if(args, selectsConstants);
  if (selection != args.end() &&
      llvm::count_if(args, isConstant) + 1 == static_cast<long>(args.size())) {
    Expr where = *selection;
    SmallVector<Expr> then(args), otherwise(args);
    then[selection - args.begin()] = where->args[1];
    otherwise[selection - args.begin()] = where->args[2];
    Expr a = apply(op, then, format), b = apply(op, otherwise, format);
    return this->where(where->args[0], a, b);
  }
  return intern(ExprKind::FloatApply, static_cast<int64_t>(op), args, format);
}

Expr Arithmetic::toFloat(Expr integer, Format format) {
  if (auto value = integer->constant())
    return floatConstant(static_cast<double>(*value), format);
  if (integer->terms.size() == 1 && integer->terms[0].coefficient == 1 &&
      integer->terms[0].atoms.size() == 1 &&
      integer->terms[0].atoms[0]->kind == ExprKind::IntWhere) {
    Expr atom = integer->terms[0].atoms[0];
    return where(atom->args[0], toFloat(atom->args[1], format),
                 toFloat(atom->args[2], format));
  }
  return intern(ExprKind::IntToFloat, 0, {integer}, format);
}

int64_t waferloom::import::toInteger(double value) {
  constexpr double limit = 0x1p63;
  if (!(value >= -limit && value < limit))
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

Expr Arithmetic::toInt(Expr real) {
  switch (real->kind) {
  case ExprKind::FloatConstant:
    return constant(toInteger(real->floatValue()));
  case ExprKind::FloatWhere:
    return where(real->args[0], toInt(real->args[1]), toInt(real->args[2]));
  case ExprKind::IntToFloat:
    return real->args[0];
  default:
    return asPolynomial(intern(ExprKind::FloatToInt, 0, {real}));
  }
}

Expr Arithmetic::floatToBool(Expr real) {
  if (real->kind == ExprKind::FloatConstant)
    return boolean(real->floatValue() != 0);
  if (real->kind == ExprKind::FloatWhere)
    return where(real->args[0], floatToBool(real->args[1]),
                 floatToBool(real->args[2]));
  return logicalNot(
      compare(Comparison::Equal, real, floatConstant(0, real->format)));
}

bool waferloom::import::holds(Comparison op, double a, double b) {
  switch (op) {
  case Comparison::Equal:
    return a == b;
  case Comparison::Less:
    return a < b;
  case Comparison::LessEqual:
    return a <= b;
  case Comparison::Greater:
    return a > b;
  case Comparison::GreaterEqual:
    return a >= b;
  }
  return false;
}

Expr Arithmetic::compare(Comparison op, Expr a, Expr b) {
  if (isConstant(a) && isConstant(b))
    return boolean(holds(op, a->floatValue(), b->floatValue()));
  if (a->kind == ExprKind::FloatWhere && isConstant(b))
    return where(a->args[0], compare(op, a->args[1], b),
                 compare(op, a->args[2], b));
  return intern(ExprKind::FloatCompare, static_cast<int64_t>(op), {a, b});
}

Expr Arithmetic::isNaN(Expr a) {
  if (isConstant(a))
    return boolean(std::isnan(a->floatValue()));
  if (a->kind == ExprKind::IntToFloat)
    return falseExpr;
  if (a->kind == ExprKind::FloatWhere)
    return where(a->args[0], isNaN(a->args[1]), isNaN(a->args[2]));
  return intern(ExprKind::IsNaN, 0, {a});
}
