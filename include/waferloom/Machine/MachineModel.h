// What the machine takes: the one place that turns figures of a target into
// cycles. The executor counts with it, partitioning, routing and code
// generation choose by it, so a plan is compared by what will be counted.
// docs/target.md has the table of rules; docs/executor.md numbers them (E11 to
// E22).

#ifndef WAFERLOOM_MACHINE_MACHINEMODEL_H
#define WAFERLOOM_MACHINE_MACHINEMODEL_H

#include "waferloom/Image/Programs.h"
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace waferloom::machine {

using image::Opcode;
using image::Type;

/// What a word takes on its way; the presets' values.
struct LinkCosts {
  unsigned hop = 1;     ///< from router to router
  unsigned ramp = 2;    ///< between router and PE, each way
  unsigned forward = 1; ///< from taking a word to putting what was made of it

  /// From the put of a word to the earliest cycle it can be taken, `hops` links
  /// on (E11).
  uint64_t getTravel(uint64_t hops) const { return 2 * ramp + hops * hop; }
  /// From the put of a word to the put of what the PE that takes it makes of it
  /// (E15).
  uint64_t getLink(uint64_t hops) const { return getTravel(hops) + forward; }
};

/// Reads the figures of a target, which must outlive it. Times are in cycles.
class MachineModel {
public:
  explicit MachineModel(const image::TargetT &target) : target(target) {}

  /// No limit to elements per cycle.
  static constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();

  /// Elements per cycle of a vector instruction whose strides and banks are not
  /// in the way, at least 1: by its operation and the types of its result and
  /// of its operands `a` and `b` (E16). A fold takes one element per cycle
  /// whatever its operation; integer division has `getDivideCycles`.
  int64_t getRate(Opcode op, Type dst, Type a, Type b) const;
  /// The same where result and operands are of one type.
  int64_t getRate(Opcode op, Type type) const {
    return getRate(op, type, type, type);
  }

  /// Elements per cycle that an operand allows whose elements are `bytes` apart
  /// in the innermost dimension that moves (E17).
  static int64_t getStrideLimit(int64_t bytes);

  /// Bytes after which the banks of the memory come again.
  int64_t getBankPeriod() const {
    return int64_t(target.banks) * target.bank_bytes;
  }
  /// Whether two operands that advance alike collide: of `bytesPerCycle` bytes
  /// read from each, `distance` bytes apart, some share a bank (E18).
  bool collide(int64_t distance, int64_t bytesPerCycle) const;
  /// Bytes that one cycle reads of an operand of `type` at `rate`, as far as
  /// they count for collisions.
  int64_t getBytesPerCycle(Type type, int64_t rate) const {
    return std::min(rate * image::bytesOf(type), getBankPeriod() / 2);
  }

  /// Cycles of `elements` at `rate` elements per cycle.
  static int64_t getVectorCycles(int64_t elements, int64_t rate) {
    rate = std::max<int64_t>(rate, 1);
    return elements / rate + (elements % rate != 0);
  }
  int64_t getDivideCycles(int64_t elements) const {
    return elements * target.integer_divide_cycles;
  }
  /// From the start of a prepared instruction to its first element.
  int64_t getIssue() const { return target.issue_cycles; }
  /// What an instruction takes besides if an operand moves with a loop (E19).
  int64_t getRewrite() const { return target.rewrite_cycles; }
  /// An instruction over `elements` that nothing else limits.
  int64_t getInstructionCycles(int64_t elements, int64_t rate,
                               bool isMoving = false) const {
    return getIssue() + (isMoving ? getRewrite() : 0) +
           getVectorCycles(elements, rate);
  }

  LinkCosts getLinks() const {
    return {target.hop_cycles, target.ramp_cycles, target.forward_cycles};
  }
  /// Whether a stream pauses for a cycle behind its word number `words`,
  /// counted from 1 (E11).
  bool pausesAfter(uint64_t words) const {
    return target.words_per_burst != 0 && words % target.words_per_burst == 0;
  }

private:
  const image::TargetT &target;
};

} // namespace waferloom::machine

#endif // WAFERLOOM_MACHINE_MACHINEMODEL_H
