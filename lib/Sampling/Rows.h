//===- Rows.h - Ops on a row of numbers, one per token ----------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_SAMPLING_ROWS_H
#define WAFERLOOM_LIB_SAMPLING_ROWS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace waferloom::sampling {

using BodyBuilder = llvm::function_ref<mlir::Value(
    mlir::OpBuilder &, mlir::Location, mlir::ValueRange)>;

/// Builds generics over tensors of one shape, [.., vocabulary] f32, in front of
/// an op.
struct Rows {
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::RankedTensorType type;

  Rows(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type)
      : b(b), loc(loc), type(type) {}

  /// The index of each token: [vocabulary] i32.
  mlir::Value indices();
  /// One value per element. Inputs have the shape of the rows, or of their last
  /// dimension, or of all others, or are scalars; the body gets an element
  /// each.
  mlir::Value map(mlir::ValueRange inputs, mlir::Type element,
                  BodyBuilder body);
  /// One value per row; `neutral` is what the fold starts from.
  mlir::Value fold(mlir::Value of, mlir::TypedAttr neutral, BodyBuilder body);
  /// The largest of each row.
  mlir::Value maximum(mlir::Value of);
  /// One value per row, from others or from scalars.
  mlir::Value mapRows(mlir::ValueRange inputs, mlir::Type element,
                      BodyBuilder body);

private:
  mlir::Value generic(mlir::ValueRange inputs, mlir::Value init,
                      llvm::ArrayRef<mlir::AffineMap> maps, bool reduces,
                      BodyBuilder body);
  mlir::Value empty(llvm::ArrayRef<int64_t> shape, mlir::Type element);
};

/// The scores whose arg-max is a token drawn from softmax(logits /
/// temperature), of the `top` largest logits if `top` is not 0. `tokens` of the
/// step: they and the position are what the draw depends on besides the inputs
/// `wafer.temperature`, `wafer.seed` and `wafer.top_k`.
mlir::Value createScores(Rows rows, mlir::Value logits, int64_t top,
                         int64_t tokens);

inline mlir::Value number(mlir::OpBuilder &b, mlir::Location loc, float value) {
  return mlir::arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}
inline mlir::Value number(mlir::OpBuilder &b, mlir::Location loc,
                          int32_t value) {
  return mlir::arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value));
}

} // namespace waferloom::sampling

#endif // WAFERLOOM_LIB_SAMPLING_ROWS_H
