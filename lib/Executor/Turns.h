// Programs without loops, cut into turns: a tape of instructions that a PE can
// execute alone, then a run of stream instructions and waits. Tapes and runs
// are shared by all programs that have the same.

#ifndef WAFERLOOM_LIB_EXECUTOR_TURNS_H
#define WAFERLOOM_LIB_EXECUTOR_TURNS_H

#include "Prepared.h"
#include "Streams.h"
#include <map>
#include <optional>
#include <vector>

namespace waferloom::executor {

/// An instruction with the steps of the loops around it worked in. Operands are
/// dst, a, b, c, predicate.
struct Act {
  const Instruction *instruction = nullptr;
  uint32_t addresses[5] = {0, 0, 0, 0, 0};
  uint32_t indexAt[5] = {0, 0, 0, 0, 0};

  const Operand &operand(unsigned i) const {
    const Instruction &from = *instruction;
    const Operand *all[] = {&from.dst, &from.a, &from.b, &from.c,
                            &from.predicate};
    return *all[i];
  }
};

/// An act of a run, after so many cycles of `rewrite` instructions.
struct RunAct {
  uint32_t act;
  uint32_t lead;
  bool operator<(const RunAct &other) const {
    return std::tie(act, lead) < std::tie(other.act, other.lead);
  }
};

/// Indices into Turns::tapes and Turns::runs.
struct Turn {
  uint32_t tape = 0, run = 0;
  uint64_t cycles = 0; // of the tape
  uint64_t begun = 0;  // instructions that began before this turn
};

using Tape = std::vector<uint32_t>; // acts
using Run = std::vector<RunAct>;

/// What a PE does in one run of its program.
struct Totals {
  uint64_t instructions = 0, words = 0;
  std::map<uint32_t, uint64_t> busy; // cycles by account
};

struct Turns {
  std::vector<Act> acts;
  std::vector<Tape> tapes;                              // 0 is empty
  std::vector<Run> runs;                                // 0 is empty
  std::vector<std::vector<std::vector<Turn>>> programs; // by region
  std::vector<std::vector<Totals>> totals;              // the same
};

struct UnrollLimits {
  /// Of one program: what a tape may hold.
  size_t instructions = 16'000'000;
  /// Of all programs together: about a gigabyte.
  size_t turns = 32'000'000;
};

/// Nothing when the loops of the programs make more than `limits` allow.
/// `axes`: for each color whether its streams run along x (1), y (2) or both
/// (3); runs are cut where these differ, so that the streams of a run stay in
/// one line of PEs where they can.
std::optional<Turns> unroll(const PreparedEntry &prepared,
                            const std::vector<uint8_t> &axes,
                            uint32_t issueCycles,
                            const UnrollLimits &limits = {});

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_TURNS_H
