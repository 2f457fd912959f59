// Proves that a module of level 3 means what its types say: every layout is one
// that its tensor can have, every op accepts the layouts of its operands, and
// no result claims more of its padding than its op gives. Whoever wrote the
// layouts, planner or person, is not asked.

#include "Rules.h"

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "llvm/ADT/SmallBitVector.h"

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
using wafer::Padding;
using wafer::RegionAttr;

/// Does knowing `known` justify the claim `claimed`?
static bool implies(Padding known, Padding claimed) {
  return claimed.kind == Padding::Any || joinPadding(known, claimed) == claimed;
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
           << ": all-reduce it behind the op, not in its type";
  for (auto [d, pair] :
       llvm::enumerate(llvm::zip(given.getDims(), claimed.getDims()))) {
    auto [have, says] = pair;
    int64_t size = type.getDimSize(d);
    if (have.resolve(size, region) != says.resolve(size, region) ||
        have.getLiveSize(size) != says.getLiveSize(size))
      return op->emitOpError() << "gives " << given << " but its result claims "
                               << claimed << " in dimension " << d;
    if (says.isPadded() && !implies(have.getPadding(), says.getPadding()))
      return op->emitOpError()
             << "leaves " << have.getPadding().str()
             << " in the padding of dimension " << d
             << " but its result claims " << says.getPadding().str();
  }
  return success();
}

/// A type without a partial sum or root, for what enters, leaves or stays.
static LogicalResult checkPlain(Operation *op, Type type) {
  LayoutAttr layout = wafer::getLayout(type);
  if (layout.isPartial() || layout.hasRoot())
    return op->emitOpError() << "has layout " << layout
                             << ", but what enters, leaves or stays is partial "
                                "nowhere and lives everywhere";
  return success();
}

/// The padding that a source promises.
static LogicalResult checkSource(Operation *op, Padding promised) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (failed(checkPlain(op, type)))
    return failure();
  for (auto [d, dim] : llvm::enumerate(wafer::getLayout(type).getDims()))
    if (dim.isPadded() && !implies(promised, dim.getPadding()))
      return op->emitOpError()
             << "promises " << promised.str() << " in the padding of dimension "
             << d << " but its type claims " << dim.getPadding().str();
  return success();
}

/// A dimension of a result that takes over one of an operand: split alike, and
/// with no more known of its padding.
static LogicalResult checkKept(Operation *op, Value from, int64_t dim,
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
  if (says.isPadded() && !implies(have.getPadding(), says.getPadding()))
    return op->emitOpError()
           << "leaves " << have.getPadding().str()
           << " in the padding of dimension " << resultDim
           << " but its result claims " << says.getPadding().str();
  return success();
}

static LogicalResult checkLookup(wafer::LookupOp op, RegionAttr region) {
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
    return op.emitOpError("reads a value that is still partial");
  if (!rows.empty() && !op.getRows())
    return op.emitOpError("has a table whose rows are split and needs their "
                          "numbers in 'rows'");
  if (result.getPartial() != ArrayRef<Axis>(rows))
    return op.emitOpError() << "finds its rows on some PEs along the axes of "
                            << "dimension 0 of the table only, so its result "
                               "is partial there";
  if (!rows.empty() && result.getCombiner() != wafer::Combiner::Sum)
    return op.emitOpError(
        "adds up what the PEs found: its result is a partial sum");
  if (Value numbers = op.getRows()) {
    DimAttr of = wafer::getLayout(numbers.getType()).getDim(0);
    int64_t size = cast<ShapedType>(op.getTable().getType()).getDimSize(0);
    if (of.resolve(size, region) != table.getDim(0).resolve(size, region))
      return op.emitOpError("has rows split otherwise than their numbers");
  }
  auto lead = static_cast<int64_t>(indices.getDims().size());
  for (int64_t d = 0; d < lead; ++d) {
    if (failed(checkKept(op, op.getIndices(), d, d, region)))
      return failure();
    // What is found for garbage indices is garbage.
    if (result.getDim(d).isPadded() &&
        result.getDim(d).getPadding().kind != Padding::Any)
      return op.emitOpError() << "finds anything in the padding of dimension "
                              << d << " but its result claims "
                              << result.getDim(d).getPadding().str();
  }
  for (int64_t d = 1; d < static_cast<int64_t>(table.getDims().size()); ++d)
    if (failed(checkKept(op, op.getTable(), d, lead + d - 1, region)))
      return failure();
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
  if (update.isPartial() || update.hasRoot())
    return op.emitOpError("stores a value that is still partial or "
                          "lives at a root");
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
    if (from.isPadded() &&
        !implies(from.getPadding(), state.getDim(d).getPadding()))
      return op.emitOpError()
             << "stores " << from.getPadding().str() << " into the padding of "
             << "dimension " << d << ", where the state promises "
             << state.getDim(d).getPadding().str() << ": mask the update";
  }
  return success();
}

static LogicalResult checkSlice(tensor::ExtractSliceOp op, RegionAttr region) {
  llvm::SmallBitVector dropped = op.getDroppedDims();
  RankedTensorType source = op.getSourceType();
  int64_t kept = 0;
  for (int64_t d = 0; d < source.getRank(); ++d) {
    int64_t of = dropped[d] ? -1 : kept++;
    if (op.getStaticSize(d) == source.getDimSize(d)) {
      if (of >= 0 && failed(checkKept(op, op.getSource(), d, of, region)))
        return failure();
      continue;
    }
    if (failed(checkWhole(op, op.getSource(), d)))
      return failure();
    int64_t live =
        wafer::getLayout(source).getDim(d).getLiveSize(source.getDimSize(d));
    int64_t offset = op.getStaticOffset(d), size = op.getStaticSize(d);
    if (!ShapedType::isDynamic(offset) &&
        offset + (size - 1) * op.getStaticStride(d) >= live)
      return op.emitOpError()
             << "takes elements up to "
             << offset + (size - 1) * op.getStaticStride(d) << " of dimension "
             << d << ", of which " << live << " are live";
    if (of >= 0) {
      DimAttr result = wafer::getLayout(op.getResult().getType()).getDim(of);
      if (!result.isWhole() || result.isPadded())
        return op.emitOpError()
               << "gives a whole dimension " << of << " but its result claims "
               << wafer::getLayout(op.getResult().getType());
    }
  }
  return success();
}

static LogicalResult checkConcat(tensor::ConcatOp op, RegionAttr region) {
  auto joined = static_cast<int64_t>(op.getDim());
  DimAttr result = wafer::getLayout(op.getResult().getType()).getDim(joined);
  if (!result.isWhole() || result.isPadded())
    return op.emitOpError()
           << "gives a whole dimension " << joined << " but its result claims "
           << wafer::getLayout(op.getResult().getType());
  for (Value part : op.getInputs()) {
    if (failed(checkWhole(op, part, joined)))
      return failure();
    for (int64_t d = 0; d < op.getResultType().getRank(); ++d)
      if (d != joined && failed(checkKept(op, part, d, d, region)))
        return failure();
  }
  return success();
}

/// Only dimensions of one element are new.
static LogicalResult checkExpand(tensor::ExpandShapeOp op, RegionAttr region) {
  LayoutAttr result = wafer::getLayout(op.getResult().getType());
  for (auto [d, group] : llvm::enumerate(op.getReassociationIndices())) {
    SmallVector<int64_t> large;
    for (int64_t e : group)
      if (op.getResultType().getDimSize(e) != 1)
        large.push_back(e);
    if (large.size() > 1)
      return op->emitOpError() << "cuts dimension " << d
                               << ": partition-factor does so before layouts";
    int64_t kept = large.empty() ? group.back() : large.front();
    if (failed(checkKept(op, op.getSrc(), d, kept, region)))
      return failure();
    for (int64_t e : group)
      if (e != kept && !result.getDim(e).isWhole())
        return op->emitOpError()
               << "splits dimension " << e << " of one element";
  }
  return success();
}

static LogicalResult checkMove(Operation *op, RegionAttr region) {
  auto plain = [](Value value) {
    LayoutAttr layout = wafer::getLayout(value.getType());
    return !layout || (!layout.isPartial() && !layout.hasRoot());
  };
  if (!llvm::all_of(op->getOperands(), plain) || !plain(op->getResult(0)))
    return op->emitOpError("moves a value that is partial or lives at a root: "
                           "all-reduce it first");
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return checkSlice(slice, region);
  if (auto concat = dyn_cast<tensor::ConcatOp>(op))
    return checkConcat(concat, region);
  return checkExpand(cast<tensor::ExpandShapeOp>(op), region);
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

/// A collective in a region of `op`.
static Operation *findCollective(Operation *op) {
  Operation *found = nullptr;
  op->walk([&](Operation *inner) {
    if (inner != op && isa<wafer::AllReduceOp, wafer::ReduceOp,
                           wafer::BroadcastOp, wafer::GatherOp>(inner))
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
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return checkGeneric(generic, region);
  if (auto lookup = dyn_cast<wafer::LookupOp>(op))
    return checkLookup(lookup, region);
  if (auto append = dyn_cast<wafer::AppendOp>(op))
    return checkAppend(append, region);
  if (isa<wafer::ParameterOp, wafer::InputOp>(op))
    return checkSource(op, Padding::constant(0));
  if (isa<wafer::StateOp, wafer::IotaOp, wafer::PositionOp>(op))
    return checkSource(op, Padding::finite());
  if (auto output = dyn_cast<wafer::OutputOp>(op))
    return checkPlain(op, output.getValue().getType());
  if (auto mask = dyn_cast<wafer::MaskOp>(op)) {
    auto type = cast<RankedTensorType>(mask.getValue().getType());
    SmallVector<DimAttr> dims(wafer::getLayout(type).getDims());
    dims[mask.getDim()] = dims[mask.getDim()].withPadding(
        Padding::constant(algebra::getNumber(mask.getFill()).value_or(NAN)));
    if (wafer::getLayout(type).isPartial())
      return op->emitOpError("masks a value that is still partial");
    return checkClaim(op, wafer::getLayout(type).withDims(dims),
                      cast<RankedTensorType>(mask.getType()), region);
  }
  if (isa<tensor::ExtractSliceOp, tensor::ConcatOp, tensor::ExpandShapeOp>(op))
    return checkMove(op, region);
  if (isa<linalg::FillOp, arith::ConstantOp>(op)) {
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    std::optional<double> number = algebra::getNumber(op->getResult(0));
    if (type && !number && isa<arith::ConstantOp>(op) && isDistributed(op))
      return op->emitOpError(
          "is split but no splat, so its local shards differ: "
          "make it a weight (partition-factor)");
    if (type && number)
      for (DimAttr dim : wafer::getLayout(type).getDims())
        if (dim.isPadded() && !wafer::getLayout(type).isPartial() &&
            !implies(Padding::constant(*number), dim.getPadding()) &&
            isa<arith::ConstantOp>(op))
          return op->emitOpError("claims another padding than its value");
    return success();
  }
  if (isa<wafer::AllReduceOp, wafer::ReduceOp, wafer::BroadcastOp,
          wafer::SliceOp, wafer::GatherOp, wafer::RepeatOp, wafer::YieldOp,
          tensor::EmptyOp>(op))
    return success(); // their own verifiers compare before and after
  if (isa<func::ReturnOp>(op))
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
      entry.emitError("has no wafer.region: plan it first");
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
