// Proves that a module of level 3 means what its types say: every layout is one
// that its tensor can have, every op accepts the layouts of its operands, and
// no result claims more of its padding than its op gives. Whoever wrote the
// layouts, planner or person, is not asked.

#include "Rules.h"

#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONVERIFY
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;
using wafer::RegionAttr;

/// Has a value of `op` a layout that is not whole on every PE?
static bool isDistributed(Operation *op) {
  auto distributed = [](Value value) {
    LayoutAttr layout = wafer::getLayout(value.getType());
    return layout && (!layout.getSplitAxes().empty() || layout.isPartial() ||
                      layout.hasRoot());
  };
  return llvm::any_of(op->getOperands(), distributed) ||
         llvm::any_of(op->getResults(), distributed);
}

/// A collective in a region of `op`.
static Operation *findCollective(Operation *op) {
  Operation *found = nullptr;
  op->walk([&](Operation *inner) {
    if (inner != op && inner->hasTrait<wafer::Collective>())
      found = inner;
  });
  return found;
}

static LogicalResult checkOp(Operation *op, RegionAttr region) {
  for (Value result : op->getResults())
    if (auto type = dyn_cast<RankedTensorType>(result.getType())) {
      LayoutAttr layout = wafer::getLayout(type);
      if (!layout)
        return op->emitOpError() << "gives " << type << " without a layout";
      if (failed(checkLayout(layout, type.getShape(), region,
                             [&] { return op->emitOpError(); })))
        return failure();
    }
  if (auto known = dyn_cast<LayoutOpInterface>(op))
    return known.verifyLayouts(region);
  if (op->hasTrait<OpTrait::ReturnLike>())
    return op->getNumOperands() == 0
               ? success()
               : op->emitOpError("returns values: what leaves an entry is a "
                                 "wafer.output");
  if (Operation *inner = findCollective(op))
    return op->emitOpError() << "decides whether '" << inner->getName()
                             << "' happens: PEs that disagree wait for ever, "
                                "so only wafer.repeat holds collectives";
  if (isDistributed(op))
    return op->emitOpError() << "has no rule for a value that is not whole on "
                                "every PE";
  return success();
}

namespace {
struct PartitionVerify : partition::impl::PartitionVerifyBase<PartitionVerify> {
  void runOnOperation() override {
    func::FuncOp entry = getOperation();
    RegionAttr region = wafer::getRegion(entry);
    if (!region) {
      entry.emitError("is in no program with a region: plan it first");
      return signalPassFailure();
    }
    bool failedAny = failed(wafer::verifyStages(entry));
    for (Value argument : entry.getArguments())
      if (isa<RankedTensorType>(argument.getType())) {
        entry.emitError("takes tensors as arguments, whose callers promise "
                        "nothing of layout and padding: read a wafer.input");
        failedAny = true;
        break;
      }
    // What stands in a generic is scalar.
    entry.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (op == entry)
        return WalkResult::advance();
      failedAny |= failed(checkOp(op, region));
      return isa<linalg::LinalgOp>(op) ? WalkResult::skip()
                                       : WalkResult::advance();
    });
    if (failedAny)
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
