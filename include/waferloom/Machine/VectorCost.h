// What a vector instruction takes after its issue (E16 to E18): elements over
// rate, where the rate is the machine's for operation and types, limited by
// strides, and halved where two operands that are read together hit the same
// banks.

#ifndef WAFERLOOM_MACHINE_VECTORCOST_H
#define WAFERLOOM_MACHINE_VECTORCOST_H

#include "waferloom/Machine/MachineModel.h"
#include <array>
#include <optional>
#include <utility>

namespace waferloom::machine {

/// An operand, as far as time sees it.
struct VectorOperand {
  bool present = false;
  bool immediate = false; ///< a scalar of the instruction, in no memory
  Type type = Type::f32;
  int64_t stride = 0; ///< bytes, in the innermost dimension that moves
  std::optional<int64_t> address; ///< loop steps and indices aside; if known
};

struct VectorInstruction {
  Opcode op = Opcode::mov;
  int64_t elements = 1;
  bool folds = false; ///< each element waits for the one before
  /// The destination, then a, b and c.
  std::array<VectorOperand, 4> operands;
};

struct VectorCost {
  int64_t cycles = 0;
  int64_t conflict = 0; ///< of them: what strides and banks cost
  /// Why: the operand whose stride limits the rate most, and two that share
  /// banks; indices into `operands`.
  std::optional<unsigned> slowest;
  std::optional<std::pair<unsigned, unsigned>> colliding;
};

VectorCost costOf(const VectorInstruction &instruction,
                  const MachineModel &machine);

} // namespace waferloom::machine

#endif // WAFERLOOM_MACHINE_VECTORCOST_H
