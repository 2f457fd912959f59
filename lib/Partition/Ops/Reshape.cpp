// tensor.expand_shape and collapse_shape: they vanish when dimensions are
// factored. What stays afterwards adds dimensions of one element.

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

/// A reshape of factored dimensions is its operand.
static LogicalResult vanish(Operation *op, Factorizer &factorizer) {
  Value source = op->getOperand(0), result = op->getResult(0);
  if (factorizer.getType(source) != factorizer.getType(result))
    return op->emitError("reshape does not vanish after factoring");
  factorizer.bind(result, factorizer.get(source));
  return success();
}

/// The dimensions of `group` that have more than one element.
static SmallVector<int64_t> getLarge(ExpandShapeOp op,
                                     ArrayRef<int64_t> group) {
  return llvm::filter_to_vector(
      group, [&](int64_t e) { return op.getResultType().getDimSize(e) != 1; });
}

/// Is a dimension whole on every PE, and without padding?
static bool isWhole(wafer::DimAttr dim) {
  return dim.isWhole() && !dim.isPadded();
}

namespace {
struct ExpandDimensions
    : DimensionOpInterface::ExternalModel<ExpandDimensions, ExpandShapeOp> {
  /// Of an op that stays.
  IterationSpace getIterationSpace(Operation *self) const {
    auto op = cast<ExpandShapeOp>(self);
    IterationSpace space;
    SmallVector<int> source;
    auto fresh = static_cast<int>(op.getSrcType().getRank());
    for (auto [d, group] : llvm::enumerate(op.getReassociationIndices())) {
      auto loop = static_cast<int>(d);
      source.push_back(loop);
      SmallVector<int64_t> large = getLarge(op, group);
      if (large.size() > 1)
        space.whole.push_back(loop);
      for (int64_t e : group) {
        bool kept = large.size() == 1 && e == large.front();
        space.result.push_back(kept ? loop : fresh++);
        if (large.size() > 1)
          space.whole.push_back(space.result.back());
      }
    }
    space.operands.push_back({0, source});
    return space;
  }

  LogicalResult relateDimensions(Operation *self,
                                 Boundaries &boundaries) const {
    auto op = cast<ExpandShapeOp>(self);
    for (auto [d, group] : llvm::enumerate(op.getReassociationIndices()))
      boundaries.relateFlat(op.getSrc(), {static_cast<int64_t>(d)},
                            op.getResult(), group);
    return success();
  }

  LogicalResult factorDims(Operation *op, Factorizer &factorizer) const {
    return vanish(op, factorizer);
  }
};

struct CollapseDimensions
    : DimensionOpInterface::ExternalModel<CollapseDimensions, CollapseShapeOp> {
  LogicalResult relateDimensions(Operation *self,
                                 Boundaries &boundaries) const {
    auto op = cast<CollapseShapeOp>(self);
    for (auto [d, group] : llvm::enumerate(op.getReassociationIndices()))
      boundaries.relateFlat(op.getSrc(), group, op.getResult(),
                            {static_cast<int64_t>(d)});
    return success();
  }

  LogicalResult factorDims(Operation *op, Factorizer &factorizer) const {
    return vanish(op, factorizer);
  }
};

struct ExpandLayouts
    : LayoutOpInterface::ExternalModel<ExpandLayouts, ExpandShapeOp> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<ExpandShapeOp>(self);
    Value source = writer.getOperand(op, 0);
    writer.bind(op.getResult(),
                ExpandShapeOp::create(writer.getBuilder(), op.getLoc(),
                                      writer.getMovedType(op, source), source,
                                      op.getReassociationIndices()));
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr region) const {
    auto op = cast<ExpandShapeOp>(self);
    if (failed(checkMoves(op)))
      return failure();
    LayoutAttr source = wafer::getLayout(op.getSrcType()),
               result = wafer::getLayout(op.getResultType());
    for (auto [d, group] : llvm::enumerate(op.getReassociationIndices())) {
      SmallVector<int64_t> large = getLarge(op, group);
      if (large.size() > 1 && isWhole(source.getDim(d)) &&
          llvm::all_of(group,
                       [&](int64_t e) { return isWhole(result.getDim(e)); }))
        continue;
      if (large.size() > 1)
        return op->emitOpError() << "cuts dimension " << d
                                 << ": partition-factor does so before layouts";
      int64_t kept = large.empty() ? group.back() : large.front();
      if (failed(checkKept(op, op.getSrc(), d, kept, region)))
        return failure();
      for (int64_t e : group)
        if (e != kept && !result.getDim(e).isWhole())
          return op->emitOpError()
                 << "splits dimension " << e << " of one element";
    }
    return success();
  }

  LogicalResult makeLocal(Operation *self, RegionAttr region) const {
    auto op = cast<ExpandShapeOp>(self);
    op.setStaticOutputShape(
        wafer::getLocalType(op.getResultType(), region).getShape());
    return success();
  }
};
} // namespace

void partition::addReshapeModels(MLIRContext &context) {
  ExpandShapeOp::attachInterface<ExpandDimensions, ExpandLayouts>(context);
  CollapseShapeOp::attachInterface<CollapseDimensions>(context);
}
