#include "Ways.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <tuple>

using namespace llvm;

namespace waferloom::executor {

using image::Side;

std::pair<int32_t, int32_t> Stretch::router(uint32_t k) const {
  auto [x, y] = stepOf(side);
  return {dx + x * static_cast<int32_t>(k), dy + y * static_cast<int32_t>(k)};
}

void Ways::begin(const Place &place, uint32_t index) {
  first = place;
  producer = index;
  stretches.clear();
}

void Ways::share(uint32_t index) {
  shares.resize(std::max(shares.size(), size_t(index) + 1));
  shares[index] = true;
}

void Ways::add(const Place &at, uint32_t pe, Side side, uint32_t hops) {
  size_t link = linkOf(pe, side);
  if (link >= owners.size())
    owners.resize(std::max(link + 1, 2 * owners.size()), none);
  if (owners[link] == none) {
    owners[link] = producer;
  } else if (owners[link] != producer) {
    share(owners[link]);
    share(producer);
  }
  stretches.push_back({side, static_cast<int32_t>(at.x - first.x),
                       static_cast<int32_t>(at.y - first.y), 1, hops});
}

/// Links behind each other become one stretch.
void Ways::join() {
  auto rank = [](const Stretch &s) {
    return std::tuple(s.side, isAlongX(s.side) ? s.dy : s.dx, s.hops);
  };
  llvm::sort(stretches, [&](const Stretch &a, const Stretch &b) {
    return std::tuple(rank(a), a.dx, a.dy) < std::tuple(rank(b), b.dx, b.dy);
  });
  size_t kept = 0;
  for (const Stretch &next : stretches) {
    if (kept > 0) {
      Stretch &last = stretches[kept - 1];
      if (last.side == next.side && next.hops == last.hops + last.links &&
          std::pair(next.dx, next.dy) == last.router(last.links)) {
        ++last.links;
        continue;
      }
    }
    stretches[kept++] = next;
  }
  stretches.resize(kept);
}

uint32_t Ways::finish() {
  join();
  size_t hash = 0;
  for (const Stretch &s : stretches)
    hash = hash_combine(hash, static_cast<unsigned>(s.side), s.dx, s.dy,
                        s.links, s.hops);
  auto [begin, end] = byHash.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (ways[it->second].stretches == stretches)
      return it->second;
  auto index = static_cast<uint32_t>(ways.size());
  byHash.emplace(hash, index);
  ways.push_back({stretches});
  return index;
}

std::vector<Way> Ways::take(const std::vector<Producer> &producers) {
  for (size_t p = 0; p < shares.size(); ++p)
    if (shares[p])
      ways[producers[p].way].isShared = true;
  return std::move(ways);
}

} // namespace waferloom::executor
