// An exchange group: PEs that exchange words in a superstep of the schedule,
// most often one row or column, and the order in which what they do can be
// done, instruction by instruction. Every word that is sent in an exchange
// group is taken in it. Groups of equal programs and links are one
// `ExchangeGroup` at several places.

#ifndef WAFERLOOM_LIB_EXECUTOR_EXCHANGEGROUP_H
#define WAFERLOOM_LIB_EXECUTOR_EXCHANGEGROUP_H

#include "Segments.h"
#include "Streams.h"
#include "llvm/ADT/ArrayRef.h"

namespace waferloom::executor {

/// What is done next in an exchange group.
struct GroupOp {
  enum Kind : uint8_t {
    Stream, // an act that sends or takes
    Vector, // an act beside the program that does neither
    Start,  // the act begins beside the program; it follows as Stream or Vector
    Wait,   // for a microthread
    Gate    // a router passes words on
  };
  Kind kind = Stream;
  uint32_t pe = 0;     // index into ExchangeGroup::pes
  uint32_t act = none; // Segments::acts
  uint32_t lead = 0;   // cycles before
  uint32_t words = 0;
  uint32_t in = none,
           out = none;          // indices into ExchangeGroup::taps and sources
  uint32_t inAt = 0, outAt = 0; // words in the group's buffer
  uint32_t begun = 0;           // acts of this PE in this superstep before
};

/// A producer of words in an exchange group.
struct GroupSource {
  uint32_t producer; // of the first place of the group; Streams::producers
  uint32_t at = 0;   // its words in the group's buffer
  uint32_t words = 0;
  Range taps;
};

/// A consumer of a source.
struct GroupTap {
  uint32_t source = 0;
  uint32_t consumer = 0; // of the first place of the group; Streams::consumers
};

/// Where a router that takes turns stands.
struct GateState {
  uint32_t turn = 0, given = 0;
};

/// A router that takes turns, and where it stands after the group.
struct GroupGate {
  uint32_t pe; // less the group's first
  uint8_t color;
  GateState after;
};

struct ExchangeGroup {
  uint32_t first = 0;        // the first PE of the first place
  std::vector<uint32_t> pes; // less the first of them
  std::vector<GroupOp> ops;
  std::vector<GroupSource> sources;
  std::vector<GroupTap> taps;
  uint32_t words = 0;         // of its buffer
  std::vector<uint32_t> done; // acts of each PE's sequence that are done
  std::vector<GroupGate> gates;
};

/// A PE of an exchange group and what is left of its sequence.
struct Member {
  uint32_t pe;
  llvm::ArrayRef<SequenceAct> sequence;
};

/// Finds an order for an exchange group of at least one PE, in which members
/// may do less than their sequences: a word is not sent before what takes it
/// can be done. `gates` are the states of all gates before.
ExchangeGroup orderGroup(const Streams &streams, const Segments &segments,
                         llvm::ArrayRef<Member> members,
                         const std::vector<GateState> &gates);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_EXCHANGEGROUP_H
