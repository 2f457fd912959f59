#include "Bundles.h"
#include "GroupTimer.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

static uint32_t producerAt(const Streams &streams, const ExchangeGroup &group,
                           uint32_t source, uint32_t base) {
  const Producer &first = streams.producers[group.sources[source].producer];
  return streams.producerAt(first.pe - group.first + base, first.color,
                            first.gate != none);
}

/// The bundles of a group.
void Bundles::divide(const Streams &streams, const ExchangeGroup &group,
                     std::vector<Bundle> &into) const {
  std::vector<std::tuple<uint8_t, uint32_t, bool, uint32_t>> list;
  for (auto [s, source] : enumerate(group.sources)) {
    const Producer &producer = streams.producers[source.producer];
    if (source.words != 0)
      list.emplace_back(producer.color, producer.pe, producer.gate != none, s);
  }
  llvm::sort(list);
  for (size_t i = 0; i < list.size(); ++i) {
    uint8_t color = std::get<0>(list[i]);
    if (i == 0 || color != std::get<0>(list[i - 1]) || apart[color])
      into.emplace_back();
    into.back().push_back(std::get<3>(list[i]));
  }
}

/// Numbers the bundles at all places. False: a stream is in two of them.
bool Bundles::number(const Streams &streams, const Schedule &schedule) {
  bundles.assign(schedule.groups.size(), {});
  numbers.clear();
  starts.assign(schedule.exchanges.size(), {});
  places = 0;
  // A bundle is known by its first stream, its size and the others' distances.
  std::map<std::vector<uint32_t>, uint32_t> shapes;
  std::vector<std::vector<uint32_t>> shapeOf(schedule.groups.size());
  for (size_t g = 0; g < schedule.groups.size(); ++g) {
    const ExchangeGroup &group = schedule.groups[g];
    divide(streams, group, bundles[g]);
    for (const Bundle &bundle : bundles[g]) {
      std::vector<uint32_t> shape;
      auto producerOf = [&](uint32_t source) -> const Producer & {
        return streams.producers[group.sources[source].producer];
      };
      for (uint32_t source : bundle) {
        shape.push_back(producerOf(source).pe - producerOf(bundle.front()).pe);
        shape.push_back(producerOf(source).gate != none);
      }
      shapeOf[g].push_back(
          shapes.try_emplace(std::move(shape), uint32_t(shapes.size()))
              .first->second);
    }
  }
  DenseMap<std::pair<uint32_t, uint32_t>, uint32_t> startOf; // by group, PE
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> known;
  std::vector<uint32_t> owners(streams.producers.size(), none);
  bool isClean = true;
  for (auto [e, exchange] : enumerate(schedule.exchanges))
    for (const GroupPlaces &list : exchange) {
      const ExchangeGroup &group = schedule.groups[list.group];
      for (uint32_t base : list.bases) {
        auto [at, isNew] =
            startOf.try_emplace({list.group, base}, uint32_t(numbers.size()));
        starts[e].push_back(at->second);
        if (!isNew)
          continue;
        for (auto [b, bundle] : enumerate(bundles[list.group])) {
          uint32_t first = producerAt(streams, group, bundle.front(), base);
          auto [it, fresh] =
              known.try_emplace({first, shapeOf[list.group][b]}, places);
          numbers.push_back(it->second);
          if (!fresh)
            continue;
          ++places;
          for (uint32_t source : bundle) {
            uint32_t producer = producerAt(streams, group, source, base);
            if (owners[producer] == none) {
              owners[producer] = it->second;
            } else {
              apart[streams.producers[producer].color] = true;
              isClean = false;
            }
          }
        }
      }
    }
  return isClean;
}

Bundles::Bundles(const Streams &streams, const Schedule &schedule)
    : apart(streams.colors) {
  while (!number(streams, schedule)) {
  }
}

uint32_t BurstStates::number(std::vector<uint32_t> words) {
  if (burst == 0)
    return 0;
  for (uint32_t &of : words)
    of %= burst;
  if (all_of(words, [](uint32_t of) { return of == 0; }))
    return 0;
  auto [it, fresh] = numbers.try_emplace(words, uint32_t(lists.size()));
  if (fresh)
    lists.push_back(std::move(words));
  return it->second;
}

uint32_t BurstStates::sum(uint32_t state, uint32_t more) {
  if (state == 0 || more == 0)
    return state + more;
  auto [it, fresh] = sums.try_emplace({state, more});
  if (fresh) {
    std::vector<uint32_t> words = lists[state];
    for (auto [of, other] : zip_equal(words, lists[more]))
      of += other;
    it->second = number(std::move(words));
  }
  return it->second;
}

} // namespace waferloom::executor
