//===- Loops.h - Loop and Scan of a known number of trips -------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_LOOPS_H
#define WAFERLOOM_LIB_IMPORT_LOOPS_H

#include "Branches.h"

namespace waferloom::import {

/// Lowers the body of `loop` once per trip, by `lowerBlock`, and gives its
/// results their values. How many trips there are follows from constants and
/// sizes. Fails with a refusal.
llvm::LogicalResult
lowerLoop(Lowering &lowering, onnx::LoopOp loop, Values &values,
          llvm::function_ref<void(mlir::Block &)> lowerBlock);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_LOOPS_H
