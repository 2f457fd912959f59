//===- HalfFactors.h - Rounding in front of a deferred norm -----*- C++ -*-===//

#ifndef WAFERLOOM_LIB_ALGEBRA_HALFFACTORS_H
#define WAFERLOOM_LIB_ALGEBRA_HALFFACTORS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"

namespace waferloom::algebra {

/// A norm whose factor went behind the products that read it.
struct DeferredNorm {
  struct Reader {
    mlir::linalg::GenericOp product; ///< a contraction
    unsigned operand;                ///< the one that the factor scaled
    mlir::linalg::GenericOp scaled;  ///< multiplies its result by the factor
  };
  mlir::Value factor;
  mlir::SmallVector<mlir::linalg::GenericOp> gains; ///< between x and readers
  mlir::SmallVector<Reader> readers;
};

/// Looks through conversions of floats.
mlir::Value stripConversions(mlir::Value value);

/// Sees to it that what readers round to f16 cannot overflow unless x does: by
/// scaled gains if `keep`, and by rounding nothing where that is not possible.
void boundFactors(mlir::ModuleOp module,
                  llvm::MutableArrayRef<DeferredNorm> norms, bool keep);

} // namespace waferloom::algebra

#endif // WAFERLOOM_LIB_ALGEBRA_HALFFACTORS_H
