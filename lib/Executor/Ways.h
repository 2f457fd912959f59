// The ways of streams, while they are traced: which links each crosses, equal
// ways once, and which links several streams cross.

#ifndef WAFERLOOM_LIB_EXECUTOR_WAYS_H
#define WAFERLOOM_LIB_EXECUTOR_WAYS_H

#include "Streams.h"
#include <unordered_map>

namespace waferloom::executor {

/// The link by which words leave a router.
inline size_t linkOf(uint32_t pe, image::Side side) {
  return size_t(pe) * 4 + static_cast<size_t>(side);
}

class Ways {
public:
  /// Of a stream that begins at a router.
  void begin(const Place &first, uint32_t producer);
  /// A link of the stream, `hops` behind others.
  void add(const Place &at, uint32_t pe, image::Side side, uint32_t hops);
  /// The stream has no more: the number of its way.
  uint32_t finish();
  /// All of them.
  std::vector<Way> take(const std::vector<Producer> &producers);

private:
  void join();
  void share(uint32_t producer);

  std::vector<Way> ways;
  std::unordered_multimap<size_t, uint32_t> byHash;
  std::vector<uint32_t> owners; // by link: the first stream on it
  std::vector<bool> shares;     // by producer
  // Of the stream that is traced.
  Place first;
  uint32_t producer = none;
  std::vector<Stretch> stretches;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_WAYS_H
