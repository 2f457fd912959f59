//===- Execute.h - Level 2 through upstream's JIT ---------------*- C++ -*-===//
//
// A session described by files of a folder:
//
//   steps.txt        one step per line: entry, position, then NAME=FILE for
//   each
//                    input (raw elements in the type the tensor has)
//   state-fill.txt   one float: what the states hold at first
//
// After step k every output is written to `k/NAME`, and at the end every
// state to `state/NAME`, as raw little-endian elements.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_TEST_LEVEL2_EXECUTE_H
#define WAFERLOOM_TEST_LEVEL2_EXECUTE_H

#include "mlir/IR/BuiltinOps.h"

namespace waferloom::level2 {

/// Runs the steps; reports errors to the module's context. Consumes the module.
mlir::LogicalResult execute(mlir::ModuleOp module, llvm::StringRef folder);

} // namespace waferloom::level2

#endif // WAFERLOOM_TEST_LEVEL2_EXECUTE_H
