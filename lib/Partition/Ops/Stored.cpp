// wafer.parameter and state: what stays in the memory of the PEs. All entries
// and trips read it in one layout.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Padding;
using wafer::ParameterOp;
using wafer::RegionAttr;
using wafer::StateOp;
using wafer::StoredOpInterface;

/// What lies beyond the live elements: zeros behind those of a file, what other
/// steps left behind those of a state.
static Padding getPadding(Operation *op) {
  return isa<ParameterOp>(op) ? Padding::constant(0) : Padding::finite();
}

namespace {
template <typename Op>
struct StoredDimensions
    : DimensionOpInterface::ExternalModel<StoredDimensions<Op>, Op> {
  LogicalResult relateDimensions(Operation *op, Boundaries &boundaries) const {
    const bool isWhole =
        isa<ParameterOp>(op) && boundaries.seesWhole(op, Yielding::Weights);
    for (Attribute name : cast<StoredOpInterface>(op).getStoredNames()) {
      if (isWhole)
        boundaries.separateReaders(name);
      if (!boundaries.areReadersSeparate(name))
        boundaries.relateSymbol(name, op->getResult(0));
    }
    return success();
  }

  LogicalResult factorDims(Operation *op, Factorizer &factorizer) const {
    Attribute first = cast<StoredOpInterface>(op).getStoredNames()[0];
    if (!factorizer.areReadersSeparate(first)) {
      factorizer.clone(op);
      return success();
    }
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Operation *whole = factorizer.clone(op);
    whole->getResult(0).setType(
        RankedTensorType::get({type.getNumElements()}, type.getElementType()));
    factorizer.bind(
        op->getResult(0),
        factorizer.cut(op->getLoc(), whole->getResult(0), 0,
                       factorizer.getType(op->getResult(0)).getShape()));
    return success();
  }

  Rerolling getRerolling(Operation *) const { return Rerolling::Source; }
};

template <typename Op>
struct StoredLayouts : LayoutOpInterface::ExternalModel<StoredLayouts<Op>, Op> {
  bool isStored(Operation *) const { return true; }

  LogicalResult readClasses(Operation *op, ClassReader &reader) const {
    return reader.readStored(op, cast<StoredOpInterface>(op).getStoredNames());
  }

  LogicalResult writeLayouts(Operation *op, Writer &writer) const {
    writer.cloneWith(op, writer.getType(op->getResult(0), getPadding(op)));
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkSource(op, getPadding(op));
  }

  LogicalResult makeLocal(Operation *op, RegionAttr) const {
    keepLayout(cast<Op>(op));
    return success();
  }
};
} // namespace

void partition::addStoredModels(MLIRContext &context) {
  ParameterOp::attachInterface<StoredDimensions<ParameterOp>,
                               StoredLayouts<ParameterOp>>(context);
  StateOp::attachInterface<StoredDimensions<StateOp>, StoredLayouts<StateOp>>(
      context);
}
