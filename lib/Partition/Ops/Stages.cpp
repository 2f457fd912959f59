// wafer.send_recv, recv and send: what stages of one kind give to those of the
// other. Both are planned apart, so nothing is known of the padding of what is
// taken; how it lies, planning has pinned on one side.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Padding;
using wafer::RecvOp;
using wafer::RegionAttr;
using wafer::SendOp;
using wafer::SendRecvOp;

namespace {
/// All of what is sent has left sums behind, and of what is taken nothing is
/// claimed.
static LogicalResult checkMessages(Operation *op) {
  for (Value operand : op->getOperands())
    if (failed(checkPlain(op, operand.getType())))
      return failure();
  for (Value result : op->getResults())
    if (failed(checkSource(op, result, Padding::any())))
      return failure();
  return success();
}

/// The results of `copy` are written for those of `op`.
static void bindResults(Operation *op, Operation *copy, Writer &writer) {
  for (auto [old, fresh] :
       llvm::zip_equal(op->getResults(), copy->getResults()))
    writer.bind(old, fresh);
}

static SmallVector<Type> typesOf(ResultRange results, Writer &writer) {
  return llvm::map_to_vector(results, [&](Value result) -> Type {
    return writer.getType(result, Padding::any());
  });
}

struct SendRecvLayouts
    : LayoutOpInterface::ExternalModel<SendRecvLayouts, SendRecvOp> {
  LogicalResult readClasses(Operation *op, ClassReader &reader) const {
    for (auto [sent, taken] :
         llvm::zip_equal(op->getOperands(), op->getResults()))
      reader.joinAll(sent, taken);
    return success();
  }

  LogicalResult writeLayouts(Operation *op, Writer &writer) const {
    auto copy = SendRecvOp::create(writer.getBuilder(), op->getLoc(),
                                   typesOf(op->getResults(), writer),
                                   writer.getOperands(op));
    bindResults(op, copy, writer);
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkMessages(op);
  }
};

struct RecvLayouts : LayoutOpInterface::ExternalModel<RecvLayouts, RecvOp> {
  LogicalResult writeLayouts(Operation *op, Writer &writer) const {
    bindResults(op,
                RecvOp::create(writer.getBuilder(), op->getLoc(),
                               typesOf(op->getResults(), writer)),
                writer);
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkMessages(op);
  }
};

struct SendLayouts : LayoutOpInterface::ExternalModel<SendLayouts, SendOp> {
  LogicalResult writeLayouts(Operation *op, Writer &writer) const {
    SendOp::create(writer.getBuilder(), op->getLoc(), writer.getOperands(op));
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkMessages(op);
  }
};
} // namespace

void partition::addStageModels(MLIRContext &context) {
  SendRecvOp::attachInterface<NeverRerolled<SendRecvOp>, SendRecvLayouts>(
      context);
  RecvOp::attachInterface<NeverRerolled<RecvOp>, RecvLayouts>(context);
  SendOp::attachInterface<NeverRerolled<SendOp>, SendLayouts>(context);
}
