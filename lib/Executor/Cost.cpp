// What a vector operation costs after its issue: elements over rate, where the
// rate is the target's for the operation and type, limited by strides, and
// halved where two operands that are read together hit the same banks.

#include "Prepared.h"
#include "waferloom/Machine/MachineModel.h"
#include <algorithm>

namespace waferloom::executor {

using machine::MachineModel;

/// The last dimension that has more than one element.
static int innermost(const Instruction &i) {
  for (int k = 3; k >= 0; --k)
    if (i.shape[k] > 1)
      return k;
  return 3;
}

/// Two operands that advance alike collide when the bytes that they read in
/// one cycle share a bank.
static bool collide(const Operand &a, const Operand &b, int dimension,
                    int64_t rate, const MachineModel &machine) {
  if (!a.present || !b.present || a.immediate || b.immediate ||
      a.strides[dimension] == 0 || a.strides[dimension] != b.strides[dimension])
    return false;
  return machine.collide(int64_t(a.base) - b.base,
                         machine.getBytesPerCycle(a.type, rate));
}

void countVector(Instruction &i, const image::TargetT &target) {
  const MachineModel machine(target);
  if (i.op == Opcode::floor_div || i.op == Opcode::floor_mod) {
    i.work = machine.getDivideCycles(i.elements);
    return;
  }
  int64_t rate = machine.getRate(i.op, i.dst.type, i.a.type, i.b.type);
  for (int k = 0; k < 4; ++k)
    if (i.shape[k] > 1 && i.dst.strides[k] == 0)
      rate = 1; // a fold: each element waits for the one before
  const auto best = MachineModel::getVectorCycles(i.elements, rate);
  int dimension = innermost(i);
  for (const Operand *operand : {&i.dst, &i.a, &i.b, &i.c})
    if (operand->present && !operand->immediate)
      rate = std::min(
          rate, MachineModel::getStrideLimit(operand->strides[dimension]));
  bool collision = collide(i.a, i.b, dimension, rate, machine) ||
                   collide(i.a, i.c, dimension, rate, machine) ||
                   collide(i.b, i.c, dimension, rate, machine);
  int64_t cycles = MachineModel::getVectorCycles(i.elements, rate);
  i.work = collision ? 2 * cycles : cycles;
  i.conflict = i.work - best;
}

} // namespace waferloom::executor
