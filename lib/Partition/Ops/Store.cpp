// wafer.store: a state is filled anew. What fills it lies as the state does.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Writer.h"

#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::LayoutAttr;
using wafer::RegionAttr;
using wafer::StoreOp;

namespace {
struct StoreDimensions
    : DimensionOpInterface::ExternalModel<StoreDimensions, StoreOp> {
  IterationSpace getIterationSpace(Operation *self) const {
    auto type = cast<ShapedType>(cast<StoreOp>(self).getState().getType());
    const auto dims =
        llvm::to_vector(llvm::seq<int>(0, static_cast<int>(type.getRank())));
    IterationSpace space;
    space.operands = {{0, dims}, {1, dims}};
    return space;
  }
};

struct StoreLayouts : LayoutOpInterface::ExternalModel<StoreLayouts, StoreOp> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<StoreOp>(self);
    StoreOp::create(writer.getBuilder(), op.getLoc(),
                    writer.maskGarbage(writer.getOperand(op, 0)),
                    writer.get(op.getState()));
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr) const {
    auto op = cast<StoreOp>(self);
    LayoutAttr state = wafer::getLayout(op.getState().getType());
    LayoutAttr update = wafer::getLayout(op.getUpdate().getType());
    if (failed(checkStored(op, update)))
      return failure();
    for (auto [d, dims] :
         llvm::enumerate(llvm::zip_equal(update.getDims(), state.getDims())))
      if (failed(checkStored(op, d, std::get<0>(dims), std::get<1>(dims))))
        return failure();
    return success();
  }

  bool rounds(Operation *self, unsigned index) const {
    auto op = cast<StoreOp>(self);
    return self->getOperand(index) == op.getUpdate() &&
           getElementTypeOrSelf(op.getState().getType()).isF16();
  }
};
} // namespace

void partition::addStoreModels(MLIRContext &context) {
  StoreOp::attachInterface<StoreDimensions, StoreLayouts>(context);
}
