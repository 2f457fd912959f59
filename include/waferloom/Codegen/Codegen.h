//===- Codegen.h - From per-PE tensors to a wafer image ---------*- C++ -*-===//

#ifndef WAFERLOOM_CODEGEN_CODEGEN_H
#define WAFERLOOM_CODEGEN_CODEGEN_H

#include "waferloom/Codegen/Data.h"
#include "waferloom/Target/Resources.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"

namespace waferloom::codegen {

/// Level 5 to level 6: `populateCodegenPipeline`. Fails when a PE's SRAM does
/// not hold weights, states, buffers, code and reserved bytes; `fit` then says
/// what the smallest programs would need. Fails without a word when
/// `interrupted` (may be null), which is asked several times, says so.
mlir::LogicalResult lowerToCore(mlir::ModuleOp module,
                                const image::TargetT &machine, target::Fit &fit,
                                const std::function<bool()> &interrupted = {});

/// How the memory of the fullest PE is used by a module of level 6 with
/// addresses.
mlir::FailureOr<target::Fit> fitOf(mlir::ModuleOp module,
                                   const image::TargetT &machine);

/// The image of a module of level 6 on `machine`: its buffers get addresses if
/// they have none.
mlir::FailureOr<Image> emitImage(mlir::ModuleOp module,
                                 const image::TargetT &machine);

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CODEGEN_H
