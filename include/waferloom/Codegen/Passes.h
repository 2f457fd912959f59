//===- Passes.h - Programs, from fabric to addresses ------------*- C++ -*-===//

#ifndef WAFERLOOM_CODEGEN_PASSES_H
#define WAFERLOOM_CODEGEN_PASSES_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Image/Image_generated.h"
#include "waferloom/Target/Resources.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <functional>
#include <memory>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace waferloom::codegen {

#define GEN_PASS_DECL
#include "waferloom/Codegen/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "waferloom/Codegen/Passes.h.inc"

/// On a module of level 5: loops over caches go over all of their slots, live
/// or not (`core-live-lengths` is left out).
inline constexpr llvm::StringLiteral wholeCaches = "core.whole_caches";

/// Level 5 in, a `core.image` with addresses for `machine` out. If `fit` is
/// given, it says how the memory of the fullest PE is used, or would be by the
/// smallest programs when none fit. `interrupted` (may be null) is asked before
/// each budget of memory: true fails without a word.
void populateCodegenPipeline(mlir::OpPassManager &pm,
                             const image::TargetT &machine,
                             target::Fit *fit = nullptr,
                             const std::function<bool()> &interrupted = {});

/// A `core.image` whose buffers have sizes in, addresses out. `banks`: regard
/// them, which takes some bytes more.
void populateAllocationPipeline(mlir::OpPassManager &pm,
                                const image::TargetT &machine,
                                bool banks = true);

/// `codegen`, for tools: `populateCodegenPipeline` with a target by name.
void registerPipeline();

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_PASSES_H
