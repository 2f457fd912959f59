//===- Local.h - Ops that no word leaves ------------------------*- C++ -*-===//

#ifndef WAFERLOOM_DIALECT_WAFER_LOCAL_H
#define WAFERLOOM_DIALECT_WAFER_LOCAL_H

#include "mlir/IR/Operation.h"

namespace waferloom::wafer {

/// Whether a PE computes `op` of its operands alone: no word crosses PEs, and
/// nothing is read or written beside them. Levels 4 and 5.
bool isLocal(mlir::Operation *op);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_LOCAL_H
