#include "ScheduleRecord.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

/// Groups whose times are kept for when the path comes to equal ones.
static constexpr size_t mostKnown = 64;

const ScheduleRecord::Order &ScheduleRecord::orderOf(uint32_t index) {
  std::unique_ptr<Order> &order = orders[index];
  if (order)
    return *order;
  order = std::make_unique<Order>();
  const ExchangeGroup &group = schedule.groups[index];
  order->before.assign(group.ops.size(), none);
  order->last.assign(group.pes.size(), none);
  order->givers.resize(group.sources.size());
  order->takers.resize(group.taps.size());
  for (uint32_t i = 0; i < group.ops.size(); ++i) {
    const GroupOp &op = group.ops[i];
    if (op.in != none)
      order->takers[op.in].push_back(i);
    if (op.out != none)
      order->givers[op.out].push_back(i);
    if (op.kind == GroupOp::Gate)
      continue;
    order->before[i] = order->last[op.pe];
    order->last[op.pe] = i;
  }
  return *order;
}

std::shared_ptr<const GroupTimes> ScheduleRecord::timesOf(uint32_t group,
                                                          uint32_t index) {
  if (known.size() > mostKnown)
    known.clear();
  std::shared_ptr<const GroupTimes> &times = known[{group, index}];
  if (!times) {
    GroupTimer &timer = *counted.timers[group];
    times = std::make_shared<const GroupTimes>(timer.replay(timer.at(index)));
  }
  return times;
}

/// The group that a PE is of in a superstep.
std::optional<ScheduleRecord::GroupPlace>
ScheduleRecord::placeOf(uint32_t superstep, uint32_t pe) const {
  uint32_t following = 0;
  for (const GroupPlaces &places :
       schedule.exchanges[schedule.supersteps[superstep].exchange]) {
    const std::vector<uint32_t> &pes = schedule.groups[places.group].pes;
    for (auto [i, base] : enumerate(places.bases))
      if (base <= pe && pe - base <= pes.back() &&
          std::binary_search(pes.begin(), pes.end(), pe - base))
        return GroupPlace{places.group, base,
                          following + static_cast<uint32_t>(i)};
    following += static_cast<uint32_t>(places.bases.size());
  }
  return std::nullopt;
}

uint32_t ScheduleRecord::find(std::tuple<uint32_t, bool, uint32_t> key) const {
  auto it = siteOf.find(key);
  return it == siteOf.end() ? none : it->second;
}

/// Keeps a site. `number`: of the place, or the PE of a compute block.
uint32_t ScheduleRecord::remember(Site &&site, uint32_t number) {
  for (; released < sites.size() && sites[released].superstep > site.superstep;
       ++released)
    sites[released].times.reset();
  auto index = static_cast<uint32_t>(sites.size());
  siteOf[{site.superstep, site.group != none, number}] = index;
  sites.push_back(std::move(site));
  return index;
}

/// The site of a place. Its origin is for the caller to say if it is new.
uint32_t ScheduleRecord::siteAt(uint32_t superstep, const GroupPlace &place) {
  if (uint32_t old = find({superstep, true, place.following}); old != none)
    return old;
  uint32_t index = counted.found[superstep][place.following];
  Site site;
  site.superstep = superstep;
  site.group = place.group;
  site.base = place.base;
  site.after = &counted.timers[place.group]->at(index);
  site.times = timesOf(place.group, index);
  return remember(std::move(site), place.following);
}

/// The segment whose compute block a PE has in a superstep; null: none that
/// takes time.
const Segment *ScheduleRecord::segmentOf(uint32_t pe,
                                         uint32_t superstep) const {
  const Superstep &step = schedule.supersteps[superstep];
  uint32_t kind = schedule.kindIn(step, pe);
  if (step.cycles[kind] == 0)
    return nullptr;
  const Place &at = streams.places[pe];
  const std::vector<Segment> &segments =
      schedule.segments.programs[at.region][at.program];
  // Segments that begin at one instruction: all but the last have none, and a
  // last `rewrite` alone has cycles without one.
  auto it = std::lower_bound(
      segments.begin(), segments.end(), step.begun[kind],
      [](const Segment &a, uint64_t begun) { return a.begun < begun; });
  while (it->cycles == 0)
    ++it;
  return &*it;
}

/// What a PE did last in the compute block of a superstep. Without one, or if
/// it has descriptors only, nothing; `clock` is then when it began.
std::optional<PathRef> ScheduleRecord::inBlock(uint32_t pe, uint32_t superstep,
                                               Stamp &clock) {
  const Segment *segment = segmentOf(pe, superstep);
  if (!segment)
    return std::nullopt;
  const ComputeBlock &acts =
      schedule.segments.computeBlocks[segment->computeBlock];
  if (acts.empty()) {
    clock -= static_cast<Stamp>(segment->cycles);
    return std::nullopt;
  }
  auto lastAct = static_cast<uint32_t>(acts.size() - 1);
  if (uint32_t old = find({superstep, false, pe}); old != none)
    return PathRef{old, lastAct};
  Site site;
  site.superstep = superstep;
  site.base = pe;
  site.origin = clock - static_cast<Stamp>(segment->cycles);
  site.block = segment->computeBlock;
  site.number = segment->begun;
  site.leads.resize(acts.size());
  for (const BlockLead &lead : schedule.segments.leads[segment->leads])
    if (lead.position < acts.size())
      site.leads[lead.position] = lead.cycles;
  Stamp now = site.origin;
  for (auto [i, act] : enumerate(acts)) {
    const Instruction &instruction = *schedule.segments.acts[act].instruction;
    site.begun.push_back(now += site.leads[i]);
    now += static_cast<Stamp>(instruction.rewrite +
                              counted.target.issue_cycles + instruction.work);
    site.ended.push_back(now);
  }
  return PathRef{remember(std::move(site), pe), lastAct};
}

/// What a PE did last before a superstep's exchange, or also in it.
std::optional<PathRef> ScheduleRecord::latest(uint32_t pe, uint32_t superstep,
                                              bool isExchangeTo, Stamp clock) {
  for (uint32_t p = superstep + 1; p-- > 0; isExchangeTo = true) {
    std::optional<GroupPlace> place;
    if (isExchangeTo)
      place = placeOf(p, pe);
    if (place) {
      const std::vector<uint32_t> &pes = schedule.groups[place->group].pes;
      size_t member = static_cast<size_t>(
          llvm::lower_bound(pes, pe - place->base) - pes.begin());
      if (uint32_t op = orderOf(place->group).last[member]; op != none) {
        uint32_t site = siteAt(p, *place);
        sites[site].origin = clock - sites[site].after->ends[member];
        return PathRef{site, op};
      }
    }
    if (std::optional<PathRef> ref = inBlock(pe, p, clock))
      return ref;
  }
  return std::nullopt;
}

std::optional<PathRef> ScheduleRecord::last(uint32_t pe, Stamp end) {
  if (schedule.supersteps.empty())
    return std::nullopt;
  return latest(pe, static_cast<uint32_t>(schedule.supersteps.size() - 1), true,
                end);
}

PathOp ScheduleRecord::at(PathRef ref) {
  const Site &site = sites[ref.site];
  PathOp op;
  if (site.group == none) {
    uint32_t act = schedule.segments.computeBlocks[site.block][ref.op];
    op.instruction = schedule.segments.acts[act].instruction;
    op.pe = site.base;
    op.number = site.number + ref.op;
    op.lead = site.leads[ref.op];
    op.begun = site.begun[ref.op];
    op.end = site.ended[ref.op];
    return op;
  }
  const GroupOp &from = opOf(ref);
  if (from.kind == GroupOp::Gate) {
    op.pe = site.base + timerOf(site).sources[from.out].pe;
    return op;
  }
  op.instruction = schedule.segments.acts[from.act].instruction;
  op.pe = site.base + timerOf(site).group.pes[from.pe];
  const Superstep &superstep = schedule.supersteps[site.superstep];
  op.number = superstep.begunAfterCompute[schedule.kindIn(superstep, op.pe)] +
              from.begun;
  op.lead = from.lead;
  op.begun = site.origin + site.times->begun[ref.op];
  op.end = site.origin + site.times->ended[ref.op];
  return op;
}

std::optional<PathRef> ScheduleRecord::before(PathRef ref) {
  const Site &site = sites[ref.site];
  if (site.group == none) {
    if (ref.op > 0)
      return PathRef{ref.site, ref.op - 1};
    if (site.superstep == 0)
      return std::nullopt;
    return latest(site.base, site.superstep - 1, true, site.origin);
  }
  if (uint32_t op = orderOf(site.group).before[ref.op]; op != none)
    return PathRef{ref.site, op};
  uint32_t member = opOf(ref).pe;
  return latest(site.base + timerOf(site).group.pes[member], site.superstep,
                false, site.origin + site.after->before.starts[member]);
}

Stamp ScheduleRecord::takeOf(WordRef word) {
  const Site &site = sites[word.at.site];
  const GroupOp &op = opOf(word.at);
  const GroupTimer &timer = timerOf(site);
  const GroupTimer::Tap &tap = timer.taps[op.in];
  uint32_t from = op.inAt - timer.sources[tap.source].at;
  return site.origin + site.times->takes[tap.at + from + word.word];
}

Stamp ScheduleRecord::putOf(WordRef word) {
  const Site &site = sites[word.at.site];
  return site.origin + site.times->puts[opOf(word.at).outAt + word.word];
}

uint32_t ScheduleRecord::consumerOf(const Site &site, uint32_t tap) const {
  const GroupTimer &timer = timerOf(site);
  const GroupTimer::Source &source = timer.sources[timer.taps[tap].source];
  uint32_t producer = producerOf(streams, source, site.base);
  return streams.producers[producer].consumers.first + tap - source.taps.first;
}

uint32_t ScheduleRecord::inputOf(WordRef word) {
  return consumerOf(sites[word.at.site], opOf(word.at).in);
}

/// The op, of those that put or take all words of a stream in a group one after
/// the other, that word `word` is of.
WordRef ScheduleRecord::wordOf(uint32_t site, const std::vector<uint32_t> &ops,
                               bool isTake, uint64_t word) {
  const GroupTimer &timer = timerOf(sites[site]);
  auto at = [&](uint32_t index) {
    const GroupOp &op = timer.group.ops[index];
    return isTake ? op.inAt : op.outAt;
  };
  const GroupOp &first = timer.group.ops[ops.front()];
  uint64_t wanted =
      word + timer.sources[isTake ? timer.taps[first.in].source : first.out].at;
  auto it = std::upper_bound(
      ops.begin(), ops.end(), wanted,
      [&](uint64_t value, uint32_t index) { return value < at(index); });
  uint32_t op = *std::prev(it);
  return {{site, op}, wanted - at(op)};
}

WordRef ScheduleRecord::giverOf(WordRef word) {
  const Site &site = sites[word.at.site];
  const GroupTimer &timer = timerOf(site);
  const GroupOp &op = opOf(word.at);
  uint32_t source = timer.taps[op.in].source;
  return wordOf(word.at.site, orderOf(site.group).givers[source], false,
                op.inAt - timer.sources[source].at + word.word);
}

/// The place before a superstep where a producer put words, as `source` of the
/// group.
std::optional<std::pair<uint32_t, ScheduleRecord::GroupPlace>>
ScheduleRecord::earlier(uint32_t superstep, uint32_t producer,
                        uint32_t &source) const {
  const Producer &wanted = streams.producers[producer];
  for (uint32_t p = superstep; p-- > 0;) {
    uint32_t following = 0;
    for (const GroupPlaces &places :
         schedule.exchanges[schedule.supersteps[p].exchange]) {
      for (auto [s, from] : enumerate(counted.timers[places.group]->sources)) {
        if (from.words == 0 || from.color != wanted.color ||
            from.isGate != (wanted.gate != none))
          continue;
        auto it = llvm::lower_bound(places.bases, wanted.pe - from.pe);
        if (it == places.bases.end() || *it != wanted.pe - from.pe)
          continue;
        source = static_cast<uint32_t>(s);
        return std::pair(
            p, GroupPlace{places.group, *it,
                          following + static_cast<uint32_t>(
                                          it - places.bases.begin())});
      }
      following += static_cast<uint32_t>(places.bases.size());
    }
  }
  return std::nullopt;
}

/// The last word of a source before the site's superstep, put at `put`.
std::optional<WordRef> ScheduleRecord::putEarlier(const Site &site,
                                                  uint32_t source, Stamp put) {
  uint32_t producer =
      producerOf(streams, timerOf(site).sources[source], site.base);
  uint32_t there = 0;
  auto place = earlier(site.superstep, producer, there);
  if (!place)
    return std::nullopt;
  uint32_t at = siteAt(place->first, place->second);
  sites[at].origin = put - sites[at].after->puts[there];
  return wordOf(at, orderOf(sites[at].group).givers[there], false,
                timerOf(sites[at]).sources[there].words - 1);
}

std::optional<WordRef> ScheduleRecord::putBefore(WordRef word) {
  const Site &site = sites[word.at.site];
  const GroupTimer &timer = timerOf(site);
  const GroupOp &op = opOf(word.at);
  const GroupTimer::Source &source = timer.sources[op.out];
  uint64_t index = op.outAt - source.at + word.word;
  if (index > 0)
    return wordOf(word.at.site, orderOf(site.group).givers[op.out], false,
                  index - 1);
  const GroupBefore &before = site.after->before;
  if (source.isGate) {
    // One after the last put, where that decided.
    Stamp next = timer.passesFrom(before, op.out);
    if (next != site.times->puts[op.outAt])
      return std::nullopt;
    return putEarlier(site, op.out, site.origin + next - 1);
  }
  for (const GroupBefore::Credit &credit : before.credits)
    if (credit.pause && credit.tap == source.taps.first)
      return putEarlier(site, op.out, site.origin + credit.from - 2);
  return std::nullopt;
}

/// The take, at `take`, of a word of a source's tap that lies `word` before the
/// site's superstep, counted backward from -1.
std::optional<WordRef> ScheduleRecord::takenEarlier(const Site &site,
                                                    uint32_t source,
                                                    uint32_t tap, int64_t word,
                                                    Stamp take) {
  uint32_t which = tap - timerOf(site).sources[source].taps.first;
  uint32_t producer =
      producerOf(streams, timerOf(site).sources[source], site.base);
  for (uint32_t superstep = site.superstep;;) {
    uint32_t there = 0;
    auto place = earlier(superstep, producer, there);
    if (!place)
      return std::nullopt;
    superstep = place->first;
    const GroupTimer &timer = *counted.timers[place->second.group];
    word += timer.sources[there].words;
    if (word < 0)
      continue;
    uint32_t at = siteAt(superstep, place->second);
    uint32_t from = timer.sources[there].taps.first + which;
    sites[at].origin =
        take -
        sites[at]
            .times->takes[timer.taps[from].at + static_cast<uint64_t>(word)];
    return wordOf(at, orderOf(sites[at].group).takers[from], true,
                  static_cast<uint64_t>(word));
  }
}

std::optional<WordRef> ScheduleRecord::creditorOf(WordRef word) {
  const Site &site = sites[word.at.site];
  const GroupTimer &timer = timerOf(site);
  const GroupOp &op = opOf(word.at);
  const GroupTimer::Source &source = timer.sources[op.out];
  const Stamp put = site.times->puts[op.outAt + word.word];
  const uint64_t index = op.outAt - source.at + word.word;
  for (uint32_t t = source.taps.first, e = t + source.taps.count; t < e; ++t) {
    const GroupTimer::Tap &tap = timer.taps[t];
    if (index >= tap.window) {
      uint64_t before = index - tap.window;
      if (site.times->takes[tap.at + before] + 1 == put)
        return wordOf(word.at.site, orderOf(site.group).takers[t], true,
                      before);
      continue;
    }
    for (const GroupBefore::Credit &credit : site.after->before.credits)
      if (!credit.pause && credit.tap == t && credit.word == index &&
          credit.from == put)
        return takenEarlier(site, op.out, t,
                            static_cast<int64_t>(index) -
                                static_cast<int64_t>(tap.window),
                            site.origin + put - 1);
  }
  return std::nullopt;
}

} // namespace waferloom::executor
