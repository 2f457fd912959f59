//===- HostInputs.h - Beams, and places in static caches --------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_HOSTINPUTS_H
#define WAFERLOOM_LIB_IMPORT_HOSTINPUTS_H

#include "Lowering.h"

namespace waferloom::import {

/// Where a static cache, which the file gives room for all tokens, is written;
/// null: the state is none.
mlir::Value placeOf(State state);
/// The input by which rows of the batch go on with the states of others.
onnx::InputOp beamsOf(State state);

/// The context, which static caches give where it is not said. Reports one that
/// is larger than the room that the file gives them.
llvm::LogicalResult chooseContext(onnx::GraphOp graph,
                                  llvm::ArrayRef<State> states,
                                  Options &options);

/// An input that the program counts on and does not read: `use` as the entries
/// of level 2 have it (Dialect/Wafer/HostInputs.h).
struct HostInput {
  onnx::InputOp input;
  llvm::StringRef use;
};

/// Length masks (States.h), beams, and what says where rows go into a static
/// cache: they go behind those that are there.
llvm::SmallVector<HostInput> findHostInputs(onnx::GraphOp graph,
                                            llvm::ArrayRef<State> states);

/// Whether an attention takes an input as the number of rows of its keys that
/// count: all of the session, where it is left out.
bool countsRows(onnx::InputOp input, llvm::ArrayRef<State> states);

/// A past whose dimensions come in another order: a view of a tensor that is
/// not there before the append.
SymbolicTensor *transposedPast(Lowering &lowering, SymbolicTensor *past,
                               llvm::ArrayRef<int64_t> order);
/// Which of its dimensions each one is then; empty: in order.
llvm::SmallVector<int64_t> orderOf(const SymbolicTensor *past);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_HOSTINPUTS_H
