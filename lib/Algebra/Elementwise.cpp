#include "waferloom/Algebra/Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;

linalg::GenericOp algebra::createElementwise(
    OpBuilder &builder, Location loc, RankedTensorType type, ValueRange inputs,
    ArrayRef<AffineMap> maps,
    llvm::function_ref<Value(OpBuilder &, ValueRange)> body) {
  Value init = tensor::EmptyOp::create(builder, loc, type, ValueRange());
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
      builder, loc, type, inputs, init, maps, iterators,
      [&](OpBuilder &inner, Location at, ValueRange arguments) {
        linalg::YieldOp::create(inner, at, body(inner, arguments.drop_back()));
      });
}

linalg::GenericOp algebra::createElementwise(
    OpBuilder &builder, Location loc, RankedTensorType type, ValueRange inputs,
    llvm::function_ref<Value(OpBuilder &, ValueRange)> body) {
  const SmallVector<AffineMap> maps(
      inputs.size() + 1, builder.getMultiDimIdentityMap(type.getRank()));
  return createElementwise(builder, loc, type, inputs, maps, body);
}

Value algebra::convertFloats(OpBuilder &builder, Value value, Type element) {
  auto type = cast<RankedTensorType>(value.getType());
  const unsigned bits = type.getElementTypeBitWidth();
  if (type.getElementType() == element)
    return value;
  const Location loc = value.getLoc();
  return createElementwise(
             builder, loc,
             RankedTensorType::get(type.getShape(), element,
                                   type.getEncoding()),
             value,
             [&](OpBuilder &b, ValueRange arguments) -> Value {
               if (element.getIntOrFloatBitWidth() < bits)
                 return arith::TruncFOp::create(b, loc, element, arguments[0]);
               return arith::ExtFOp::create(b, loc, element, arguments[0]);
             })
      .getResult(0);
}
