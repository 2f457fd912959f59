// The rules of a generic. Every loop is split by the same digits in all
// operands that have it (G1); an axis splits at most one loop (G2). An axis on
// a parallel loop splits the result, one on a reduction loop leaves it partial
// (G4, G5).

#include "Rules.h"

#include "waferloom/Algebra/Scalar.h"

#include "llvm/ADT/SmallBitVector.h"

#include <cmath>
#include <map>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::Combiner;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;
using wafer::RegionAttr;

static std::string text(DimAttr dim) {
  if (dim.isWhole())
    return "whole";
  std::string result;
  llvm::raw_string_ostream os(result);
  os << "[";
  DimAttr::get(dim.getContext(), dim.getDigits(), dim.getCyclic()).write(os);
  os << "]";
  return result;
}

LogicalResult partition::checkLayout(LayoutAttr layout,
                                     ArrayRef<int64_t> padded,
                                     RegionAttr region, ErrorFn error) {
  if (layout.getDims().size() != padded.size())
    return error() << "the layout has " << layout.getDims().size()
                   << " entries but the tensor has rank " << padded.size();
  std::map<Axis, std::string> seen; // axis -> what it does
  auto use = [&](Axis axis, const std::string &role,
                 StringRef what) -> LogicalResult {
    if (!region.has(axis))
      return error() << what << " '" << axis.str() << "', which region "
                     << region << " does not have";
    auto [it, isNew] = seen.try_emplace(axis, role);
    if (isNew)
      return success();
    if (StringRef(it->second).starts_with("splits") &&
        StringRef(role).starts_with("splits"))
      return error() << "axis '" << axis.str() << "' splits dimensions "
                     << StringRef(it->second).rsplit(' ').second << " and "
                     << StringRef(role).rsplit(' ').second << " of one tensor";
    return error() << "axis '" << axis.str() << "' both " << it->second
                   << " and " << role;
  };
  for (auto [d, dim] : llvm::enumerate(layout.getDims())) {
    std::string index = std::to_string(d);
    for (Axis axis : dim.getAxes())
      if (failed(use(axis, "splits dimension " + index,
                     "dimension " + index + " is split along")))
        return failure();
    int64_t shards = region.getSize(dim.getAxes()), local = 1;
    for (const wafer::Digit &digit : dim.getDigits())
      local *= digit.isAxis() ? 1 : digit.extent;
    if (padded[d] % (shards * local) != 0)
      return error() << "dimension " << d << " holds " << padded[d]
                     << " elements, which " << shards * local
                     << " does not divide";
    if (dim.getLive() > padded[d])
      return error() << "dimension " << d << " holds " << padded[d]
                     << " elements, fewer than its live size " << dim.getLive();
    if (dim.isPadded() && dim.getPadding().kind == Padding::None)
      return error() << "dimension " << d << " is padded (" << padded[d]
                     << " > " << dim.getLive()
                     << ") but says nothing of its padding";
  }
  for (Axis axis : layout.getPartial())
    if (failed(use(axis, "is partial", "partial along")))
      return failure();
  for (auto [axis, coordinate] :
       llvm::zip(layout.getRootAxes(), layout.getRootCoordinates())) {
    if (failed(use(axis, "is root", "root along")))
      return failure();
    if (coordinate < 0 || coordinate >= region.getSize(axis))
      return error() << "root coordinate " << coordinate << " is outside axis '"
                     << axis.str() << "' of size " << region.getSize(axis);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Partial operands (G6)
//===----------------------------------------------------------------------===//

/// May `op` be applied before its operands marked in `partial` are reduced?
/// Says in `replicatedAdd` when a value would be added once per PE.
static bool commutes(Operation *op, ArrayRef<bool> partial, Combiner combiner,
                     bool &replicatedAdd) {
  using algebra::ScalarKind;
  const bool sums = combiner == Combiner::Sum;
  switch (algebra::getKind(op)) {
  case ScalarKind::Widen:
    return true;
  case ScalarKind::Negate:
    return sums;
  case ScalarKind::Add:
    if (!sums)
      return partial[0] != partial[1];
    replicatedAdd = partial[0] != partial[1];
    return partial[0] && partial[1];
  case ScalarKind::Subtract:
    if (!sums)
      return partial[0] && !partial[1];
    replicatedAdd = partial[0] != partial[1];
    return partial[0] && partial[1];
  case ScalarKind::Multiply:
    return sums && partial[0] != partial[1];
  case ScalarKind::Divide:
    return sums && partial[0] && !partial[1];
  case ScalarKind::Select:
    return sums && !partial[0] && partial[1] && partial[2];
  case ScalarKind::Maximum:
    return combiner == Combiner::Max;
  case ScalarKind::Minimum:
    return combiner == Combiner::Min;
  case ScalarKind::Narrow:
  case ScalarKind::FromInteger:
  case ScalarKind::Other:
    return false;
  }
  return false;
}

namespace {
/// The inference of one generic.
struct Inference {
  linalg::GenericOp op;
  ArrayRef<RankedTensorType> inputs;
  RankedTensorType result;
  RegionAttr region;
  ErrorFn error;

  struct Loop {
    DimAttr dim;
    int64_t padded = 0;
    int operand = -1; // -1: none yet
  };
  SmallVector<Loop> loops;
  std::map<Axis, unsigned> loopOf; // axis -> the loop it splits
  std::map<Axis, SmallVector<int>> partialInputs;
  std::optional<Combiner> partialFold;
  std::map<Axis, int64_t> roots;

  LogicalResult collectLoops();
  LogicalResult collectAxes();
  LogicalResult checkPartial();
  LogicalResult checkBody(Axis axis, ArrayRef<int> partial);
  FailureOr<LayoutAttr> run();
  Padding getResultPadding(unsigned loop, algebra::Fold fold);
};
} // namespace

LogicalResult Inference::collectLoops() {
  loops.resize(op.getNumLoops());
  auto visit = [&](int operand, RankedTensorType type,
                   AffineMap map) -> LogicalResult {
    LayoutAttr layout = wafer::getLayout(type);
    if (!layout)
      return error() << "operand " << operand << " has no layout";
    for (auto [d, expr] : llvm::enumerate(map.getResults())) {
      unsigned index = cast<AffineDimExpr>(expr).getPosition();
      Loop &loop = loops[index];
      DimAttr dim = layout.getDim(d);
      int64_t padded = type.getDimSize(d);
      if (loop.operand < 0) {
        loop = {dim, padded, operand};
        continue;
      }
      if (loop.dim.resolve(loop.padded, region) !=
          dim.resolve(padded, region)) {
        InFlightDiagnostic diag = error();
        if (loop.dim.isWhole() != dim.isWhole()) {
          int split = loop.dim.isWhole() ? operand : loop.operand;
          int whole = loop.dim.isWhole() ? loop.operand : operand;
          DimAttr how = loop.dim.isWhole() ? dim : loop.dim;
          diag << "loop d" << index << " is " << text(how) << " in operand "
               << split << " but whole in operand " << whole
               << ": slice operand " << whole << " along it first";
        } else {
          diag << "loop d" << index << " is split as " << text(loop.dim)
               << " by operand " << loop.operand << " but as " << text(dim)
               << " by operand " << operand;
        }
        return diag;
      }
      if (loop.dim.getLiveSize(loop.padded) != dim.getLiveSize(padded))
        return error() << "loop d" << index << " has live size "
                       << loop.dim.getLiveSize(loop.padded) << " in operand "
                       << loop.operand << " but " << dim.getLiveSize(padded)
                       << " in operand " << operand;
    }
    return success();
  };
  for (auto [i, type] : llvm::enumerate(inputs))
    if (type && failed(visit(i, type, op.getIndexingMapsArray()[i])))
      return failure();
  return visit(inputs.size(), result, op.getIndexingMapsArray().back());
}

LogicalResult Inference::collectAxes() {
  for (auto [index, loop] : llvm::enumerate(loops))
    for (Axis axis : loop.dim.getAxes()) {
      auto [it, isNew] = loopOf.try_emplace(axis, index);
      if (!isNew)
        return error() << "axis '" << axis.str() << "' splits loops d"
                       << it->second << " and d" << index
                       << " of one operation";
    }
  for (auto [i, type] : llvm::enumerate(inputs)) {
    if (!type)
      continue;
    LayoutAttr layout = wafer::getLayout(type);
    for (Axis axis : layout.getPartial()) {
      auto it = loopOf.find(axis);
      if (it != loopOf.end())
        return error() << "operand " << i << " is partial along '" << axis.str()
                       << "', which splits loop d" << it->second
                       << ": all-reduce it first";
      partialInputs[axis].push_back(i);
    }
    if (layout.isPartial()) {
      if (partialFold && *partialFold != layout.getCombiner())
        return error() << "operands are a partial "
                       << stringifyCombiner(*partialFold) << " and a partial "
                       << stringifyCombiner(layout.getCombiner());
      partialFold = layout.getCombiner();
    }
    for (auto [axis, coordinate] :
         llvm::zip(layout.getRootAxes(), layout.getRootCoordinates())) {
      auto it = loopOf.find(axis);
      if (it != loopOf.end())
        return error() << "operand " << i << " lives at one coordinate of '"
                       << axis.str() << "', which splits loop d" << it->second;
      auto [root, isNew] = roots.try_emplace(axis, coordinate);
      if (!isNew && root->second != coordinate)
        return error() << "operands live at " << axis.str() << " = "
                       << root->second << " and " << axis.str() << " = "
                       << coordinate;
    }
  }
  return success();
}

LogicalResult Inference::checkBody(Axis axis, ArrayRef<int> partial) {
  llvm::DenseMap<Value, bool> status;
  for (int i : partial)
    status[op.getBody()->getArgument(i)] = true;
  Value out;
  if (algebra::getFold(op, out) == algebra::Fold::None)
    out = op.getBody()->getTerminator()->getOperand(0);
  auto sum = stringifyCombiner(*partialFold);
  for (Operation &inner : op.getBody()->without_terminator()) {
    SmallVector<bool> operands;
    for (Value operand : inner.getOperands())
      operands.push_back(status.lookup(operand));
    if (!llvm::is_contained(operands, true) ||
        (inner.getNumResults() && inner.getResult(0) != out &&
         op.getNumReductionLoops() &&
         &inner == op.getBody()->getTerminator()->getPrevNode()))
      continue; // the fold itself is looked at below
    bool replicatedAdd = false;
    StringRef name = inner.getName().stripDialect();
    if (commutes(&inner, operands, *partialFold, replicatedAdd)) {
      status[inner.getResult(0)] = true;
      continue;
    }
    if (replicatedAdd)
      return error() << "'" << name << "' of a replicated value to a sum "
                     << "still partial along '" << axis.str()
                     << "' would add it " << region.getSize(axis) << " times";
    return error() << "'" << name << "' does not commute with the " << sum
                   << " that operand " << partial.front()
                   << " still has partial along '" << axis.str()
                   << "': all-reduce it first";
  }
  if (!status.lookup(out))
    return error() << "operand " << partial.front() << " is still a partial "
                   << sum << " along '" << axis.str()
                   << "' that the result does not keep: all-reduce it first";
  return success();
}

LogicalResult Inference::checkPartial() {
  Value term;
  algebra::Fold fold = algebra::getFold(op, term);
  auto combinerOf = [](algebra::Fold fold) {
    return fold == algebra::Fold::Max   ? Combiner::Max
           : fold == algebra::Fold::Min ? Combiner::Min
                                        : Combiner::Sum;
  };
  for (const auto &[axis, partial] : partialInputs) {
    if (failed(checkBody(axis, partial)))
      return failure();
    if (op.getNumReductionLoops() &&
        (fold == algebra::Fold::None || combinerOf(fold) != *partialFold))
      return error() << "a " << stringifyCombiner(combinerOf(fold))
                     << " over a value that is still a partial "
                     << stringifyCombiner(*partialFold) << " along '"
                     << axis.str() << "'";
  }
  for (const auto &[axis, coordinate] : roots)
    if (partialInputs.count(axis))
      return error() << "'" << axis.str()
                     << "' is root for one operand and partial for another";
  return success();
}

Padding Inference::getResultPadding(unsigned loop, algebra::Fold fold) {
  Padding padding = getBodyPadding(op, inputs, loop);
  auto afterSum = [](Padding t) {
    if (t.kind != Padding::Constant || t.value == 0)
      return t;
    return std::isfinite(t.value) ? Padding::finite() : Padding::any();
  };
  if (fold == algebra::Fold::Sum ||
      (partialFold && *partialFold == Combiner::Sum))
    padding = afterSum(padding);
  // Where a reduction loop is in its padding too, the corner enters the fold.
  double neutral =
      algebra::getNeutral(fold, op.getBody()->getArguments().back().getType());
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  for (unsigned reduction : reductions) {
    if (!loops[reduction].dim.isPadded())
      continue;
    Padding corner = getBodyPadding(op, inputs, {loop, reduction});
    if (!corner.isConstant(neutral))
      padding = corner.kind == Padding::Any
                    ? Padding::any()
                    : joinPadding(padding, Padding::finite());
  }
  return padding;
}

FailureOr<LayoutAttr> Inference::run() {
  if (failed(collectLoops()) || failed(collectAxes()) || failed(checkPartial()))
    return failure();
  Value term;
  algebra::Fold fold = algebra::getFold(op, term);
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  SmallVector<Axis> partial;
  for (const auto &[axis, inputs] : partialInputs)
    partial.push_back(axis);
  for (unsigned loop : reductions)
    for (Axis axis : loops[loop].dim.getAxes()) {
      if (fold == algebra::Fold::None)
        return error() << "reduction loop d" << loop << " is split along '"
                       << axis.str()
                       << "' but its body is no sum, max or min of one value";
      partial.push_back(axis);
    }
  llvm::sort(partial);
  Combiner combiner = fold == algebra::Fold::Max   ? Combiner::Max
                      : fold == algebra::Fold::Min ? Combiner::Min
                                                   : Combiner::Sum;
  if (fold == algebra::Fold::None && partialFold)
    combiner = *partialFold;
  if (!partial.empty() && fold != algebra::Fold::None) {
    // G5: anything but the neutral element would count once per PE.
    std::optional<double> init = algebra::getNumber(op.getDpsInits().front());
    double neutral = algebra::getNeutral(
        fold, op.getBody()->getArguments().back().getType());
    if (!init || *init != neutral)
      return error() << "a split reduction starts from the neutral element "
                     << Padding::constant(neutral).str()
                     << ": add another start to the result";
  }
  if (std::optional<PaddingFault> fault = findPaddingFault(op, inputs)) {
    unsigned loop = fault->loops.front();
    InFlightDiagnostic diag = error();
    diag << "the padding of reduction loop";
    if (fault->loops.size() > 1)
      diag << "s d" << loop << " and d" << fault->loops.back();
    else
      diag << " d" << loop;
    diag << " (padded to " << loops[loop].padded << ", live "
         << loops[loop].dim.getLiveSize(loops[loop].padded) << ") is "
         << fault->found.str() << "; " << stringifyCombiner(combiner)
         << " needs " << Padding::constant(fault->needed).str()
         << ": mask an operand";
    return diag;
  }
  SmallVector<DimAttr> dims;
  for (AffineExpr expr : op.getIndexingMapsArray().back().getResults()) {
    unsigned loop = cast<AffineDimExpr>(expr).getPosition();
    DimAttr dim = loops[loop].dim;
    dims.push_back(
        dim.isPadded() ? dim.withPadding(getResultPadding(loop, fold)) : dim);
  }
  SmallVector<Axis> rootAxes;
  SmallVector<int64_t> coordinates;
  for (const auto &[axis, coordinate] : roots) {
    rootAxes.push_back(axis);
    coordinates.push_back(coordinate);
  }
  return LayoutAttr::get(op.getContext(), dims, partial,
                         partial.empty() ? Combiner::Sum : combiner, rootAxes,
                         coordinates);
}

FailureOr<LayoutAttr> partition::inferGeneric(linalg::GenericOp op,
                                              ArrayRef<RankedTensorType> inputs,
                                              RankedTensorType result,
                                              RegionAttr region,
                                              ErrorFn error) {
  for (AffineMap map : op.getIndexingMapsArray())
    if (!map.isProjectedPermutation())
      return error() << "map " << AffineMapAttr::get(map)
                     << " is no projected permutation";
  if (op->getNumResults() != 1)
    return error() << "has " << op->getNumResults()
                   << " results: split it into one op per result";
  if (op.hasIndexSemantics())
    return error() << "reads linalg.index, which is local: read an iota";
  return Inference{op, inputs, result, region, error, {}, {}, {}, {}, {}}.run();
}
