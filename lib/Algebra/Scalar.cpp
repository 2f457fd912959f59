// One table of what scalar ops compute. Used where a pass needs the value of a
// body at a known element (the padding of a padded dimension) and by the
// interpreter that tests passes against each other.

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Scalar/Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

double algebra::roundTo(double value, Type type) {
  if (auto real = dyn_cast<FloatType>(type)) {
    llvm::APFloat number(value);
    bool loses;
    number.convert(real.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven,
                   &loses);
    number.convert(llvm::APFloat::IEEEdouble(),
                   llvm::APFloat::rmNearestTiesToEven, &loses);
    return number.convertToDouble();
  }
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || integer.getWidth() >= 64 || !std::isfinite(value))
    return value;
  if (integer.getWidth() == 1)
    return value != 0;
  // Wraps as two's complement does.
  double range = std::ldexp(1.0, integer.getWidth());
  value = std::trunc(value);
  value -= range * std::floor((value + range / 2) / range);
  return value;
}

static bool compareFloats(arith::CmpFPredicate predicate, double a, double b) {
  using P = arith::CmpFPredicate;
  bool unordered = std::isnan(a) || std::isnan(b);
  switch (predicate) {
  case P::AlwaysFalse:
    return false;
  case P::OEQ:
    return !unordered && a == b;
  case P::OGT:
    return a > b;
  case P::OGE:
    return a >= b;
  case P::OLT:
    return a < b;
  case P::OLE:
    return a <= b;
  case P::ONE:
    return !unordered && a != b;
  case P::ORD:
    return !unordered;
  case P::UEQ:
    return unordered || a == b;
  case P::UGT:
    return unordered || a > b;
  case P::UGE:
    return unordered || a >= b;
  case P::ULT:
    return unordered || a < b;
  case P::ULE:
    return unordered || a <= b;
  case P::UNE:
    return unordered || a != b;
  case P::UNO:
    return unordered;
  case P::AlwaysTrue:
    return true;
  }
  return false;
}

static bool compareIntegers(arith::CmpIPredicate predicate, double a,
                            double b) {
  using P = arith::CmpIPredicate;
  auto bits = [](double v) {
    return static_cast<uint64_t>(static_cast<int64_t>(v));
  };
  switch (predicate) {
  case P::eq:
    return a == b;
  case P::ne:
    return a != b;
  case P::slt:
    return a < b;
  case P::sle:
    return a <= b;
  case P::sgt:
    return a > b;
  case P::sge:
    return a >= b;
  case P::ult:
    return bits(a) < bits(b);
  case P::ule:
    return bits(a) <= bits(b);
  case P::ugt:
    return bits(a) > bits(b);
  case P::uge:
    return bits(a) >= bits(b);
  }
  return false;
}

/// What Functions.def does not have.
static std::optional<double> evaluateMath(Operation *op, ArrayRef<double> v) {
  using Result = std::optional<double>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([&](math::Exp2Op) { return std::exp2(v[0]); })
      .Case([&](math::Log1pOp) { return std::log1p(v[0]); })
      .Case([&](math::AbsIOp) { return std::fabs(v[0]); })
      .Case([&](math::FmaOp) { return std::fma(v[0], v[1], v[2]); })
      .Default([](Operation *) { return std::nullopt; });
}

static std::optional<double> evaluateInteger(Operation *op,
                                             ArrayRef<double> v) {
  auto bitwise = [&](auto fold) {
    return static_cast<double>(
        fold(static_cast<int64_t>(v[0]), static_cast<int64_t>(v[1])));
  };
  using Result = std::optional<double>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([&](arith::AddIOp) { return v[0] + v[1]; })
      .Case([&](arith::SubIOp) { return v[0] - v[1]; })
      .Case([&](arith::MulIOp) { return v[0] * v[1]; })
      .Case([&](arith::DivSIOp) -> Result {
        return v[1] == 0 ? Result() : std::trunc(v[0] / v[1]);
      })
      .Case([&](arith::FloorDivSIOp) -> Result {
        return v[1] == 0 ? Result() : std::floor(v[0] / v[1]);
      })
      .Case([&](arith::RemSIOp) -> Result {
        return v[1] == 0 ? Result() : std::fmod(v[0], v[1]);
      })
      .Case([&](arith::MaxSIOp) { return std::max(v[0], v[1]); })
      .Case([&](arith::MinSIOp) { return std::min(v[0], v[1]); })
      .Case([&](arith::AndIOp) {
        return bitwise([](int64_t a, int64_t b) { return a & b; });
      })
      .Case([&](arith::OrIOp) {
        return bitwise([](int64_t a, int64_t b) { return a | b; });
      })
      .Case([&](arith::XOrIOp) {
        return bitwise([](int64_t a, int64_t b) { return a ^ b; });
      })
      .Case([&](arith::CmpIOp cmp) -> Result {
        return compareIntegers(cmp.getPredicate(), v[0], v[1]);
      })
      .Case([&](arith::ExtUIOp) { return v[0] < 0 ? -v[0] : v[0]; })
      .Case([&](arith::ExtSIOp ext) -> Result {
        return ext.getIn().getType().isInteger(1) ? -v[0] : v[0];
      })
      .Case([&](arith::TruncIOp) { return v[0]; })
      .Case([&](arith::IndexCastOp) { return v[0]; })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<double> algebra::evaluate(Operation *op, ArrayRef<double> v) {
  if (op->getNumResults() != 1)
    return std::nullopt;
  using Result = std::optional<double>;
  Result value =
      llvm::TypeSwitch<Operation *, Result>(op)
          .Case([&](arith::ConstantOp constant) {
            return getNumber(constant.getValue());
          })
          .Case([&](arith::RemFOp) { return std::fmod(v[0], v[1]); })
          .Case([&](arith::MaxNumFOp) { return std::fmax(v[0], v[1]); })
          .Case([&](arith::MinNumFOp) { return std::fmin(v[0], v[1]); })
          .Case([&](arith::CmpFOp cmp) -> Result {
            return compareFloats(cmp.getPredicate(), v[0], v[1]);
          })
          .Case([&](arith::SelectOp) { return v[0] != 0 ? v[1] : v[2]; })
          .Case([&](arith::ExtFOp) { return v[0]; })
          .Case([&](arith::TruncFOp) { return v[0]; })
          .Case([&](arith::SIToFPOp cast) -> Result {
            return cast.getIn().getType().isInteger(1) ? -v[0] : v[0];
          })
          .Case([&](arith::UIToFPOp) { return v[0]; })
          .Case([&](arith::FPToSIOp) { return std::trunc(v[0]); })
          .Case([&](arith::FPToUIOp) { return std::trunc(v[0]); })
          .Default([](Operation *) { return std::nullopt; });
  if (std::optional<scalar::Function> function = scalar::functionOf(op))
    value = scalar::evaluate(*function, v[0], v.size() > 1 ? v[1] : 0);
  if (!value)
    value = evaluateInteger(op, v);
  if (!value)
    value = evaluateMath(op, v);
  if (!value)
    return std::nullopt;
  return roundTo(*value, op->getResult(0).getType());
}

std::optional<double> algebra::getNumber(Attribute attribute) {
  if (auto real = dyn_cast_or_null<FloatAttr>(attribute))
    return real.getValueAsDouble();
  if (auto integer = dyn_cast_or_null<IntegerAttr>(attribute))
    return integer.getType().isInteger(1)
               ? static_cast<double>(integer.getValue().getZExtValue())
               : static_cast<double>(integer.getValue().getSExtValue());
  if (auto dense = dyn_cast_or_null<DenseElementsAttr>(attribute))
    if (dense.isSplat())
      return getNumber(dense.getSplatValue<Attribute>());
  return std::nullopt;
}

std::optional<double> algebra::getNumber(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    return getNumber(fill.getInputs().front());
  if (auto constant = value.getDefiningOp<arith::ConstantOp>())
    return getNumber(constant.getValue());
  return std::nullopt;
}

TypedAttr algebra::getAttribute(Type type, double value) {
  if (isa<FloatType>(type))
    return FloatAttr::get(type, value);
  return IntegerAttr::get(type, static_cast<int64_t>(value));
}

Fold algebra::getFold(linalg::GenericOp op, Value &term) {
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInits() != 1)
    return Fold::None;
  Block *body = op.getBody();
  BlockArgument accumulator = body->getArguments().back();
  Operation *last = body->getTerminator()->getOperand(0).getDefiningOp();
  if (!last || last->getNumOperands() != 2 || !accumulator.hasOneUse() ||
      !llvm::is_contained(last->getOperands(), accumulator))
    return Fold::None;
  term = last->getOperand(last->getOperand(0) == accumulator ? 1 : 0);
  if (isa<arith::AddFOp, arith::AddIOp>(last))
    return Fold::Sum;
  if (isa<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp>(last))
    return Fold::Max;
  if (isa<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp>(last))
    return Fold::Min;
  return Fold::None;
}

double algebra::getNeutral(Fold fold, Type type) {
  if (fold == Fold::Sum || fold == Fold::None)
    return 0;
  double most = std::numeric_limits<double>::infinity();
  if (auto integer = dyn_cast<IntegerType>(type)) {
    most = std::ldexp(1.0, integer.getWidth() - 1);
    return fold == Fold::Max ? -most : most - 1;
  }
  return fold == Fold::Max ? -most : most;
}

bool algebra::isCopy(linalg::GenericOp op) {
  if (op.getNumParallelLoops() != op.getNumLoops() ||
      op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1)
    return false;
  Block *body = op.getBody();
  return &body->front() == body->getTerminator() &&
         body->getTerminator()->getOperand(0) == body->getArgument(0);
}
