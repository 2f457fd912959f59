// Words of two streams that would cross one link in the same cycle (E32), so
// that one of them waits (E33).

#ifndef WAFERLOOM_LIB_EXECUTOR_SHAREDLINKS_H
#define WAFERLOOM_LIB_EXECUTOR_SHAREDLINKS_H

#include "Arbiter.h"
#include "waferloom/Executor/Executor.h"
#include <map>
#include <vector>

namespace waferloom::executor {

/// Who meets: colors and the nodes of the instructions that put the words, of
/// the lower color first. Streams of one color never have a link in common.
struct SharedPair {
  uint8_t colors[2];
  uint32_t nodes[2]; // none: a router with turns put the words

  SharedPair(uint8_t color, uint32_t node, uint8_t other, uint32_t otherNode)
      : colors{std::min(color, other), std::max(color, other)},
        nodes{color < other ? node : otherNode,
              color < other ? otherNode : node} {}
  bool operator<(const SharedPair &other) const {
    return std::tie(colors[0], colors[1], nodes[0], nodes[1]) <
           std::tie(other.colors[0], other.colors[1], other.nodes[0],
                    other.nodes[1]);
  }
};

/// How often, and where first: links are in the order of their routers' rows.
struct SharedCount {
  uint64_t cycles = 0, links = 0;
  uint32_t x = 0, y = 0;
  image::Side side = image::Side::ramp;

  void add(const SharedCount &more);
};

using SharedCounts = std::map<SharedPair, SharedCount>;

/// Words of a stream that cross links of a line, one behind another.
struct Convoy {
  uint8_t color;
  uint32_t node;
  int32_t from, to; // links
  Stamp begin;      // when the first would cross link 0
  uint32_t words;
  Stamp wait = 0; // the longest of a word of the stream, for links

  Stamp end() const { return begin + static_cast<Stamp>(words); }
};

/// Who shares links of a line in one direction, for how many cycles.
struct SharedOnLine {
  uint64_t cycles = 0;
  std::vector<std::pair<int32_t, int32_t>> links; // stretches; may overlap
};
using SharedOnLines = std::map<SharedPair, SharedOnLine>;

/// All pairs of words that meet, of convoys in one direction, by their begins.
SharedOnLines countConvoys(const std::vector<Convoy> &convoys);
/// The pairs of one of each.
SharedOnLines countConvoys(const std::vector<Convoy> &ones,
                           const std::vector<Convoy> &others);

/// For the caller, the pairs that meet most first.
std::vector<SharedLinks> describe(const SharedCounts &counts,
                                  const image::ImageT &image);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_SHAREDLINKS_H
