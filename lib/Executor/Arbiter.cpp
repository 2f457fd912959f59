#include "Arbiter.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <map>

using namespace llvm;

namespace waferloom::executor {

void append(CycleRuns &runs, Stamp cycle) {
  if (!runs.empty() && runs.back().end() == cycle)
    ++runs.back().words;
  else
    runs.push_back({cycle, 1});
}

/// Links before a router, its place.
using Router = std::tuple<uint32_t, uint32_t, uint32_t>;

static uint64_t keyOf(const Router &router, image::Side side) {
  auto [hops, x, y] = router;
  return uint64_t(y) << 34 | uint64_t(x) << 2 | static_cast<uint64_t>(side);
}

/// Adds cycles that are free.
static void add(CycleRuns &taken, const CycleRuns &more) {
  CycleRuns all(taken.size() + more.size());
  std::merge(
      taken.begin(), taken.end(), more.begin(), more.end(), all.begin(),
      [](const CycleRun &a, const CycleRun &b) { return a.begin < b.begin; });
  taken.clear();
  for (const CycleRun &run : all)
    if (!taken.empty() && taken.back().end() == run.begin)
      taken.back().words += run.words;
    else
      taken.push_back(run);
}

static std::vector<Stamp> stampsOf(const CycleRuns &runs, Stamp shift) {
  std::vector<Stamp> stamps;
  for (const CycleRun &run : runs)
    for (Stamp word = 0; word < run.words; ++word)
      stamps.push_back(run.begin + word + shift);
  return stamps;
}

/// Each word takes the first cycle that is free once it and those before it
/// have come.
void Arbiter::cross(CycleRuns &taken, Front &front) {
  CycleRuns crossed;
  auto busy = taken.begin();
  Stamp now = INT64_MIN;
  for (const CycleRun &run : front.words) {
    now = std::max(now, run.begin + front.shift);
    for (Stamp left = run.words; left > 0;) {
      while (busy != taken.end() && busy->end() <= now)
        ++busy;
      if (busy != taken.end() && busy->begin <= now) {
        now = busy->end();
        front.isHeldUp = true;
        continue;
      }
      const Stamp words =
          busy == taken.end() ? left : std::min(left, busy->begin - now);
      if (!crossed.empty() && crossed.back().end() == now)
        crossed.back().words += words;
      else
        crossed.push_back({now, words});
      now += words;
      left -= words;
    }
  }
  add(taken, crossed);
  front.words = std::move(crossed);
  front.shift = 0;
}

/// Between its put and a link a stream has room for so many words and one for
/// each cycle of the way, which takes `alone` cycles. Gives the longest wait.
Stamp Arbiter::makeRoom(const Front &front, const CycleRuns &puts, Stamp alone,
                        uint32_t places, std::vector<Stamp> &putsFrom) {
  Stamp longest = 0;
  const std::vector<Stamp> crossed = stampsOf(front.words, front.shift);
  const std::vector<Stamp> put = stampsOf(puts, 0);
  putsFrom.resize(put.size(), INT64_MIN);
  const size_t room = static_cast<size_t>(alone) + places;
  for (size_t word = 0; word < put.size(); ++word) {
    longest = std::max(longest, crossed[word] - put[word] - alone);
    if (word >= room)
      putsFrom[word] = std::max(putsFrom[word], crossed[word - room] + 1);
  }
  return longest;
}

Stamp Arbiter::pass(const Producer &producer, const CycleRuns &puts,
                    std::vector<Stamp> &putsFrom,
                    MutableArrayRef<std::vector<Stamp>> arrivals) {
  if (puts.empty())
    return 0;
  Stamp longest = 0;
  const Place &from = streams.places[producer.pe];
  const bool isGate = producer.gate != none;
  const Stamp hop = target.hop_cycles, ramp = target.ramp_cycles;
  const Stamp begin = isGate ? 0 : ramp;
  std::vector<Stretch> stretches = streams.ways[producer.way].stretches;
  llvm::sort(stretches, [](const Stretch &a, const Stretch &b) {
    return a.hops < b.hops;
  });
  auto routerOf = [&](const Stretch &stretch, uint32_t k) {
    auto [dx, dy] = stretch.router(k);
    return Router(stretch.hops + k, from.x + uint32_t(dx),
                  from.y + uint32_t(dy));
  };
  std::map<Router, Front> fronts; // where stretches begin
  for (const Stretch &stretch : stretches)
    fronts[routerOf(stretch, 0)] = {puts, begin};
  for (const Stretch &stretch : stretches) {
    Front front = fronts[routerOf(stretch, 0)];
    for (uint32_t k = 0; k < stretch.links; ++k) {
      cross(links[keyOf(routerOf(stretch, k), stretch.side)], front);
      if (front.isHeldUp)
        longest = std::max(
            longest,
            makeRoom(front, puts, begin + Stamp(stretch.hops + k) * hop,
                     isGate ? 1
                            : std::max<uint32_t>(target.output_queue_words, 1),
                     putsFrom));
      front.shift += hop;
      const Router next = routerOf(stretch, k + 1);
      if (auto it = fronts.find(next); it != fronts.end())
        it->second = front;
      if (!front.isHeldUp)
        continue;
      for (auto [c, held] : enumerate(arrivals)) {
        const Consumer &consumer =
            streams.consumers[producer.consumers.first + c];
        const Place &to = streams.places[consumer.pe];
        if (Router(consumer.hops, to.x, to.y) == next)
          held = stampsOf(front.words,
                          front.shift + (consumer.gate == none ? ramp : 0));
      }
    }
  }
  return longest;
}

} // namespace waferloom::executor
