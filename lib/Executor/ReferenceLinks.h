// Shared links of a run of the reference engine (E32): when every word was put,
// and link by link who crosses it when.

#ifndef WAFERLOOM_LIB_EXECUTOR_REFERENCELINKS_H
#define WAFERLOOM_LIB_EXECUTOR_REFERENCELINKS_H

#include "SharedLinks.h"
#include <optional>

namespace waferloom::executor {

class ReferenceLinks {
public:
  ReferenceLinks(const Streams &streams, const image::TargetT &target)
      : streams(streams), target(target), puts(streams.producers.size()) {}

  /// `node`: of the instruction; none of a router with turns.
  void put(uint32_t producer, uint64_t stamp, uint32_t node) {
    if (!streams.ways[streams.producers[producer].way].isShared)
      return;
    std::vector<Run> &list = puts[producer];
    if (!list.empty() && list.back().node == node &&
        list.back().begin + list.back().words == stamp) {
      ++list.back().words;
    } else if (runs < mostRuns) {
      ++runs;
      list.push_back({stamp, 1, node});
    } else {
      isFull = true;
    }
  }

  /// Nothing: there were too many words to be written down.
  std::optional<SharedCounts> count() const;
  /// What held words up if they are put like that (E33); nothing where `count`
  /// is nothing.
  Holds arbitrate() const;

private:
  /// Words that were put one behind another.
  struct Run {
    uint64_t begin, words;
    uint32_t node;
  };
  /// A stream on a link, so many cycles behind its puts.
  struct User {
    uint32_t producer;
    uint64_t delay;
  };
  void countPair(const User &one, const User &other, SharedCount at,
                 SharedCounts &counts) const;

  static constexpr size_t mostRuns = 1 << 26; // 1.5 GiB

  const Streams &streams;
  const image::TargetT &target;
  std::vector<std::vector<Run>> puts; // by producer
  size_t runs = 0;
  bool isFull = false;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_REFERENCELINKS_H
