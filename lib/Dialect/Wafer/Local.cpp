#include "waferloom/Dialect/Wafer/Local.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

bool waferloom::wafer::isLocal(Operation *op) {
  return isMemoryEffectFree(op) &&
         isa_and_nonnull<arith::ArithDialect, linalg::LinalgDialect,
                         tensor::TensorDialect>(op->getDialect());
}
