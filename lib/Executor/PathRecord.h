// What the walk along the critical path asks of an engine: what was done, when,
// and which word was whose. Times are clocks of the step.

#ifndef WAFERLOOM_LIB_EXECUTOR_PATHRECORD_H
#define WAFERLOOM_LIB_EXECUTOR_PATHRECORD_H

#include "Engine.h"
#include "waferloom/Executor/CriticalPath.h"
#include <optional>

namespace waferloom::executor {

/// Something that was done, as a record numbers it.
struct PathRef {
  uint32_t site = none, op = none;
  bool operator==(const PathRef &other) const {
    return site == other.site && op == other.op;
  }
};

/// A word of it: of an instruction, counted from its first.
struct WordRef {
  PathRef at;
  uint64_t word = 0;
};

/// An instruction of a PE, or words that a router with turns passed on.
struct PathOp {
  enum Role : uint8_t {
    Plain,
    Start, // a microthread begins: `instruction` follows as Plain beside it
    Wait   // for a microthread
  };
  const Instruction *instruction = nullptr; // null: a router
  uint32_t pe = none;                       // of a router: whose
  Role role = Plain;
  uint64_t number = 0; // instructions of the PE that began before (Stop)
  uint64_t lead = 0;   // cycles of `rewrite` instructions before it
  Stamp begun = 0;     // after them
  Stamp end = 0;
};

class PathRecord {
public:
  virtual ~PathRecord() = default;

  /// What a PE did last; nothing: it did nothing.
  virtual std::optional<PathRef> last(uint32_t pe, Stamp end) = 0;
  virtual PathOp at(PathRef ref) = 0;
  /// What the same PE did before, at whose end it began. Of what runs as a
  /// microthread: the Start.
  virtual std::optional<PathRef> before(PathRef ref) = 0;
  /// Of a Wait: what the microthread did.
  virtual PathRef threadOf(PathRef ref) = 0;

  virtual Stamp takeOf(WordRef word) = 0;
  virtual Stamp putOf(WordRef word) = 0;
  /// The stream's consumer that a word came in by; equal numbers at one router
  /// are equal inputs.
  virtual uint32_t inputOf(WordRef word) = 0;
  /// Who put the word that was taken.
  virtual WordRef giverOf(WordRef word) = 0;
  /// The word before on the stream that the word was put on, which held it up.
  virtual std::optional<WordRef> putBefore(WordRef word) = 0;
  /// Whose take left the credit that the word was put with, in the cycle after
  /// that take; nothing: it had its credit before.
  virtual std::optional<WordRef> creditorOf(WordRef word) = 0;
};

/// Walks back from the end of PE `last` at cycle `end`. PEs begin at `begin`.
CriticalPath walkPath(PathRecord &record, const PreparedEntry &prepared,
                      const Streams &streams, const image::TargetT &target,
                      uint32_t last, uint64_t end, uint64_t begin = 0);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_PATHRECORD_H
