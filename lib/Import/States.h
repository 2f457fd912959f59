//===- States.h - Which inputs are states -----------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_STATES_H
#define WAFERLOOM_LIB_IMPORT_STATES_H

#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Import/Import.h"

namespace waferloom::import {

/// A KV cache: an input that an output appends to.
struct State {
  onnx::InputOp past;
  onnx::OutputOp present;
  /// The Concat that appends, and the dimension along which it does.
  onnx::NodeOp append;
  unsigned axis;
};

/// Pairs inputs with outputs by structure: an output that is (through nodes
/// that change nothing) a Concat whose first operand is a float input. States
/// declared by hand must have that structure too. Reports an error otherwise.
mlir::FailureOr<llvm::SmallVector<State>> findStates(onnx::GraphOp graph,
                                                     const Options &options);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_STATES_H
