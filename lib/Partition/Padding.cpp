// What is known beyond the live size of a dimension. The body of a generic is
// evaluated on three kinds of operands: a constant, some finite number, or
// anything. That 0 x finite is 0 but 0 x anything is not (it may be NaN) is why
// the last two differ.
//
// Elements of the model itself count as finite, and so does what a body makes
// of them alone: a half of one, say. Where such a half is not, by overflow, a
// product has no finite element anyway: padding adds no fault of its own.

#include "Rules.h"

#include "waferloom/Algebra/Scalar.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using algebra::ScalarKind;
using wafer::Padding;

/// A constant that is some finite number, or such a number itself.
static bool isFinite(Padding padding) {
  return padding.kind == Padding::Finite || padding.kind == Padding::None ||
         (padding.kind == Padding::Constant && std::isfinite(padding.value));
}

static bool isLow(Padding padding) { return padding.isConstant(-INFINITY); }

Padding partition::joinPadding(Padding a, Padding b) {
  if (a == b)
    return a;
  return isFinite(a) && isFinite(b) ? Padding::finite() : Padding::any();
}

static Padding applyToPadding(Operation *op, ArrayRef<Padding> v) {
  if (llvm::all_of(v, [](Padding t) { return t.kind == Padding::Constant; })) {
    SmallVector<double> numbers;
    for (Padding padding : v)
      numbers.push_back(padding.value);
    std::optional<double> value = algebra::evaluate(op, numbers);
    return value && !std::isnan(*value) ? Padding::constant(*value)
                                        : Padding::any();
  }
  ScalarKind kind = algebra::getKind(op);
  if (kind == ScalarKind::Select) {
    if (v[0].kind == Padding::Constant)
      return v[0].value != 0 ? v[1] : v[2];
    return joinPadding(v[1], v[2]);
  }
  // Integers have no NaN.
  if (isa<IntegerType, IndexType>(op->getResult(0).getType()))
    return Padding::finite();
  if (llvm::any_of(v, [](Padding t) { return t.kind == Padding::Any; }))
    return Padding::any();
  if (kind == ScalarKind::FromInteger)
    return Padding::finite();
  if (kind == ScalarKind::Multiply && llvm::all_of(v, isFinite) &&
      (v[0].isConstant(0) || v[1].isConstant(0)))
    return Padding::constant(0);
  if (kind == ScalarKind::Add &&
      ((isLow(v[0]) && isFinite(v[1])) || (isLow(v[1]) && isFinite(v[0]))))
    return Padding::constant(-INFINITY);
  if (kind == ScalarKind::Subtract && isLow(v[0]) && isFinite(v[1]))
    return Padding::constant(-INFINITY);
  if (kind == ScalarKind::Maximum && (isLow(v[0]) || isLow(v[1])))
    return isLow(v[0]) ? v[1] : v[0];
  return llvm::all_of(v, isFinite) && has(op, algebra::StaysFinite)
             ? Padding::finite()
             : Padding::any();
}

/// What is known of an input where some of its dimensions are in their padding.
static Padding getInputPadding(RankedTensorType type, AffineMap map,
                               ArrayRef<unsigned> loops) {
  wafer::LayoutAttr layout = wafer::getLayout(type);
  std::optional<Padding> known;
  for (auto [d, expr] : llvm::enumerate(map.getResults())) {
    if (!llvm::is_contained(loops, cast<AffineDimExpr>(expr).getPosition()))
      continue;
    Padding padding = layout.getDim(d).isPadded()
                          ? layout.getDim(d).getPadding()
                          : Padding::finite();
    // In the padding of two at once the constant holds only if both agree on
    // it.
    if (known && (*known != padding || padding.kind != Padding::Constant))
      return Padding::any();
    known = padding;
  }
  return known.value_or(Padding::finite());
}

Padding partition::getBodyPadding(linalg::GenericOp op,
                                  ArrayRef<RankedTensorType> inputs,
                                  ArrayRef<unsigned> loops) {
  Value result;
  if (algebra::getFold(op, result) == algebra::Fold::None)
    result = op.getBody()->getTerminator()->getOperand(0);
  llvm::DenseMap<Value, Padding> known;
  llvm::DenseSet<Value> padded; // elements that no tensor of the model has
  for (auto [i, type] : llvm::enumerate(inputs)) {
    const BlockArgument argument = op.getBody()->getArgument(i);
    const AffineMap map = op.getIndexingMapsArray()[i];
    known[argument] =
        type ? getInputPadding(type, map, loops) : Padding::finite();
    if (llvm::any_of(loops,
                     [&](unsigned loop) { return map.isFunctionOfDim(loop); }))
      padded.insert(argument);
  }
  auto get = [&](Value value) {
    auto it = known.find(value);
    if (it != known.end())
      return it->second;
    std::optional<double> number = algebra::getNumber(value);
    return number ? Padding::constant(*number) : Padding::any();
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    SmallVector<Padding> operands;
    bool isLive = true;
    for (Value operand : inner.getOperands()) {
      operands.push_back(get(operand));
      isLive &= !padded.contains(operand);
    }
    const Padding made = applyToPadding(&inner, operands);
    if (!isLive)
      padded.insert(inner.getResult(0));
    known[inner.getResult(0)] =
        isLive && made.kind == Padding::Any ? Padding::finite() : made;
  }
  return get(result);
}

/// Is loop `loop` of `op` padded, according to an input that has it?
static bool isPadded(linalg::GenericOp op, ArrayRef<RankedTensorType> inputs,
                     unsigned loop) {
  for (auto [i, type] : llvm::enumerate(inputs))
    if (type)
      for (auto [d, expr] :
           llvm::enumerate(op.getIndexingMapsArray()[i].getResults()))
        if (cast<AffineDimExpr>(expr).getPosition() == loop)
          return wafer::getLayout(type).getDim(d).isPadded();
  return false;
}

std::optional<PaddingFault>
partition::findPaddingFault(linalg::GenericOp op,
                            ArrayRef<RankedTensorType> inputs) {
  Value term;
  algebra::Fold fold = algebra::getFold(op, term);
  SmallVector<unsigned> reductions, padded;
  op.getReductionDims(reductions);
  for (unsigned loop : reductions)
    if (isPadded(op, inputs, loop))
      padded.push_back(loop);
  if (padded.empty())
    return std::nullopt;
  double neutral =
      algebra::getNeutral(fold, op.getBody()->getArguments().back().getType());
  auto check = [&](ArrayRef<unsigned> loops) -> std::optional<PaddingFault> {
    Padding padding = getBodyPadding(op, inputs, loops);
    if (padding.isConstant(neutral) && fold != algebra::Fold::None)
      return std::nullopt;
    return PaddingFault{SmallVector<unsigned>(loops), padding, neutral};
  };
  for (unsigned loop : padded)
    if (auto fault = check(loop))
      return fault;
  for (size_t i = 0; i < padded.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (auto fault = check({padded[j], padded[i]}))
        return fault;
  return std::nullopt;
}
