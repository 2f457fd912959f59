//===- Joins.cpp - Values behind a live length ----------------------------===//
//
// An attention sink is a column of scores behind those of the cache, whose
// number lives. No tensor could hold both in their places at every position.
// They stay apart: pointwise operators take part by part, reductions combine
// what they make of each, and a slice takes whole parts. The usual end,
// Softmax and a slice that drops the sink, becomes a softmax with one more
// term in its maximum and in its sum.
//
//===----------------------------------------------------------------------===//

#include "Joins.h"
#include "Compose.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

SymbolicTensor *import::keptApart(Lowering &lowering,
                                  ArrayRef<SymbolicTensor *> parts,
                                  int64_t axis, Sizes shape) {
  SymbolicTensor q;
  q.shape = std::move(shape);
  q.type = parts[0]->type;
  q.parts.assign(parts.begin(), parts.end());
  q.joinedAxis = axis;
  return lowering.clone(q);
}

static bool isApart(SymbolicTensor *q) { return q && !q->parts.empty(); }

/// The piece of an operand of a pointwise operator that meets part `i` of `of`;
/// null after a refusal.
static SymbolicTensor *pieceFor(Call &c, SymbolicTensor *operand,
                                SymbolicTensor *of, size_t i) {
  if (!operand)
    return nullptr;
  const int64_t axis = static_cast<int64_t>(of->joinedAxis) -
                       static_cast<int64_t>(of->rank() - operand->rank());
  if (operand->rank() > of->rank())
    return c.refuse("joins a live length to more dimensions");
  if (isApart(operand)) {
    if (axis != operand->joinedAxis ||
        operand->parts.size() != of->parts.size() ||
        operand->parts[i]->shape[axis] != of->parts[i]->shape[of->joinedAxis])
      return c.refuse("its operands are joined in different places");
    return operand->parts[i];
  }
  if (axis < 0 || operand->shape[axis] == c.math.constant(1))
    return operand;
  Expr start = c.math.constant(0);
  for (size_t k = 0; k < i; ++k)
    start = c.math.add(start, of->parts[k]->shape[of->joinedAxis]);
  return sliceAxis(c.lowering, operand, axis, start,
                   of->parts[i]->shape[of->joinedAxis], 1);
}

static Results pointwiseOnParts(Call &c, const OperatorEntry &entry,
                                SymbolicTensor *of) {
  SmallVector<SymbolicTensor *> parts;
  for (size_t i = 0; i < of->parts.size(); ++i) {
    Call inner = c;
    for (SymbolicTensor *&operand : inner.inputs)
      if (operand && !(operand = pieceFor(c, operand, of, i)))
        return {};
    Results result = entry.lower(inner);
    if (result.empty())
      return {};
    parts.push_back(result[0]);
  }
  Sizes shape = parts[0]->shape;
  const unsigned axis = of->joinedAxis + shape.size() - of->rank();
  shape[axis] = of->shape[of->joinedAxis];
  return one(keptApart(c.lowering, parts, axis, std::move(shape)));
}

/// The scores of the cache and a sink of one column behind or before it.
static Results softmaxOfParts(Call &c, SymbolicTensor *q) {
  auto axes = softmaxAxes(c);
  if (!axes)
    return {};
  SymbolicTensor *live = nullptr, *sink = nullptr;
  for (SymbolicTensor *part : q->parts) {
    const bool isColumn = part->shape[q->joinedAxis] == c.math.constant(1);
    (isColumn ? sink : live) = part;
  }
  if (*axes != SmallVector<int64_t>{q->joinedAxis} || q->parts.size() != 2 ||
      !live || !sink)
    return one(c.refuse("is joined of a live length and more than one column"));
  SymbolicTensor *shares =
      softmax(c, live, *axes, /*paddingIsExcluded=*/false, sink);
  if (!shares)
    return {};
  // What the others leave is the sink's; nobody asks for it but by mistake.
  Compose o(c);
  SymbolicTensor *left =
      o.sub(o.constant(1), o("ReduceSum", {shares, o.ints(*axes)}));
  if (!left)
    return {};
  SmallVector<SymbolicTensor *> parts;
  for (SymbolicTensor *part : q->parts)
    parts.push_back(part == live ? shares : left);
  return one(keptApart(c.lowering, parts, q->joinedAxis, q->shape));
}

/// The extreme or the sum along the joined axis.
static Results reductionOfParts(Call &c, const OperatorEntry &entry,
                                SymbolicTensor *q) {
  auto axes = reducedAxes(c);
  if (!axes)
    return {};
  if (*axes != SmallVector<int64_t>{q->joinedAxis})
    return one(c.refuse("reduces more than the joined dimension"));
  Compose o(c);
  SymbolicTensor *all = nullptr;
  for (SymbolicTensor *part : q->parts) {
    Call inner = c;
    inner.inputs[0] = part;
    Results result = entry.lower(inner);
    if (result.empty())
      return {};
    StringRef both = c.op == "ReduceSum"   ? "Add"
                     : c.op == "ReduceMax" ? "Max"
                                           : "Min";
    all = all ? o(both, {all, result[0]}) : result[0];
  }
  return one(all);
}

Results import::lowerOnParts(Call &c, const OperatorEntry &entry) {
  SymbolicTensor *q = *llvm::find_if(c.inputs, isApart);
  static constexpr StringLiteral pointwise[] = {
      "Add", "Cast", "Div", "Exp", "Identity", "Max",
      "Min", "Mul",  "Neg", "Sub", "Tanh",     "Dropout"};
  if (c.domain.empty() && llvm::is_contained(pointwise, c.op))
    return pointwiseOnParts(c, entry, q);
  if (c.domain.empty() && c.input(0) == q) {
    if (c.op == "Softmax")
      return softmaxOfParts(c, q);
    if (c.op == "ReduceMax" || c.op == "ReduceSum" || c.op == "ReduceMin")
      return reductionOfParts(c, entry, q);
    if (c.op == "Slice" || c.op == "Shape")
      return entry.lower(c);
  }
  return one(c.refuse("takes what is joined behind a live length (" +
                      c.lowering.print(q->shape) +
                      "), which only softmax, reductions, pointwise operators "
                      "and slices do"));
}

SymbolicTensor *import::slicedParts(Lowering &lowering, SymbolicTensor *q,
                                    int64_t axis, Expr start, Expr length,
                                    int64_t step) {
  Arithmetic &math = lowering.math;
  Sizes shape = q->shape;
  shape[axis] = length;
  SmallVector<SymbolicTensor *> kept;
  if (axis != q->joinedAxis) {
    for (SymbolicTensor *part : q->parts) {
      kept.push_back(sliceAxis(lowering, part, axis, start, length, step));
      if (!kept.back())
        return nullptr;
    }
    return keptApart(lowering, kept, q->joinedAxis, shape);
  }
  Expr at = math.constant(0), end = math.add(start, length);
  for (SymbolicTensor *part : q->parts) {
    Expr behind = math.add(at, part->shape[axis]);
    if (math.lowest(math.sub(at, start)) >= 0 &&
        math.highest(math.sub(behind, end)) <= 0)
      kept.push_back(part);
    at = behind;
  }
  Expr sum = math.constant(0);
  for (SymbolicTensor *part : kept)
    sum = math.add(sum, part->shape[axis]);
  if (step != 1 || sum != length)
    return lowering.refuse("takes a piece of what is joined behind a live "
                           "length that is no whole part of it");
  return kept.size() == 1 ? kept[0] : keptApart(lowering, kept, axis, shape);
}
