//===- Passes.h - From tensors to the local shard of one PE -----*- C++ -*-===//

#ifndef WAFERLOOM_PARTITION_PASSES_H
#define WAFERLOOM_PARTITION_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace mlir::arith {
class ArithDialect;
}
namespace mlir::linalg {
class LinalgDialect;
}
namespace mlir::math {
class MathDialect;
}
namespace mlir::tensor {
class TensorDialect;
}

namespace waferloom::partition {

#define GEN_PASS_DECL
#include "waferloom/Partition/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "waferloom/Partition/Passes.h.inc"

} // namespace waferloom::partition

#endif // WAFERLOOM_PARTITION_PASSES_H
