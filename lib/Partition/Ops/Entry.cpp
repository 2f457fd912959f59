// wafer.input, position and output: what enters and leaves a step.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::DimAttr;
using wafer::InputOp;
using wafer::LayoutAttr;
using wafer::OutputOp;
using wafer::Padding;
using wafer::PositionOp;
using wafer::RegionAttr;

namespace {
/// Does every PE need all of an input? Of tokens that stream, each PE takes one
/// after the other; what a step leaves for the next one is computed on every
/// PE.
static bool isNeededWhole(InputOp op) {
  auto entry = op->getParentOfType<func::FuncOp>();
  for (wafer::EntryOp streamed :
       wafer::getProgram(op).getStreamed(entry.getName()))
    if (streamed.getTokens() > 1 && streamed.getTokenDim(op.getName()))
      return true;
  return llvm::any_of(entry.getOps<OutputOp>(), [&](OutputOp output) {
    return output.getFeeds() == op.getName();
  });
}

struct InputLayouts : LayoutOpInterface::ExternalModel<InputLayouts, InputOp> {
  /// The host gives every PE what lies on it. What must be whole is sliced
  /// where it is read split.
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<InputOp>(self);
    RankedTensorType type =
        writer.getType(op.getResult(), Padding::constant(0));
    if (!isNeededWhole(op)) {
      writer.cloneWith(op, type);
      return success();
    }
    SmallVector<DimAttr> dims;
    for (DimAttr dim : wafer::getLayout(type).getDims())
      dims.push_back(dim.withoutAxes(dim.getAxes()));
    Operation *copy = writer.cloneWith(
        op, withLayout(type, LayoutAttr::get(op.getContext(), dims)));
    writer.bind(op.getResult(),
                writer.changeToClasses(copy->getResult(0), op.getResult()));
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkSource(op, Padding::constant(0));
  }

  LogicalResult makeLocal(Operation *op, RegionAttr) const {
    keepLayout(cast<InputOp>(op));
    return success();
  }
};

struct PositionLayouts
    : LayoutOpInterface::ExternalModel<PositionLayouts, PositionOp> {
  LogicalResult writeLayouts(Operation *op, Writer &writer) const {
    writer.cloneWith(op, writer.getType(op->getResult(0), Padding::finite()));
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkSource(op, Padding::finite());
  }
};

struct OutputLayouts
    : LayoutOpInterface::ExternalModel<OutputLayouts, OutputOp> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<OutputOp>(self);
    OutputOp::create(writer.getBuilder(), op.getLoc(), op.getName(),
                     writer.get(op.getValue()), op.getFeedsAttr(),
                     LayoutAttr());
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkPlain(op, cast<OutputOp>(op).getValue().getType());
  }

  LogicalResult makeLocal(Operation *self, RegionAttr) const {
    auto op = cast<OutputOp>(self);
    op.setLayoutAttr(wafer::getLayout(op.getValue().getType()));
    return success();
  }
};
} // namespace

void partition::addEntryModels(MLIRContext &context) {
  InputOp::attachInterface<NeverRerolled<InputOp>, InputLayouts>(context);
  PositionOp::attachInterface<NeverRerolled<PositionOp>, PositionLayouts>(
      context);
  OutputOp::attachInterface<NeverRerolled<OutputOp>, OutputLayouts>(context);
}
