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
