// Stamps are maxima and sums of other stamps (E11 to E15), so an exchange group
// whose PEs all start later by the same number of cycles ends later by that
// number. A group is therefore counted once for each set of differences between
// its PEs' clocks, wherever and in whichever superstep they come up: equal
// rows, equal columns and equal layers cost one comparison.
//
// Within an exchange group an instruction's stamps follow from those of the
// instructions before it in the group's order, but for credits: a word may be
// put one cycle after the word `window` before it was taken, and that may come
// later in the order. So an exchange group is first counted as if there were
// always credits. Where that breaks a window, its PEs and routers go on word by
// word, each as far as words and credits allow. Both find the least solution,
// and there is only one.

#include "GroupTimer.h"
#include "waferloom/Machine/MachineModel.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/xxhash.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

bool GroupBefore::operator==(const GroupBefore &other) const {
  auto same = [](const Credit &a, const Credit &b) {
    return a.tap == b.tap && a.word == b.word && a.from == b.from &&
           a.pause == b.pause;
  };
  return starts == other.starts && bursts == other.bursts &&
         gates == other.gates &&
         std::equal(credits.begin(), credits.end(), other.credits.begin(),
                    other.credits.end(), same);
}

size_t GroupBefore::hash() const {
  size_t hash =
      xxh3_64bits(ArrayRef(reinterpret_cast<const uint8_t *>(starts.data()),
                           sizeof(Stamp) * starts.size()));
  hash = hash_combine(hash, hash_combine_range(bursts.begin(), bursts.end()),
                      hash_combine_range(gates.begin(), gates.end()));
  for (const Credit &credit : credits)
    hash = hash_combine(hash, credit.tap, credit.word, credit.from);
  return hash;
}

GroupTimer::GroupTimer(const ExchangeGroup &group, const Streams &streams,
                       const Segments &segments, const image::TargetT &target,
                       const std::vector<Bundle> &bundles, BurstStates &bursts)
    : group(group), bundles(bundles), streams(streams), target(target),
      bursts(bursts) {
  for (const GroupSource &from : group.sources) {
    const Producer &producer = streams.producers[from.producer];
    sources.push_back({producer.pe - group.first, from.at, from.words,
                       producer.color, producer.gate != none, producer.way,
                       from.taps});
  }
  uint32_t words = 0;
  for (const GroupTap &from : group.taps) {
    const Consumer &consumer = streams.consumers[from.consumer];
    uint32_t own = group.sources[from.source].words;
    taps.push_back({words, from.source, consumer.delay, consumer.window});
    words += own;
  }
  for (uint32_t s = 0; s < sources.size(); ++s)
    if (sources[s].isGate && sources[s].words != 0)
      gates.push_back(s);
  for (const Bundle &bundle : bundles) {
    std::vector<uint32_t> put; // routers do not pause after bursts
    for (uint32_t s : bundle)
      put.push_back(sources[s].isGate ? 0 : sources[s].words);
    burstsOf.push_back(bursts.number(std::move(put)));
  }
  begins.resize(sources.size());
  puts.resize(group.words);
  takes.resize(words);
  credits.resize(sources.size());
  addOps(segments);
  nodes.resize(sources.size());
  for (const GroupOp &from : group.ops)
    if (from.out != none && streams.ways[sources[from.out].way].isShared)
      nodes[from.out].emplace_back(
          from.outAt - sources[from.out].at,
          from.kind == GroupOp::Gate
              ? none
              : segments.acts[from.act].instruction->node);
  for (uint32_t s = 0; s < sources.size(); ++s)
    if (!nodes[s].empty())
      sharing.push_back(s);
  llvm::sort(sharing, [&](uint32_t a, uint32_t b) {
    return std::pair(sources[a].color, a) < std::pair(sources[b].color, b);
  });
}

void GroupTimer::addOps(const Segments &segments) {
  firstOps.assign(group.pes.size(), none);
  givers.assign(sources.size(), none);
  takers.assign(taps.size(), none);
  std::vector<uint32_t> last(group.pes.size(), none);
  for (const GroupOp &from : group.ops) {
    auto index = static_cast<uint32_t>(ops.size());
    Op op;
    op.isGate = from.kind == GroupOp::Gate;
    op.words = from.words;
    op.in = from.in;
    op.out = from.out;
    if (op.in != none)
      op.inFrom = from.inAt - sources[taps[op.in].source].at;
    if (op.out != none)
      op.outFrom = from.outAt - sources[op.out].at;
    if (!op.isGate) {
      const Instruction &instruction = *segments.acts[from.act].instruction;
      op.actor = from.pe;
      op.lead = from.lead;
      op.prologue =
          target.issue_cycles + static_cast<uint32_t>(instruction.rewrite);
      accounts.push_back(instruction.account);
    } else {
      accounts.push_back(none);
      if (givers[op.out] == none) {
        givers[op.out] = static_cast<uint32_t>(firstOps.size());
        firstOps.push_back(none);
        last.push_back(none);
      }
      op.actor = givers[op.out];
    }
    (last[op.actor] == none ? firstOps[op.actor] : ops[last[op.actor]].next) =
        index;
    last[op.actor] = index;
    if (op.in != none)
      takers[op.in] = op.actor;
    if (op.out != none)
      givers[op.out] = op.actor;
    ops.push_back(op);
  }
}

uint32_t producerOf(const Streams &streams, const GroupTimer::Source &source,
                    uint32_t base) {
  return streams.producerAt(base + source.pe, source.color, source.isGate);
}

Stamp GroupTimer::passesFrom(const GroupBefore &before, uint32_t source) const {
  auto it = llvm::lower_bound(gates, source);
  return before.gates[static_cast<size_t>(it - gates.begin())];
}

/// When a word arrives: E11, E33.
Stamp GroupTimer::arrival(uint32_t tap, uint32_t word) const {
  return Holds::later(puts[sources[taps[tap].source].at + word] +
                          taps[tap].delay,
                      holds->arrivals, tap, word);
}

/// When a word can be put, credits aside: E11, E13, E33.
Stamp GroupTimer::earliest(const Op &op, uint32_t word, Stamp ready) const {
  ready = Holds::later(ready, holds->puts, op.out, word);
  if (word == 0)
    return op.isGate ? std::max(ready, begins[op.out]) : ready;
  bool pause = !op.isGate &&
               machine::MachineModel(target).pausesAfter(begins[op.out] + word);
  return std::max(ready, puts[sources[op.out].at + word - 1] + 1 + pause);
}

void GroupTimer::start(const GroupBefore &before) {
  actors.assign(firstOps.size(), Actor());
  for (size_t i = 0; i < actors.size(); ++i) {
    actors[i].op = firstOps[i];
    if (i < before.starts.size())
      actors[i].clock = before.starts[i];
  }
  for (auto [bundle, state] : zip_equal(bundles, before.bursts))
    for (auto [stream, source] : enumerate(bundle))
      begins[source] = bursts.of(state, stream);
  for (auto [gate, from] : zip_equal(gates, before.gates))
    begins[gate] = from;
}

void GroupTimer::finish(const Op &op, uint32_t index, Actor &actor,
                        GroupAfter &after) {
  if (replayed && !op.isGate) {
    replayed->begun[index] = actor.begun;
    replayed->ended[index] = actor.clock;
  }
  if (!op.isGate)
    after.waits[index] = static_cast<uint64_t>(
        std::max<Stamp>(0, actor.clock - actor.begun - op.prologue - op.words));
  actor.op = op.next;
  actor.word = 0;
  actor.begins = true;
}

/// All ops once, as if there were always credits.
void GroupTimer::inOrder(GroupAfter &after) {
  for (uint32_t i = 0; i < ops.size(); ++i) {
    const Op &op = ops[i];
    Actor &actor = actors[op.actor];
    actor.begun = actor.clock + op.lead;
    Stamp clock = actor.begun + op.prologue;
    const Tap *tap = op.in == none ? nullptr : &taps[op.in];
    Stamp *taking = tap ? takes.data() + tap->at + op.inFrom : nullptr;
    Stamp *putting = op.out == none
                         ? nullptr
                         : puts.data() + sources[op.out].at + op.outFrom;
    for (uint32_t w = 0; w < op.words; ++w) {
      if (op.isGate) {
        taking[w] = putting[w] =
            earliest(op, op.outFrom + w, arrival(op.in, op.inFrom + w));
        continue;
      }
      Stamp ready = clock;
      if (tap) {
        taking[w] = std::max(clock, arrival(op.in, op.inFrom + w));
        clock = taking[w] + 1;
        ready = taking[w] + target.forward_cycles;
      }
      if (!putting)
        continue;
      Stamp stamp = putting[w] = earliest(op, op.outFrom + w, ready);
      // A word is held until it is put (E15).
      clock = tap && w + 1 < op.words
                  ? std::max<Stamp>(clock, stamp - target.forward_cycles + 1)
                  : stamp + 1;
    }
    actor.clock = clock;
    finish(op, i, actor, after);
  }
}

/// Whether every word was put when there was a credit for it.
bool GroupTimer::hasCredit() const {
  for (const Tap &tap : taps) {
    const Source &from = sources[tap.source];
    for (uint32_t word = tap.window; word < from.words; ++word)
      if (puts[from.at + word] <= takes[tap.at + word - tap.window])
        return false;
  }
  return true;
}

/// Raises `ready` to when there is a credit (E12). False: not known yet.
bool GroupTimer::findCredit(uint32_t source, uint32_t word,
                            Stamp &ready) const {
  const Source &from = sources[source];
  if (word < credits[source].size())
    ready = std::max(ready, credits[source][word]);
  for (uint32_t t = from.taps.first; t < from.taps.first + from.taps.count;
       ++t) {
    const Tap &tap = taps[t];
    if (word < tap.window)
      continue;
    if (takenSoFar[t] <= word - tap.window)
      return false;
    ready = std::max(ready, takes[tap.at + word - tap.window] + 1);
  }
  return true;
}

/// A router passes words on until it has to wait. True: it passed all.
bool GroupTimer::pass(const Op &op, Actor &actor) {
  const Tap &tap = taps[op.in];
  for (; actor.word < op.words; ++actor.word) {
    uint32_t in = op.inFrom + actor.word, out = op.outFrom + actor.word;
    if (putSoFar[tap.source] <= in)
      return false;
    Stamp stamp = earliest(op, out, arrival(op.in, in));
    if (!findCredit(op.out, out, stamp))
      return false;
    puts[sources[op.out].at + out] = takes[tap.at + in] = stamp;
    ++putSoFar[op.out];
    ++takenSoFar[op.in];
  }
  return true;
}

/// A PE takes and puts words until it has to wait. True: the op has ended.
bool GroupTimer::move(const Op &op, Actor &actor) {
  const Tap *tap = op.in == none ? nullptr : &taps[op.in];
  for (; actor.word < op.words; ++actor.word) {
    if (tap && !actor.holds) {
      uint32_t in = op.inFrom + actor.word;
      if (putSoFar[tap->source] <= in)
        return false;
      Stamp stamp = std::max(actor.clock, arrival(op.in, in));
      takes[tap->at + in] = stamp;
      ++takenSoFar[op.in];
      actor.clock = stamp + 1;
    }
    if (op.out == none)
      continue;
    actor.holds = tap != nullptr;
    uint32_t out = op.outFrom + actor.word;
    Stamp ready = tap ? actor.clock - 1 + target.forward_cycles : actor.clock;
    Stamp stamp = earliest(op, out, ready);
    if (!findCredit(op.out, out, stamp))
      return false;
    puts[sources[op.out].at + out] = stamp;
    ++putSoFar[op.out];
    actor.holds = false;
    actor.clock =
        tap && actor.word + 1 < op.words
            ? std::max<Stamp>(actor.clock, stamp - target.forward_cycles + 1)
            : stamp + 1;
  }
  return true;
}

void GroupTimer::wake(uint32_t actor) {
  if (actor == none || actors[actor].queued)
    return;
  actors[actor].queued = true;
  queue.push_back(actor);
}

/// Those that the op's words and credits may let go on.
void GroupTimer::wakeAround(const Op &op) {
  if (op.in != none)
    wake(givers[taps[op.in].source]);
  if (op.out == none)
    return;
  const Range &range = sources[op.out].taps;
  for (uint32_t t = range.first; t < range.first + range.count; ++t)
    wake(takers[t]);
}

/// Goes on with an actor. True: it did something.
bool GroupTimer::perform(uint32_t index, GroupAfter &after) {
  Actor &actor = actors[index];
  bool any = false;
  while (actor.op != none) {
    uint32_t at = actor.op;
    const Op &op = ops[at];
    if (actor.begins && !op.isGate) {
      actor.begun = actor.clock + op.lead;
      actor.clock = actor.begun + op.prologue;
    }
    actor.begins = false;
    uint32_t word = actor.word;
    bool held = actor.holds;
    bool ended = op.isGate ? pass(op, actor) : move(op, actor);
    if (actor.word != word || actor.holds != held)
      wakeAround(op);
    if (!ended)
      return any;
    any = true;
    finish(op, at, actor, after);
  }
  return any;
}

bool GroupTimer::wordByWord(GroupAfter &after) {
  for (const GroupBefore::Credit &credit : after.before.credits) {
    std::vector<Stamp> &from = credits[taps[credit.tap].source];
    if (from.size() <= credit.word)
      from.resize(credit.word + 1, INT64_MIN);
    from[credit.word] = std::max(from[credit.word], credit.from);
  }
  putSoFar.assign(sources.size(), 0);
  takenSoFar.assign(taps.size(), 0);
  queue.clear();
  for (uint32_t i = 0; i < actors.size(); ++i)
    wake(i);
  for (size_t head = 0; head < queue.size(); ++head) {
    if (head > 4096 && head * 2 > queue.size()) {
      queue.erase(queue.begin(), queue.begin() + static_cast<ptrdiff_t>(head));
      head = 0;
    }
    uint32_t actor = queue[head];
    actors[actor].queued = false;
    perform(actor, after);
  }
  for (std::vector<Stamp> &list : credits)
    list.clear();
  return all_of(actors, [](const Actor &actor) { return actor.op == none; });
}

/// What crosses shared links, and when.
void GroupTimer::keepRuns(GroupAfter &after) const {
  for (uint32_t s = 0; s < sources.size(); ++s)
    for (size_t part = 0; part < nodes[s].size(); ++part) {
      auto [first, node] = nodes[s][part];
      uint32_t end = part + 1 < nodes[s].size() ? nodes[s][part + 1].first
                                                : sources[s].words;
      for (uint32_t word = first; word < end; ++word) {
        Stamp put = puts[sources[s].at + word];
        GroupAfter::Run *last =
            after.runs.empty() ? nullptr : &after.runs.back();
        if (word > first && last->begin + last->words == put)
          ++last->words;
        else
          after.runs.push_back({s, node, 1, put});
      }
    }
}

/// What later supersteps need to know.
void GroupTimer::keep(GroupAfter &after) const {
  for (size_t i = 0; i < group.pes.size(); ++i)
    after.ends.push_back(actors[i].clock);
  for (const Source &source : sources)
    after.puts.push_back(
        source.words == 0 ? 0 : puts[source.at + source.words - 1]);
  for (const Tap &tap : taps) {
    uint32_t words = sources[tap.source].words;
    after.takes.push_back(words == 0 ? 0 : takes[tap.at + words - 1]);
  }
  for (const Bundle &bundle : bundles) {
    Stamp &latest = after.latest.emplace_back(INT64_MIN);
    for (uint32_t s : bundle)
      for (uint32_t t = 0; t < sources[s].taps.count; ++t)
        latest = std::max(latest, after.takes[sources[s].taps.first + t]);
  }
  keepRuns(after);
}

/// What words of the group hold each other up, as they were put.
Holds GroupTimer::arbitrate(GroupAfter &after) const {
  Holds found(sources.size(), taps.size());
  after.longestWaits.assign(sources.size(), 0);
  Arbiter arbiter(streams, target);
  for (uint32_t s : sharing) {
    const Source &source = sources[s];
    CycleRuns words;
    for (uint32_t word = 0; word < source.words; ++word)
      append(words, puts[source.at + word]);
    after.longestWaits[s] = arbiter.pass(
        streams.producers[group.sources[s].producer], words, found.puts[s],
        MutableArrayRef(found.arrivals)
            .slice(source.taps.first, source.taps.count));
  }
  return found;
}

/// All ops, from what `after` begins with. False: they do not end.
bool GroupTimer::run(GroupAfter &after) {
  after.waits.resize(ops.size());
  while (runOnce(after)) {
    if (sharing.size() < 2)
      return true;
    Holds found = arbitrate(after);
    if (found == after.holds)
      return true;
    after.holds = std::move(found);
  }
  return false;
}

/// The same, with the holds that are known.
bool GroupTimer::runOnce(GroupAfter &after) {
  holds = &after.holds;
  if (after.before.credits.empty()) {
    start(after.before);
    inOrder(after);
    if (hasCredit())
      return true;
  }
  start(after.before);
  return wordByWord(after);
}

GroupTimes GroupTimer::replay(const GroupAfter &counted) {
  GroupTimes times;
  times.begun.resize(ops.size());
  times.ended.resize(ops.size());
  replayed = &times;
  GroupAfter again;
  again.before = counted.before;
  again.holds = counted.holds;
  run(again);
  replayed = nullptr;
  times.puts = puts;
  times.takes = takes;
  return times;
}

const GroupAfter *GroupTimer::count(const GroupBefore &before) {
  size_t hash = before.hash();
  auto [first, last] = byHash.equal_range(hash);
  for (auto it = first; it != last; ++it)
    if (before == known[it->second]->before)
      return known[it->second].get();
  auto after = std::make_unique<GroupAfter>();
  after->before = before;
  if (sharing.size() > 1)
    after->holds = Holds(sources.size(), taps.size());
  if (!run(*after))
    return nullptr;
  keep(*after);
  after->index = static_cast<uint32_t>(known.size());
  byHash.emplace(hash, after->index);
  known.push_back(std::move(after));
  return known.back().get();
}

} // namespace waferloom::executor
