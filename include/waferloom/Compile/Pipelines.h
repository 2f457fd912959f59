//===- Pipelines.h - The phases as pipelines of passes ----------*- C++ -*-===//
//
// What the compiler runs is what waferloom-opt runs: these functions. Each
// phase takes a module from one level to the next. The machine is the module's
// `wafer.target`.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_COMPILE_PIPELINES_H
#define WAFERLOOM_COMPILE_PIPELINES_H

#include "waferloom/Compile/Compile.h"
#include "waferloom/Partition/Planning.h"

#include "mlir/Pass/PassManager.h"

namespace waferloom {

/// Level 1 to level 2. Errors: `options` say a way to sample that there is not.
llvm::Error populateTensorsPipeline(mlir::OpPassManager &pm,
                                    const CompileOptions &options);

/// Level 2 as planning needs it: dimensions factored, copies folded, messages
/// saved, layers rerolled (unless `reroll` is false).
void populatePreparePipeline(mlir::OpPassManager &pm,
                             const CompileOptions &options, bool reroll = true);

/// Level 2 (prepared) to level 3: chooses region, stages and layouts. Plans are
/// asked about by running the phases behind on a copy. `planned` (may be null)
/// gets what was found; then a refusal is not reported, but left to the caller.
void populatePlanPipeline(mlir::OpPassManager &pm,
                          const CompileOptions &options,
                          partition::Planned *planned = nullptr);

/// Level 3 to level 4.
void populatePerPePipeline(mlir::OpPassManager &pm,
                           const CompileOptions &options);

/// Level 4 to level 5.
void populateFabricPipeline(mlir::OpPassManager &pm,
                            const CompileOptions &options);

/// Registers all of them, as `waferloom-tensors`, `-prepare`, `-plan`,
/// `-per-pe` and `-fabric`, with the options of the command line.
void registerPipelines();

} // namespace waferloom

#endif // WAFERLOOM_COMPILE_PIPELINES_H
