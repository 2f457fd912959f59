#include "Segments.h"
#include "Interrupt.h"
#include "llvm/ADT/SmallVector.h"
#include <array>
#include <unordered_map>

using namespace llvm;

namespace waferloom::executor {

namespace {
struct Loop {
  uint32_t begin, end, left, iteration;
};

/// Follows the programs as a PE does, all loops worked out.
class Unroller {
public:
  Unroller(const PreparedEntry &prepared, const std::vector<uint8_t> &axes,
           uint32_t issue, Interrupt *interrupt, const UnrollLimits &limits)
      : prepared(prepared), axes(axes), issue(issue), interrupt(interrupt),
        limits(limits) {}

  std::optional<Segments> run() {
    computeBlockOf[{}] = sequenceOf[{}] = leadsOf[{}] = 0;
    out.computeBlocks.emplace_back();
    out.sequences.emplace_back();
    out.leads.emplace_back();
    for (const RegionPrograms &from : prepared.regions) {
      region = &from;
      still.assign(from.instructions.size(), none);
      moving.clear();
      out.programs.emplace_back();
      out.totals.emplace_back();
      for (const Program &program : from.programs)
        if (!unroll(program))
          return std::nullopt;
    }
    return std::move(out);
  }

private:
  bool unroll(const Program &program);
  void add(const Instruction &instruction);
  void tally(const Instruction &instruction);
  void close();
  uint32_t actOf(const Instruction &instruction);
  /// The `rewrite` instructions so far stand in the compute block.
  void keepLead() {
    if (lead != 0)
      leads.push_back({static_cast<uint32_t>(computeBlock.size()), lead});
    cycles += lead;
    lead = 0;
  }

  const PreparedEntry &prepared;
  const std::vector<uint8_t> &axes;
  const uint32_t issue;
  Interrupt *interrupt;
  const UnrollLimits limits;
  size_t segments = 0; // of all programs
  Segments out;
  const RegionPrograms *region = nullptr;
  std::map<ComputeBlock, uint32_t> computeBlockOf;
  std::map<CommunicationSequence, uint32_t> sequenceOf;
  std::map<std::vector<BlockLead>, uint32_t> leadsOf;
  std::vector<uint32_t> still; // act of an instruction that no loop moves
  std::map<std::array<uint32_t, 11>, uint32_t> moving;
  SmallVector<Loop, 8> loops;
  // The segment that is being made.
  ComputeBlock computeBlock;
  CommunicationSequence acts;
  std::vector<BlockLead> leads; // of the compute block
  uint64_t cycles = 0, begun = 0, begunHere = 0;
  uint32_t lead = 0;
  uint8_t axis = 0; // of the sequence
};
} // namespace

uint32_t Unroller::actOf(const Instruction &instruction) {
  auto index =
      static_cast<uint32_t>(&instruction - region->instructions.data());
  if (still[index] != none)
    return still[index];
  Act act;
  act.instruction = &instruction;
  bool moves = false;
  auto moved = [&](Range steps, uint32_t address) {
    moves |= steps.count > 0;
    for (uint32_t i = 0; i < steps.count; ++i) {
      const image::LoopStep &step = region->steps[steps.first + i];
      address += static_cast<uint32_t>(int64_t(loops[step.depth()].iteration) *
                                       step.bytes());
    }
    return address;
  };
  std::array<uint32_t, 11> key;
  for (unsigned k = 0; k < 5; ++k) {
    const Operand &operand = act.operand(k);
    act.addresses[k] = moved(operand.steps, operand.base);
    act.indexAt[k] = moved(operand.indexSteps, operand.indexAt);
    key[k] = act.addresses[k];
    key[5 + k] = act.indexAt[k];
  }
  key[10] = index;
  auto id = static_cast<uint32_t>(out.acts.size());
  if (moves) {
    auto [it, fresh] = moving.try_emplace(key, id);
    if (!fresh)
      return it->second;
  } else {
    still[index] = id;
  }
  out.acts.push_back(act);
  return id;
}

/// Ends the segment.
void Unroller::close() {
  auto keep = [](auto &known, auto &list, auto &item) {
    auto [it, fresh] =
        known.try_emplace(item, static_cast<uint32_t>(list.size()));
    if (fresh)
      list.push_back(item);
    item.clear();
    return it->second;
  };
  Segment segment;
  segment.cycles = cycles;
  segment.begun = begun;
  segment.computeBlock = keep(computeBlockOf, out.computeBlocks, computeBlock);
  segment.sequence = keep(sequenceOf, out.sequences, acts);
  segment.leads = keep(leadsOf, out.leads, leads);
  ++segments;
  out.programs.back().back().push_back(segment);
  begun += begunHere;
  begunHere = cycles = 0;
  axis = 0;
}

void Unroller::tally(const Instruction &next) {
  Totals &totals = out.totals.back().back();
  ++totals.instructions;
  totals.words += next.words;
  if (next.op == Opcode::wait)
    return;
  uint64_t busy = next.rewrite;
  if (!image::isControl(next.op))
    busy += issue + next.words + next.work;
  totals.busy[next.account] += busy;
}

void Unroller::add(const Instruction &next) {
  bool alone = !image::isControl(next.op) && !image::isStream(next.op) &&
               next.thread < 0;
  uint8_t axesOf = 0;
  if (image::sends(next.op))
    axesOf |= axes[next.outColor];
  if (image::receives(next.op))
    axesOf |= axes[next.inColor];
  if ((alone && !acts.empty()) ||
      (axis != 0 && axis != 3 && axesOf != 0 && (axis | axesOf) == 3))
    close();
  axis |= axesOf;
  tally(next);
  if (next.op == Opcode::rewrite) {
    lead += static_cast<uint32_t>(next.rewrite);
    return;
  }
  if (!image::isControl(next.op))
    ++begunHere;
  if (!alone) {
    acts.push_back({actOf(next), lead});
    lead = 0;
    return;
  }
  keepLead();
  computeBlock.push_back(actOf(next));
  cycles += next.rewrite + issue + next.work;
}

bool Unroller::unroll(const Program &program) {
  out.programs.back().emplace_back();
  out.totals.back().emplace_back();
  loops.clear();
  begun = begunHere = cycles = lead = 0;
  axis = 0;
  uint32_t counter = 0;
  size_t followed = 0;
  while (true) {
    while (!loops.empty() && counter == loops.back().end) {
      if (--loops.back().left == 0) {
        loops.pop_back();
        continue;
      }
      ++loops.back().iteration;
      counter = loops.back().begin;
    }
    if (counter >= program.order.size())
      break;
    if (++followed > limits.instructions || segments > limits.segments ||
        (interrupt && interrupt->due()))
      return false;
    const Instruction &next = region->instructions[program.order[counter]];
    if (next.op == Opcode::end)
      break;
    if (next.op == Opcode::loop) {
      uint32_t end = program.ends[counter++];
      if (next.count == 0 || end == counter)
        counter = end;
      else
        loops.push_back({counter, end, next.count, 0});
      continue;
    }
    ++counter;
    add(next);
  }
  if (lead != 0 && !acts.empty())
    close(); // a last `rewrite` is a segment of its own
  keepLead();
  close();
  return true;
}

std::optional<Segments> unroll(const PreparedEntry &prepared,
                               const std::vector<uint8_t> &axes,
                               uint32_t issueCycles, Interrupt *interrupt,
                               const UnrollLimits &limits) {
  return Unroller(prepared, axes, issueCycles, interrupt, limits).run();
}

} // namespace waferloom::executor
