// tensor.expand_shape and collapse_shape: they vanish when dimensions are
// factored. What stays adds or drops dimensions of one element, or reshapes
// dimensions whose boundaries do not nest: those are whole on every PE.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using tensor::CollapseShapeOp;
using tensor::ExpandShapeOp;
using wafer::LayoutAttr;
using wafer::RegionAttr;

/// The side of a reshape with more dimensions, and the other one.
static RankedTensorType largerType(Operation *op) {
  return cast<RankedTensorType>(
      (isa<ExpandShapeOp>(op) ? op->getResult(0) : op->getOperand(0))
          .getType());
}

static RankedTensorType smallerType(Operation *op) {
  return cast<RankedTensorType>(
      (isa<ExpandShapeOp>(op) ? op->getOperand(0) : op->getResult(0))
          .getType());
}

static SmallVector<ReassociationIndices> groupsOf(Operation *op) {
  if (auto expand = dyn_cast<ExpandShapeOp>(op))
    return expand.getReassociationIndices();
  return cast<CollapseShapeOp>(op).getReassociationIndices();
}

/// The dimensions of `group` that have more than one element.
static SmallVector<int64_t> getLarge(Operation *op, ArrayRef<int64_t> group) {
  return llvm::filter_to_vector(
      group, [&](int64_t e) { return largerType(op).getDimSize(e) != 1; });
}

/// Is a dimension whole on every PE, and without padding?
static bool isWhole(wafer::DimAttr dim) {
  return dim.isWhole() && !dim.isPadded();
}

namespace {
template <typename Op>
struct ReshapeDimensions
    : DimensionOpInterface::ExternalModel<ReshapeDimensions<Op>, Op> {
  /// Of an op that stays.
  IterationSpace getIterationSpace(Operation *op) const {
    IterationSpace space;
    SmallVector<int> smaller, larger;
    auto fresh = static_cast<int>(smallerType(op).getRank());
    for (auto [d, group] : llvm::enumerate(groupsOf(op))) {
      auto loop = static_cast<int>(d);
      smaller.push_back(loop);
      SmallVector<int64_t> large = getLarge(op, group);
      if (large.size() > 1)
        space.whole.push_back(loop);
      for (int64_t e : group) {
        bool kept = large.size() == 1 && e == large.front();
        larger.push_back(kept ? loop : fresh++);
        if (large.size() > 1)
          space.whole.push_back(larger.back());
      }
    }
    // Without groups all dimensions have one element.
    while (static_cast<int64_t>(larger.size()) < largerType(op).getRank())
      larger.push_back(fresh++);
    bool expands = isa<ExpandShapeOp>(op);
    space.operands.push_back({0, expands ? smaller : larger});
    space.result = expands ? larger : smaller;
    return space;
  }

  LogicalResult relateDimensions(Operation *op, Boundaries &boundaries) const {
    Value smaller = op->getOperand(0), larger = op->getResult(0);
    if (!isa<ExpandShapeOp>(op))
      std::swap(smaller, larger);
    for (auto [d, group] : llvm::enumerate(groupsOf(op)))
      if (!boundaries.seesWhole(op, Yielding::Reshapes) ||
          getLarge(op, group).size() < 2)
        boundaries.relateFlat(smaller, {static_cast<int64_t>(d)}, larger,
                              group);
    return success();
  }

  /// A reshape of factored dimensions is its operand; of whole ones that are
  /// factored in another way, it goes through one dimension per group.
  LogicalResult factorDims(Operation *op, Factorizer &factorizer) const {
    Value source = op->getOperand(0), result = op->getResult(0);
    Value value = factorizer.get(source);
    if (value.getType() != factorizer.getType(result))
      value = reshapeWhole(op, value, factorizer);
    factorizer.bind(result, value);
    return success();
  }

  static Value reshapeWhole(Operation *op, Value value,
                            Factorizer &factorizer) {
    int64_t next = 0;
    bool expands = isa<ExpandShapeOp>(op);
    Value source = op->getOperand(0), result = op->getResult(0);
    for (auto [d, group] : llvm::enumerate(groupsOf(op))) {
      const int64_t whole[] = {static_cast<int64_t>(d)};
      ArrayRef<int64_t> one(whole), all(group);
      SmallVector<int64_t> from, to;
      for (int64_t e : expands ? one : all)
        llvm::append_range(from, factorizer.getFactors(source, e));
      for (int64_t e : expands ? all : one)
        llvm::append_range(to, factorizer.getFactors(result, e));
      if (from != to) {
        value = factorizer.merged(op->getLoc(), value, next, from.size());
        value = factorizer.cut(op->getLoc(), value, next, to);
      }
      next += static_cast<int64_t>(to.size());
    }
    return value;
  }
};

template <typename Op>
struct ReshapeLayouts
    : LayoutOpInterface::ExternalModel<ReshapeLayouts<Op>, Op> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<Op>(self);
    Value source = writer.getOperand(op, 0);
    writer.bind(op.getResult(),
                Op::create(writer.getBuilder(), op.getLoc(),
                           writer.getMovedType(op, source), source,
                           op.getReassociationIndices()));
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr region) const {
    if (failed(checkMoves(op)))
      return failure();
    bool expands = isa<ExpandShapeOp>(op);
    LayoutAttr smaller = wafer::getLayout(smallerType(op)),
               larger = wafer::getLayout(largerType(op));
    for (auto [d, group] : llvm::enumerate(groupsOf(op))) {
      SmallVector<int64_t> large = getLarge(op, group);
      if (large.size() > 1 && isWhole(smaller.getDim(d)) &&
          llvm::all_of(group,
                       [&](int64_t e) { return isWhole(larger.getDim(e)); }))
        continue;
      if (large.size() > 1)
        return op->emitOpError()
               << (expands ? "cuts" : "joins into") << " dimension " << d
               << ": partition-factor does so before layouts";
      int64_t kept = large.empty() ? group.back() : large.front();
      auto whole = static_cast<int64_t>(d);
      if (failed(checkKept(op, op->getOperand(0), expands ? whole : kept,
                           expands ? kept : whole, region)))
        return failure();
      for (int64_t e : group)
        if (e != kept && !larger.getDim(e).isWhole())
          return op->emitOpError()
                 << "splits dimension " << e << " of one element";
    }
    return success();
  }

  LogicalResult makeLocal(Operation *self, RegionAttr region) const {
    if (auto op = dyn_cast<ExpandShapeOp>(self))
      op.setStaticOutputShape(
          wafer::getLocalType(op.getResultType(), region).getShape());
    return success();
  }
};
} // namespace

void partition::addReshapeModels(MLIRContext &context) {
  ExpandShapeOp::attachInterface<ReshapeDimensions<ExpandShapeOp>,
                                 ReshapeLayouts<ExpandShapeOp>>(context);
  CollapseShapeOp::attachInterface<ReshapeDimensions<CollapseShapeOp>,
                                   ReshapeLayouts<CollapseShapeOp>>(context);
}
