// An order in which an entry can be executed by many PEs at a time. It knows
// neither values nor time: it says what may be done once what else is done.
//
// A superstep has two halves. First every PE executes its compute block, alone.
// Then groups of PEs exchange words. No word is left between supersteps. PEs
// that stand at the same place of the same program are of one kind, and move
// from superstep to superstep as one; a kind whose PEs part is split.

#ifndef WAFERLOOM_LIB_EXECUTOR_SCHEDULE_H
#define WAFERLOOM_LIB_EXECUTOR_SCHEDULE_H

#include "ExchangeGroup.h"
#include <memory>

namespace waferloom::executor {

/// Equal groups: the first PE of each.
struct GroupPlaces {
  uint32_t group;
  std::vector<uint32_t> bases;
};

struct SuperstepBlock {
  uint32_t computeBlock;
  uint32_t pes; // index into Schedule::sets
};

struct Superstep {
  std::vector<SuperstepBlock> computeBlocks;
  uint32_t exchange; // index into Schedule::exchanges
  /// By kind: instructions that began before this superstep, and before its
  /// groups.
  std::vector<uint64_t> begun, begunAfterCompute;
  std::vector<uint64_t> cycles; // by kind: of its compute block
};

struct Schedule {
  Segments segments;
  std::vector<ExchangeGroup> groups;
  std::vector<std::vector<GroupPlaces>> exchanges;
  std::vector<std::vector<uint32_t>> sets; // of PEs, ascending
  std::vector<Superstep> supersteps;
  std::vector<uint32_t> kindOf;   // by PE, at the end
  std::vector<uint32_t> parentOf; // the kind that a kind was split from

  /// What kind a PE was in a superstep.
  uint32_t kindIn(const Superstep &superstep, uint32_t pe) const {
    uint32_t kind = kindOf[pe];
    while (kind >= superstep.begun.size())
      kind = parentOf[kind];
    return kind;
  }
};

/// Null when the programs or what an exchange group exchanges are too long,
/// when only parts of instructions can follow each other, and when interrupted.
std::unique_ptr<Schedule> makeSchedule(const PreparedEntry &prepared,
                                       const Streams &streams,
                                       uint32_t issueCycles,
                                       Interrupt *interrupt);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_SCHEDULE_H
