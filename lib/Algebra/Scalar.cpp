// What scalar ops compute and are: functions of floats by their list
// (Scalar/Functions.def), all others by a table here. Values are asked where a
// pass needs a body at a known element (the padding of a dimension) and by the
// interpreter that tests passes against each other; kinds and properties where
// a rule is about what an op does to sums, to finite numbers, to angles.

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Scalar/Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/DenseMap.h"

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

static int64_t toInteger(double value) { return static_cast<int64_t>(value); }

namespace {
using Numbers = ArrayRef<double>;
using Result = std::optional<double>;

struct ScalarRule {
  Result (*evaluate)(Operation *, Numbers) = nullptr;
  ScalarKind kind = ScalarKind::Other;
  unsigned properties = 0; // of ScalarProperty
  double cycles = 1;
};

/// The rules of all scalar ops, by op.
class Rules {
public:
  Rules() {
    addArithmetic();
    addConversions();
    addIntegers();
  }

  const ScalarRule *find(Operation *op) const {
    auto it = rules.find(op->getName().getTypeID());
    return it == rules.end() ? nullptr : &it->second;
  }

private:
  template <typename Op>
  void add(Result (*evaluate)(Operation *, Numbers),
           ScalarKind kind = ScalarKind::Other, unsigned properties = 0,
           double cycles = 1) {
    rules[TypeID::get<Op>()] = {evaluate, kind, properties, cycles};
  }

  /// Of an op whose value and cost are in Functions.def.
  template <typename Op>
  void mark(ScalarKind kind, unsigned properties = 0) {
    rules[TypeID::get<Op>()] = {nullptr, kind, properties, 1};
  }

  void addArithmetic();
  void addConversions();
  void addIntegers();

  llvm::DenseMap<TypeID, ScalarRule> rules;
};
} // namespace

// A row: the op, its value, its kind, its properties, its cycles.
#define VALUE(...)                                                             \
  [](Operation *op, Numbers v) -> Result { return __VA_ARGS__; }

void Rules::addArithmetic() {
  using K = ScalarKind;
  constexpr unsigned finite = StaysFinite;
  mark<arith::AddFOp>(K::Add);
  mark<arith::SubFOp>(K::Subtract);
  mark<arith::MulFOp>(K::Multiply);
  mark<arith::DivFOp>(K::Divide, Approximates);
  mark<arith::NegFOp>(K::Negate);
  mark<arith::MaximumFOp>(K::Maximum);
  mark<arith::MinimumFOp>(K::Minimum);
  mark<math::ExpOp>(K::Other, Approximates);
  mark<math::SqrtOp>(K::Other, Approximates);
  mark<math::RsqrtOp>(K::Other, Approximates);
  mark<math::SinOp>(K::Other, OfAngle);
  mark<math::CosOp>(K::Other, OfAngle);
  add<arith::ConstantOp>(
      VALUE(getNumber(cast<arith::ConstantOp>(op).getValue())), K::Other, 0, 0);
  add<arith::RemFOp>(VALUE(std::fmod(v[0], v[1])));
  add<arith::MaxNumFOp>(VALUE(std::fmax(v[0], v[1])), K::Maximum, finite);
  add<arith::MinNumFOp>(VALUE(std::fmin(v[0], v[1])), K::Minimum, finite);
  add<arith::CmpFOp>(
      VALUE(compareFloats(cast<arith::CmpFOp>(op).getPredicate(), v[0], v[1])));
  add<arith::SelectOp>(VALUE(v[0] != 0 ? v[1] : v[2]), K::Select);
  add<math::FmaOp>(VALUE(std::fma(v[0], v[1], v[2])));
  add<math::Exp2Op>(VALUE(std::exp2(v[0])));
  add<math::Log1pOp>(VALUE(std::log1p(v[0])));
}

/// -1 as a bit is one.
static double fromSigned(Operation *op, double value) {
  return op->getOperand(0).getType().isInteger(1) ? -value : value;
}

void Rules::addConversions() {
  using K = ScalarKind;
  add<arith::ExtFOp>(VALUE(v[0]), K::Widen, StaysFinite);
  add<arith::TruncFOp>(VALUE(v[0]), K::Narrow);
  add<arith::SIToFPOp>(VALUE(fromSigned(op, v[0])), K::FromInteger);
  add<arith::UIToFPOp>(VALUE(v[0]), K::FromInteger);
  add<arith::FPToSIOp>(VALUE(std::trunc(v[0])));
  add<arith::FPToUIOp>(VALUE(std::trunc(v[0])));
  add<arith::ExtUIOp>(VALUE(v[0] < 0 ? -v[0] : v[0]));
  add<arith::ExtSIOp>(VALUE(fromSigned(op, v[0])));
  add<arith::TruncIOp>(VALUE(v[0]));
  add<arith::IndexCastOp>(VALUE(v[0]));
}

/// Nothing for a division by zero.
static Result ofQuotient(Numbers v, double (*round)(double)) {
  return v[1] == 0 ? Result() : round(v[0] / v[1]);
}

void Rules::addIntegers() {
  using K = ScalarKind;
  add<arith::AddIOp>(VALUE(v[0] + v[1]), K::Add);
  add<arith::SubIOp>(VALUE(v[0] - v[1]), K::Subtract);
  add<arith::MulIOp>(VALUE(v[0] * v[1]), K::Multiply);
  add<arith::DivSIOp>(VALUE(ofQuotient(v, std::trunc)));
  add<arith::FloorDivSIOp>(VALUE(ofQuotient(v, std::floor)));
  add<arith::RemSIOp>(
      VALUE(v[1] == 0 ? Result() : Result(std::fmod(v[0], v[1]))));
  add<math::AbsIOp>(VALUE(std::fabs(v[0])));
  add<arith::MaxSIOp>(VALUE(std::max(v[0], v[1])), K::Maximum);
  add<arith::MinSIOp>(VALUE(std::min(v[0], v[1])), K::Minimum);
  add<arith::AndIOp>(VALUE(toInteger(v[0]) & toInteger(v[1])));
  add<arith::OrIOp>(VALUE(toInteger(v[0]) | toInteger(v[1])));
  add<arith::XOrIOp>(VALUE(toInteger(v[0]) ^ toInteger(v[1])));
  add<arith::CmpIOp>(VALUE(
      compareIntegers(cast<arith::CmpIOp>(op).getPredicate(), v[0], v[1])));
}

#undef VALUE

static const ScalarRule *findRule(Operation *op) {
  static const Rules rules;
  return rules.find(op);
}

ScalarKind algebra::getKind(Operation *op) {
  const ScalarRule *rule = findRule(op);
  return rule ? rule->kind : ScalarKind::Other;
}

bool algebra::has(Operation *op, ScalarProperty property) {
  if (property == StaysFinite)
    if (std::optional<scalar::Function> function = scalar::functionOf(op))
      return scalar::factsOf(*function).staysFinite;
  const ScalarRule *rule = findRule(op);
  return rule && (rule->properties & property) != 0;
}

double algebra::getVectorCycles(Operation *op) {
  if (std::optional<scalar::Function> function = scalar::functionOf(op))
    return scalar::factsOf(*function).weight;
  const ScalarRule *rule = findRule(op);
  return rule ? rule->cycles : 1;
}

double algebra::getBodyCycles(linalg::GenericOp op) {
  double cycles = 0;
  for (Operation &inner : op.getBody()->without_terminator())
    cycles += getVectorCycles(&inner);
  return cycles;
}

std::optional<double> algebra::evaluate(Operation *op, ArrayRef<double> v) {
  std::optional<double> value;
  if (std::optional<scalar::Function> function = scalar::functionOf(op))
    value = scalar::evaluate(*function, v[0], v.size() > 1 ? v[1] : 0);
  else if (const ScalarRule *rule = findRule(op))
    value = rule->evaluate(op, v);
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
  ScalarKind kind = getKind(last);
  return kind == ScalarKind::Add       ? Fold::Sum
         : kind == ScalarKind::Maximum ? Fold::Max
         : kind == ScalarKind::Minimum ? Fold::Min
                                       : Fold::None;
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
