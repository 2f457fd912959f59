// Truths where only numbers travel: from stage to stage.

#include "Truths.h"
#include "waferloom/Algebra/Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace waferloom;

static RankedTensorType typeOf(Value tensor, Type element) {
  return RankedTensorType::get(cast<ShapedType>(tensor.getType()).getShape(),
                               element);
}

Value partition::asNumbers(OpBuilder &builder, Value truths) {
  const Location loc = truths.getLoc();
  const Type to = builder.getF32Type();
  return algebra::createElementwise(
             builder, loc, typeOf(truths, to), truths,
             [&](OpBuilder &b, ValueRange truth) -> Value {
               return arith::UIToFPOp::create(b, loc, to, truth[0]);
             })
      .getResult(0);
}

Value partition::asTruths(OpBuilder &builder, Value numbers) {
  const Location loc = numbers.getLoc();
  return algebra::createElementwise(
             builder, loc, typeOf(numbers, builder.getI1Type()), numbers,
             [&](OpBuilder &b, ValueRange number) -> Value {
               Value zero = arith::ConstantOp::create(
                   b, loc, b.getFloatAttr(number[0].getType(), 0));
               return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE,
                                            number[0], zero);
             })
      .getResult(0);
}
