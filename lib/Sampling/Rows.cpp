#include "Rows.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::sampling;

Value Rows::generic(ValueRange inputs, Value init, ArrayRef<AffineMap> maps,
                    bool reduces, BodyBuilder body) {
  SmallVector<utils::IteratorType> kinds(maps.front().getNumDims(),
                                         utils::IteratorType::parallel);
  if (reduces)
    kinds.back() = utils::IteratorType::reduction;
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, maps, kinds,
             [&](OpBuilder &inner, Location at, ValueRange arguments) {
               linalg::YieldOp::create(inner, at, body(inner, at, arguments));
             })
      .getResult(0);
}

Value Rows::empty(ArrayRef<int64_t> shape, Type element) {
  return tensor::EmptyOp::create(b, loc, shape, element);
}

Value Rows::indices() {
  return wafer::IotaOp::create(
      b, loc, RankedTensorType::get(type.getShape().back(), b.getI32Type()),
      wafer::LayoutAttr());
}

Value Rows::map(ValueRange inputs, Type element, BodyBuilder body) {
  auto rank = static_cast<unsigned>(type.getRank());
  AffineMap all = b.getMultiDimIdentityMap(rank);
  SmallVector<AffineMap> maps;
  for (Value input : inputs) {
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(input.getType()).getShape();
    if (shape == type.getShape())
      maps.push_back(all);
    else if (shape.empty())
      maps.push_back(AffineMap::get(rank, 0, b.getContext()));
    else if (shape == type.getShape().take_back())
      maps.push_back(AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1)));
    else
      maps.push_back(all.dropResult(rank - 1));
  }
  maps.push_back(all);
  return generic(inputs, empty(type.getShape(), element), maps, false, body);
}

Value Rows::fold(Value of, TypedAttr neutral, BodyBuilder body) {
  auto rank = static_cast<unsigned>(type.getRank());
  AffineMap all = b.getMultiDimIdentityMap(rank);
  Value start = arith::ConstantOp::create(b, loc, neutral);
  Value init =
      linalg::FillOp::create(
          b, loc, start, empty(type.getShape().drop_back(), neutral.getType()))
          .getResult(0);
  return generic(of, init, {all, all.dropResult(rank - 1)}, true, body);
}

Value Rows::maximum(Value of) {
  return fold(of, b.getF32FloatAttr(-std::numeric_limits<float>::infinity()),
              [](OpBuilder &b, Location loc, ValueRange v) -> Value {
                return arith::MaximumFOp::create(b, loc, v[1], v[0]);
              });
}

Value Rows::mapRows(ValueRange inputs, Type element, BodyBuilder body) {
  auto rank = static_cast<unsigned>(type.getRank()) - 1;
  SmallVector<AffineMap> maps;
  for (Value input : inputs)
    maps.push_back(cast<RankedTensorType>(input.getType()).getRank() == 0
                       ? AffineMap::get(rank, 0, b.getContext())
                       : b.getMultiDimIdentityMap(rank));
  maps.push_back(b.getMultiDimIdentityMap(rank));
  return generic(inputs, empty(type.getShape().drop_back(), element), maps,
                 false, body);
}
