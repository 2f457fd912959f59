//===- InstructionCost.h - What a core op will take -------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_INSTRUCTIONCOST_H
#define WAFERLOOM_LIB_CODEGEN_INSTRUCTIONCOST_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Machine/MachineModel.h"

namespace waferloom::codegen {

/// The type of an operand as the image names it.
image::Type wordOf(mlir::Type type);

int64_t elementsOf(core::VectorOp op);

/// Elements per cycle by operation and types; one for a fold (E16). Division
/// has a count of its own and counts as one.
int64_t rateOf(core::VectorOp op, const machine::MachineModel &machine);

/// Elements per cycle that the strides of all operands allow (E17).
int64_t strideLimitOf(core::VectorOp op);

/// Cycles from issue to the last element, descriptor rewrites included and
/// banks left out: those are known when addresses are.
int64_t cyclesOf(core::VectorOp op, const machine::MachineModel &machine);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_INSTRUCTIONCOST_H
