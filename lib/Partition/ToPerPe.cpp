// From level 3 to level 4: every tensor becomes the local shard that one PE
// holds. Layouts leave the types; what enters and leaves a program keeps them
// as an attribute, because there the whole tensor meets the local shards.

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONTOPERPE
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::RegionAttr;

/// A mask is a select against the indices of its dimension. It keeps its layout
/// until all types become local: readers may ask for it.
static void expandMask(wafer::MaskOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getResult().getType());
  auto dim = static_cast<int64_t>(op.getDim());
  int64_t rank = type.getRank();
  DimAttr entry = wafer::getLayout(type).getDim(dim);
  Value indices = wafer::IotaOp::create(
      builder, loc,
      RankedTensorType::get(
          {type.getDimSize(dim)}, builder.getI32Type(),
          LayoutAttr::get(builder.getContext(),
                          entry.withPadding(wafer::Padding::finite()))),
      LayoutAttr());
  Value init = tensor::EmptyOp::create(
      builder, loc, type.getShape(), type.getElementType(), type.getEncoding());
  AffineMap identity = builder.getMultiDimIdentityMap(rank);
  AffineMap index = AffineMap::get(rank, 0, builder.getAffineDimExpr(dim));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  int64_t live = entry.getLiveSize(type.getDimSize(dim));
  auto generic = linalg::GenericOp::create(
      builder, loc, type, ValueRange{op.getValue(), indices}, init,
      ArrayRef<AffineMap>{identity, index, identity}, iterators,
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        Value end =
            arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(live));
        Value fill =
            arith::ConstantOp::create(b, loc, cast<TypedAttr>(op.getFill()));
        Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                             arguments[1], end);
        Value value =
            arith::SelectOp::create(b, loc, inside, arguments[0], fill);
        linalg::YieldOp::create(b, loc, value);
      });
  op.getResult().replaceAllUsesWith(generic.getResult(0));
  op.erase();
}

/// The sizes of a slice that takes whole dimensions, in local elements.
static void localizeSlice(tensor::ExtractSliceOp op, RegionAttr region) {
  auto type = op.getSourceType();
  RankedTensorType local = wafer::getLocalType(type, region);
  SmallVector<int64_t> sizes(op.getStaticSizes());
  for (auto [d, size] : llvm::enumerate(sizes))
    if (size == type.getDimSize(d))
      size = local.getDimSize(d);
  op.setStaticSizes(sizes);
}

static LogicalResult localize(func::FuncOp entry) {
  auto region = entry->getAttrOfType<RegionAttr>("wafer.region");
  if (!region)
    return entry.emitError("has no wafer.region: plan it first");
  for (Type type : entry.getArgumentTypes())
    if (wafer::getLayout(type))
      return entry.emitError(
          "takes arguments with layouts: read a wafer.input");
  SmallVector<wafer::MaskOp> masks;
  entry.walk([&](wafer::MaskOp op) { masks.push_back(op); });
  for (wafer::MaskOp op : masks)
    expandMask(op);

  SmallVector<Operation *> ops;
  entry.walk([&](Operation *op) { ops.push_back(op); });
  // Attributes first: they read layouts off the types.
  for (Operation *op : ops) {
    if (isa<wafer::ParameterOp, wafer::StateOp, wafer::InputOp, wafer::IotaOp>(
            op)) {
      if (LayoutAttr layout = wafer::getLayout(op->getResult(0).getType()))
        op->setAttr("layout", layout);
    } else if (auto output = dyn_cast<wafer::OutputOp>(op)) {
      output.setLayoutAttr(wafer::getLayout(output.getValue().getType()));
    } else if (auto append = dyn_cast<wafer::AppendOp>(op)) {
      append.setLayoutAttr(wafer::getLayout(append.getState().getType()));
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      localizeSlice(slice, region);
    } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
      expand.setStaticOutputShape(
          wafer::getLocalType(expand.getResultType(), region).getShape());
    }
  }
  for (Operation *op : ops) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue()))
        if (wafer::getLayout(dense.getType())) {
          if (!dense.isSplat())
            return op->emitError("a constant with a layout that is no splat: "
                                 "make it a weight (partition-factor)");
          constant.setValueAttr(dense.resizeSplat(wafer::getLocalType(
              cast<RankedTensorType>(dense.getType()), region)));
        }
    for (Value result : op->getResults())
      if (wafer::getLayout(result.getType()))
        result.setType(wafer::getLocalType(
            cast<RankedTensorType>(result.getType()), region));
    for (Region &nested : op->getRegions())
      for (Block &block : nested)
        for (Value argument : block.getArguments())
          if (wafer::getLayout(argument.getType()))
            argument.setType(wafer::getLocalType(
                cast<RankedTensorType>(argument.getType()), region));
  }
  return success();
}

namespace {
struct PartitionToPerPe
    : partition::impl::PartitionToPerPeBase<PartitionToPerPe> {
  void runOnOperation() override {
    for (auto entry : getOperation().getOps<func::FuncOp>())
      if (failed(localize(entry)))
        return signalPassFailure();
  }
};
} // namespace
