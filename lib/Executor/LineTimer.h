// Counts the cycles of a line: what a phase makes of the clocks of its PEs.

#ifndef WAFERLOOM_LIB_EXECUTOR_LINETIMER_H
#define WAFERLOOM_LIB_EXECUTOR_LINETIMER_H

#include "Line.h"
#include <memory>
#include <unordered_map>

namespace waferloom::executor {

/// Cycles since the clock of the line's first PE, when the line begins.
using Stamp = int64_t;

/// What a line begins with.
struct LineBefore {
  /// A word of a tap's source may be put only from a cycle on: words of earlier
  /// phases leave no room before.
  struct Room {
    uint32_t tap, word;
    Stamp from;
  };
  std::vector<Stamp> starts; // by PE
  /// By source: of PEs, words since the last full burst; of gates, the first
  /// cycle in which the next word can pass.
  std::vector<Stamp> sources;
  std::vector<Room> rooms;

  size_t hash() const;
  bool operator==(const LineBefore &other) const;
};

/// What a line makes of it.
struct LineAfter {
  LineBefore before;
  std::vector<Stamp> ends;     // by PE
  std::vector<Stamp> puts;     // by source: of the last word
  std::vector<Stamp> takes;    // by tap: of the last word
  std::vector<Stamp> tails;    // of a tap from LineTimer::Tap::tail on
  std::vector<uint64_t> waits; // by op
  uint32_t index = 0;          // LineTimer::at
};

class LineTimer {
public:
  /// Keeps the tails of what is taken on `tracked` colors: as many words as a
  /// tap's window.
  LineTimer(const Line &line, const Streams &streams, const Turns &turns,
            const image::TargetT &target, const std::vector<bool> &tracked);

  /// Null: the line does not end.
  const LineAfter *count(const LineBefore &before);
  const LineAfter &at(uint32_t index) const { return *known[index]; }

  struct Source {
    uint32_t pe; // less the line's first
    uint32_t at, words;
    uint8_t color;
    bool isGate;
    Range taps;
  };
  struct Tap {
    uint32_t at, source; // at: its takes
    uint32_t delay, window;
    uint32_t tail, tailWords; // none if the color is not tracked
  };
  const Line &line;
  std::vector<Source> sources;
  std::vector<Tap> taps;
  std::vector<uint32_t> accounts; // by op

private:
  struct Op {
    uint32_t actor = 0;
    bool isGate = false;
    uint32_t lead = 0, prologue = 0, words = 0;
    uint32_t in = none, out = none;   // tap, source
    uint32_t inFrom = 0, outFrom = 0; // word of the source
    uint32_t next = none;             // op of the same actor
  };
  /// A PE or a gate, on its way through its ops.
  struct Actor {
    uint32_t op = none, word = 0;
    Stamp clock = 0, begun = 0; // of a gate: when the next word can pass
    bool begins = true;
    bool holds = false; // the word is taken but not put
    bool queued = false;
  };

  void addOps(const Turns &turns);
  void start(const LineBefore &before);
  void inOrder(LineAfter &after);
  bool hasRoom() const;
  bool wordByWord(LineAfter &after);
  bool perform(uint32_t index, LineAfter &after);
  bool pass(const Op &op, Actor &actor, const LineBefore &before);
  bool move(const Op &op, Actor &actor, const LineBefore &before);
  Stamp earliest(const LineBefore &before, const Op &op, uint32_t word,
                 Stamp ready) const;
  bool findRoom(uint32_t source, uint32_t word, Stamp &ready) const;
  void finish(const Op &op, uint32_t index, Actor &actor, LineAfter &after);
  void wake(uint32_t actor);
  void wakeAround(const Op &op);
  void keep(LineAfter &after) const;

  const image::TargetT &target;
  uint32_t tailWords = 0;
  std::vector<Op> ops;
  std::vector<uint32_t> firstOps; // by actor: PEs, then gates
  std::vector<uint32_t> givers;   // by source: the actor
  std::vector<uint32_t> takers;   // by tap
  std::vector<Stamp> puts, takes; // puts as the line's buffer
  std::vector<uint32_t> putSoFar, takenSoFar;
  std::vector<std::vector<Stamp>> rooms; // by source, by word: from when
  std::vector<Actor> actors;
  std::vector<uint32_t> queue;
  std::vector<std::unique_ptr<LineAfter>> known;
  std::unordered_multimap<size_t, uint32_t> byHash;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_LINETIMER_H
