// Why a step takes as long as it does. From the end of the core that ends last
// one walks backward: an instruction that began when the one before it ended
// follows that one, and one that waited follows what it waited for, word by
// word, to the core that put the word. Every cycle of the step is then one of
// one instruction and of one kind; shortening anything else shortens nothing.

#ifndef WAFERLOOM_EXECUTOR_CRITICALPATH_H
#define WAFERLOOM_EXECUTOR_CRITICALPATH_H

#include "waferloom/Image/Image_generated.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <array>
#include <cstdint>
#include <vector>

namespace waferloom::executor {

/// What a cycle of the path is spent on (docs/critical-path.md).
enum class PathKind : uint8_t {
  vectorIssue, // a vector instruction is issued
  work,        // its elements, at the rate of operation and type
  conflict,    // what strides and banks add to that
  rewrite,     // descriptors of any instruction
  streamIssue, // an instruction that sends or takes is issued
  words,       // a word behind another, and pauses of the stream
  hops,        // from router to router
  ramp,        // between router and core
  forwarding,  // from taking a word to putting what was made of it
  turns,       // a router gives another input its turn
  links,       // words of other colors go first on a link
  credits,     // from the take that left room to the put that needed it
  threads,     // microthreads begin, end, and share the core
};
constexpr size_t pathKinds = size_t(PathKind::threads) + 1;

/// "vector issue", "words", ..
llvm::StringRef nameOf(PathKind kind);
/// In the order in which tools show them.
llvm::ArrayRef<PathKind> allPathKinds();

/// Cycles by kind. Forwarding can be negative where a core that passes words on
/// took one before it had put the last: the walk then goes to a later cycle.
using PathCycles = std::array<int64_t, pathKinds>;

/// Cycles of the path, as `Account` has those of one core, by kind.
struct PathAccount {
  uint32_t node = 0; // index into the image's names
  image::Opcode op = image::Opcode::end;
  uint32_t loop = 0;
  image::LoopOver over = image::LoopOver::nothing;
  PathCycles cycles = {};
  uint64_t times = 0; // instructions of it on the path
};

/// A layer or token: a trip of a loop over these, in a stage of the program.
struct PathTrip {
  uint32_t loop = 0;
  image::LoopOver over = image::LoopOver::nothing;
  uint32_t stage = 0;
  uint32_t trip = 0; // from 0, over all such loops around
  PathCycles cycles = {};
};

/// A stretch of the path: cycles of one kind of one instruction on one core.
/// Words that travel belong to the instruction that waits for them.
struct PathStep {
  uint64_t begin = 0; // cycles since the step began
  int64_t cycles = 0;
  uint32_t x = 0, y = 0;      // the core, or the router with turns
  uint32_t region = 0;        // index into the image's regions
  uint32_t instruction = 0;   // index into its program
  uint32_t account = 0;       // index into CriticalPath::accounts
  uint32_t words = 0;         // that the instruction sends or takes
  uint32_t trip = UINT32_MAX; // index into CriticalPath::trips, if in one
  PathKind kind = PathKind::work;
};

struct CriticalPath {
  std::vector<PathAccount> accounts;
  std::vector<PathTrip> trips; // in the order of the path
  std::vector<PathStep> steps; // first the first
  /// Before any core begins (RunOptions::launch).
  uint64_t launch = 0;

  /// All begins later.
  void delay(uint64_t cycles);
  /// Over all accounts; without the launch.
  PathCycles cycles() const;
  /// Of the step: the sum over all accounts, and the launch.
  uint64_t total() const;
};

/// What crossed wires between two vector instructions of the path: from the
/// first send to the last take. Passages of one instruction, in all trips of
/// the loops around it, are one.
struct PathPassage {
  uint32_t node = 0; // of the take at the end
  uint32_t region = 0, instruction = 0;
  uint32_t words = 0;
  bool alongX = false, alongY = false;
  bool reduces = false; // words are folded on the way
  bool spreads = false; // words are taken at the end as they come
  uint32_t loop = 0;
  image::LoopOver over = image::LoopOver::nothing;
  PathCycles cycles = {};
  uint64_t times = 0;
};

/// The passages of a path, those with the most cycles first.
std::vector<PathPassage> passagesOf(const CriticalPath &path);

/// Over all kinds.
int64_t total(const PathCycles &cycles);

} // namespace waferloom::executor

#endif // WAFERLOOM_EXECUTOR_CRITICALPATH_H
