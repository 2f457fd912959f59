//===- Frame.h - The module around the entries ------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_FRAME_H
#define WAFERLOOM_LIB_IMPORT_FRAME_H

#include "Bindings.h"
#include "Uses.h"

#include "llvm/ADT/StringMap.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace waferloom::import {

/// Declares the weights that the graph refers to; their symbols by ONNX name.
llvm::StringMap<mlir::StringAttr> declareWeights(mlir::ModuleOp target,
                                                 onnx::GraphOp graph);

/// Writes into the program of `target`: inputs and outputs as the file has
/// them, but with the sizes that the caller gives to dimensions of inputs; the
/// states, and their capacity.
void describeModel(mlir::ModuleOp target, onnx::GraphOp graph,
                   llvm::ArrayRef<State> states,
                   llvm::ArrayRef<FilledState> filled, const Options &options,
                   const Bindings &bindings);

/// Of what is given or wanted in double precision, a word.
void noteDoubles(onnx::GraphOp graph);

/// Erases the weights that no entry reads.
void eraseUnusedWeights(mlir::ModuleOp target);

/// Erases what no output, append or input needs.
void eraseDead(mlir::func::FuncOp function);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_FRAME_H
