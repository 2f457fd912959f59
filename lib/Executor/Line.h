// A line: PEs that exchange words in a phase of the schedule, most often one
// row or column, and the order in which what they do can be done, instruction
// by instruction. Every word that is sent in a line is taken in it. Lines of
// equal programs and links are one `Line` at several places.

#ifndef WAFERLOOM_LIB_EXECUTOR_LINE_H
#define WAFERLOOM_LIB_EXECUTOR_LINE_H

#include "Streams.h"
#include "Turns.h"
#include "llvm/ADT/ArrayRef.h"

namespace waferloom::executor {

/// What is done next in a line.
struct LineOp {
  enum Kind : uint8_t {
    Stream, // an act that sends or takes
    Vector, // an act beside the program that does neither
    Start,  // the act begins beside the program; it follows as Stream or Vector
    Wait,   // for a microthread
    Gate    // a router passes words on
  };
  Kind kind = Stream;
  uint32_t pe = 0;     // index into Line::pes
  uint32_t act = none; // Turns::acts
  uint32_t lead = 0;   // cycles before
  uint32_t words = 0;
  uint32_t in = none, out = none; // indices into Line::taps and sources
  uint32_t inAt = 0, outAt = 0;   // words in the line's buffer
  uint32_t begun = 0;             // acts of this PE in this phase before
};

/// A producer of words in a line.
struct LineSource {
  uint32_t producer; // of the first place of the line; Streams::producers
  uint32_t at = 0;   // its words in the line's buffer
  uint32_t words = 0;
  Range taps;
};

/// A consumer of a source.
struct LineTap {
  uint32_t source = 0;
  uint32_t consumer = 0; // of the first place of the line; Streams::consumers
};

/// Where a router that takes turns stands.
struct GateState {
  uint32_t turn = 0, given = 0;
};

/// A router that takes turns, and where it stands after the line.
struct LineGate {
  uint32_t pe; // less the line's first
  uint8_t color;
  GateState after;
};

struct Line {
  uint32_t first = 0;        // the first PE of the first place
  std::vector<uint32_t> pes; // less the first of them
  std::vector<LineOp> ops;
  std::vector<LineSource> sources;
  std::vector<LineTap> taps;
  uint32_t words = 0;         // of its buffer
  std::vector<uint32_t> done; // acts of each PE's run that are done
  std::vector<LineGate> gates;
};

/// A PE of a line and what is left of its run.
struct Member {
  uint32_t pe;
  llvm::ArrayRef<RunAct> run;
};

/// Finds an order for a line of at least one PE, in which members may do less
/// than their runs: a word is not sent before what takes it can be done.
/// `gates` are the states of all gates before.
Line orderLine(const Streams &streams, const Turns &turns,
               llvm::ArrayRef<Member> members,
               const std::vector<GateState> &gates);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_LINE_H
