//===- Machine.h - The target of a pass -------------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_MACHINE_H
#define WAFERLOOM_LIB_CODEGEN_MACHINE_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Image/Image_generated.h"

#include <optional>

namespace waferloom::codegen {

/// The machine that a pass was made for, or else the one that `specification`
/// names as `--target` has it. Emits an error at `op` if there is none such.
mlir::FailureOr<image::TargetT>
machineOf(mlir::Operation *op, const std::optional<image::TargetT> &given,
          llvm::StringRef specification);

/// The same for a pass on an image, which names its target itself.
mlir::FailureOr<image::TargetT>
machineOf(core::ImageOp image, const std::optional<image::TargetT> &given,
          llvm::StringRef specification);

/// Passes for a machine that need not have a name.
std::unique_ptr<mlir::Pass> createMergeFor(const image::TargetT &machine);
std::unique_ptr<mlir::Pass> createScheduleFor(const image::TargetT &machine);
std::unique_ptr<mlir::Pass> createLiveLengthsFor(const image::TargetT &machine);
std::unique_ptr<mlir::Pass> createAssignBanksFor(const image::TargetT &machine);
std::unique_ptr<mlir::Pass> createAllocateFor(const image::TargetT &machine);

/// Where what stays in memory ends, and what of it lies by hand: scratch of
/// `program` begins behind it.
int64_t endOfShared(core::ProgramOp program);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_MACHINE_H
