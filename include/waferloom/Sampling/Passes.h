//===- Passes.h - Picking the next token on the wafer -----------*- C++ -*-===//

#ifndef WAFERLOOM_SAMPLING_PASSES_H
#define WAFERLOOM_SAMPLING_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
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

namespace waferloom::sampling {

#define GEN_PASS_DECL
#include "waferloom/Sampling/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "waferloom/Sampling/Passes.h.inc"

} // namespace waferloom::sampling

#endif // WAFERLOOM_SAMPLING_PASSES_H
