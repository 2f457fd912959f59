// What the result of an op may claim. An op that gives a layout of its own
// compares it with the claim; one that hands dimensions on compares them one by
// one.

#include "Checks.h"

#include "Rules.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;
using wafer::RegionAttr;

bool partition::implies(Padding known, Padding claimed) {
  return claimed.kind == Padding::Any || joinPadding(known, claimed) == claimed;
}

/// Whether the padding of a dimension is what the result's type says of it.
static LogicalResult checkPadding(Operation *op, DimAttr have, DimAttr says,
                                  size_t dim) {
  if (!says.isPadded() || implies(have.getPadding(), says.getPadding()))
    return success();
  return op->emitOpError() << "leaves " << have.getPadding().str()
                           << " in the padding of dimension " << dim
                           << " but its result claims "
                           << says.getPadding().str();
}

LogicalResult partition::checkClaim(Operation *op, LayoutAttr given,
                                    RankedTensorType type, RegionAttr region) {
  LayoutAttr claimed = wafer::getLayout(type);
  if (given.getPartial() != claimed.getPartial() ||
      (given.isPartial() && given.getCombiner() != claimed.getCombiner()) ||
      given.getRootAxes() != claimed.getRootAxes() ||
      given.getRootCoordinates() != claimed.getRootCoordinates())
    return op->emitOpError()
           << "gives " << given << " but its result claims " << claimed
           << ": all-reduce it behind the op, not in its type";
  for (auto [d, pair] :
       llvm::enumerate(llvm::zip(given.getDims(), claimed.getDims()))) {
    auto [have, says] = pair;
    int64_t size = type.getDimSize(d);
    if (have.resolve(size, region) != says.resolve(size, region) ||
        have.getLiveSize(size) != says.getLiveSize(size))
      return op->emitOpError() << "gives " << given << " but its result claims "
                               << claimed << " in dimension " << d;
    if (failed(checkPadding(op, have, says, d)))
      return failure();
  }
  return success();
}

LogicalResult partition::checkPlain(Operation *op, Type type) {
  LayoutAttr layout = wafer::getLayout(type);
  if (layout.isPartial() || layout.hasRoot())
    return op->emitOpError() << "has layout " << layout
                             << ", but what enters, leaves or stays is partial "
                                "nowhere and lives everywhere";
  return success();
}

LogicalResult partition::checkSource(Operation *op, Padding promised) {
  return checkSource(op, op->getResult(0), promised);
}

LogicalResult partition::checkSource(Operation *op, Value result,
                                     Padding promised) {
  auto type = cast<RankedTensorType>(result.getType());
  if (failed(checkPlain(op, type)))
    return failure();
  for (auto [d, dim] : llvm::enumerate(wafer::getLayout(type).getDims()))
    if (dim.isPadded() && !implies(promised, dim.getPadding()))
      return op->emitOpError()
             << "promises " << promised.str() << " in the padding of dimension "
             << d << " but its type claims " << dim.getPadding().str();
  return success();
}

LogicalResult partition::checkKept(Operation *op, Value from, int64_t dim,
                                   int64_t resultDim, RegionAttr region) {
  auto source = cast<RankedTensorType>(from.getType());
  auto target = cast<RankedTensorType>(op->getResult(0).getType());
  DimAttr have = wafer::getLayout(source).getDim(dim),
          says = wafer::getLayout(target).getDim(resultDim);
  int64_t size = source.getDimSize(dim), now = target.getDimSize(resultDim);
  if (size != now)
    return op->emitOpError() << "padded size of dimension " << resultDim
                             << " differs between source (" << size
                             << ") and target (" << now << ")";
  if (have.resolve(size, region) != says.resolve(now, region) ||
      have.getLiveSize(size) != says.getLiveSize(now))
    return op->emitOpError()
           << "gives dimension " << resultDim << " as "
           << wafer::getLayout(source) << " has dimension " << dim
           << ", but its result claims " << wafer::getLayout(target);
  return checkPadding(op, have, says, static_cast<size_t>(resultDim));
}

LogicalResult partition::checkWhole(Operation *op, Value value, int64_t dim) {
  if (wafer::getLayout(value.getType()).getDim(dim).isWhole())
    return success();
  return op->emitOpError() << "cuts dimension " << dim
                           << ", which is split: gather it first";
}

LogicalResult partition::checkStored(Operation *op, LayoutAttr update) {
  if (update.isPartial() || update.hasRoot())
    return op->emitOpError("stores a value that is still partial "
                           "or lives at a root");
  return success();
}

LogicalResult partition::checkStored(Operation *op, size_t dim, DimAttr from,
                                     DimAttr state) {
  if (from.getDigits() != state.getDigits() ||
      from.getCyclic() != state.getCyclic())
    return op->emitOpError() << "dimension " << dim
                             << " of the update is split otherwise than "
                                "that of the state";
  if (from.isPadded() && !implies(from.getPadding(), state.getPadding()))
    return op->emitOpError() << "stores " << from.getPadding().str()
                             << " into the padding of dimension " << dim
                             << ", where the state promises "
                             << state.getPadding().str() << ": mask the update";
  return success();
}

LogicalResult partition::checkMoves(Operation *op) {
  auto plain = [](Value value) {
    LayoutAttr layout = wafer::getLayout(value.getType());
    return !layout || (!layout.isPartial() && !layout.hasRoot());
  };
  if (llvm::all_of(op->getOperands(), plain) && plain(op->getResult(0)))
    return success();
  return op->emitOpError("moves a value that is partial or lives at a root: "
                         "all-reduce it first");
}
