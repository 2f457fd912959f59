// Streams that always go together. The streams of a color at a place of a group
// put and take their words in one group after the other, so what later groups
// need to know of them is which group that was, not each stream's clock. A
// color whose streams do not keep together has bundles of one stream each.

#ifndef WAFERLOOM_LIB_EXECUTOR_BUNDLES_H
#define WAFERLOOM_LIB_EXECUTOR_BUNDLES_H

#include "Schedule.h"
#include "llvm/ADT/DenseMap.h"

namespace waferloom::executor {

/// Indices into ExchangeGroup::sources, of those with words, by their PEs.
/// Where two groups have the same bundle, equal positions are the same stream.
using Bundle = std::vector<uint32_t>;

class Bundles {
public:
  Bundles(const Streams &streams, const Schedule &schedule);

  const std::vector<Bundle> &of(uint32_t group) const { return bundles[group]; }
  /// How many there are at all places.
  uint32_t count() const { return places; }
  /// The first of the bundles at a place of an exchange; `following` counts all
  /// places of it. Those of a place follow each other.
  const uint32_t *at(uint32_t exchange, uint32_t following) const {
    return numbers.data() + starts[exchange][following];
  }

private:
  bool number(const Streams &streams, const Schedule &schedule);
  void divide(const Streams &streams, const ExchangeGroup &group,
              std::vector<Bundle> &into) const;

  std::vector<bool> apart;                   // by color: streams of their own
  std::vector<std::vector<Bundle>> bundles;  // by group
  std::vector<uint32_t> numbers;             // of a place behind each other
  std::vector<std::vector<uint32_t>> starts; // by exchange and place
  uint32_t places = 0;
};

/// Words that several streams have put since their last full bursts. Equal
/// lists have equal numbers; 0 is nothing put, of any number of streams.
class BurstStates {
public:
  explicit BurstStates(uint32_t burst) : burst(burst), lists(1) {}

  uint32_t of(uint32_t state, size_t stream) const {
    return state == 0 ? 0 : lists[state][stream];
  }
  /// The state in which so many words of each have been put.
  uint32_t number(std::vector<uint32_t> words);
  /// What is put in `state`, and then in `more`.
  uint32_t sum(uint32_t state, uint32_t more);

private:
  uint32_t burst;
  std::vector<std::vector<uint32_t>> lists;
  std::map<std::vector<uint32_t>, uint32_t> numbers;
  llvm::DenseMap<std::pair<uint32_t, uint32_t>, uint32_t> sums;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_BUNDLES_H
