// Rewrites every op over the factors of its dimensions (Boundaries.cpp finds
// them); each op says how (DimensionOpInterface::factorDims).

#include "Factorizer.h"

#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONFACTOR
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

int64_t Factorizer::countBefore(Value value, int64_t dim) {
  int64_t count = 0;
  for (int64_t d = 0; d < dim; ++d)
    count += boundaries.getFactors(value, d).size();
  return count;
}

/// The groups of a reshape between `rank` dimensions and as many where `count`
/// from `first` on are one.
static SmallVector<ReassociationIndices> groupsOf(int64_t rank, int64_t first,
                                                  int64_t count) {
  SmallVector<ReassociationIndices> groups;
  for (int64_t d = 0; d < rank; ++d)
    if (d > first && d < first + count)
      groups.back().push_back(d);
    else
      groups.push_back({d});
  return groups;
}

/// The groups of a reshape that adds or drops a dimension of one element at
/// `dim` of `rank`: it joins the one behind it, or the last.
static SmallVector<ReassociationIndices> groupsOfUnit(int64_t rank,
                                                      int64_t dim) {
  if (rank == 1)
    return {};
  return groupsOf(rank, std::min(dim, rank - 2), 2);
}

Value Factorizer::merged(Location loc, Value value, int64_t first,
                         size_t count) {
  auto type = cast<RankedTensorType>(value.getType());
  if (count == 1)
    return value;
  SmallVector<int64_t> shape(type.getShape());
  if (count == 0) {
    shape.insert(shape.begin() + first, 1);
    return tensor::ExpandShapeOp::create(
        builder, loc, type.clone(shape), value,
        groupsOfUnit(type.getRank() + 1, first));
  }
  for (size_t i = 1; i < count; ++i) {
    shape[first] *= shape[first + 1];
    shape.erase(shape.begin() + first + 1);
  }
  return tensor::CollapseShapeOp::create(
      builder, loc, type.clone(shape), value,
      groupsOf(type.getRank(), first, static_cast<int64_t>(count)));
}

Value Factorizer::cut(Location loc, Value value, int64_t dim,
                      ArrayRef<int64_t> factors) {
  auto type = cast<RankedTensorType>(value.getType());
  if (factors.size() == 1)
    return value;
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + dim);
  shape.insert(shape.begin() + dim, factors.begin(), factors.end());
  if (factors.empty())
    return tensor::CollapseShapeOp::create(builder, loc, type.clone(shape),
                                           value,
                                           groupsOfUnit(type.getRank(), dim));
  return tensor::ExpandShapeOp::create(
      builder, loc, type.clone(shape), value,
      groupsOf(static_cast<int64_t>(shape.size()), dim,
               static_cast<int64_t>(factors.size())));
}

Operation *Factorizer::clone(Operation *op) {
  Operation *copy = builder.clone(*op, map);
  for (auto [from, to] : llvm::zip(op->getResults(), copy->getResults()))
    if (isa<ShapedType>(from.getType()))
      to.setType(boundaries.getType(from));
  return copy;
}

void partition::cloneFactored(Operation *op, Factorizer &factorizer) {
  factorizer.clone(op);
}

LogicalResult Factorizer::factorBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (auto known = dyn_cast<DimensionOpInterface>(op)) {
      if (failed(known.factorDims(*this)))
        return failure();
    } else {
      clone(&op);
    }
  return success();
}

LogicalResult Factorizer::factorEntry(func::FuncOp entry) {
  if (!entry.getBody().hasOneBlock())
    return entry.emitError("an entry has one block");
  Block &block = entry.getBody().front();
  // The new ops stand in a block of their own until all of them exist.
  Block fresh;
  builder.setInsertionPointToEnd(&fresh);
  if (failed(factorBlock(block))) {
    fresh.dropAllDefinedValueUses();
    return failure();
  }
  Operation *end = block.getTerminator();
  while (Operation *last = end->getPrevNode())
    last->erase();
  block.getOperations().splice(end->getIterator(), fresh.getOperations());
  return success();
}

namespace {
struct PartitionFactor : partition::impl::PartitionFactorBase<PartitionFactor> {
  void runOnOperation() override {
    Boundaries boundaries;
    if (failed(boundaries.compute(getOperation())))
      return signalPassFailure();
    SymbolTable symbols(getOperation());
    for (auto entry : getOperation().getOps<func::FuncOp>())
      if (failed(Factorizer(boundaries, symbols).factorEntry(entry)))
        return signalPassFailure();
  }
};
} // namespace
