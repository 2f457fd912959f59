//===- SlotVisit.h - An instruction on its way ------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_SLOTVISIT_H
#define WAFERLOOM_LIB_CODEGEN_SLOTVISIT_H

#include "LiveSlots.h"

namespace waferloom::codegen {

Walk walkOf(core::OperandAttr operand, llvm::ArrayRef<int64_t> shape);

/// Whether the elements of `operand` are all bytes of its window.
bool covers(core::OperandAttr operand, const Walk &walk);

/// What is known of its operands.
struct LiveSlots::Visit {
  mutable core::VectorOp op; // whose methods are not const
  llvm::SmallVector<core::OperandAttr, 4> operands; // the destination first
  llvm::SmallVector<Walk, 4> walks;
  llvm::SmallVector<Fact, 4> facts;
  llvm::SmallVector<std::optional<Alignment>, 4> aligned; // of those with slots
  bool isFree = true;
  core::Trips trips;

  core::OperandAttr dst() const { return operands.front(); }
  bool hasSlots(size_t i) const { return facts[i].slots.count != 0; }
  /// The source that the destination is, if it adds to it.
  std::optional<size_t> accumulator() const {
    for (size_t i : {size_t(1), size_t(2)})
      if (i < operands.size() && operands[i] == dst() &&
          (i == 1 || op.getOp() != core::Opcode::fma))
        return i;
    return std::nullopt;
  }
  SlotValue deadOf(size_t i) const {
    return hasSlots(i) ? facts[i].dead : facts[i].every;
  }
  void cut();
  /// Whether it may read what it has written itself. Of slots, as it goes over
  /// them with `dim` and writes those from `first` on, it is known that it does
  /// not.
  bool isTangled(std::optional<unsigned> dim = std::nullopt,
                 const Slots &written = {}, int64_t first = 0) const;
  /// What an element becomes; nothing is known of sums.
  SlotValue evaluate(llvm::ArrayRef<SlotValue> sources, int64_t tokens) const;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_SLOTVISIT_H
