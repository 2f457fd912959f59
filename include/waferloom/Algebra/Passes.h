//===- Passes.h - Rewrites valid on any machine -----------------*- C++ -*-===//

#ifndef WAFERLOOM_ALGEBRA_PASSES_H
#define WAFERLOOM_ALGEBRA_PASSES_H

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

namespace waferloom::algebra {

#define GEN_PASS_DECL
#include "waferloom/Algebra/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "waferloom/Algebra/Passes.h.inc"

/// Adds what tensor's ops say to a precision that is chosen.
void registerOpModels(mlir::DialectRegistry &registry);

} // namespace waferloom::algebra

#endif // WAFERLOOM_ALGEBRA_PASSES_H
