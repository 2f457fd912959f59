//===- InstructionCost.h - What a core op will take -------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_INSTRUCTIONCOST_H
#define WAFERLOOM_LIB_CODEGEN_INSTRUCTIONCOST_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Machine/VectorCost.h"

namespace waferloom::codegen {

/// The type of an operand as the image names it.
image::Type wordOf(mlir::Type type);

int64_t elementsOf(core::VectorOp op);

/// The destination, then the sources.
llvm::SmallVector<core::OperandAttr, 4> operandsOf(core::VectorOp op);

/// `op` as its cost is counted; addresses as far as `buffers` have them.
machine::VectorInstruction describe(core::VectorOp op,
                                    const core::Buffers *buffers = nullptr);

/// Elements per cycle by operation and types; one for a fold (E16).
int64_t rateOf(core::VectorOp op, const machine::MachineModel &machine);
int64_t rateOf(core::Opcode op, llvm::ArrayRef<int64_t> shape,
               llvm::ArrayRef<core::OperandAttr> operands,
               const machine::MachineModel &machine);

/// Cycles from issue to the last element, descriptor rewrites included. Banks
/// count where addresses are known.
int64_t cyclesOf(core::VectorOp op, const machine::MachineModel &machine);
/// The same of an instruction that is not there yet: the destination first.
int64_t cyclesOf(core::Opcode op, llvm::ArrayRef<int64_t> shape,
                 llvm::ArrayRef<core::OperandAttr> operands,
                 const machine::MachineModel &machine);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_INSTRUCTIONCOST_H
