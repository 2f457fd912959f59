//===- Codegen.h - From per-PE tensors to a wafer image ---------*- C++ -*-===//

#ifndef WAFERLOOM_CODEGEN_CODEGEN_H
#define WAFERLOOM_CODEGEN_CODEGEN_H

#include "waferloom/Codegen/Data.h"
#include "waferloom/Target/Resources.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"

namespace waferloom::wafer {
class BlocksAttr;
class WeightOp;
} // namespace waferloom::wafer

namespace waferloom::codegen {

/// The blocks of a weight as the expander of images knows them.
image::BlockFormat formatOf(wafer::WeightOp weight, wafer::BlocksAttr blocks);

/// Emits the programs of `module` (level 5: one function per entry, all on one
/// region) for `target`. Fails with the fit table when a PE's SRAM does not
/// hold weights, states, buffers, code and reserved bytes; `fit` then says what
/// the smallest programs would need.
mlir::FailureOr<Image> emitImage(mlir::ModuleOp module,
                                 const image::TargetT &target,
                                 target::Fit &fit);

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CODEGEN_H
