// Words in flight and their stamps. A producer may put word i once every
// consumer has taken word i - window, so rings of that size hold all that is
// ever looked at again.

#ifndef WAFERLOOM_LIB_EXECUTOR_CHANNELS_H
#define WAFERLOOM_LIB_EXECUTOR_CHANNELS_H

#include "Arbiter.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <vector>

namespace waferloom::executor {

class Channels {
public:
  explicit Channels(const Streams &streams) : streams(streams) {
    size_t words = 0, takes = 0;
    for (const Producer &producer : streams.producers) {
      uint32_t size = ringSize(producer.window, producer.words);
      producers.push_back({words, size - 1, 0, 0, none});
      words += size;
    }
    for (const Consumer &consumer : streams.consumers) {
      uint32_t size = ringSize(consumer.window, consumer.words);
      consumers.push_back({takes, size - 1, 0, none});
      takes += size;
    }
    stamps.resize(words);
    values.resize(words);
    taken.resize(takes);
  }

  /// Host memory that the rings of `streams` take.
  static uint64_t bytesOf(const Streams &streams) {
    uint64_t bytes = 0;
    for (const Producer &producer : streams.producers)
      bytes += 12 * uint64_t(ringSize(producer.window, producer.words));
    for (const Consumer &consumer : streams.consumers)
      bytes += 8 * uint64_t(ringSize(consumer.window, consumer.words));
    return bytes;
  }

  /// Empties everything. Narrow: a word may be put only when a place at its end
  /// is free, so that nothing ever stands in the network (rule E28).
  void reset(bool narrowWindows = false, const Holds *held = nullptr) {
    narrow = narrowWindows;
    holds = held;
    for (Out &out : producers) {
      out.count = out.next = 0;
      out.waiter = none;
    }
    for (In &in : consumers) {
      in.count = 0;
      in.waiter = none;
    }
  }

  /// Whether every consumer leaves a credit for the next word; raises
  /// `earliest` to when it did.
  bool hasCredit(uint32_t producer, uint64_t &earliest) const {
    const Producer &info = streams.producers[producer];
    uint64_t i = producers[producer].count;
    for (uint32_t c = info.consumers.first, end = c + info.consumers.count;
         c < end; ++c) {
      const Consumer &consumer = streams.consumers[c];
      uint32_t window = narrow ? consumer.places : consumer.window;
      if (i < window)
        continue;
      uint64_t before = i - window;
      const In &in = consumers[c];
      if (in.count <= before)
        return false;
      earliest = std::max(earliest, taken[in.ring + (before & in.mask)] + 1);
    }
    if (holds)
      earliest = static_cast<uint64_t>(
          Holds::later(static_cast<Stamp>(earliest), holds->puts, producer, i));
    return true;
  }

  void put(uint32_t producer, uint64_t stamp, uint32_t value) {
    Out &out = producers[producer];
    size_t at = out.ring + (out.count & out.mask);
    stamps[at] = stamp;
    values[at] = value;
    ++out.count;
    out.next = stamp + 1;
  }

  bool hasWord(uint32_t consumer) const {
    return consumers[consumer].count <
           producers[streams.consumers[consumer].producer].count;
  }

  /// The next word and the cycle it arrives at.
  uint64_t arrival(uint32_t consumer) const {
    const Consumer &info = streams.consumers[consumer];
    const Out &out = producers[info.producer];
    const uint64_t word = consumers[consumer].count;
    const uint64_t stamp = stamps[out.ring + (word & out.mask)] + info.delay;
    if (!holds)
      return stamp;
    return static_cast<uint64_t>(Holds::later(static_cast<Stamp>(stamp),
                                              holds->arrivals, consumer, word));
  }
  uint32_t value(uint32_t consumer) const {
    const Out &out = producers[streams.consumers[consumer].producer];
    return values[out.ring + (consumers[consumer].count & out.mask)];
  }

  void take(uint32_t consumer, uint64_t stamp) {
    In &in = consumers[consumer];
    taken[in.ring + (in.count & in.mask)] = stamp;
    ++in.count;
  }

  struct Out {
    size_t ring;
    uint32_t mask;
    uint64_t count;  // words put
    uint64_t next;   // earliest stamp of the next word
    uint32_t waiter; // actor that waits for a credit
  };
  struct In {
    size_t ring;
    uint32_t mask;
    uint64_t count;  // words taken
    uint32_t waiter; // actor that waits for a word
  };
  std::vector<Out> producers;
  std::vector<In> consumers;

private:
  static uint32_t ringSize(uint32_t window, uint64_t words) {
    uint64_t most =
        std::min<uint64_t>(uint64_t(window) + 1, std::max<uint64_t>(words, 1));
    return static_cast<uint32_t>(llvm::PowerOf2Ceil(most));
  }

  const Streams &streams;
  bool narrow = false;
  const Holds *holds = nullptr; // what waits for links (E33)
  std::vector<uint64_t> stamps, taken;
  std::vector<uint32_t> values;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_CHANNELS_H
