#include "waferloom/Machine/VectorCost.h"

namespace waferloom::machine {

/// Two operands that advance alike collide when the bytes that they read in
/// one cycle share a bank.
static bool collide(const VectorOperand &a, const VectorOperand &b,
                    int64_t rate, const MachineModel &machine) {
  if (!a.present || !b.present || a.immediate || b.immediate || a.stride == 0 ||
      a.stride != b.stride || !a.address || !b.address)
    return false;
  return machine.collide(*a.address - *b.address,
                         machine.getBytesPerCycle(a.type, rate));
}

VectorCost costOf(const VectorInstruction &i, const MachineModel &machine) {
  VectorCost cost;
  if (i.op == Opcode::floor_div || i.op == Opcode::floor_mod) {
    cost.cycles = machine.getDivideCycles(i.elements);
    return cost;
  }
  const auto &[dst, a, b, c] = i.operands;
  int64_t rate = i.folds ? 1 : machine.getRate(i.op, dst.type, a.type, b.type);
  const int64_t best = MachineModel::getVectorCycles(i.elements, rate);
  for (unsigned k = 0; k < i.operands.size(); ++k) {
    const VectorOperand &operand = i.operands[k];
    if (!operand.present || operand.immediate)
      continue;
    int64_t limit = MachineModel::getStrideLimit(operand.stride);
    if (limit >= rate)
      continue;
    rate = limit;
    cost.slowest = k;
  }
  cost.cycles = MachineModel::getVectorCycles(i.elements, rate);
  for (auto [one, other] : {std::pair(1u, 2u), {1u, 3u}, {2u, 3u}})
    if (!cost.colliding &&
        collide(i.operands[one], i.operands[other], rate, machine)) {
      cost.colliding = {one, other};
      cost.cycles *= 2;
    }
  cost.conflict = cost.cycles - best;
  return cost;
}

} // namespace waferloom::machine
