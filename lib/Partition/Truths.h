//===- Truths.h - Truths where only numbers travel --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_PARTITION_TRUTHS_H
#define WAFERLOOM_LIB_PARTITION_TRUTHS_H

#include "mlir/IR/Builders.h"

namespace waferloom::partition {

/// A tensor of truths as 0 and 1, in the type that travels between stages.
mlir::Value asNumbers(mlir::OpBuilder &builder, mlir::Value truths);
mlir::Value asTruths(mlir::OpBuilder &builder, mlir::Value numbers);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_TRUTHS_H
