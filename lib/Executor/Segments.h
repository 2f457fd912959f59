// Programs without loops, as segments: a compute block of instructions that a
// PE can execute alone, then a communication sequence of stream instructions
// and waits. Both are shared by all programs that have the same.

#ifndef WAFERLOOM_LIB_EXECUTOR_SEGMENTS_H
#define WAFERLOOM_LIB_EXECUTOR_SEGMENTS_H

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

/// An act of a communication sequence, after so many cycles of `rewrite`
/// instructions.
struct SequenceAct {
  uint32_t act;
  uint32_t lead;
  bool operator<(const SequenceAct &other) const {
    return std::tie(act, lead) < std::tie(other.act, other.lead);
  }
};

/// Indices into Segments::computeBlocks, Segments::sequences and
/// Segments::leads.
struct Segment {
  uint32_t computeBlock = 0, sequence = 0, leads = 0;
  uint64_t cycles = 0; // of the compute block
  uint64_t begun = 0;  // instructions that began before this segment
};

using ComputeBlock = std::vector<uint32_t>; // acts
using CommunicationSequence = std::vector<SequenceAct>;

/// Cycles of `rewrite` instructions in a compute block: before the act at
/// `position`, or behind the last.
struct BlockLead {
  uint32_t position, cycles;
  bool operator<(const BlockLead &other) const {
    return std::tie(position, cycles) < std::tie(other.position, other.cycles);
  }
};

/// What a PE does in one run of its program.
struct Totals {
  uint64_t instructions = 0, words = 0;
  std::map<uint32_t, uint64_t> busy; // cycles by account
};

struct Segments {
  std::vector<Act> acts;
  std::vector<ComputeBlock> computeBlocks;                 // 0 is empty
  std::vector<CommunicationSequence> sequences;            // 0 is empty
  std::vector<std::vector<BlockLead>> leads;               // 0 is empty
  std::vector<std::vector<std::vector<Segment>>> programs; // by region
  std::vector<std::vector<Totals>> totals;                 // the same
};

struct UnrollLimits {
  /// Of one program: what a compute block may hold.
  size_t instructions = 16'000'000;
  /// Of all programs together: about a gigabyte.
  size_t segments = 32'000'000;
};

class Interrupt;

/// Nothing when the loops of the programs make more than `limits` allow, and
/// when interrupted.
/// `axes`: for each color whether its streams run along x (1), y (2) or both
/// (3); sequences end where these differ, so that the streams of one stay in
/// one line of PEs where they can.
std::optional<Segments> unroll(const PreparedEntry &prepared,
                               const std::vector<uint8_t> &axes,
                               uint32_t issueCycles, Interrupt *interrupt,
                               const UnrollLimits &limits = {});

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_SEGMENTS_H
