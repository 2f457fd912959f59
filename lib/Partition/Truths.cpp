// Truths where only numbers travel: from stage to stage.

#include "Truths.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;

/// Each element of a tensor, by `body`, as one of type `to`.
static Value converted(OpBuilder &builder, Value tensor, Type to,
                       function_ref<Value(OpBuilder &, Location, Value)> body) {
  auto type = cast<RankedTensorType>(tensor.getType());
  Location loc = tensor.getLoc();
  Value into = tensor::EmptyOp::create(builder, loc, type.getShape(), to);
  AffineMap map = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             builder, loc, into.getType(), tensor, into,
             ArrayRef<AffineMap>{map, map}, loops,
             [&](OpBuilder &b, Location at, ValueRange args) {
               linalg::YieldOp::create(b, at, body(b, at, args[0]));
             })
      .getResult(0);
}

Value partition::asNumbers(OpBuilder &builder, Value truths) {
  Type to = builder.getF32Type();
  return converted(builder, truths, to,
                   [&](OpBuilder &b, Location at, Value truth) -> Value {
                     return arith::UIToFPOp::create(b, at, to, truth);
                   });
}

Value partition::asTruths(OpBuilder &builder, Value numbers) {
  return converted(builder, numbers, builder.getI1Type(),
                   [](OpBuilder &b, Location at, Value number) -> Value {
                     Value zero = arith::ConstantOp::create(
                         b, at, b.getFloatAttr(number.getType(), 0));
                     return arith::CmpFOp::create(
                         b, at, arith::CmpFPredicate::UNE, number, zero);
                   });
}
