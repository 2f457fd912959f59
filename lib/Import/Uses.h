//===- Uses.h - Two uses of one file ----------------------------*- C++ -*-===//
//
// A decoder of an encoder-decoder that an exporter has merged has two uses, and
// an input that decides: without a cache it makes keys and values of what the
// encoder gave, with one it takes them. In a session the first step is the one,
// and all others are the other: those keys and values stay where they are.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_IMPORT_USES_H
#define WAFERLOOM_LIB_IMPORT_USES_H

#include "Lowering.h"

namespace waferloom::import {

/// A state that the first step of a session fills and later ones read.
struct FilledState {
  onnx::InputOp past;
  onnx::OutputOp present;
  /// Known once the first step was lowered.
  llvm::SmallVector<int64_t> sizes = {};
};

/// What an entry is for: any step of a session, the first, or those behind it.
enum class StepKind { Any, First, Later };

struct Uses {
  /// The input that decides; null: the file has one use.
  onnx::InputOp decider;
  /// What it is in steps behind the first.
  int64_t later = 1;
  /// Empty: a first step with empty caches is what the other use computes.
  llvm::SmallVector<FilledState> filled;

  FilledState *find(mlir::Operation *pastOrPresent);
};

/// The uses of a file between which an input decides that `--set` does not fix.
/// Where none of them appends to states, or both do, it is left alone. What is
/// filled are inputs of the later use that `--state` pairs with an output, or
/// whose names differ from an output's as those of other states do.
mlir::FailureOr<Uses> findUses(onnx::GraphOp graph, const Options &options);

/// Writes what the first step of a session begins a state with.
llvm::LogicalResult beginState(Lowering &lowering, unsigned number,
                               SymbolicTensor *rows);
/// Writes what it fills a state with.
llvm::LogicalResult fillState(Lowering &lowering, FilledState &state,
                              SymbolicTensor *value);
/// A state as later steps find it, of the shape that the input has by its
/// dimensions; null ones are open.
SymbolicTensor *readState(Lowering &lowering, const FilledState &state,
                          Sizes shape);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_USES_H
