// Stamps are maxima and sums of other stamps (E11 to E15), so a line whose PEs
// all start later by the same number of cycles ends later by that number. A
// line is therefore counted once for each set of differences between its PEs'
// clocks, wherever and in whichever phase they come up: equal rows, equal
// columns and equal layers cost one comparison.
//
// Within a line an instruction's stamps follow from those of the instructions
// before it in the line's order, but for room: a word may be put one cycle
// after the word `window` before it was taken, and that may come later in the
// order. So a line is first counted as if there were always room. Where that
// breaks a window, it is counted again with the takes found so far, until
// nothing moves: stamps only rise, and stay below any solution, so they end at
// the least one.

#include "Timing.h"
#include "llvm/ADT/Hashing.h"
#include <algorithm>
#include <unordered_map>

using namespace llvm;

namespace waferloom::executor {

namespace {
using Stamp = int64_t; // differences to the clock of a line's first PE

/// What a line makes of given differences. Waits are by op.
struct Counted {
  std::vector<Stamp> starts, ends, lastTakes;
  std::vector<uint32_t> phases; // of bursts, by source
  std::vector<uint64_t> waits;
  uint32_t index = 0; // into LineTimer::known
};

/// A line with all that its stamps need.
class LineTimer {
public:
  LineTimer(const Line &line, const Streams &streams, const Turns &turns,
            const image::TargetT &target);

  /// Null: no solution was found.
  const Counted *count(ArrayRef<Stamp> starts, ArrayRef<uint32_t> phases);
  const Counted &at(uint32_t index) const { return *known[index]; }

  struct Source {
    uint32_t pe, at, words; // of PEs: relative to the first
    uint8_t color;
    Range taps;
  };
  struct Tap {
    uint32_t pe, at, source; // at: its takes
    uint8_t color;
    uint32_t delay, window;
  };
  const Line &line;
  std::vector<Source> sources;
  std::vector<Tap> taps;
  std::vector<uint32_t> accounts; // by op

private:
  struct Op {
    uint32_t pe, lead, prologue, words;
    uint32_t in = none, out = none;   // tap, source
    uint32_t inFrom = 0, outFrom = 0; // word of the source
  };
  bool solve(Counted &counted);
  bool pass(Counted &counted, bool rooms);
  bool hasRoom() const;
  Stamp earliest(const Counted &counted, uint32_t source, uint32_t word,
                 Stamp ready, bool rooms) const;
  bool set(Stamp &stamp, Stamp value) {
    bool moved = stamp != value;
    stamp = value;
    return moved;
  }

  const image::TargetT &target;
  std::vector<Op> ops;
  std::vector<Stamp> puts, takes, clocks;
  std::vector<std::unique_ptr<Counted>> known;
  std::unordered_multimap<size_t, uint32_t> byHash;
};

/// All PEs' clocks, phase by phase.
class Timer {
public:
  Timer(const image::TargetT &target, const PreparedEntry &prepared,
        const Streams &streams, const Schedule &schedule)
      : target(target), prepared(prepared), streams(streams),
        schedule(schedule), clocks(streams.places.size()),
        taken(streams.places.size() * streams.colors),
        put(streams.places.size() * streams.colors) {}

  std::optional<EngineResult> run();

private:
  void tapes(const Phase &phase);
  bool exchange(const Phase &phase);
  bool count(LineTimer &timer, uint32_t base);
  bool isFree(const LineTimer &timer, uint32_t base) const;
  EngineResult result();
  void spend(EngineResult &result) const;
  size_t slot(uint32_t pe, uint8_t color) const {
    return size_t(pe) * streams.colors + color;
  }

  const image::TargetT &target;
  const PreparedEntry &prepared;
  const Streams &streams;
  const Schedule &schedule;
  std::vector<uint64_t> clocks; // by PE
  std::vector<uint64_t> taken;  // by PE and color: one after the last take
  std::vector<uint64_t> put;    // by PE and color: words so far
  std::vector<std::unique_ptr<LineTimer>> timers; // by line
  std::vector<std::vector<uint32_t>> found; // by phase: what each line counted
  std::vector<Stamp> starts;
  std::vector<uint32_t> phases;
};
} // namespace

LineTimer::LineTimer(const Line &line, const Streams &streams,
                     const Turns &turns, const image::TargetT &target)
    : line(line), target(target) {
  for (const LineSource &from : line.sources) {
    const Producer &producer = streams.producers[from.producer];
    sources.push_back({producer.pe - line.first, from.at, from.words,
                       producer.color, from.taps});
  }
  uint32_t words = 0;
  for (const LineTap &from : line.taps) {
    const Consumer &consumer = streams.consumers[from.consumer];
    taps.push_back({consumer.pe - line.first, words, from.source,
                    consumer.color, consumer.delay, consumer.window});
    words += line.sources[from.source].words;
  }
  puts.resize(line.words);
  takes.resize(words);
  clocks.resize(line.pes.size());
  for (const LineOp &from : line.ops) {
    const Instruction &instruction = *turns.acts[from.act].instruction;
    accounts.push_back(instruction.account);
    Op op;
    op.pe = from.pe;
    op.lead = from.lead;
    op.prologue =
        target.issue_cycles + static_cast<uint32_t>(instruction.rewrite);
    op.words = from.words;
    op.in = from.in;
    op.out = from.out;
    if (op.in != none)
      op.inFrom = from.inAt - sources[taps[op.in].source].at;
    if (op.out != none)
      op.outFrom = from.outAt - sources[op.out].at;
    ops.push_back(op);
  }
}

/// When a word can be put: E11, and E12 with the takes known so far.
Stamp LineTimer::earliest(const Counted &counted, uint32_t source,
                          uint32_t word, Stamp ready, bool rooms) const {
  const Source &from = sources[source];
  if (word > 0) {
    bool pause = target.words_per_burst != 0 &&
                 (counted.phases[source] + word) % target.words_per_burst == 0;
    ready = std::max(ready, puts[from.at + word - 1] + 1 + pause);
  }
  if (!rooms)
    return ready;
  for (uint32_t t = from.taps.first; t < from.taps.first + from.taps.count; ++t)
    if (word >= taps[t].window)
      ready = std::max(ready, takes[taps[t].at + word - taps[t].window] + 1);
  return ready;
}

/// Whether every word was put when there was room for it.
bool LineTimer::hasRoom() const {
  for (const Tap &tap : taps) {
    const Source &from = sources[tap.source];
    for (uint32_t word = tap.window; word < from.words; ++word)
      if (puts[from.at + word] <= takes[tap.at + word - tap.window])
        return false;
  }
  return true;
}

/// All ops once. True: a stamp moved.
bool LineTimer::pass(Counted &counted, bool rooms) {
  bool moved = false;
  clocks.assign(counted.starts.begin(), counted.starts.end());
  for (size_t i = 0; i < ops.size(); ++i) {
    const Op &op = ops[i];
    Stamp begun = clocks[op.pe] + op.lead, clock = begun + op.prologue;
    const Tap *tap = op.in == none ? nullptr : &taps[op.in];
    const Stamp *arriving =
        tap ? puts.data() + sources[tap->source].at + op.inFrom : nullptr;
    Stamp *taking = tap ? takes.data() + tap->at + op.inFrom : nullptr;
    Stamp *putting = op.out == none
                         ? nullptr
                         : puts.data() + sources[op.out].at + op.outFrom;
    for (uint32_t w = 0; w < op.words; ++w) {
      Stamp ready = clock;
      if (tap) {
        Stamp take = std::max(clock, arriving[w] + tap->delay);
        moved |= set(taking[w], take);
        clock = take + 1;
        ready = take + target.forward_cycles;
      }
      if (!putting)
        continue;
      Stamp stamp = earliest(counted, op.out, op.outFrom + w, ready, rooms);
      moved |= set(putting[w], stamp);
      // A word is held until it is put (E15).
      clock = tap && w + 1 < op.words
                  ? std::max(clock, stamp - target.forward_cycles + 1)
                  : stamp + 1;
    }
    counted.waits[i] = static_cast<uint64_t>(
        std::max<Stamp>(0, clock - begun - op.prologue - op.words));
    clocks[op.pe] = clock;
  }
  return moved;
}

bool LineTimer::solve(Counted &counted) {
  counted.waits.resize(ops.size());
  pass(counted, /*rooms=*/false);
  if (!hasRoom()) {
    // A line that cannot end moves for ever.
    unsigned left = 1000;
    while (pass(counted, /*rooms=*/true))
      if (--left == 0)
        return false;
  }
  counted.ends = clocks;
  for (const Tap &tap : taps) {
    uint32_t words = sources[tap.source].words;
    counted.lastTakes.push_back(words == 0 ? 0 : takes[tap.at + words - 1]);
  }
  return true;
}

const Counted *LineTimer::count(ArrayRef<Stamp> starts,
                                ArrayRef<uint32_t> phases) {
  size_t hash = hash_combine(hash_combine_range(starts.begin(), starts.end()),
                             hash_combine_range(phases.begin(), phases.end()));
  auto [first, last] = byHash.equal_range(hash);
  for (auto it = first; it != last; ++it)
    if (starts == ArrayRef(known[it->second]->starts) &&
        phases == ArrayRef(known[it->second]->phases))
      return known[it->second].get();
  auto counted = std::make_unique<Counted>();
  counted->starts = starts.vec();
  counted->phases = phases.vec();
  if (!solve(*counted))
    return nullptr;
  counted->index = static_cast<uint32_t>(known.size());
  byHash.emplace(hash, counted->index);
  known.push_back(std::move(counted));
  return known.back().get();
}

void Timer::tapes(const Phase &phase) {
  for (uint32_t pe = 0; pe < clocks.size(); ++pe)
    clocks[pe] += phase.cycles[schedule.kindIn(phase, pe)];
}

/// Whether nothing from earlier phases holds up the line's streams. Takes are
/// at least a cycle apart, and so are puts: if the last take leaves room for
/// the first word, earlier ones leave room for the others.
bool Timer::isFree(const LineTimer &timer, uint32_t base) const {
  for (const LineTimer::Source &source : timer.sources) {
    uint64_t clock = clocks[base + source.pe];
    if (put[slot(base + source.pe, source.color)] == 0)
      continue;
    // After a burst the next word waits a cycle, which an issue covers.
    if (target.words_per_burst != 0 && target.issue_cycles == 0)
      return false;
    for (uint32_t t = source.taps.first;
         t < source.taps.first + source.taps.count; ++t) {
      const LineTimer::Tap &tap = timer.taps[t];
      if (taken[slot(base + tap.pe, tap.color)] + 1 > clock + tap.window)
        return false;
    }
  }
  return true;
}

bool Timer::count(LineTimer &timer, uint32_t base) {
  if (!isFree(timer, base))
    return false;
  const std::vector<uint32_t> &pes = timer.line.pes;
  uint64_t origin = clocks[base];
  starts.clear();
  phases.clear();
  for (uint32_t pe : pes)
    starts.push_back(static_cast<Stamp>(clocks[base + pe] - origin));
  for (const LineTimer::Source &source : timer.sources) {
    uint64_t &words = put[slot(base + source.pe, source.color)];
    if (target.words_per_burst != 0)
      phases.push_back(static_cast<uint32_t>(words % target.words_per_burst));
    words += source.words;
  }
  const Counted *counted = timer.count(starts, phases);
  if (!counted)
    return false;
  for (size_t i = 0; i < pes.size(); ++i)
    clocks[base + pes[i]] = origin + static_cast<uint64_t>(counted->ends[i]);
  for (size_t t = 0; t < timer.taps.size(); ++t)
    taken[slot(base + timer.taps[t].pe, timer.taps[t].color)] =
        origin + static_cast<uint64_t>(counted->lastTakes[t]) + 1;
  found.back().push_back(counted->index);
  return true;
}

bool Timer::exchange(const Phase &phase) {
  found.emplace_back();
  for (const LinePlaces &places : schedule.exchanges[phase.lines]) {
    std::unique_ptr<LineTimer> &timer = timers[places.line];
    if (!timer)
      timer = std::make_unique<LineTimer>(schedule.lines[places.line], streams,
                                          schedule.turns, target);
    for (uint32_t base : places.bases)
      if (!count(*timer, base))
        return false;
  }
  return true;
}

std::optional<EngineResult> Timer::run() {
  if (!streams.gates.empty())
    return std::nullopt;
  for (const RegionPrograms &region : prepared.regions)
    for (const Program &program : region.programs)
      if (program.threads > 0)
        return std::nullopt;
  timers.resize(schedule.lines.size());
  for (const Phase &phase : schedule.phases) {
    tapes(phase);
    if (!exchange(phase))
      return std::nullopt;
  }
  return result();
}

EngineResult Timer::result() {
  EngineResult result;
  for (uint32_t pe = 0; pe < clocks.size(); ++pe) {
    const Place &at = streams.places[pe];
    const Totals &totals = schedule.turns.totals[at.region][at.program];
    result.instructions += totals.instructions;
    result.words += totals.words;
    if (clocks[pe] > result.cycles) {
      result.cycles = clocks[pe];
      result.last = pe;
    }
  }
  spend(result);
  return result;
}

/// The accounts of the PE that ended last.
void Timer::spend(EngineResult &result) const {
  result.spent.resize(prepared.accounts.size());
  const Place &at = streams.places[result.last];
  for (auto [account, busy] : schedule.turns.totals[at.region][at.program].busy)
    result.spent[account].busy += busy;
  for (size_t p = 0; p < found.size(); ++p) {
    size_t next = 0;
    for (const LinePlaces &places :
         schedule.exchanges[schedule.phases[p].lines]) {
      const LineTimer &timer = *timers[places.line];
      for (uint32_t base : places.bases) {
        const Counted &counted = timer.at(found[p][next++]);
        const std::vector<uint32_t> &pes = timer.line.pes;
        auto it = std::lower_bound(pes.begin(), pes.end(), result.last - base);
        if (result.last < base || it == pes.end() || *it != result.last - base)
          continue;
        for (size_t i = 0; i < timer.line.ops.size(); ++i)
          if (timer.line.ops[i].pe == uint32_t(it - pes.begin()))
            result.spent[timer.accounts[i]].wait += counted.waits[i];
      }
    }
  }
}

std::optional<EngineResult> timeSchedule(const image::TargetT &target,
                                         const PreparedEntry &prepared,
                                         const Streams &streams,
                                         const Schedule &schedule) {
  return Timer(target, prepared, streams, schedule).run();
}

} // namespace waferloom::executor
