//===- Layers.h - Which repeat is that of the layers ------------*- C++ -*-===//
//
// An entry may have several loops: like layers are trips of one, the values of
// a top-N are found by another. The layers have weights and states for each
// trip.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_LAYERS_H
#define WAFERLOOM_DIALECT_WAFER_LAYERS_H

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallVector.h"

namespace waferloom::wafer {

/// The repeats of `entry` that may be that of the layers: those whose trips
/// have weights or states of their own; where none has, all.
llvm::SmallVector<RepeatOp> getLayersCandidates(mlir::func::FuncOp entry);

/// The repeat of the layers; null if there is none or several may be it.
RepeatOp getLayersRepeat(mlir::func::FuncOp entry);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_LAYERS_H
