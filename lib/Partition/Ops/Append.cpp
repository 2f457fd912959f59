// wafer.append: new rows of a state, which stays where it lies. The dimension
// of positions is one, and cyclic: appends stay balanced.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::AppendOp;
using wafer::LayoutAttr;
using wafer::RegionAttr;

static int rankOf(Value value) {
  return static_cast<int>(cast<ShapedType>(value.getType()).getRank());
}

/// One row leaves the dimension of positions out.
static bool isOneRow(AppendOp op) {
  return rankOf(op.getUpdate()) < rankOf(op.getState());
}

namespace {
struct AppendDimensions
    : DimensionOpInterface::ExternalModel<AppendDimensions, AppendOp> {
  /// The dimensions of the state; new rows are a loop of their own.
  IterationSpace getIterationSpace(Operation *self) const {
    auto op = cast<AppendOp>(self);
    auto dim = static_cast<int>(op.getDim());
    int rank = rankOf(op.getState());
    IterationSpace space;
    SmallVector<int> update;
    for (int d = 0; d < rank; ++d) {
      space.result.push_back(d);
      if (d != dim)
        update.push_back(d);
      else if (!isOneRow(op))
        update.push_back(rank);
    }
    space.operands = {{1, space.result}, {0, update}};
    return space;
  }

  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<AppendOp>(self);
    auto dim = static_cast<int64_t>(op.getDim());
    size_t slots = factorizer.getFactors(op.getState(), dim).size();
    size_t rows =
        isOneRow(op) ? 0 : factorizer.getFactors(op.getUpdate(), dim).size();
    if (slots != 1 || rows > 1)
      return op.emitError()
             << "the dimension of positions is factored into " << slots
             << " factors and that of the new rows into " << rows
             << ": it must stay whole";
    int64_t factoredDim = factorizer.countBefore(op.getState(), dim);
    cast<AppendOp>(factorizer.clone(op)).setDim(factoredDim);
    return success();
  }
};

struct AppendLayouts
    : LayoutOpInterface::ExternalModel<AppendLayouts, AppendOp> {
  bool isStored(Operation *) const { return true; }

  LogicalResult readClasses(Operation *self, ClassReader &reader) const {
    auto op = cast<AppendOp>(self);
    auto dim = static_cast<int64_t>(op.getDim());
    IterationSpace space = cast<DimensionOpInterface>(self).getIterationSpace();
    if (isOneRow(op)) {
      reader.readLoops(op, space);
    } else {
      // New rows are whole on every PE, whatever split the tokens had.
      Ids saved = reader.getIds(op.getUpdate()), rows = saved;
      reader.keepWhole(reader.addChange(op, 0, rows, dim));
      reader.getIds(op.getUpdate()) = rows;
      reader.readLoops(op, space);
      reader.getIds(op.getUpdate()) = saved;
    }
    reader.keepCyclic(reader.getIds(op.getState())[dim]);
    return success();
  }

  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<AppendOp>(self);
    Value update = writer.maskGarbage(writer.getOperand(op, 0)),
          state = writer.get(op.getState());
    auto copy = AppendOp::create(
        writer.getBuilder(), op.getLoc(), state.getType(), update, state,
        writer.get(op.getPosition()), op.getDimAttr(), LayoutAttr());
    writer.bind(op.getResult(), copy.getResult());
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr region) const {
    auto op = cast<AppendOp>(self);
    LayoutAttr state = wafer::getLayout(op.getState().getType());
    LayoutAttr update = wafer::getLayout(op.getUpdate().getType());
    auto dim = static_cast<size_t>(op.getDim());
    bool oneRow = isOneRow(op);
    if (failed(checkStored(op, update)))
      return failure();
    for (size_t d = 0; d < state.getDims().size(); ++d) {
      if (d == dim) {
        if (!oneRow && !update.getDim(d).isWhole())
          return op.emitOpError("new rows are whole on every PE: gather them");
        continue;
      }
      if (failed(checkStored(op, d,
                             update.getDim(d - (oneRow && d > dim ? 1 : 0)),
                             state.getDim(d))))
        return failure();
    }
    return success();
  }

  LogicalResult makeLocal(Operation *self, RegionAttr) const {
    auto op = cast<AppendOp>(self);
    op.setLayoutAttr(wafer::getLayout(op.getState().getType()));
    return success();
  }

  bool rounds(Operation *self, unsigned index) const {
    auto op = cast<AppendOp>(self);
    return op->getOperand(index) == op.getUpdate() &&
           getElementTypeOrSelf(op.getState().getType()).isF16();
  }
};
} // namespace

void partition::addAppendModels(MLIRContext &context) {
  AppendOp::attachInterface<AppendDimensions, AppendLayouts>(context);
}
