//===- Sameness.h - When ops and values of layers are alike -----*- C++ -*-===//

#ifndef WAFERLOOM_LIB_PARTITION_SAMENESS_H
#define WAFERLOOM_LIB_PARTITION_SAMENESS_H

#include "mlir/IR/Operation.h"

namespace waferloom::partition {

/// Ops that each trip makes for itself.
bool isSource(mlir::Operation *op);
/// Are two ops the same but for the names and values they read?
bool isSameOp(mlir::Operation *a, mlir::Operation *b);
/// Are two sources the same but for their names?
bool sameSource(mlir::Operation *a, mlir::Operation *b);
/// Are two values from outside of the layers one, computed twice?
bool isSameValue(mlir::Value a, mlir::Value b);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_SAMENESS_H
