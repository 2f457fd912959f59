// The order in which rerolling reads the ops of a block: what is no part of a
// layer first.

#include "LayerOrder.h"
#include "Sameness.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

namespace {
/// What an op depends on, of all that stays from step to step.
struct Stored {
  Operation *table = nullptr; // one weight, from which rows may be taken
  bool isLayered = false;     // more
  bool isOfStep = false;      // on an input or the position, too
};
} // namespace

/// What depends on the inputs of a step alone is no part of a layer; with
/// shared tables, nor is what depends on one weight, too; with shared rows, on
/// both (a gain that is widened is its layer's).
static Stored storedOf(Operation *op, Tables tables,
                       const llvm::DenseMap<Operation *, Stored> &known) {
  if (op->getNumResults() == 0) // the model ends with it
    return {nullptr, true};
  if (isa<wafer::StoredOpInterface>(op)) {
    if (tables == Tables::OfALayer || !isMemoryEffectFree(op))
      return {nullptr, true};
    return {op, false};
  }
  Stored sum;
  sum.isOfStep = isa<wafer::InputOp, wafer::PositionOp>(op);
  for (Value operand : op->getOperands()) {
    Stored other = known.lookup(operand.getDefiningOp());
    sum.isLayered |= other.isLayered ||
                     (sum.table && other.table && sum.table != other.table);
    if (other.table)
      sum.table = other.table;
    sum.isOfStep |= other.isOfStep;
  }
  sum.isLayered |= tables == Tables::RowsShared && sum.table && !sum.isOfStep;
  return sum;
}

std::vector<Operation *> partition::inLayerOrder(Block &block, Tables tables) {
  llvm::DenseMap<Operation *, Stored> known;
  std::vector<Operation *> shared, layered;
  for (Operation &op : block.without_terminator()) {
    const Stored stored = storedOf(&op, tables, known);
    known[&op] = stored;
    if (!isSource(&op))
      (stored.isLayered ? layered : shared).push_back(&op);
  }
  shared.insert(shared.end(), layered.begin(), layered.end());
  return shared;
}
