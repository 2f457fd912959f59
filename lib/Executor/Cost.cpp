// What a vector operation costs after its issue
// (waferloom/Machine/VectorCost.h).

#include "Prepared.h"
#include "waferloom/Machine/VectorCost.h"

namespace waferloom::executor {

/// The last dimension that has more than one element.
static int innermost(const Instruction &i) {
  for (int k = 3; k >= 0; --k)
    if (i.shape[k] > 1)
      return k;
  return 3;
}

void countVector(Instruction &i, const image::TargetT &target) {
  machine::VectorInstruction described;
  described.op = i.op;
  described.elements = static_cast<int64_t>(i.elements);
  for (int k = 0; k < 4; ++k)
    described.folds |= i.shape[k] > 1 && i.dst.strides[k] == 0;
  const Operand *operands[] = {&i.dst, &i.a, &i.b, &i.c};
  for (int k = 0; k < 4; ++k)
    described.operands[k] = {
        operands[k]->present, operands[k]->immediate, operands[k]->type,
        operands[k]->strides[innermost(i)], operands[k]->base};
  machine::VectorCost cost =
      machine::costOf(described, machine::MachineModel(target));
  i.work = static_cast<uint64_t>(cost.cycles);
  i.conflict = static_cast<uint64_t>(cost.conflict);
}

} // namespace waferloom::executor
