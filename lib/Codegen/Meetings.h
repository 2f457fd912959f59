//===- Meetings.h - Sources that are read together --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_MEETINGS_H
#define WAFERLOOM_LIB_CODEGEN_MEETINGS_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Machine/MachineModel.h"

namespace waferloom::codegen {

/// Two sources of one instruction that advance alike: it takes twice as long if
/// they begin in the same bank.
struct Meeting {
  core::OperandAttr a, b;
  int64_t width;    ///< bytes read per cycle
  int64_t elements; ///< of the instruction
  int64_t rate;     ///< of them per cycle
  int64_t times;    ///< that it is executed

  /// What it costs to begin in the same bank.
  int64_t cycles() const {
    return times * machine::MachineModel::getVectorCycles(elements, rate);
  }
};

/// The elements from one of `operand` to the next, for each dimension.
llvm::SmallVector<int64_t> stridesOf(core::OperandAttr operand,
                                     llvm::ArrayRef<int64_t> shape);

/// Those of an instruction with `operands`, the destination first.
llvm::SmallVector<Meeting, 2>
meetingsOf(core::Opcode op, llvm::ArrayRef<int64_t> shape,
           llvm::ArrayRef<core::OperandAttr> operands,
           const machine::MachineModel &model);

/// Adds those of all instructions in `block`, which is executed `times` times.
/// A loop whose trips depend on the entry counts as one: entries that share its
/// code share what is decided by this.
void findMeetings(mlir::Block &block, int64_t times,
                  const machine::MachineModel &model,
                  llvm::SmallVectorImpl<Meeting> &meetings);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_MEETINGS_H
