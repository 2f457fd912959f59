//===- Phases.h - One function per phase ------------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_COMPILE_PHASES_H
#define WAFERLOOM_LIB_COMPILE_PHASES_H

#include "waferloom/Compile/Compile.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Partition/Planning.h"
#include "waferloom/Target/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringSet.h"

namespace waferloom {

/// How `CompileOptions::sample` says that the wafer picks tokens.
struct Sampling {
  bool picks = true;
  bool draws = false;
  int64_t top = 0; ///< of so many of the most likely; 0: of all
};

/// Errors: there is no such way, or N is not between 1 and 64.
llvm::Expected<Sampling> samplingOf(const CompileOptions &options);

/// Errors name an option, its value, and what it may be.
llvm::Error checkOptions(const CompileOptions &options,
                         const target::Target &target);

/// The part of it about the region of the ends, beside those of the layers.
llvm::Error checkEnds(const CompileOptions &options,
                      const target::Target &target);

/// Whether numbers of weights are rounded to codes.
inline bool roundsWeights(const CompileOptions &options) {
  return options.storage != "auto" && options.storage != "kept" &&
         options.storage != "expanded";
}

/// The names of the weights of level 1 that `options.keep` leaves out. Emits an
/// error where a pattern matches none.
mlir::FailureOr<llvm::StringSet<>> findExcepted(mlir::ModuleOp onnx,
                                                const CompileOptions &options);

/// At level 2 says of each weight whether it may be rounded.
void markRounded(mlir::ModuleOp module, const llvm::StringSet<> &excepted);

/// Rounds those that products alone read, in blocks along what they sum over.
void roundMarked(mlir::ModuleOp module, const CompileOptions &options);

/// Whether the caller wants no more of this compilation.
inline bool isInterrupted(const CompileOptions &options) {
  return options.interrupted && options.interrupted();
}

/// Runs the passes that `populate` adds on `module`.
llvm::LogicalResult
runPhase(mlir::ModuleOp module,
         llvm::function_ref<void(mlir::OpPassManager &)> populate);

/// Adds a pass that keeps a copy of the module as it stands there.
void keepClone(mlir::OpPassManager &pm,
               mlir::OwningOpRef<mlir::ModuleOp> &copy);

/// What planning may take.
struct PlanningEffort {
  int answers = 40;   ///< of later phases, for each region
  bool counts = true; ///< the best plans, where several fit
};

/// Level 2 to level 3: chooses layouts, on the region that `options` name or
/// else on all of the module's target. Reports nothing when no plan fits:
/// `planned` tells of the closest.
llvm::LogicalResult plan(mlir::ModuleOp module, const CompileOptions &options,
                         partition::Planned &planned,
                         PlanningEffort effort = {});

/// Level 2 (prepared) whose entry of one token also serves those of several, as
/// so many trips; null if they are no such trips.
mlir::OwningOpRef<mlir::ModuleOp> streamTokens(mlir::ModuleOp module);

/// `plan`, of entries as blocks or streams of tokens as `options.prefill` says.
llvm::LogicalResult planEntries(mlir::ModuleOp module,
                                const CompileOptions &options,
                                partition::Planned &planned);

/// Level 3 to level 5.
llvm::LogicalResult lowerToFabric(mlir::ModuleOp module,
                                  const CompileOptions &options);

/// A compiled model on its way.
struct Levels {
  mlir::ModuleOp tensors;  ///< level 2, before `prepare`
  mlir::ModuleOp prepared; ///< the same behind it
  mlir::ModuleOp fabric;   ///< level 5
  const partition::Planned *planned = nullptr;
};

/// Cycles of a step of every entry that has a program of its own, of a module
/// at level 3, by the engine: of many layers a few are counted. Nothing: it
/// cannot be lowered, or is interrupted.
std::optional<double> countPlan(mlir::ModuleOp planned,
                                const CompileOptions &options,
                                const target::Target &target);

/// Says in the entries of `programs`, at level 6, the bounds of those of
/// `module`, at level 5.
void addBounds(mlir::ModuleOp module, const image::TargetT &target,
               mlir::ModuleOp programs);

/// Fills in what an image and its planning say.
void summarize(const image::ImageT &image, const partition::Planned &planned,
               CompileSummary &summary);

/// Writes into `image` what each rewrite saves in a step of the first entry.
llvm::Error measureRewrites(const Levels &levels, const CompileOptions &options,
                            codegen::Image &image);

/// Reads an image that was made as every reader will: the checker's rules, and
/// on few PEs the proof that no step hangs. What fails is a mistake of the
/// compiler; in a text of programs (`isText`), which is checked by the rules
/// alone, it is the text's. Leaves the image as it was.
llvm::Error checkImage(image::ImageT &image, bool isText,
                       const CompileOptions &options);

/// A refusal for want of memory: what is where, and what would fit instead.
/// `onnx` (null: compilation began behind it) and `tensors` (prepared) are the
/// model, `planned` what planning found.
Diagnostic explainFit(mlir::ModuleOp onnx, mlir::ModuleOp tensors,
                      const CompileOptions &options,
                      const partition::Planned &planned);

} // namespace waferloom

#endif // WAFERLOOM_LIB_COMPILE_PHASES_H
