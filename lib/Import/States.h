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
  /// The node that appends, and the dimension along which it does.
  onnx::NodeOp append;
  unsigned axis;

  /// Whether the node alone reads the past and knows the sizes that the file
  /// leaves open: a fused attention knows the size of its heads.
  bool sizesFollow();
};

/// Pairs inputs with outputs by structure: an output that is (through nodes
/// that change nothing) a Concat whose first operand is a float input, or the
/// present of a fused attention whose past is one. States declared by hand must
/// have that structure too. Reports an error otherwise.
mlir::FailureOr<llvm::SmallVector<State>> findStates(onnx::GraphOp graph,
                                                     const Options &options);

/// The inputs whose row sums tell a fused attention how long each row is. All
/// rows of a step are equally long, so each element of them must be 1.
llvm::SmallVector<onnx::InputOp> findLengthMasks(onnx::GraphOp graph);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_STATES_H
