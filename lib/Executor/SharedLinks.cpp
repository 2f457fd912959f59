#include "SharedLinks.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

void SharedCount::add(const SharedCount &more) {
  auto place = [](const SharedCount &of) {
    return std::tuple(of.y, of.x, of.side);
  };
  if (links == 0 || (more.links != 0 && place(more) < place(*this))) {
    x = more.x;
    y = more.y;
    side = more.side;
  }
  cycles += more.cycles;
  links += more.links;
}

namespace {
/// Convoys that are on their way, as time goes on.
class Traffic {
public:
  explicit Traffic(SharedOnLines &shared) : shared(shared) {}

  /// A convoy that begins no earlier than those before.
  void meet(const Convoy &next) {
    llvm::erase_if(active, [&](const Convoy *other) {
      return other->end() <= next.begin;
    });
    for (const Convoy *other : active) {
      int32_t from = std::max(next.from, other->from);
      int32_t to = std::min(next.to, other->to);
      if (from >= to || other->color == next.color)
        continue;
      SharedOnLine &on =
          shared[SharedPair(next.color, next.node, other->color, other->node)];
      Stamp cycles = std::min(next.end(), other->end()) - next.begin;
      on.cycles += static_cast<uint64_t>(cycles * (to - from));
      on.links.emplace_back(from, to);
    }
  }
  void add(const Convoy &convoy) { active.push_back(&convoy); }

private:
  SharedOnLines &shared;
  std::vector<const Convoy *> active;
};
} // namespace

SharedOnLines countConvoys(const std::vector<Convoy> &convoys) {
  SharedOnLines shared;
  Traffic traffic(shared);
  for (const Convoy &convoy : convoys) {
    traffic.meet(convoy);
    traffic.add(convoy);
  }
  return shared;
}

SharedOnLines countConvoys(const std::vector<Convoy> &ones,
                           const std::vector<Convoy> &others) {
  SharedOnLines shared;
  Traffic left(shared), right(shared);
  for (size_t i = 0, k = 0; i < ones.size() || k < others.size();) {
    if (k == others.size() ||
        (i < ones.size() && ones[i].begin <= others[k].begin)) {
      right.meet(ones[i]);
      left.add(ones[i++]);
    } else {
      left.meet(others[k]);
      right.add(others[k++]);
    }
  }
  return shared;
}

std::vector<SharedLinks> describe(const SharedCounts &counts,
                                  const image::ImageT &image) {
  std::vector<SharedLinks> list;
  for (const auto &[pair, count] : counts) {
    SharedLinks &links = list.emplace_back();
    for (unsigned k = 0; k < 2; ++k) {
      links.colors[k] = pair.colors[k];
      links.nodes[k] = pair.nodes[k] == none ? "" : image.names[pair.nodes[k]];
    }
    links.cycles = count.cycles;
    links.links = count.links;
    links.x = count.x;
    links.y = count.y;
    links.side = count.side;
  }
  auto rank = [](const SharedLinks &links) {
    return std::tie(links.colors[0], links.colors[1], links.nodes[0],
                    links.nodes[1], links.y, links.x);
  };
  llvm::sort(list, [&](const SharedLinks &a, const SharedLinks &b) {
    return a.cycles != b.cycles ? a.cycles > b.cycles : rank(a) < rank(b);
  });
  return list;
}

} // namespace waferloom::executor
