// An order in which an entry can be executed by many PEs at a time. It knows
// neither values nor time: it says what may be done once what else is done.
//
// A phase has two halves. First every PE executes its tape, alone. Then lines
// of PEs exchange words. No word is left between phases. PEs that stand at the
// same place of the same program are of one kind, and move from phase to phase
// as one; a kind whose PEs part is split.

#ifndef WAFERLOOM_LIB_EXECUTOR_SCHEDULE_H
#define WAFERLOOM_LIB_EXECUTOR_SCHEDULE_H

#include "Line.h"
#include <memory>

namespace waferloom::executor {

/// Equal lines: the first PE of each.
struct LinePlaces {
  uint32_t line;
  std::vector<uint32_t> bases;
};

struct PhaseTape {
  uint32_t tape;
  uint32_t pes; // index into Schedule::sets
};

struct Phase {
  std::vector<PhaseTape> tapes;
  uint32_t lines; // index into Schedule::exchanges
  /// By kind: instructions that began before this phase, and before its lines.
  std::vector<uint64_t> begun, begunAfterTape;
  std::vector<uint64_t> cycles; // by kind: of its tape
};

struct Schedule {
  Turns turns;
  std::vector<Line> lines;
  std::vector<std::vector<LinePlaces>> exchanges;
  std::vector<std::vector<uint32_t>> sets; // of PEs, ascending
  std::vector<Phase> phases;
  std::vector<uint32_t> kindOf;   // by PE, at the end
  std::vector<uint32_t> parentOf; // the kind that a kind was split from

  /// What kind a PE was in a phase.
  uint32_t kindIn(const Phase &phase, uint32_t pe) const {
    uint32_t kind = kindOf[pe];
    while (kind >= phase.begun.size())
      kind = parentOf[kind];
    return kind;
  }
};

/// Null when the programs are too long, or when only parts of instructions can
/// follow each other.
std::unique_ptr<Schedule> makeSchedule(const PreparedEntry &prepared,
                                       const Streams &streams,
                                       uint32_t issueCycles);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_SCHEDULE_H
