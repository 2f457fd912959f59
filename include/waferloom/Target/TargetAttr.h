// The machine as a module says it: `wafer.target` there, `Target` here. Both
// are made of Figures.def.

#ifndef WAFERLOOM_TARGET_TARGETATTR_H
#define WAFERLOOM_TARGET_TARGETATTR_H

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Target/Target.h"

namespace waferloom::target {

/// The attribute that says `target`: its name, and the figures that the name
/// does not say. Sources of figures are left out.
wafer::TargetAttr toAttr(mlir::MLIRContext *context, const Target &target);

/// The machine that an attribute says. Errors: the name is no preset and
/// figures are left out; a figure that does not exist; a machine that no
/// program could run on.
llvm::Expected<Target> fromAttr(wafer::TargetAttr attribute);

/// The machine that the module around `op` is compiled for. Reports, at the
/// module, that it says none or a wrong one.
mlir::FailureOr<Target> getTarget(mlir::Operation *op);

/// Says that `module` is compiled for `target`.
void setTarget(mlir::ModuleOp module, const Target &target);

} // namespace waferloom::target

#endif // WAFERLOOM_TARGET_TARGETATTR_H
