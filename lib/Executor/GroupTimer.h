// Counts the cycles of an exchange group: what a superstep makes of the clocks
// of its PEs.

#ifndef WAFERLOOM_LIB_EXECUTOR_GROUPTIMER_H
#define WAFERLOOM_LIB_EXECUTOR_GROUPTIMER_H

#include "Bundles.h"
#include "SharedLinks.h"
#include <memory>
#include <unordered_map>

namespace waferloom::executor {

/// What an exchange group begins with. Stamps are cycles since the clock of the
/// group's first PE.
struct GroupBefore {
  /// A word of a tap's source may be put only from a cycle on: words of earlier
  /// supersteps leave no credit before.
  struct Credit {
    uint32_t tap, word;
    Stamp from;
    bool pause = false; // not for a credit: the stream pauses after a burst
  };
  std::vector<Stamp> starts;    // by PE
  std::vector<uint32_t> bursts; // by bundle: a state of BurstStates
  /// By gate (GroupTimer::gates): the first cycle in which the next word can
  /// pass.
  std::vector<Stamp> gates;
  std::vector<Credit> credits;

  size_t hash() const;
  bool operator==(const GroupBefore &other) const;
};

/// What an exchange group makes of it.
struct GroupAfter {
  GroupBefore before;
  std::vector<Stamp> ends;     // by PE
  std::vector<Stamp> puts;     // by source: of the last word
  std::vector<Stamp> takes;    // by tap: of the last word
  std::vector<Stamp> latest;   // by bundle: the last of all takes
  std::vector<uint64_t> waits; // by op
  /// Words that were put one behind another, where their way has shared links
  /// (E32).
  struct Run {
    uint32_t source, node, words;
    Stamp begin;
  };
  std::vector<Run> runs;
  /// By source and by tap: what words wait for links within the group (E33).
  Holds holds;
  std::vector<Stamp> longestWaits; // by source, for links; empty: none shared
  uint32_t index = 0;              // GroupTimer::at
};

/// When everything in an exchange group happens.
struct GroupTimes {
  std::vector<Stamp> begun, ended; // by op; of a router's, 0
  std::vector<Stamp> puts, takes;  // by word, from Source::at and Tap::at on
};

class GroupTimer {
public:
  /// `bundles` are the group's, and `bursts` what its GroupBefores mean.
  GroupTimer(const ExchangeGroup &group, const Streams &streams,
             const Segments &segments, const image::TargetT &target,
             const std::vector<Bundle> &bundles, BurstStates &bursts);

  /// Null: the group does not end.
  const GroupAfter *count(const GroupBefore &before);
  const GroupAfter &at(uint32_t index) const { return *known[index]; }
  /// What was counted, once more and in full.
  GroupTimes replay(const GroupAfter &counted);

  struct Source {
    uint32_t pe; // less the group's first
    uint32_t at, words;
    uint8_t color;
    bool isGate;
    uint32_t way; // Streams::ways
    Range taps;
  };
  struct Tap {
    uint32_t at, source; // at: its takes
    uint32_t delay, window;
  };
  const ExchangeGroup &group;
  const std::vector<Bundle> &bundles;
  std::vector<uint32_t> burstsOf; // by bundle: what it puts, by BurstStates
  std::vector<Source> sources;
  std::vector<Tap> taps;
  std::vector<uint32_t> gates;    // sources of routers, in order
  std::vector<uint32_t> accounts; // by op

  /// When the next word can pass a router, as `before` has it.
  Stamp passesFrom(const GroupBefore &before, uint32_t source) const;

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

  void addOps(const Segments &segments);
  bool run(GroupAfter &after);
  bool runOnce(GroupAfter &after);
  Holds arbitrate(GroupAfter &after) const;
  void start(const GroupBefore &before);
  void inOrder(GroupAfter &after);
  bool hasCredit() const;
  bool wordByWord(GroupAfter &after);
  bool perform(uint32_t index, GroupAfter &after);
  bool pass(const Op &op, Actor &actor);
  bool move(const Op &op, Actor &actor);
  Stamp earliest(const Op &op, uint32_t word, Stamp ready) const;
  Stamp arrival(uint32_t tap, uint32_t word) const;
  bool findCredit(uint32_t source, uint32_t word, Stamp &ready) const;
  void finish(const Op &op, uint32_t index, Actor &actor, GroupAfter &after);
  void wake(uint32_t actor);
  void wakeAround(const Op &op);
  void keep(GroupAfter &after) const;
  void keepRuns(GroupAfter &after) const;

  const Streams &streams;
  const image::TargetT &target;
  const BurstStates &bursts;
  std::vector<Op> ops;
  std::vector<uint32_t> firstOps; // by actor: PEs, then gates
  std::vector<uint32_t> givers;   // by source: the actor
  /// By source whose way has shared links: the ops that put its words, in
  /// order: their first words, and their nodes.
  std::vector<std::vector<std::pair<uint32_t, uint32_t>>> nodes;
  std::vector<uint32_t> takers; // by tap
  /// Sources whose ways have shared links, by their colors.
  std::vector<uint32_t> sharing;
  /// By source: of PEs, words since the last full burst; of routers, the first
  /// cycle in which the next word can pass.
  std::vector<Stamp> begins;
  std::vector<Stamp> puts, takes; // puts as the group's buffer
  std::vector<uint32_t> putSoFar, takenSoFar;
  std::vector<std::vector<Stamp>> credits; // by source, by word: from when
  std::vector<Actor> actors;
  std::vector<uint32_t> queue;
  const Holds *holds = nullptr;
  GroupTimes *replayed = nullptr; // where times of ops go, if anywhere
  std::vector<std::unique_ptr<GroupAfter>> known;
  std::unordered_multimap<size_t, uint32_t> byHash;
};

/// The producer that a source is at the place of a group that begins with PE
/// `base`.
uint32_t producerOf(const Streams &streams, const GroupTimer::Source &source,
                    uint32_t base);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_GROUPTIMER_H
