#include "ExchangeGroup.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <deque>

using namespace llvm;

namespace waferloom::executor {

namespace {
/// Tries to do all of all sequences; what sends words that nobody takes, or
/// begins beside a program and does not end, is barred, and then again.
class Orderer {
public:
  Orderer(const Streams &streams, const Segments &segments,
          ArrayRef<Member> members, const std::vector<GateState> &gates)
      : streams(streams), segments(segments), members(members),
        gatesBefore(gates) {
    for (uint32_t i = 0; i < members.size(); ++i) {
      localOf[members[i].pe] = i;
      limits.push_back(static_cast<uint32_t>(members[i].sequence.size()));
    }
  }

  ExchangeGroup run() {
    do
      attempt();
    while (bar());
    for (auto &[gate, state] : gatesNow) {
      const Producer &at = streams.producers[streams.gates[gate].producer];
      group.gates.push_back({at.pe - members.front().pe, at.color, state});
    }
    group.first = members.front().pe;
    for (const Member &member : members)
      group.pes.push_back(member.pe - members.front().pe);
    group.done.assign(positions.begin(), positions.end());
    return std::move(group);
  }

private:
  struct Sent {
    uint32_t member, position, begin, end;
  };
  struct Pending {
    uint32_t position;
    int8_t thread;
  };

  void attempt();
  void advance(uint32_t member);
  bool perform(uint32_t member, uint32_t position, bool beside);
  void pass(uint32_t gate);
  uint32_t sourceOf(uint32_t producer);
  uint32_t wordsOf(uint32_t producer, unsigned depth = 0) const;
  void wake(uint32_t source);
  bool bar();
  bool lower(uint32_t member, uint32_t position) {
    if (limits[member] <= position)
      return false;
    limits[member] = position;
    return true;
  }
  bool barWord(uint32_t source, uint32_t word);

  const Streams &streams;
  const Segments &segments;
  ArrayRef<Member> members;
  const std::vector<GateState> &gatesBefore;
  DenseMap<uint32_t, uint32_t> localOf; // PE -> member
  std::vector<uint32_t> limits;         // acts that each member may do
  // Of the attempt.
  ExchangeGroup group;
  std::map<uint32_t, GateState> gatesNow;     // of those that words came to
  DenseMap<uint32_t, uint32_t> sources, taps; // producer, consumer -> index
  DenseMap<uint32_t, uint32_t> sending;       // producer -> words it may send
  std::vector<uint32_t> put, taken;           // by source, by tap
  std::vector<SmallVector<Sent, 2>> sent;     // by source
  std::vector<uint32_t> positions, begun;
  std::vector<SmallVector<Pending, 1>> pending;
  std::deque<uint32_t> queue;
  std::vector<bool> queued;
};
} // namespace

/// Words that may come from a producer in this attempt.
uint32_t Orderer::wordsOf(uint32_t producer, unsigned depth) const {
  const Producer &from = streams.producers[producer];
  if (from.gate == none) {
    auto it = sending.find(producer);
    return it == sending.end() ? 0 : it->second;
  }
  if (depth > streams.gates.size())
    return 0;
  const Gate &gate = streams.gates[from.gate];
  uint32_t words = 0;
  SmallVector<uint32_t, 4> seen;
  for (uint32_t t = 0; t < gate.turns.count; ++t) {
    uint32_t consumer = streams.turns[gate.turns.first + t].consumer;
    if (is_contained(seen, consumer))
      continue;
    seen.push_back(consumer);
    words += wordsOf(streams.consumers[consumer].producer, depth + 1);
  }
  return words;
}

/// The source of a producer, with space for all its words.
uint32_t Orderer::sourceOf(uint32_t producer) {
  auto [it, fresh] = sources.try_emplace(
      producer, static_cast<uint32_t>(group.sources.size()));
  if (!fresh)
    return it->second;
  uint32_t index = it->second;
  GroupSource source;
  source.producer = producer;
  source.at = group.words;
  const Range &consumers = streams.producers[producer].consumers;
  source.taps = {static_cast<uint32_t>(group.taps.size()), consumers.count};
  for (uint32_t k = 0; k < consumers.count; ++k) {
    taps[consumers.first + k] = static_cast<uint32_t>(group.taps.size());
    group.taps.push_back({index, consumers.first + k});
  }
  taken.resize(group.taps.size());
  group.words += wordsOf(producer);
  group.sources.push_back(source);
  put.push_back(0);
  sent.emplace_back();
  return index;
}

/// New words may let their consumers go on.
void Orderer::wake(uint32_t source) {
  Range range = group.sources[source].taps;
  for (uint32_t t = range.first; t < range.first + range.count; ++t) {
    const Consumer &consumer = streams.consumers[group.taps[t].consumer];
    if (consumer.gate != none) {
      pass(consumer.gate);
      continue;
    }
    auto it = localOf.find(consumer.pe);
    if (it == localOf.end() || queued[it->second])
      continue;
    queued[it->second] = true;
    queue.push_back(it->second);
  }
}

/// Passes on what has its turn.
void Orderer::pass(uint32_t index) {
  const Gate &gate = streams.gates[index];
  GateState &state =
      gatesNow.try_emplace(index, gatesBefore[index]).first->second;
  uint32_t to = sourceOf(gate.producer);
  uint32_t before = put[to];
  while (true) {
    const GateTurn &turn = streams.turns[gate.turns.first + state.turn];
    auto tap = taps.find(turn.consumer);
    if (tap == taps.end())
      break;
    uint32_t from = group.taps[tap->second].source;
    uint32_t now =
        std::min(put[from] - taken[tap->second], turn.words - state.given);
    if (now == 0)
      break;
    GroupOp op;
    op.kind = GroupOp::Gate;
    op.words = now;
    op.in = tap->second;
    op.inAt = group.sources[from].at + taken[tap->second];
    op.out = to;
    op.outAt = group.sources[to].at + put[to];
    group.ops.push_back(op);
    taken[tap->second] += now;
    put[to] += now;
    state.given += now;
    if (state.given == turn.words) {
      state.given = 0;
      state.turn = (state.turn + 1) % gate.turns.count;
    }
  }
  if (put[to] != before)
    wake(to);
}

/// Does a member's act if its words are there.
bool Orderer::perform(uint32_t member, uint32_t position, bool beside) {
  const SequenceAct &act = members[member].sequence[position];
  const Instruction &instruction = *segments.acts[act.act].instruction;
  uint32_t pe = members[member].pe;
  auto words = static_cast<uint32_t>(instruction.words);
  GroupOp op;
  op.kind = image::isStream(instruction.op) ? GroupOp::Stream : GroupOp::Vector;
  op.pe = member;
  op.act = act.act;
  op.lead = beside ? 0 : act.lead;
  op.words = words;
  if (image::receives(instruction.op)) {
    auto tap = taps.find(streams.sinkOf(pe, instruction.inColor));
    if (tap == taps.end())
      return false;
    uint32_t from = group.taps[tap->second].source;
    if (put[from] - taken[tap->second] < words)
      return false;
    op.in = tap->second;
    op.inAt = group.sources[from].at + taken[tap->second];
    taken[tap->second] += words;
  }
  uint32_t to = none;
  if (image::sends(instruction.op)) {
    to = sourceOf(streams.sourceOf(pe, instruction.outColor));
    op.out = to;
    op.outAt = group.sources[to].at + put[to];
    sent[to].push_back({member, position, put[to], put[to] + words});
    put[to] += words;
  }
  op.begun = begun[member]++;
  group.ops.push_back(op);
  if (to != none)
    wake(to);
  return true;
}

void Orderer::advance(uint32_t member) {
  auto &beside = pending[member];
  for (size_t i = 0; i < beside.size();)
    if (perform(member, beside[i].position, true))
      beside.erase(beside.begin() + i);
    else
      ++i;
  uint32_t &position = positions[member];
  while (position < limits[member]) {
    const SequenceAct &act = members[member].sequence[position];
    const Instruction &instruction = *segments.acts[act.act].instruction;
    if (instruction.op == Opcode::wait) {
      for (const Pending &other : beside)
        if (other.thread == instruction.thread)
          return;
      group.ops.push_back({GroupOp::Wait, member, act.act, act.lead});
    } else if (instruction.thread >= 0) {
      group.ops.push_back({GroupOp::Start, member, act.act, act.lead});
      if (!perform(member, position, true))
        beside.push_back({position, instruction.thread});
    } else if (!perform(member, position, false)) {
      return;
    }
    ++position;
  }
}

void Orderer::attempt() {
  group = ExchangeGroup();
  sources.clear();
  taps.clear();
  sending.clear();
  put.clear();
  taken.clear();
  sent.clear();
  queue.clear();
  gatesNow.clear();
  positions.assign(members.size(), 0);
  begun.assign(members.size(), 0);
  pending.assign(members.size(), {});
  queued.assign(members.size(), true);
  for (uint32_t i = 0; i < members.size(); ++i) {
    queue.push_back(i);
    for (uint32_t k = 0; k < limits[i]; ++k) {
      const Instruction &instruction =
          *segments.acts[members[i].sequence[k].act].instruction;
      if (image::sends(instruction.op))
        sending[streams.sourceOf(members[i].pe, instruction.outColor)] +=
            static_cast<uint32_t>(instruction.words);
    }
  }
  while (!queue.empty()) {
    uint32_t member = queue.front();
    queue.pop_front();
    queued[member] = false;
    advance(member);
  }
  for (uint32_t s = 0; s < group.sources.size(); ++s)
    group.sources[s].words = put[s];
}

/// Bars the send that a word of a source comes from.
bool Orderer::barWord(uint32_t source, uint32_t word) {
  if (streams.producers[group.sources[source].producer].gate == none) {
    for (const Sent &each : sent[source])
      if (each.end > word)
        return lower(each.member, each.position);
    return false;
  }
  uint32_t at = group.sources[source].at + word;
  for (const GroupOp &op : group.ops)
    if (op.kind == GroupOp::Gate && op.out == source && op.outAt <= at &&
        at < op.outAt + op.words) {
      uint32_t from = group.taps[op.in].source;
      return barWord(from, op.inAt + (at - op.outAt) - group.sources[from].at);
    }
  return false;
}

/// Lowers the limits of members that went too far. False: none did.
bool Orderer::bar() {
  bool any = false;
  for (uint32_t i = 0; i < members.size(); ++i)
    for (const Pending &left : pending[i])
      any |= lower(i, left.position);
  for (uint32_t s = 0; s < group.sources.size(); ++s) {
    Range range = group.sources[s].taps;
    uint32_t least = put[s];
    for (uint32_t t = range.first; t < range.first + range.count; ++t)
      least = std::min(least, taken[t]);
    if (least != put[s])
      any |= barWord(s, least);
  }
  return any;
}

ExchangeGroup orderGroup(const Streams &streams, const Segments &segments,
                         ArrayRef<Member> members,
                         const std::vector<GateState> &gates) {
  return Orderer(streams, segments, members, gates).run();
}

} // namespace waferloom::executor
