// The streams of an entry, found by following its routes from every PE that
// sends. What flows is a graph: words come from sources (a PE's output on a
// color) and gates (a router whose inputs take turns), and go to sinks (a PE's
// input on a color) and to the inputs of gates. A producer with several
// consumers is a multicast.

#ifndef WAFERLOOM_LIB_EXECUTOR_STREAMS_H
#define WAFERLOOM_LIB_EXECUTOR_STREAMS_H

#include "Prepared.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace waferloom::executor {

class Interrupt;

constexpr uint32_t none = UINT32_MAX;

inline bool isAlongX(image::Side side) {
  return side == image::Side::east || side == image::Side::west;
}

/// Whether words that leave a router by `side` go to larger coordinates.
inline bool rises(image::Side side) {
  return side == image::Side::east || side == image::Side::south;
}

/// From a router to the next one by `side`, in x and y.
inline std::pair<int32_t, int32_t> stepOf(image::Side side) {
  if (side == image::Side::ramp)
    return {0, 0};
  const int32_t by = rises(side) ? 1 : -1;
  return isAlongX(side) ? std::pair(by, 0) : std::pair(0, by);
}

/// Links one after the other in one direction, on the way of a stream.
struct Stretch {
  image::Side side;   // of each router, by which words leave it
  int32_t dx, dy;     // the first router, from the stream's first
  uint32_t links = 0; // how many
  uint32_t hops = 0;  // links before the first

  /// The router before link `k` of it.
  std::pair<int32_t, int32_t> router(uint32_t k) const;
  bool operator==(const Stretch &other) const {
    return std::tie(side, dx, dy, links, hops) ==
           std::tie(other.side, other.dx, other.dy, other.links, other.hops);
  }
};

/// Where the words of a stream cross links, wherever it begins.
struct Way {
  std::vector<Stretch> stretches;
  /// Somewhere it has a link that another stream has, too.
  bool isShared = false;
};

/// Where words come from.
struct Producer {
  uint32_t pe = 0; // the sender, or the PE whose router is the gate
  uint8_t color = 0;
  uint32_t gate = none; // index into Streams::gates; none: a source
  Range consumers;      // into Streams::consumers
  uint64_t words = 0;   // in one run of the entry
  uint32_t window = 0;  // largest of its consumers
  uint32_t way = 0;     // index into Streams::ways
};

/// Where words go.
struct Consumer {
  uint32_t producer = none;
  uint32_t pe = 0;
  uint8_t color = 0;
  uint32_t gate = none; // this is an input of a gate; none: a sink
  uint64_t words = 0;   // in one run of the entry
  uint32_t delay = 0;   // cycles from put to earliest take
  uint32_t window = 0;  // words between put and take at most
  uint32_t places = 0;  // of them at the end, whatever lies between
  uint32_t hops = 0;    // links from the producer, for reports
};

/// One turn of a gate: so many words from an input. 0: all.
struct GateTurn {
  uint32_t consumer;
  uint32_t words;
};

struct Gate {
  uint32_t producer = none;
  Range turns; // into Streams::turns
};

/// The position of a PE on the wafer, and what it runs.
struct Place {
  uint32_t x = 0, y = 0;
  uint32_t region = 0, program = 0;
  uint32_t routes = 0; // pair of groups of classes, by the entry's routes
  uint32_t stage = 0;  // numbered over all regions
};

struct Streams {
  std::vector<Place> places; // all PEs, region after region, row-major
  std::vector<Producer> producers;
  std::vector<Consumer> consumers;
  std::vector<Gate> gates;
  std::vector<GateTurn> turns;
  std::vector<Way> ways; // of equal ways one
  /// (PE, color) -> producer that it sends into, consumer that it takes from.
  uint32_t sourceOf(uint32_t pe, uint8_t color) const {
    return colors == 0 ? none : sources[size_t(pe) * colors + color];
  }
  uint32_t sinkOf(uint32_t pe, uint8_t color) const {
    return colors == 0 ? none : sinks[size_t(pe) * colors + color];
  }

  /// (PE, color) -> the gate of its router.
  uint32_t gateAt(uint32_t pe, uint8_t color) const {
    return gates.empty() ? none : gatesAt[size_t(pe) * colors + color];
  }

  /// What sends on a color at a PE: the PE itself, or its router.
  uint32_t producerAt(uint32_t pe, uint8_t color, bool isGate) const {
    return isGate ? gates[gateAt(pe, color)].producer : sourceOf(pe, color);
  }

  unsigned colors = 0;
  std::vector<uint32_t> sources, sinks, gatesAt;
};

/// Follows the routes of `entry`. Refuses streams that leave the routes, meet
/// themselves, end nowhere, or carry another number of words than is taken. An
/// error, too, when interrupted.
llvm::Expected<Streams> traceStreams(const image::ImageT &image, size_t entry,
                                     const PreparedEntry &prepared,
                                     Interrupt *interrupt = nullptr);

/// Works out how many words every producer and consumer sees, and refuses
/// streams on which they differ or which end nowhere. An error, too, when
/// interrupted.
llvm::Error countWords(Streams &streams, size_t entry,
                       const PreparedEntry &prepared, Interrupt *interrupt);

/// An error about a color at a PE.
llvm::Error refuseStream(const Streams &streams, size_t entry, uint32_t pe,
                         uint8_t color, const llvm::Twine &what);

/// "(3, 4)".
std::string nameOf(const Place &place);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_STREAMS_H
