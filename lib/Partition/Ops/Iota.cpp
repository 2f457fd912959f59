// wafer.iota: 0, 1, 2, ... over one dimension.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::IotaOp;
using wafer::Padding;
using wafer::RegionAttr;

/// Over several factors: the number in mixed radix of their indices.
static Value createMixedRadix(OpBuilder &builder, Location loc,
                              RankedTensorType type) {
  int64_t rank = type.getRank();
  SmallVector<Value> counts;
  SmallVector<AffineMap> maps;
  SmallVector<int64_t> minors(rank, 1);
  for (int64_t d = rank - 1; d > 0; --d)
    minors[d - 1] = minors[d] * type.getDimSize(d);
  for (int64_t d = 0; d < rank; ++d) {
    counts.push_back(IotaOp::create(
        builder, loc,
        RankedTensorType::get({type.getDimSize(d)}, type.getElementType()),
        wafer::LayoutAttr()));
    maps.push_back(AffineMap::get(rank, 0, builder.getAffineDimExpr(d)));
  }
  maps.push_back(builder.getMultiDimIdentityMap(rank));
  Value init = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                       type.getElementType());
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      builder, loc, type, counts, init, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        Value sum;
        for (int64_t d = 0; d < rank; ++d) {
          Value term = args[d];
          if (minors[d] != 1)
            term = arith::MulIOp::create(
                b, loc, term,
                arith::ConstantOp::create(b, loc,
                                          b.getI32IntegerAttr(minors[d])));
          sum = sum ? arith::AddIOp::create(b, loc, sum, term) : term;
        }
        linalg::YieldOp::create(b, loc, sum);
      });
  return generic.getResult(0);
}

namespace {
struct IotaDimensions
    : DimensionOpInterface::ExternalModel<IotaDimensions, IotaOp> {
  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<IotaOp>(self);
    OpBuilder &builder = factorizer.getBuilder();
    RankedTensorType type = factorizer.getType(op.getResult());
    if (type.getRank() == 1)
      factorizer.clone(op);
    else if (type.getRank() == 0)
      factorizer.bind(
          op.getResult(),
          arith::ConstantOp::create(
              builder, op.getLoc(),
              DenseElementsAttr::get(type, builder.getI32IntegerAttr(0))));
    else
      factorizer.bind(op.getResult(),
                      createMixedRadix(builder, op.getLoc(), type));
    return success();
  }

  Rerolling getRerolling(Operation *) const { return Rerolling::Source; }
};

struct IotaLayouts : LayoutOpInterface::ExternalModel<IotaLayouts, IotaOp> {
  LogicalResult writeLayouts(Operation *op, Writer &writer) const {
    writer.cloneWith(op, writer.getType(op->getResult(0), Padding::finite()));
    return success();
  }

  LogicalResult verifyLayouts(Operation *op, RegionAttr) const {
    return checkSource(op, Padding::finite());
  }

  LogicalResult makeLocal(Operation *op, RegionAttr) const {
    keepLayout(cast<IotaOp>(op));
    return success();
  }
};
} // namespace

void partition::addIotaModels(MLIRContext &context) {
  IotaOp::attachInterface<IotaDimensions, IotaLayouts>(context);
}
