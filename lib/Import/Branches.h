//===- Branches.h - One of two branches -------------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_BRANCHES_H
#define WAFERLOOM_LIB_IMPORT_BRANCHES_H

#include "Lowering.h"

namespace waferloom::import {

using Values = llvm::DenseMap<mlir::Value, SymbolicTensor *>;

/// Lowers the branch that the condition decides, by `lowerBlock`, and gives the
/// results of `choice` its values. A condition that depends on data selects
/// between the values of both. Fails with a refusal.
llvm::LogicalResult lowerIf(Lowering &lowering, onnx::IfOp choice,
                            Values &values,
                            llvm::function_ref<void(mlir::Block &)> lowerBlock);

/// The input that the condition is, or whose negation; null: neither.
onnx::InputOp decidingInput(onnx::IfOp choice);
/// The branches of `choice` that may be taken, as far as inputs that are fixed
/// by hand decide it.
llvm::SmallVector<mlir::Block *> branchesOf(onnx::IfOp choice,
                                            const Options &options);
/// Whether an op lies in no branch that `--set` leaves out.
bool mayRun(mlir::Operation *op, const Options &options);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_BRANCHES_H
