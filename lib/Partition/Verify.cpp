// Proves that a module of level 3 means what its types say: every layout is one
// that its tensor can have, every op accepts the layouts of its operands, and
// no result claims more of its tail than its op gives. Whoever wrote the
// layouts, planner or person, is not asked.

#include "Rules.h"

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

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
using wafer::RegionAttr;
using wafer::Tail;

/// Does knowing `known` justify the claim `claimed`?
static bool implies(Tail known, Tail claimed) {
  return claimed.kind == Tail::Any || joinTails(known, claimed) == claimed;
}

/// Checks a claimed layout against the one that the op gives.
static LogicalResult checkClaim(Operation *op, LayoutAttr given,
                                RankedTensorType type, RegionAttr region) {
  LayoutAttr claimed = wafer::getLayout(type);
  if (given.getPartial() != claimed.getPartial() ||
      (given.isPartial() && given.getCombiner() != claimed.getCombiner()) ||
      given.getRootAxes() != claimed.getRootAxes() ||
      given.getRootCoordinates() != claimed.getRootCoordinates())
    return op->emitOpError()
           << "gives " << given << " but its result claims " << claimed
           << ": combine it behind the op, not in its type";
  for (auto [d, pair] :
       llvm::enumerate(llvm::zip(given.getDims(), claimed.getDims()))) {
    auto [have, says] = pair;
    int64_t size = type.getDimSize(d);
    if (have.resolve(size, region) != says.resolve(size, region) ||
        have.getLiveSize(size) != says.getLiveSize(size))
      return op->emitOpError() << "gives " << given << " but its result claims "
                               << claimed << " in dimension " << d;
    if (says.isPadded() && !implies(have.getTail(), says.getTail()))
      return op->emitOpError()
             << "leaves " << have.getTail().str()
             << " in the tail of dimension " << d << " but its result claims "
             << says.getTail().str();
  }
  return success();
}

/// A type without a partial sum or root, for what enters, leaves or stays.
static LogicalResult checkPlain(Operation *op, Type type) {
  LayoutAttr layout = wafer::getLayout(type);
  if (layout.isPartial() || layout.hasRoot())
    return op->emitOpError() << "has layout " << layout
                             << ", but what enters, leaves or stays is owed "
                                "nothing and lives everywhere";
  return success();
}

/// The tail that a source promises.
static LogicalResult checkSource(Operation *op, Tail promised) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (failed(checkPlain(op, type)))
    return failure();
  for (auto [d, dim] : llvm::enumerate(wafer::getLayout(type).getDims()))
    if (dim.isPadded() && !implies(promised, dim.getTail()))
      return op->emitOpError()
             << "promises " << promised.str() << " in the tail of dimension "
             << d << " but its type claims " << dim.getTail().str();
  return success();
}

static LogicalResult checkLookup(wafer::LookupOp op) {
  LayoutAttr table = wafer::getLayout(op.getTable().getType());
  LayoutAttr indices = wafer::getLayout(op.getIndices().getType());
  LayoutAttr result = wafer::getLayout(op.getResult().getType());
  SmallVector<Axis> rows = table.getDim(0).getAxes();
  llvm::sort(rows);
  for (Axis axis : indices.getSplitAxes())
    if (llvm::is_contained(table.getSplitAxes(), axis))
      return op.emitOpError() << "ids are split along '" << axis.str()
                              << "', which splits the table: gather them first";
  if (indices.isPartial() || table.isPartial())
    return op.emitOpError("reads a value that is still owed a combination");
  if (!rows.empty() && !op.getRows())
    return op.emitOpError("has a table whose rows are split and needs their "
                          "numbers in 'rows'");
  if (result.getPartial() != ArrayRef<Axis>(rows))
    return op.emitOpError() << "finds its rows on some PEs along the axes of "
                            << "dimension 0 of the table only, so its result "
                               "is partial there";
  return success();
}

/// Slices and concats want the dimensions they cut whole on every PE.
static LogicalResult checkWhole(Operation *op, Value value, int64_t dim) {
  DimAttr entry = wafer::getLayout(value.getType()).getDim(dim);
  if (!entry.isWhole())
    return op->emitOpError()
           << "cuts dimension " << dim << ", which is split: gather it first";
  if (entry.isPadded() && isa<tensor::ConcatOp>(op))
    return op->emitOpError()
           << "joins along dimension " << dim << ", which is padded";
  return success();
}

static LogicalResult checkAppend(wafer::AppendOp op, RegionAttr region) {
  LayoutAttr state = wafer::getLayout(op.getState().getType());
  LayoutAttr update = wafer::getLayout(op.getUpdate().getType());
  auto dim = static_cast<size_t>(op.getDim());
  bool oneRow = update.getDims().size() < state.getDims().size();
  if (update.isPartial())
    return op.emitOpError("stores a value that is still owed a combination");
  for (size_t d = 0; d < state.getDims().size(); ++d) {
    if (d == dim) {
      if (!oneRow && !update.getDim(d).isWhole())
        return op.emitOpError("new rows are whole on every PE: gather them");
      continue;
    }
    DimAttr from = update.getDim(d - (oneRow && d > dim ? 1 : 0));
    if (from.getDigits() != state.getDim(d).getDigits())
      return op.emitOpError() << "dimension " << d
                              << " of the update is split otherwise than that "
                                 "of the state";
    if (from.isPadded() && !implies(from.getTail(), state.getDim(d).getTail()))
      return op.emitOpError()
             << "stores " << from.getTail().str() << " into the tail of "
             << "dimension " << d << ", where the state promises "
             << state.getDim(d).getTail().str() << ": mask the update";
  }
  return success();
}

static LogicalResult checkMove(Operation *op) {
  for (Value operand : op->getOperands()) {
    LayoutAttr layout = wafer::getLayout(operand.getType());
    if (layout && (layout.isPartial() || layout.hasRoot()))
      return op->emitOpError(
          "moves a value that is partial or lives at a root: "
          "combine it first");
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    for (int64_t d = 0; d < slice.getSourceType().getRank(); ++d)
      if (slice.getStaticSize(d) != slice.getSourceType().getDimSize(d) &&
          failed(checkWhole(op, slice.getSource(), d)))
        return failure();
  } else if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
    for (Value piece : concat.getInputs())
      if (failed(checkWhole(op, piece, concat.getDim())))
        return failure();
  }
  return success();
}

static LogicalResult checkGeneric(linalg::GenericOp op, RegionAttr region) {
  SmallVector<RankedTensorType> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(dyn_cast<RankedTensorType>(input.getType()));
  auto type = dyn_cast<RankedTensorType>(op.getResult(0).getType());
  FailureOr<LayoutAttr> given =
      inferGeneric(op, inputs, type, region, [&] { return op.emitOpError(); });
  if (failed(given))
    return failure();
  return checkClaim(op, *given, type, region);
}

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
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return checkGeneric(generic, region);
  if (auto lookup = dyn_cast<wafer::LookupOp>(op))
    return checkLookup(lookup);
  if (auto append = dyn_cast<wafer::AppendOp>(op))
    return checkAppend(append, region);
  if (isa<wafer::ParameterOp, wafer::InputOp>(op))
    return checkSource(op, Tail::constant(0));
  if (isa<wafer::StateOp, wafer::IotaOp, wafer::PositionOp>(op))
    return checkSource(op, Tail::finite());
  if (auto output = dyn_cast<wafer::OutputOp>(op))
    return checkPlain(op, output.getValue().getType());
  if (auto mask = dyn_cast<wafer::MaskOp>(op)) {
    auto type = cast<RankedTensorType>(mask.getValue().getType());
    SmallVector<DimAttr> dims(wafer::getLayout(type).getDims());
    dims[mask.getDim()] = dims[mask.getDim()].withTail(
        Tail::constant(algebra::getNumber(mask.getFill()).value_or(NAN)));
    if (wafer::getLayout(type).isPartial())
      return op->emitOpError("masks a value that is still owed a combination");
    return checkClaim(op, wafer::getLayout(type).withDims(dims),
                      cast<RankedTensorType>(mask.getType()), region);
  }
  if (isa<tensor::ExtractSliceOp, tensor::ConcatOp, tensor::ExpandShapeOp>(op))
    return checkMove(op);
  if (isa<linalg::FillOp, arith::ConstantOp>(op)) {
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    std::optional<double> number = algebra::getNumber(op->getResult(0));
    if (type && number)
      for (DimAttr dim : wafer::getLayout(type).getDims())
        if (dim.isPadded() && !wafer::getLayout(type).isPartial() &&
            !implies(Tail::constant(*number), dim.getTail()) &&
            isa<arith::ConstantOp>(op))
          return op->emitOpError("claims another tail than its value");
    return success();
  }
  if (isa<wafer::CombineOp, wafer::ReduceOp, wafer::SpreadOp, wafer::TakeOp,
          wafer::GatherOp, wafer::RepeatOp, wafer::YieldOp, tensor::EmptyOp,
          func::ReturnOp>(op))
    return success(); // their own verifiers compare before and after
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
      entry.emitError("has no wafer.region: plan it first");
      return signalPassFailure();
    }
    bool failedAny = false;
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
