#include "ReferenceRecord.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

ReferenceRecord::ReferenceRecord(const Streams &streams, uint32_t slots)
    : streams(streams), slots(slots), leads(streams.places.size()),
      lasts(streams.places.size(), none),
      currents(streams.places.size() * slots, none),
      starts(currents.size(), none), puts(streams.producers.size()),
      takes(streams.consumers.size()), givers(puts.size()),
      takers(takes.size()), passed(streams.gates.size()),
      passedAs(takes.size()) {}

uint64_t ReferenceRecord::bytesFor(const Effort &effort) {
  // Vectors grow by doubling; a step is a word's put or take or an instruction.
  return SaturatingMultiply(effort.steps, uint64_t(2 * sizeof(Op)));
}

uint32_t ReferenceRecord::add(uint32_t pe, const Instruction &instruction,
                              PathOp::Role role, uint64_t clock,
                              uint64_t number) {
  auto index = static_cast<uint32_t>(ops.size());
  Op &made = ops.emplace_back();
  made.op.instruction = &instruction;
  made.op.pe = pe;
  made.op.role = role;
  made.op.begun = static_cast<Stamp>(clock);
  made.op.number = number;
  if (role == PathOp::Plain && instruction.thread >= 0) {
    made.before = starts[slotOf(pe, instruction)];
    return index;
  }
  made.op.lead = std::exchange(leads[pe], 0);
  made.before = std::exchange(lasts[pe], index);
  return index;
}

void ReferenceRecord::begin(uint32_t pe, const Instruction &instruction,
                            uint64_t clock, uint64_t number) {
  uint32_t index = add(pe, instruction, PathOp::Plain, clock, number);
  currents[slotOf(pe, instruction)] = index;
  if (instruction.words == 0)
    return;
  if (image::sends(instruction.op)) {
    uint32_t producer = streams.sourceOf(pe, instruction.outColor);
    ops[index].outFrom = puts[producer].size();
    givers[producer].push_back(index);
  }
  if (image::receives(instruction.op)) {
    uint32_t consumer = streams.sinkOf(pe, instruction.inColor);
    ops[index].inFrom = takes[consumer].size();
    takers[consumer].push_back(index);
  }
}

void ReferenceRecord::end(uint32_t pe, const Instruction &instruction,
                          uint64_t clock) {
  ops[currents[slotOf(pe, instruction)]].op.end = static_cast<Stamp>(clock);
}

void ReferenceRecord::start(uint32_t pe, const Instruction &instruction,
                            uint64_t clock, uint64_t number) {
  uint32_t index = add(pe, instruction, PathOp::Start, clock, number);
  ops[index].op.end = static_cast<Stamp>(clock + 1);
  starts[slotOf(pe, instruction)] = index;
}

void ReferenceRecord::wait(uint32_t pe, const Instruction &instruction,
                           uint64_t clock, uint64_t end, uint64_t number) {
  uint32_t thread = currents[slotOf(pe, instruction)];
  uint32_t index = add(pe, instruction, PathOp::Wait, clock, number);
  ops[index].op.end = static_cast<Stamp>(end);
  ops[index].thread = thread;
}

void ReferenceRecord::pass(uint32_t gate, uint32_t consumer) {
  passed[gate].push_back({consumer, takes[consumer].size()});
  passedAs[consumer].push_back(passed[gate].size() - 1);
}

std::optional<PathRef> ReferenceRecord::last(uint32_t pe, Stamp end) {
  std::optional<PathRef> found;
  if (lasts[pe] != none)
    found = PathRef{0, lasts[pe]};
  for (uint32_t slot = 1; slot < slots; ++slot)
    if (uint32_t beside = currents[size_t(pe) * slots + slot];
        beside != none && ops[beside].op.end == end &&
        (!found || ops[found->op].op.end != end))
      found = PathRef{0, beside};
  return found;
}

PathOp ReferenceRecord::at(PathRef ref) {
  if (!isGate(ref))
    return ops[ref.op].op;
  PathOp op;
  op.pe = streams.producers[streams.gates[ref.op].producer].pe;
  return op;
}

std::optional<PathRef> ReferenceRecord::before(PathRef ref) {
  if (ops[ref.op].before == none)
    return std::nullopt;
  return PathRef{0, ops[ref.op].before};
}

PathRef ReferenceRecord::threadOf(PathRef ref) {
  return {0, ops[ref.op].thread};
}

uint32_t ReferenceRecord::producerOf(PathRef ref) const {
  if (isGate(ref))
    return streams.gates[ref.op].producer;
  const PathOp &op = ops[ref.op].op;
  return streams.sourceOf(op.pe, op.instruction->outColor);
}

uint32_t ReferenceRecord::inputOf(WordRef word) {
  if (isGate(word.at))
    return passed[word.at.op][word.word].consumer;
  const PathOp &op = ops[word.at.op].op;
  return streams.sinkOf(op.pe, op.instruction->inColor);
}

/// Of the stream that the word was taken from.
uint64_t ReferenceRecord::inputWordOf(WordRef word) {
  if (isGate(word.at))
    return passed[word.at.op][word.word].word;
  return ops[word.at.op].inFrom + word.word;
}

Stamp ReferenceRecord::takeOf(WordRef word) {
  return takes[inputOf(word)][inputWordOf(word)];
}

Stamp ReferenceRecord::putOf(WordRef word) {
  uint64_t from = isGate(word.at) ? 0 : ops[word.at.op].outFrom;
  return puts[producerOf(word.at)][from + word.word];
}

/// Who put a word of a stream.
WordRef ReferenceRecord::giver(uint32_t producer, uint64_t word) const {
  if (uint32_t gate = streams.producers[producer].gate; gate != none)
    return {{1, gate}, word};
  auto it = std::upper_bound(
      givers[producer].begin(), givers[producer].end(), word,
      [&](uint64_t value, uint32_t op) { return value < ops[op].outFrom; });
  uint32_t op = *std::prev(it);
  return {{0, op}, word - ops[op].outFrom};
}

/// Who took it.
WordRef ReferenceRecord::taker(uint32_t consumer, uint64_t word) const {
  if (uint32_t gate = streams.consumers[consumer].gate; gate != none)
    return {{1, gate}, passedAs[consumer][word]};
  auto it = std::upper_bound(
      takers[consumer].begin(), takers[consumer].end(), word,
      [&](uint64_t value, uint32_t op) { return value < ops[op].inFrom; });
  uint32_t op = *std::prev(it);
  return {{0, op}, word - ops[op].inFrom};
}

WordRef ReferenceRecord::giverOf(WordRef word) {
  return giver(streams.consumers[inputOf(word)].producer, inputWordOf(word));
}

std::optional<WordRef> ReferenceRecord::putBefore(WordRef word) {
  uint64_t index = word.word + (isGate(word.at) ? 0 : ops[word.at.op].outFrom);
  if (index == 0)
    return std::nullopt;
  return giver(producerOf(word.at), index - 1);
}

std::optional<WordRef> ReferenceRecord::creditorOf(WordRef word) {
  uint32_t producer = producerOf(word.at);
  uint64_t index = word.word + (isGate(word.at) ? 0 : ops[word.at.op].outFrom);
  const Range &range = streams.producers[producer].consumers;
  for (uint32_t c = range.first, end = c + range.count; c < end; ++c) {
    uint32_t window = streams.consumers[c].window;
    if (index >= window &&
        takes[c][index - window] + 1 == puts[producer][index])
      return taker(c, index - window);
  }
  return std::nullopt;
}

} // namespace waferloom::executor
