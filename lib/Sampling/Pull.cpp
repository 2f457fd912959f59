// Ops are visited from the end, so that an op is looked at when all that read
// it have been: if they are one and the same slice of one element, the op
// computes that element only, and its operands are sliced in its place.

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Sampling/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallBitVector.h"

#include <optional>

namespace waferloom::sampling {
#define GEN_PASS_DEF_SAMPLINGPULL
#include "waferloom/Sampling/Passes.h.inc"
} // namespace waferloom::sampling

using namespace mlir;
using namespace waferloom;

namespace {
/// Element `index` of dimension `dim`, which is dropped.
struct Pick {
  int64_t dim, index;
  bool operator==(const Pick &other) const {
    return dim == other.dim && index == other.index;
  }
};
} // namespace

/// The pick that `op` is, if it is one.
static std::optional<Pick> getPick(Operation *op) {
  auto slice = dyn_cast<tensor::ExtractSliceOp>(op);
  if (!slice || ShapedType::isDynamicShape(slice.getStaticOffsets()) ||
      slice.getType().getRank() + 1 != slice.getSourceType().getRank())
    return std::nullopt;
  std::optional<Pick> pick;
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  for (int64_t d = 0; d < slice.getSourceType().getRank(); ++d) {
    if (dropped[d])
      pick = {d, slice.getStaticOffset(d)};
    else if (slice.getStaticSize(d) != slice.getSourceType().getDimSize(d))
      return std::nullopt;
  }
  return pick;
}

static RankedTensorType without(RankedTensorType type, int64_t dim) {
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + dim);
  return RankedTensorType::get(shape, type.getElementType());
}

static Value createPick(OpBuilder &b, Location loc, Value value, Pick pick) {
  auto type = cast<RankedTensorType>(value.getType());
  // What has no elements of its own is made anew: others may read it too.
  if (value.getDefiningOp<tensor::EmptyOp>())
    return tensor::EmptyOp::create(b, loc, without(type, pick.dim).getShape(),
                                   type.getElementType());
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    return linalg::FillOp::create(
               b, loc, fill.getInputs().front(),
               createPick(b, loc, fill.getOutputs().front(), pick))
        .getResult(0);
  SmallVector<OpFoldResult> offsets, sizes, strides;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    bool dropped = d == pick.dim;
    offsets.push_back(b.getIndexAttr(dropped ? pick.index : 0));
    sizes.push_back(b.getIndexAttr(dropped ? 1 : type.getDimSize(d)));
    strides.push_back(b.getIndexAttr(1));
  }
  return tensor::ExtractSliceOp::create(b, loc, without(type, pick.dim), value,
                                        offsets, sizes, strides);
}

/// `op` without the loop of the dimension that is picked from.
static Value pull(linalg::GenericOp op, Pick pick, OpBuilder &b) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  unsigned loop =
      cast<AffineDimExpr>(maps.back().getResult(pick.dim)).getPosition();
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  if (iterators[loop] != utils::IteratorType::parallel)
    return {};
  iterators.erase(iterators.begin() + loop);
  // The loops behind it move up by one.
  SmallVector<AffineExpr> renamed;
  for (unsigned i = 0; i < op.getNumLoops(); ++i)
    renamed.push_back(b.getAffineDimExpr(i > loop ? i - 1 : i));
  SmallVector<Value> operands(op->getOperands());
  for (auto [operand, map] : llvm::zip_equal(operands, maps)) {
    SmallVector<AffineExpr> exprs;
    std::optional<Pick> mine;
    for (auto [d, expr] : llvm::enumerate(map.getResults())) {
      unsigned position = cast<AffineDimExpr>(expr).getPosition();
      if (position == loop)
        mine = {static_cast<int64_t>(d), pick.index};
      else
        exprs.push_back(renamed[position]);
    }
    if (mine)
      operand = createPick(b, op.getLoc(), operand, *mine);
    map = AffineMap::get(iterators.size(), 0, exprs, op.getContext());
  }
  auto copy = linalg::GenericOp::create(
      b, op.getLoc(), operands.back().getType(),
      ValueRange(operands).drop_back(), operands.back(), maps, iterators);
  IRMapping map;
  op.getRegion().cloneInto(&copy.getRegion(), map);
  return copy.getResult(0);
}

/// What computes only the picked element of the result of `op`; nothing if
/// there is no such op.
static Value pull(Operation *op, Pick pick) {
  OpBuilder b(op);
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    bool plain = llvm::all_of(generic.getIndexingMapsArray(), [](AffineMap m) {
      return m.isProjectedPermutation();
    });
    return plain ? pull(generic, pick, b) : Value();
  }
  if (auto lookup = dyn_cast<wafer::LookupOp>(op)) {
    auto indices = cast<RankedTensorType>(lookup.getIndices().getType());
    if (pick.dim >= indices.getRank() || lookup.getRows())
      return {};
    return wafer::LookupOp::create(
        b, op->getLoc(), without(lookup.getType(), pick.dim), lookup.getTable(),
        createPick(b, op->getLoc(), lookup.getIndices(), pick));
  }
  return {};
}

namespace {
struct Pull : sampling::impl::SamplingPullBase<Pull> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    bool states =
        func.walk([](wafer::StateOp) { return WalkResult::interrupt(); })
            .wasInterrupted();
    if (!states)
      return;
    SmallVector<Operation *> ops;
    for (Operation &op : func.getBody().front())
      ops.push_back(&op);
    for (Operation *op : llvm::reverse(ops))
      visit(op);
  }

  void visit(Operation *op) {
    if (op->getNumResults() != 1 || op->use_empty())
      return;
    std::optional<Pick> pick = getPick(*op->user_begin());
    if (!pick || llvm::any_of(op->getUsers(), [&](Operation *user) {
          return !(getPick(user) == pick);
        }))
      return;
    Value pulled = pull(op, *pick);
    if (!pulled)
      return;
    for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
      user->getResult(0).replaceAllUsesWith(pulled);
      user->erase();
    }
    op->erase();
  }
};
} // namespace
