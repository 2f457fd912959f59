// All PEs' clocks, superstep by superstep. What words of earlier supersteps do
// to an exchange group is little: when a router passed its last word, and,
// where a sender runs far ahead of a receiver, which words still stand in its
// way. The latter is kept only for colors on which it happens: the count begins
// again when one more is found.

#include "Timing.h"
#include "LineLinks.h"
#include "ScheduleRecord.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

namespace {
class Timer {
public:
  Timer(const image::TargetT &target, const PreparedEntry &prepared,
        const Streams &streams, const Schedule &schedule, Interrupt *interrupt)
      : target(target), prepared(prepared), streams(streams),
        schedule(schedule), interrupt(interrupt), tracked(streams.colors),
        pesOfKind(schedule.parentOf.size()) {
    for (uint32_t pe = 0; pe < streams.places.size(); ++pe)
      pesOfKind[schedule.kindOf[pe]].push_back(pe);
  }

  std::optional<EngineResult> run();
  /// Of what `run` gave.
  CriticalPath walk(const EngineResult &result) const;

private:
  enum class Outcome { Counted, Again, Unknown };

  void begin();
  void computeBlocks(const Superstep &superstep);
  Outcome exchange(const Superstep &superstep);
  Outcome count(GroupTimer &timer, uint32_t base);
  bool describeSource(const GroupTimer &timer, uint32_t base, uint32_t source,
                      uint64_t least);
  bool describeCredits(const GroupTimer &timer,
                       const GroupTimer::Source &source, uint32_t producer,
                       uint64_t clock, uint64_t origin);
  void goOn(const GroupTimer &timer, uint32_t base, const GroupAfter &after);
  EngineResult result();
  CountedSchedule counted() const {
    return {schedule, streams, target, timers, found, origins};
  }
  void spend(StageEnd &stage) const;

  const image::TargetT &target;
  const PreparedEntry &prepared;
  const Streams &streams;
  const Schedule &schedule;
  Interrupt *interrupt;
  std::vector<bool> tracked; // by color
  std::vector<std::vector<uint32_t>> pesOfKind;
  std::vector<uint64_t> clocks; // by PE
  std::vector<uint64_t> put;    // by producer: words so far
  std::vector<uint64_t> next;   // by producer: one after the last put
  std::vector<uint64_t> taken;  // by consumer: one after the last take
  /// By consumer of a tracked color: where the last takes are, one per word of
  /// its window.
  std::vector<size_t> ringOf;
  std::vector<uint64_t> rings;
  std::vector<std::unique_ptr<GroupTimer>> timers; // by group
  std::vector<std::vector<uint32_t>>
      found; // by superstep: what each group counted
  std::vector<std::vector<uint64_t>> origins; // and when its first PE began
  GroupBefore before;
};
} // namespace

void Timer::begin() {
  clocks.assign(streams.places.size(), 0);
  put.assign(streams.producers.size(), 0);
  next.assign(streams.producers.size(), 0);
  taken.assign(streams.consumers.size(), 0);
  size_t words = 0;
  ringOf.clear();
  if (is_contained(tracked, true))
    for (const Consumer &consumer : streams.consumers) {
      ringOf.push_back(words);
      if (tracked[consumer.color])
        words += consumer.window;
    }
  rings.assign(words, 0);
  timers.clear();
  timers.resize(schedule.groups.size());
  found.clear();
  origins.clear();
}

void Timer::computeBlocks(const Superstep &superstep) {
  for (uint32_t kind = 0; kind < pesOfKind.size(); ++kind) {
    uint32_t then = kind; // its kind in this superstep
    while (then >= superstep.cycles.size())
      then = schedule.parentOf[then];
    if (uint64_t cycles = superstep.cycles[then])
      for (uint32_t pe : pesOfKind[kind])
        clocks[pe] += cycles;
  }
}

/// What earlier takes leave no credits for. No word of the source is put before
/// `clock`. Takes are at least a cycle apart, and so are puts: if the last take
/// leaves a credit for the first word, earlier ones leave credits for the
/// others. False: the color is not tracked yet.
bool Timer::describeCredits(const GroupTimer &timer,
                            const GroupTimer::Source &source, uint32_t producer,
                            uint64_t clock, uint64_t origin) {
  for (uint32_t k = 0; k < source.taps.count; ++k) {
    uint32_t consumer = streams.producers[producer].consumers.first + k;
    const GroupTimer::Tap &tap = timer.taps[source.taps.first + k];
    if (taken[consumer] + 1 <= clock + tap.window)
      continue;
    if (!tracked[source.color]) {
      tracked[source.color] = true;
      return false;
    }
    uint64_t words = std::min(source.words, tap.window), before = put[producer];
    for (uint64_t word = before < tap.window ? tap.window - before : 0;
         word < words; ++word) {
      uint64_t from =
          rings[ringOf[consumer] + (before + word) % tap.window] + 1;
      if (from > clock + word)
        this->before.credits.push_back({source.taps.first + k,
                                        static_cast<uint32_t>(word),
                                        static_cast<Stamp>(from - origin)});
    }
  }
  return true;
}

/// `least`: before it no PE of the group begins.
bool Timer::describeSource(const GroupTimer &timer, uint32_t base,
                           uint32_t index, uint64_t least) {
  const GroupTimer::Source &source = timer.sources[index];
  uint32_t producer = producerOf(streams, source, base);
  uint64_t origin = clocks[base];
  if (source.isGate) {
    before.sources.push_back(
        static_cast<Stamp>(std::max(next[producer], least) - origin));
    return put[producer] == 0 ||
           describeCredits(timer, source, producer, least, origin);
  }
  uint64_t clock = clocks[base + source.pe];
  uint64_t inBurst =
      target.words_per_burst == 0 ? 0 : put[producer] % target.words_per_burst;
  before.sources.push_back(static_cast<Stamp>(inBurst));
  if (put[producer] == 0)
    return true;
  // The cycle after a full burst is most often that of an issue.
  if (target.words_per_burst != 0 && inBurst == 0 &&
      next[producer] + 1 > clock + target.issue_cycles)
    before.credits.push_back({source.taps.first, 0,
                              static_cast<Stamp>(next[producer] + 1 - origin),
                              /*pause=*/true});
  return describeCredits(timer, source, producer, clock, origin);
}

/// The group has been counted: clocks and streams go on.
void Timer::goOn(const GroupTimer &timer, uint32_t base,
                 const GroupAfter &after) {
  const std::vector<uint32_t> &pes = timer.group.pes;
  uint64_t origin = clocks[base];
  for (size_t s = 0; s < timer.sources.size(); ++s) {
    const GroupTimer::Source &source = timer.sources[s];
    if (source.words == 0)
      continue;
    uint32_t producer = producerOf(streams, source, base);
    uint64_t words = put[producer] += source.words;
    next[producer] = origin + static_cast<uint64_t>(after.puts[s]) + 1;
    for (uint32_t k = 0; k < source.taps.count; ++k) {
      uint32_t consumer = streams.producers[producer].consumers.first + k;
      uint32_t t = source.taps.first + k;
      const GroupTimer::Tap &tap = timer.taps[t];
      taken[consumer] = origin + static_cast<uint64_t>(after.takes[t]) + 1;
      for (uint32_t i = 0; i < tap.tailWords; ++i)
        rings[ringOf[consumer] + (words - tap.tailWords + i) % tap.window] =
            origin + static_cast<uint64_t>(after.tails[tap.tail + i]);
    }
  }
  for (size_t i = 0; i < pes.size(); ++i)
    clocks[base + pes[i]] = origin + static_cast<uint64_t>(after.ends[i]);
}

Timer::Outcome Timer::count(GroupTimer &timer, uint32_t base) {
  uint64_t origin = clocks[base], least = origin;
  before.starts.clear();
  before.sources.clear();
  before.credits.clear();
  for (uint32_t pe : timer.group.pes) {
    before.starts.push_back(static_cast<Stamp>(clocks[base + pe] - origin));
    least = std::min(least, clocks[base + pe]);
  }
  for (uint32_t s = 0; s < timer.sources.size(); ++s)
    if (!describeSource(timer, base, s, least))
      return Outcome::Again;
  const GroupAfter *after = timer.count(before);
  if (!after)
    return Outcome::Unknown;
  goOn(timer, base, *after);
  found.back().push_back(after->index);
  origins.back().push_back(origin);
  return Outcome::Counted;
}

Timer::Outcome Timer::exchange(const Superstep &superstep) {
  found.emplace_back();
  origins.emplace_back();
  for (const GroupPlaces &places : schedule.exchanges[superstep.exchange]) {
    std::unique_ptr<GroupTimer> &timer = timers[places.group];
    if (!timer)
      timer =
          std::make_unique<GroupTimer>(schedule.groups[places.group], streams,
                                       schedule.segments, target, tracked);
    for (uint32_t base : places.bases) {
      if (Outcome outcome = count(*timer, base); outcome != Outcome::Counted)
        return outcome;
      if (interrupt && interrupt->due())
        return Outcome::Unknown;
    }
  }
  return Outcome::Counted;
}

std::optional<EngineResult> Timer::run() {
  for (const RegionPrograms &region : prepared.regions)
    for (const Program &program : region.programs)
      if (program.threads > 0)
        return std::nullopt;
  for (Outcome outcome = Outcome::Again; outcome != Outcome::Counted;) {
    begin();
    for (const Superstep &superstep : schedule.supersteps) {
      computeBlocks(superstep);
      outcome = exchange(superstep);
      if (outcome != Outcome::Counted)
        break;
    }
    if (outcome == Outcome::Unknown)
      return std::nullopt;
    if (schedule.supersteps.empty())
      break;
  }
  return result();
}

EngineResult Timer::result() {
  EngineResult result;
  result.countedInLanes = true;
  for (uint32_t pe = 0; pe < clocks.size(); ++pe) {
    const Place &at = streams.places[pe];
    const Totals &totals = schedule.segments.totals[at.region][at.program];
    result.instructions += totals.instructions;
    result.words += totals.words;
    result.end(pe, at.stage, clocks[pe]);
  }
  for (StageEnd &stage : result.stages)
    spend(stage);
  result.shared = countSharedLinks(counted());
  return result;
}

/// The accounts of the PE of a stage that ended last.
void Timer::spend(StageEnd &stage) const {
  stage.spent.resize(prepared.accounts.size());
  const Place &at = streams.places[stage.pe];
  for (auto [account, busy] :
       schedule.segments.totals[at.region][at.program].busy)
    stage.spent[account].busy += busy;
  for (size_t p = 0; p < found.size(); ++p) {
    size_t following = 0;
    for (const GroupPlaces &places :
         schedule.exchanges[schedule.supersteps[p].exchange]) {
      const GroupTimer &timer = *timers[places.group];
      for (uint32_t base : places.bases) {
        const GroupAfter &after = timer.at(found[p][following++]);
        const std::vector<uint32_t> &pes = timer.group.pes;
        auto it = std::lower_bound(pes.begin(), pes.end(), stage.pe - base);
        if (stage.pe < base || it == pes.end() || *it != stage.pe - base)
          continue;
        for (size_t i = 0; i < timer.group.ops.size(); ++i) {
          const GroupOp &op = timer.group.ops[i];
          if (op.kind != GroupOp::Gate && op.pe == uint32_t(it - pes.begin()))
            stage.spent[timer.accounts[i]].wait += after.waits[i];
        }
      }
    }
  }
}

CriticalPath Timer::walk(const EngineResult &result) const {
  ScheduleRecord record(counted());
  return walkPath(record, prepared, streams, target, result.last,
                  result.cycles);
}

std::optional<EngineResult>
timeSchedule(const image::TargetT &target, const PreparedEntry &prepared,
             const Streams &streams, const Schedule &schedule,
             Interrupt *interrupt, CriticalPath *critical) {
  Timer timer(target, prepared, streams, schedule, interrupt);
  std::optional<EngineResult> result = timer.run();
  if (result && critical)
    *critical = timer.walk(*result);
  return result;
}

} // namespace waferloom::executor
