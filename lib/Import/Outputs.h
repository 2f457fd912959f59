//===- Outputs.h - What a step gives, and what it keeps ---------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_OUTPUTS_H
#define WAFERLOOM_LIB_IMPORT_OUTPUTS_H

#include "Uses.h"

namespace waferloom::import {

/// Writes the outputs of an entry, whose values are in `values`. `kind`: what
/// the entry is for; the first step begins and fills states. Reports an error.
llvm::LogicalResult
addOutputs(Lowering &lowering, onnx::GraphOp graph,
           const llvm::DenseMap<mlir::Value, SymbolicTensor *> &values,
           Uses &uses, StepKind kind);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_OUTPUTS_H
