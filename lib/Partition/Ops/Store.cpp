// wafer.store: a state is filled anew. What fills it lies as the state does.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Writer.h"

#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;
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
    Value update = writer.getOperand(op, 0), state = writer.get(op.getState());
    // A state promises finite numbers, so no garbage may be stored.
    LayoutAttr layout = wafer::getLayout(update.getType());
    for (auto [d, dim] : llvm::enumerate(layout.getDims()))
      if (dim.isPadded() && dim.getPadding().kind == Padding::Any)
        update = writer.mask(update, d, 0);
    StoreOp::create(writer.getBuilder(), op.getLoc(), update, state);
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr) const {
    auto op = cast<StoreOp>(self);
    LayoutAttr state = wafer::getLayout(op.getState().getType());
    LayoutAttr update = wafer::getLayout(op.getUpdate().getType());
    if (update.isPartial() || update.hasRoot())
      return op.emitOpError("stores a value that is still partial "
                            "or lives at a root");
    for (auto [d, dims] :
         llvm::enumerate(llvm::zip_equal(update.getDims(), state.getDims()))) {
      auto [from, to] = dims;
      if (from.getDigits() != to.getDigits() ||
          from.getCyclic() != to.getCyclic())
        return op.emitOpError() << "dimension " << d
                                << " of the update is split otherwise than "
                                   "that of the state";
      if (from.isPadded() && !implies(from.getPadding(), to.getPadding()))
        return op.emitOpError() << "stores " << from.getPadding().str()
                                << " into the padding of dimension " << d
                                << ", where the state promises "
                                << to.getPadding().str() << ": mask the update";
    }
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
