//===- Elementwise.h - Generics without a reduction -------------*- C++ -*-===//

#ifndef WAFERLOOM_ALGEBRA_ELEMENTWISE_H
#define WAFERLOOM_ALGEBRA_ELEMENTWISE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace waferloom::algebra {

/// A generic of `type`, each of whose elements is `body` of one element of each
/// input; `maps` are those of the inputs, then that of the result. All loops
/// are parallel; what the result is written over is a new tensor.
mlir::linalg::GenericOp createElementwise(
    mlir::OpBuilder &builder, mlir::Location loc, mlir::RankedTensorType type,
    mlir::ValueRange inputs, llvm::ArrayRef<mlir::AffineMap> maps,
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::ValueRange)> body);

/// The same, where every input has the shape of the result.
mlir::linalg::GenericOp createElementwise(
    mlir::OpBuilder &builder, mlir::Location loc, mlir::RankedTensorType type,
    mlir::ValueRange inputs,
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::ValueRange)> body);

/// `value`, of floats, in elements of another type of float, or as it is.
mlir::Value convertFloats(mlir::OpBuilder &builder, mlir::Value value,
                          mlir::Type element);

} // namespace waferloom::algebra

#endif // WAFERLOOM_ALGEBRA_ELEMENTWISE_H
