// wafer.send_recv, recv and send at level 5, and the colors of streams between
// stages.

#include "StageStreams.h"

#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace waferloom;

void routing::leaveStreamColors(ModuleOp module, collectives::Costs &costs) {
  const unsigned all = costs.colors;
  for (auto entry : module.getOps<func::FuncOp>())
    if (wafer::getKind(entry) || wafer::getStagedRepeat(entry))
      costs.colors =
          all - std::min(all, fabric::StageSendRecvOp::getColorsOf(
                                  wafer::getStages(entry).getCount()));
}

void routing::convertStreams(ModuleOp module) {
  module.walk([](Operation *op) {
    OpBuilder builder(op);
    Operation *copy = nullptr;
    if (isa<wafer::SendRecvOp>(op))
      copy = fabric::StageSendRecvOp::create(builder, op->getLoc(),
                                             op->getResultTypes(),
                                             op->getOperands(), IntegerAttr());
    else if (isa<wafer::RecvOp>(op))
      copy = fabric::StageRecvOp::create(builder, op->getLoc(),
                                         op->getResultTypes(), IntegerAttr());
    else if (isa<wafer::SendOp>(op))
      copy = fabric::StageSendOp::create(builder, op->getLoc(),
                                         op->getOperands(), IntegerAttr());
    else
      return;
    op->replaceAllUsesWith(copy);
    op->erase();
  });
}
