#include "waferloom/Dialect/Wafer/Layers.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

/// Whether each trip of `repeat` has a weight or a state of its own.
static bool hasWeightsByTrip(RepeatOp repeat) {
  return repeat.getBody()
      .walk([](StoredOpInterface op) {
        return op.getStoredNames().size() > 1 ? WalkResult::interrupt()
                                              : WalkResult::advance();
      })
      .wasInterrupted();
}

SmallVector<RepeatOp> wafer::getLayersCandidates(func::FuncOp entry) {
  SmallVector<RepeatOp> all =
      llvm::to_vector(entry.getBody().getOps<RepeatOp>());
  SmallVector<RepeatOp> found = llvm::filter_to_vector(all, hasWeightsByTrip);
  return found.empty() ? all : found;
}

RepeatOp wafer::getLayersRepeat(func::FuncOp entry) {
  SmallVector<RepeatOp> found = getLayersCandidates(entry);
  return found.size() == 1 ? found.front() : RepeatOp();
}
