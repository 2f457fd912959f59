#include "waferloom/Algebra/Elementwise.h"

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
