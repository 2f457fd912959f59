// All PEs' clocks, superstep by superstep. What words of earlier supersteps do
// to an exchange group is little: how many stand since the last full burst,
// when a router passed its last word, and, where a sender runs far ahead of a
// receiver, which words still stand in its way. The last two follow from the
// groups in which the streams were before, which are looked at only where these
// are not over for long.

#include "Timing.h"
#include "Bundles.h"
#include "LineLinks.h"
#include "ScheduleRecord.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

/// Groups whose words' times are kept for others that ask for the same.
static constexpr size_t mostKnown = 64;

/// Where words of different groups meet, the reference engine counts steps of
/// so many instructions and words, some seconds of its work.
static constexpr uint64_t mostStepsAtOnce = 100'000'000;

namespace {
class Timer {
public:
  Timer(const image::TargetT &target, const PreparedEntry &prepared,
        const Streams &streams, const Schedule &schedule, Interrupt *interrupt)
      : target(target), prepared(prepared), streams(streams),
        schedule(schedule), interrupt(interrupt), bundles(streams, schedule),
        bursts(target.words_per_burst), pesOfKind(schedule.parentOf.size()),
        clocks(streams.places.size()), last(bundles.count(), none),
        burstOf(bundles.count()), timers(schedule.groups.size()) {
    for (uint32_t pe = 0; pe < streams.places.size(); ++pe)
      pesOfKind[schedule.kindOf[pe]].push_back(pe);
  }

  std::optional<EngineResult> run(bool estimate);
  /// Of what `run` gave.
  CriticalPath walk(const EngineResult &result) const;

private:
  /// A bundle was in a group.
  struct Visit {
    uint32_t group, after; // GroupTimer::at
    uint32_t bundle;       // of the group
    uint32_t before;       // the visit before this one; none: the first
    uint64_t origin;
  };

  void computeBlocks(const Superstep &superstep);
  bool exchange(const Superstep &superstep);
  bool count(uint32_t group, uint32_t base, const uint32_t *places);
  void describeBundle(const GroupTimer &timer, uint32_t base, uint32_t bundle,
                      const Visit &visit, uint64_t least);
  void describeCredits(const GroupTimer &timer, uint32_t source,
                       uint32_t stream, const Visit &visit, uint64_t clock,
                       uint64_t origin);
  std::optional<uint64_t> takenBefore(const Visit *visit, uint32_t stream,
                                      uint32_t tap, uint64_t back);
  const GroupTimes &timesOf(uint32_t group, uint32_t after);
  void goOn(uint32_t group, uint32_t base, const uint32_t *places,
            const GroupAfter &after);
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
  Bundles bundles;
  BurstStates bursts;
  std::vector<std::vector<uint32_t>> pesOfKind;
  std::vector<uint64_t> clocks; // by PE
  std::vector<Visit> visits;
  std::vector<uint32_t> last;    // by bundle's number: its last visit
  std::vector<uint32_t> burstOf; // the same: a state of `bursts`
  std::vector<std::unique_ptr<GroupTimer>> timers; // by group
  std::map<std::pair<uint32_t, uint32_t>, GroupTimes> times;
  std::vector<std::vector<uint32_t>>
      found; // by superstep: what each group counted
  std::vector<std::vector<uint64_t>> origins; // and when its first PE began
  GroupBefore before;
};
} // namespace

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

const GroupTimes &Timer::timesOf(uint32_t group, uint32_t after) {
  if (times.size() > mostKnown)
    times.clear();
  auto [it, fresh] = times.try_emplace({group, after});
  if (fresh)
    it->second = timers[group]->replay(timers[group]->at(after));
  return it->second;
}

/// When the word was taken that was put so many words before the end of a visit
/// (1: the last). Nothing: there was none.
std::optional<uint64_t> Timer::takenBefore(const Visit *visit, uint32_t stream,
                                           uint32_t tap, uint64_t back) {
  while (true) {
    const GroupTimer &timer = *timers[visit->group];
    uint32_t index = timer.bundles[visit->bundle][stream];
    const GroupTimer::Source &source = timer.sources[index];
    if (back <= source.words) {
      const GroupTimer::Tap &of = timer.taps[source.taps.first + tap];
      return visit->origin +
             static_cast<uint64_t>(timesOf(visit->group, visit->after)
                                       .takes[of.at + source.words - back]);
    }
    back -= source.words;
    if (visit->before == none)
      return std::nullopt;
    visit = &visits[visit->before];
  }
}

/// What earlier takes leave no credits for. No word of the source is put before
/// `clock`. Takes are at least a cycle apart, and so are puts: if the last take
/// leaves a credit for the first word, earlier ones leave credits for the
/// others.
void Timer::describeCredits(const GroupTimer &timer, uint32_t index,
                            uint32_t stream, const Visit &visit, uint64_t clock,
                            uint64_t origin) {
  const GroupTimer::Source &source = timer.sources[index];
  const GroupTimer &then = *timers[visit.group];
  const GroupTimer::Source &was =
      then.sources[then.bundles[visit.bundle][stream]];
  const GroupAfter &after = then.at(visit.after);
  for (uint32_t k = 0; k < source.taps.count; ++k) {
    const GroupTimer::Tap &tap = timer.taps[source.taps.first + k];
    uint64_t taken = visit.origin +
                     static_cast<uint64_t>(after.takes[was.taps.first + k]) + 1;
    if (taken + 1 <= clock + tap.window)
      continue;
    for (uint32_t word = 0, end = std::min(source.words, tap.window);
         word < end; ++word) {
      std::optional<uint64_t> take =
          takenBefore(&visit, stream, k, tap.window - word);
      if (take && *take + 1 > clock + word)
        before.credits.push_back({source.taps.first + k, word,
                                  static_cast<Stamp>(*take + 1 - origin)});
    }
  }
}

/// What a bundle did in a group that is not over for long. `least`: before it
/// no PE of the group begins.
void Timer::describeBundle(const GroupTimer &timer, uint32_t base,
                           uint32_t bundle, const Visit &visit,
                           uint64_t least) {
  const uint64_t origin = clocks[base];
  const GroupTimer &then = *timers[visit.group];
  for (auto [stream, index] : enumerate(timer.bundles[bundle])) {
    const GroupTimer::Source &source = timer.sources[index];
    const uint64_t next =
        visit.origin + 1 +
        static_cast<uint64_t>(
            then.at(visit.after).puts[then.bundles[visit.bundle][stream]]);
    uint64_t clock = least;
    if (source.isGate) {
      Stamp &from = before.gates[static_cast<size_t>(
          llvm::lower_bound(timer.gates, index) - timer.gates.begin())];
      from = static_cast<Stamp>(std::max(next, least) - origin);
    } else {
      clock = clocks[base + source.pe];
      // The cycle after a full burst is most often that of an issue.
      if (target.words_per_burst != 0 &&
          bursts.of(before.bursts[bundle], stream) == 0 &&
          next + 1 > clock + target.issue_cycles)
        before.credits.push_back({source.taps.first, 0,
                                  static_cast<Stamp>(next + 1 - origin),
                                  /*pause=*/true});
    }
    describeCredits(timer, index, static_cast<uint32_t>(stream), visit, clock,
                    origin);
  }
}

/// The group has been counted: clocks and streams go on.
void Timer::goOn(uint32_t group, uint32_t base, const uint32_t *places,
                 const GroupAfter &after) {
  const GroupTimer &timer = *timers[group];
  const std::vector<uint32_t> &pes = timer.group.pes;
  const uint64_t origin = clocks[base];
  for (uint32_t b = 0; b < timer.bundles.size(); ++b) {
    uint32_t &visit = last[places[b]];
    visits.push_back({group, after.index, b, visit, origin});
    visit = static_cast<uint32_t>(visits.size() - 1);
    uint32_t &state = burstOf[places[b]];
    state = bursts.sum(state, timer.burstsOf[b]);
  }
  for (size_t i = 0; i < pes.size(); ++i)
    clocks[base + pes[i]] = origin + static_cast<uint64_t>(after.ends[i]);
}

/// A group at a place, whose bundles have the numbers `places`. False: it does
/// not end.
bool Timer::count(uint32_t group, uint32_t base, const uint32_t *places) {
  GroupTimer &timer = *timers[group];
  const std::vector<uint32_t> &pes = timer.group.pes;
  const uint64_t origin = clocks[base];
  before.starts.resize(pes.size());
  Stamp least = 0;
  for (size_t i = 0; i < pes.size(); ++i) {
    auto start = static_cast<Stamp>(clocks[base + pes[i]] - origin);
    before.starts[i] = start;
    least = std::min(least, start);
  }
  const uint64_t earliest = origin + static_cast<uint64_t>(least);
  before.credits.clear();
  before.bursts.clear();
  before.gates.assign(timer.gates.size(), least);
  for (uint32_t b = 0; b < timer.bundles.size(); ++b) {
    before.bursts.push_back(burstOf[places[b]]);
    if (last[places[b]] == none)
      continue;
    const Visit &visit = visits[last[places[b]]];
    const GroupAfter &then = timers[visit.group]->at(visit.after);
    // Where all words were taken two cycles before, no window, no burst and no
    // turn of a router holds up a word.
    if (visit.origin + static_cast<uint64_t>(then.latest[visit.bundle]) + 2 >
        earliest)
      describeBundle(timer, base, b, visit, earliest);
  }
  const GroupAfter *after = timer.count(before);
  if (!after)
    return false;
  found.back().push_back(after->index);
  origins.back().push_back(origin);
  goOn(group, base, places, *after);
  return true;
}

/// False: a group does not end, or the count was interrupted.
bool Timer::exchange(const Superstep &superstep) {
  found.emplace_back();
  origins.emplace_back();
  uint32_t following = 0;
  for (const GroupPlaces &places : schedule.exchanges[superstep.exchange]) {
    std::unique_ptr<GroupTimer> &timer = timers[places.group];
    if (!timer)
      timer = std::make_unique<GroupTimer>(schedule.groups[places.group],
                                           streams, schedule.segments, target,
                                           bundles.of(places.group), bursts);
    for (uint32_t base : places.bases)
      if (!count(places.group, base,
                 bundles.at(superstep.exchange, following++)) ||
          (interrupt && interrupt->due()))
        return false;
  }
  return true;
}

std::optional<EngineResult> Timer::run(bool estimate) {
  for (const RegionPrograms &region : prepared.regions)
    for (const Program &program : region.programs)
      if (program.threads > 0)
        return std::nullopt;
  for (const Superstep &superstep : schedule.supersteps) {
    computeBlocks(superstep);
    if (!exchange(superstep))
      return std::nullopt;
  }
  SharedOnAllLines shared = countSharedLinks(counted(), interrupt);
  if (interrupt && interrupt->is())
    return std::nullopt;
  if (shared.groupsMeet && !estimate &&
      prepared.effort.steps <= mostStepsAtOnce)
    return std::nullopt;
  EngineResult counted = result();
  counted.shared = std::move(shared.counts);
  counted.isArbitrated = !shared.groupsMeet;
  return counted;
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
             const Streams &streams, const Schedule &schedule, bool estimate,
             Interrupt *interrupt, CriticalPath *critical) {
  Timer timer(target, prepared, streams, schedule, interrupt);
  std::optional<EngineResult> result = timer.run(estimate);
  if (result && critical)
    *critical = timer.walk(*result);
  return result;
}

} // namespace waferloom::executor
