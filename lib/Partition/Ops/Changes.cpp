// The changes of layout, which planning makes: at level 3 only. Their own
// verifiers compare before and after; a mask becomes a select at level 4.

#include "Ops.h"

#include "../Checks.h"

#include "waferloom/Partition/PartitionOpInterfaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::MaskOp;
using wafer::Padding;
using wafer::RegionAttr;

namespace {
template <typename Op>
struct ChangeLayouts : LayoutOpInterface::ExternalModel<ChangeLayouts<Op>, Op> {
};

struct MaskLayouts : LayoutOpInterface::ExternalModel<MaskLayouts, MaskOp> {
  LogicalResult verifyLayouts(Operation *self, RegionAttr region) const {
    auto op = cast<MaskOp>(self);
    auto type = cast<RankedTensorType>(op.getValue().getType());
    LayoutAttr layout = wafer::getLayout(type);
    SmallVector<DimAttr> dims(layout.getDims());
    dims[op.getDim()] = dims[op.getDim()].withPadding(
        Padding::constant(algebra::getNumber(op.getFill()).value_or(NAN)));
    if (layout.isPartial())
      return op->emitOpError("masks a value that is still partial");
    return checkClaim(op, layout.withDims(dims),
                      cast<RankedTensorType>(op.getType()), region);
  }

  /// A select against the indices of the dimension. It keeps its layout until
  /// all types become local: readers may ask for it.
  LogicalResult makeLocal(Operation *self, RegionAttr) const {
    auto op = cast<MaskOp>(self);
    OpBuilder builder(op);
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto dim = static_cast<int64_t>(op.getDim());
    int64_t rank = type.getRank();
    DimAttr entry = wafer::getLayout(type).getDim(dim);
    auto counted = LayoutAttr::get(builder.getContext(),
                                   entry.withPadding(Padding::finite()));
    Value indices = wafer::IotaOp::create(
        builder, loc,
        RankedTensorType::get({type.getDimSize(dim)}, builder.getI32Type(),
                              counted),
        counted);
    Value init =
        tensor::EmptyOp::create(builder, loc, type.getShape(),
                                type.getElementType(), type.getEncoding());
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
          Value inside = arith::CmpIOp::create(
              b, loc, arith::CmpIPredicate::slt, arguments[1], end);
          Value value = arguments[0];
          auto fill = cast<TypedAttr>(op.getFill());
          // Halves are stored; instructions take numbers of 32 bits.
          const bool isHalf = value.getType().isF16();
          if (isHalf) {
            value = arith::ExtFOp::create(b, loc, b.getF32Type(), value);
            fill = b.getF32FloatAttr(
                static_cast<float>(cast<FloatAttr>(fill).getValueAsDouble()));
          }
          value = arith::SelectOp::create(
              b, loc, inside, value, arith::ConstantOp::create(b, loc, fill));
          if (isHalf)
            value = arith::TruncFOp::create(b, loc, b.getF16Type(), value);
          linalg::YieldOp::create(b, loc, value);
        });
    op.getResult().replaceAllUsesWith(generic.getResult(0));
    op.erase();
    return success();
  }
};

template <typename... Ops>
void addChanges(MLIRContext &context) {
  (Ops::template attachInterface<ChangeLayouts<Ops>>(context), ...);
}
} // namespace

void partition::addChangeModels(MLIRContext &context) {
  addChanges<wafer::AllReduceOp, wafer::ReduceApplyBroadcastOp, wafer::ReduceOp,
             wafer::BroadcastOp, wafer::SliceOp, wafer::GatherOp>(context);
  MaskOp::attachInterface<MaskLayouts>(context);
}
