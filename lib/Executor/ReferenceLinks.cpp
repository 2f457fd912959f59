#include "ReferenceLinks.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

namespace waferloom::executor {

using image::Side;

/// Words of two streams on a link, in order of time.
void ReferenceLinks::countPair(const User &one, const User &other,
                               SharedCount at, SharedCounts &counts) const {
  const std::vector<Run> &left = puts[one.producer];
  const std::vector<Run> &right = puts[other.producer];
  std::map<SharedPair, uint64_t> met;
  for (size_t i = 0, k = 0; i < left.size() && k < right.size();) {
    uint64_t begin = left[i].begin + one.delay;
    uint64_t begins = right[k].begin + other.delay;
    uint64_t end = begin + left[i].words, ends = begins + right[k].words;
    uint64_t from = std::max(begin, begins), to = std::min(end, ends);
    if (from < to)
      met[SharedPair(streams.producers[one.producer].color, left[i].node,
                     streams.producers[other.producer].color, right[k].node)] +=
          to - from;
    ++(end < ends ? i : k);
  }
  at.links = 1;
  for (auto [pair, cycles] : met) {
    at.cycles = cycles;
    counts[pair].add(at);
  }
}

std::optional<SharedCounts> ReferenceLinks::count() const {
  if (isFull)
    return std::nullopt;
  // By place, so that links of all regions are found: (y, x, side).
  std::map<std::tuple<uint32_t, uint32_t, Side>, std::vector<User>> users;
  for (uint32_t p = 0; p < puts.size(); ++p) {
    if (puts[p].empty())
      continue;
    const Producer &producer = streams.producers[p];
    const Place &at = streams.places[producer.pe];
    uint64_t ramp = producer.gate == none ? target.ramp_cycles : 0;
    for (const Stretch &stretch : streams.ways[producer.way].stretches)
      for (uint32_t k = 0; k < stretch.links; ++k) {
        auto [x, y] = stretch.router(k);
        users[{at.y + static_cast<uint32_t>(y), at.x + static_cast<uint32_t>(x),
               stretch.side}]
            .push_back(
                {p, ramp + (uint64_t(stretch.hops) + k) * target.hop_cycles});
      }
  }
  SharedCounts counts;
  for (const auto &[link, list] : users) {
    auto [y, x, side] = link;
    for (size_t i = 0; i < list.size(); ++i)
      for (size_t k = i + 1; k < list.size(); ++k)
        countPair(list[i], list[k], {0, 0, x, y, side}, counts);
  }
  return counts;
}

Holds ReferenceLinks::arbitrate() const {
  if (isFull)
    return {};
  std::vector<uint32_t> order; // of producers
  for (uint32_t p = 0; p < puts.size(); ++p)
    if (!puts[p].empty())
      order.push_back(p);
  llvm::sort(order, [&](uint32_t a, uint32_t b) {
    return std::pair(streams.producers[a].color, a) <
           std::pair(streams.producers[b].color, b);
  });
  Holds holds(puts.size(), streams.consumers.size());
  Arbiter arbiter(streams, target);
  for (uint32_t p : order) {
    CycleRuns words;
    for (const Run &run : puts[p])
      words.push_back(
          {static_cast<Stamp>(run.begin), static_cast<Stamp>(run.words)});
    const Producer &producer = streams.producers[p];
    arbiter.pass(
        producer, words, holds.puts[p],
        llvm::MutableArrayRef(holds.arrivals)
            .slice(producer.consumers.first, producer.consumers.count));
  }
  return holds;
}

} // namespace waferloom::executor
