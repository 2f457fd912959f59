// Arbitration of links (E33): a link passes on one word per cycle, that of the
// lowest color first. The arbiter is told when words were put, finds when they
// cross links, and says from when on each could be put and taken. An engine
// counts with that, and asks again, until what it is told is what it counted
// with. What happens in a cycle follows from what happened before, so every
// round has more cycles from the begin on right for good, and there is only one
// such count.

#ifndef WAFERLOOM_LIB_EXECUTOR_ARBITER_H
#define WAFERLOOM_LIB_EXECUTOR_ARBITER_H

#include "Streams.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"

namespace waferloom::executor {

using Stamp = int64_t;

/// Cycles one behind another, a word in each.
struct CycleRun {
  Stamp begin;
  Stamp words;

  Stamp end() const { return begin + words; }
};
/// In order of time.
using CycleRuns = std::vector<CycleRun>;

/// Adds a word behind those that are there.
void append(CycleRuns &runs, Stamp cycle);

/// The cycles from which on words of producers can be put, and words for
/// consumers taken, since links are busy. Nothing: no word of it waits for one.
struct Holds {
  std::vector<std::vector<Stamp>> puts, arrivals;

  Holds() = default;
  Holds(size_t producers, size_t consumers)
      : puts(producers), arrivals(consumers) {}
  bool operator==(const Holds &other) const {
    return puts == other.puts && arrivals == other.arrivals;
  }
  /// The later of a cycle and the one of a word.
  static Stamp later(Stamp cycle, const std::vector<std::vector<Stamp>> &held,
                     uint32_t which, uint64_t word) {
    if (which >= held.size() || held[which].empty())
      return cycle;
    return std::max(cycle, held[which][word]);
  }
};

class Arbiter {
public:
  Arbiter(const Streams &streams, const image::TargetT &target)
      : streams(streams), target(target) {}

  /// All words of a stream, by when they were put, and what holds them up.
  /// Streams come in ascending order of colors. Gives the most cycles by which
  /// a word crosses a link later than it would alone.
  Stamp pass(const Producer &producer, const CycleRuns &puts,
             std::vector<Stamp> &putsFrom,
             llvm::MutableArrayRef<std::vector<Stamp>> arrivals);

private:
  /// The words of a stream at some link.
  struct Front {
    CycleRuns words;
    Stamp shift = 0; // of all of them
    bool isHeldUp = false;
  };

  static void cross(CycleRuns &taken, Front &front);
  static Stamp makeRoom(const Front &front, const CycleRuns &puts, Stamp alone,
                        uint32_t places, std::vector<Stamp> &putsFrom);

  const Streams &streams;
  const image::TargetT &target;
  /// Cycles of a link that lower colors have, by its router's place and side.
  llvm::DenseMap<uint64_t, CycleRuns> links;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_ARBITER_H
