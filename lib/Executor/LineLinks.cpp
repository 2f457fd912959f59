#include "LineLinks.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/STLExtras.h"
#include <array>
#include <map>

using namespace llvm;

namespace waferloom::executor {

using image::Side;

namespace {
/// Links that a group's source crosses, from the group's first PE.
struct Crossing {
  Side side;
  int32_t along, across; // of the first router
  uint32_t links;
  Stamp delay; // from the put to the first link
};

/// By Side.
using LineCounts = std::array<SharedOnLines, 4>;

static bool isEmpty(const LineCounts &counts) {
  return all_of(counts, [](const SharedOnLines &on) { return on.empty(); });
}

/// What a group that has been counted does on a line, from its first PE and
/// that PE's clock.
struct Flow {
  std::array<std::vector<Convoy>, 4> convoys; // by Side
  Stamp begin = INT64_MAX, end = INT64_MIN;   // on any link
  int32_t from = INT32_MAX, to = INT32_MIN;   // of its links
  LineCounts within;
};

/// A flow at a place of the line.
struct Event {
  uint32_t flow;
  int32_t at;
  Stamp origin;
};

/// Two flows; the second lies and begins so much further.
struct Meeting {
  uint32_t one, other;
  int32_t apart;
  Stamp later;
  bool operator<(const Meeting &than) const {
    return std::tie(one, other, apart, later) <
           std::tie(than.one, than.other, than.apart, than.later);
  }
};

class LineCounter {
public:
  LineCounter(const CountedSchedule &counted, Interrupt *interrupt)
      : counted(counted), interrupt(interrupt) {}

  SharedOnAllLines run();

private:
  /// Of a group: what each source crosses, and on which lines.
  struct Footprint {
    std::vector<std::vector<Crossing>> crossings; // by source
    std::vector<int32_t> rows, columns;           // lines, from the first PE
  };
  using Lines = std::vector<std::vector<Event>>;

  const Footprint &footprintOf(uint32_t group);
  uint32_t flowOf(uint32_t group, uint32_t after, bool alongX, int32_t across);
  void addConvoys(Flow &flow, const GroupTimer &timer, const GroupAfter &after,
                  const GroupAfter::Run &run, const Crossing &crossing) const;
  void gather();
  const LineCounts &meet(const Meeting &meeting);
  void meetActive(const Event &event);
  void count(std::vector<Event> &events, bool alongX, uint32_t line);
  void note(const LineCounts &counts, int32_t at);

  const CountedSchedule &counted;
  Interrupt *interrupt;
  std::vector<std::unique_ptr<Footprint>> footprints; // by group
  std::vector<Flow> flows;
  std::map<std::tuple<uint32_t, uint32_t, bool, int32_t>, uint32_t> flowAt;
  std::map<Meeting, LineCounts> meetings;
  Lines rows, columns; // by y, by x
  LineCounts onLine;   // of the line that is counted
  /// Events that have not ended, by parts of the line.
  std::vector<SmallVector<const Event *>> active;
  SharedOnAllLines total;
};
} // namespace

/// How many links stretches have together. Sorts them.
static uint64_t unite(std::vector<std::pair<int32_t, int32_t>> &stretches) {
  llvm::sort(stretches);
  uint64_t links = 0;
  int32_t reached = INT32_MIN;
  for (auto [from, to] : stretches) {
    from = std::max(from, reached);
    if (to <= from)
      continue;
    links += static_cast<uint64_t>(to - from);
    reached = to;
  }
  return links;
}

const LineCounter::Footprint &LineCounter::footprintOf(uint32_t index) {
  footprints.resize(counted.timers.size());
  std::unique_ptr<Footprint> &made = footprints[index];
  if (made)
    return *made;
  made = std::make_unique<Footprint>();
  const Streams &streams = counted.streams;
  const GroupTimer &timer = *counted.timers[index];
  const Place &base = streams.places[timer.group.first];
  for (const GroupTimer::Source &source : timer.sources) {
    const Place &from = streams.places[timer.group.first + source.pe];
    std::vector<Crossing> &list = made->crossings.emplace_back();
    const Way &way = streams.ways[source.way];
    if (!way.isShared)
      continue;
    for (const Stretch &stretch : way.stretches) {
      auto x = static_cast<int32_t>(from.x - base.x) + stretch.dx;
      auto y = static_cast<int32_t>(from.y - base.y) + stretch.dy;
      const bool alongX = isAlongX(stretch.side);
      std::vector<int32_t> &lines = alongX ? made->rows : made->columns;
      if (int32_t across = alongX ? y : x; !is_contained(lines, across))
        lines.push_back(across);
      Stamp delay = source.isGate ? 0 : counted.target.ramp_cycles;
      delay += Stamp(stretch.hops) * counted.target.hop_cycles;
      list.push_back(
          {stretch.side, alongX ? x : y, alongX ? y : x, stretch.links, delay});
    }
  }
  return *made;
}

/// How a run of words looks on the links that its stream crosses.
void LineCounter::addConvoys(Flow &flow, const GroupTimer &timer,
                             const GroupAfter &after,
                             const GroupAfter::Run &run,
                             const Crossing &crossing) const {
  const Stamp hop = counted.target.hop_cycles;
  const Stamp time = run.begin + crossing.delay;
  const auto links = static_cast<int32_t>(crossing.links);
  const bool isRising = rises(crossing.side);
  Convoy convoy;
  convoy.color = timer.sources[run.source].color;
  convoy.node = run.node;
  convoy.words = run.words;
  if (!after.longestWaits.empty())
    convoy.wait = after.longestWaits[run.source];
  convoy.from = isRising ? crossing.along : crossing.along + 1 - links;
  convoy.to = convoy.from + links;
  convoy.begin =
      isRising ? time - crossing.along * hop : time + crossing.along * hop;
  flow.convoys[size_t(crossing.side)].push_back(convoy);
  flow.from = std::min(flow.from, convoy.from);
  flow.to = std::max(flow.to, convoy.to);
  flow.begin = std::min(flow.begin, time);
  flow.end =
      std::max(flow.end, time + (links - 1) * hop + run.words + convoy.wait);
}

uint32_t LineCounter::flowOf(uint32_t group, uint32_t after, bool alongX,
                             int32_t across) {
  auto [it, fresh] = flowAt.try_emplace({group, after, alongX, across},
                                        uint32_t(flows.size()));
  if (!fresh)
    return it->second;
  Flow &flow = flows.emplace_back();
  const GroupTimer &timer = *counted.timers[group];
  const Footprint &footprint = footprintOf(group);
  const GroupAfter &done = timer.at(after);
  for (const GroupAfter::Run &run : done.runs)
    for (const Crossing &crossing : footprint.crossings[run.source])
      if (isAlongX(crossing.side) == alongX && crossing.across == across)
        addConvoys(flow, timer, done, run, crossing);
  for (size_t side = 0; side < flow.convoys.size(); ++side) {
    llvm::sort(flow.convoys[side], [](const Convoy &a, const Convoy &b) {
      return a.begin < b.begin;
    });
    flow.within[side] = countConvoys(flow.convoys[side]);
  }
  return it->second;
}

/// What every line sees.
void LineCounter::gather() {
  for (auto [p, superstep] : enumerate(counted.schedule.supersteps)) {
    size_t following = 0;
    for (const GroupPlaces &places :
         counted.schedule.exchanges[superstep.exchange]) {
      if (interrupt && interrupt->due(places.bases.size()))
        return;
      const Footprint &footprint = footprintOf(places.group);
      size_t first = std::exchange(following, following + places.bases.size());
      for (bool alongX : {true, false})
        for (int32_t across : alongX ? footprint.rows : footprint.columns)
          for (auto [i, base] : enumerate(places.bases)) {
            const Place &at = counted.streams.places[base];
            auto line = static_cast<size_t>(
                static_cast<int32_t>(alongX ? at.y : at.x) + across);
            Lines &lines = alongX ? rows : columns;
            lines.resize(std::max(lines.size(), line + 1));
            lines[line].push_back(
                {flowOf(places.group, counted.found[p][first + i], alongX,
                        across),
                 static_cast<int32_t>(alongX ? at.x : at.y),
                 static_cast<Stamp>(counted.origins[p][first + i])});
          }
    }
  }
}

/// Whether words may want a link at the same time, some of them late.
static bool mayMeet(const std::vector<Convoy> &ones,
                    const std::vector<Convoy> &others) {
  return any_of(ones, [&](const Convoy &one) {
    return any_of(others, [&](const Convoy &other) {
      return one.from < other.to && other.from < one.to &&
             one.begin < other.end() + other.wait &&
             other.begin < one.end() + one.wait;
    });
  });
}

/// What two flows have of each other.
const LineCounts &LineCounter::meet(const Meeting &meeting) {
  auto [it, fresh] = meetings.try_emplace(meeting);
  if (!fresh)
    return it->second;
  const Flow &one = flows[meeting.one], &other = flows[meeting.other];
  const Stamp way = meeting.apart * Stamp(counted.target.hop_cycles);
  for (Side side : {Side::north, Side::south, Side::east, Side::west}) {
    std::vector<Convoy> moved = other.convoys[size_t(side)];
    const Stamp before = rises(side) ? -way : way;
    for (Convoy &convoy : moved) {
      convoy.from += meeting.apart;
      convoy.to += meeting.apart;
      convoy.begin += meeting.later + before;
    }
    const std::vector<Convoy> &still = one.convoys[size_t(side)];
    it->second[size_t(side)] = countConvoys(still, moved);
    total.groupsMeet = total.groupsMeet || mayMeet(still, moved);
  }
  return it->second;
}

/// Adds to what is on the line.
void LineCounter::note(const LineCounts &counts, int32_t at) {
  for (size_t side = 0; side < counts.size(); ++side)
    for (const auto &[pair, on] : counts[side]) {
      SharedOnLine &all = onLine[side][pair];
      all.cycles += on.cycles;
      for (auto [from, to] : on.links)
        all.links.emplace_back(from + at, to + at);
    }
}

/// Notes what an event has together with those that began before it. Only those
/// in the same part of the line are asked: a line has hundreds of narrow ones.
void LineCounter::meetActive(const Event &event) {
  constexpr int32_t linksOfPart = 32;
  const Flow &flow = flows[event.flow];
  const int32_t from = event.at + flow.from, to = event.at + flow.to;
  const Stamp begin = event.origin + flow.begin;
  for (int32_t part = from / linksOfPart; part * linksOfPart < to; ++part) {
    if (static_cast<size_t>(part) >= active.size())
      active.resize(part + 1);
    auto &here = active[part];
    llvm::erase_if(here, [&](const Event *other) {
      return other->origin + flows[other->flow].end <= begin;
    });
    for (const Event *other : here) {
      const int32_t first = other->at + flows[other->flow].from;
      // In the first part that both are in.
      if (std::max(first, from) / linksOfPart == part && first < to &&
          from < other->at + flows[other->flow].to)
        note(meet({other->flow, event.flow, event.at - other->at,
                   event.origin - other->origin}),
             other->at);
    }
    here.push_back(&event);
  }
}

void LineCounter::count(std::vector<Event> &events, bool alongX,
                        uint32_t line) {
  // Some groups cross no shared link of the line.
  llvm::erase_if(events, [&](const Event &event) {
    return flows[event.flow].from >= flows[event.flow].to;
  });
  auto beginOf = [&](const Event &e) { return e.origin + flows[e.flow].begin; };
  llvm::sort(events, [&](const Event &a, const Event &b) {
    return beginOf(a) < beginOf(b);
  });
  for (const Event &event : events) {
    if (interrupt && interrupt->due())
      return;
    if (const Flow &flow = flows[event.flow]; !isEmpty(flow.within))
      note(flow.within, event.at);
    meetActive(event);
  }
  active.clear();
  for (Side side : {Side::north, Side::south, Side::east, Side::west}) {
    for (auto &[pair, on] : onLine[size_t(side)]) {
      const uint64_t links = unite(on.links);
      const auto first = static_cast<uint32_t>(on.links.front().first);
      total.counts[pair].add({on.cycles, links, alongX ? first : line,
                              alongX ? line : first, side});
    }
    onLine[size_t(side)].clear();
  }
}

SharedOnAllLines LineCounter::run() {
  if (none_of(counted.streams.ways,
              [](const Way &way) { return way.isShared; }))
    return {};
  gather();
  for (auto [y, events] : enumerate(rows))
    count(events, true, static_cast<uint32_t>(y));
  for (auto [x, events] : enumerate(columns))
    count(events, false, static_cast<uint32_t>(x));
  return std::move(total);
}

SharedOnAllLines countSharedLinks(const CountedSchedule &counted,
                                  Interrupt *interrupt) {
  return LineCounter(counted, interrupt).run();
}

} // namespace waferloom::executor
