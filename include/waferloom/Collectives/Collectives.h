//===- Collectives.h - Reduce, broadcast and both along a line --*- C++ -*-===//
//
// A collective is solved for one line of PEs, without knowing any dialect:
// what each router does with each color, and what each PE does, as a list of
// classes and of runs of classes along the line. Code generation turns the
// transfers into instructions and merges the classes of all lines of an axis.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_COLLECTIVES_COLLECTIVES_H
#define WAFERLOOM_COLLECTIVES_COLLECTIVES_H

#include "waferloom/Machine/MachineModel.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace waferloom::collectives {

enum class Kind : uint8_t { Reduce, AllReduce, Broadcast };
enum class Algorithm : uint8_t {
  Auto,
  Chain,
  Tree,
  TwoPhase,
  Star,
  Ring,
  Grown
};
enum class Combiner : uint8_t {
#define COMBINER(name, text, opcode) name,
#include "waferloom/Collectives/Combiners.def"
};
/// The instruction that combines two elements.
image::Opcode opcodeOf(Combiner);

/// The names a user types: "all-reduce", "two-phase", "max".
llvm::StringRef nameOf(Kind);
llvm::StringRef nameOf(Algorithm);
llvm::StringRef nameOf(Combiner);
std::optional<Kind> parseKind(llvm::StringRef);
std::optional<Algorithm> parseAlgorithm(llvm::StringRef);

/// Every algorithm but Auto.
llvm::SmallVector<Algorithm> algorithms();
/// Whether a request of this algorithm has a group size; whether its routes
/// count words (see Plan::routesCountWords). Both false for Auto.
bool hasGroups(Algorithm);
bool countsWords(Algorithm);
/// The most levels that a request of this algorithm may have; 0: it has none.
unsigned levelsOf(Algorithm);

/// One factor of an axis: `length` PEs that work together, neighbours `stride`
/// PEs apart. `stride` such groups interleave in a segment, and `segments`
/// segments follow each other, each on its own. A factor of the axis
/// x = 3 x 4 x 8: the 4 is {length 4, stride 8, segments 3}.
struct Line {
  unsigned length = 1;
  unsigned stride = 1;
  unsigned segments = 1;

  /// PEs that the axis has.
  uint64_t extent() const { return uint64_t(length) * stride * segments; }
};

struct Request {
  Kind kind = Kind::AllReduce;
  Combiner combiner = Combiner::Sum;
  Algorithm algorithm = Algorithm::Auto;
  /// Where a reduce ends and a broadcast starts, 0 .. length - 1.
  unsigned root = 0;
  /// 32-bit words that each PE contributes, or that are broadcast.
  uint64_t words = 1;
  /// Two-phase: PEs per group. Grown: words that the shape is for. 0 chooses.
  unsigned group = 0;
  /// Grown: how many levels of chains nest, 1 to `levelsOf`. 0 chooses.
  unsigned levels = 0;
};

/// What of a target a choice depends on; the presets' values.
struct Costs : machine::LinkCosts {
  unsigned issue = 6;
  unsigned rewrite = 16;
  unsigned burst = 0; ///< words between pauses of a stream; 0: it has none
  unsigned colors = 24;

  Costs() = default;
  explicit Costs(const image::TargetT &target)
      : LinkCosts(machine::MachineModel(target).getLinks()),
        issue(target.issue_cycles), rewrite(target.rewrite_cycles),
        burst(target.words_per_burst), colors(target.colors) {}

  /// From the first word of a message to the cycle behind its last.
  uint64_t getPassing(uint64_t words) const {
    return words + (burst && words ? (words - 1) / burst : 0);
  }
};

/// Sides of a router along the line, as bits. Low is toward position 0 (west on
/// an x axis, north on a y axis).
enum Port : uint8_t { Low = 1, High = 2, Ramp = 4 };

/// An input and how many words it gives before the next one has its turn; 0: it
/// is the only input.
struct Turn {
  Port from = Ramp;
  uint64_t words = 0;

  bool operator==(const Turn &other) const {
    return from == other.from && words == other.words;
  }
};

/// What a router does with one color (counted from 0; code generation adds the
/// base that it gave this collective).
struct Route {
  unsigned color = 0;
  llvm::SmallVector<Turn, 1> inputs;
  uint8_t outputs = 0;

  bool operator==(const Route &other) const {
    return color == other.color && inputs == other.inputs &&
           outputs == other.outputs;
  }
};

/// One instruction. `buffer` is the PE's `words` words, the collective's
/// operand in place: what it contributes, then what it gets.
///   Send             buffer -> out
///   Receive          in -> buffer
///   ReceiveFold      buffer = combine(buffer, in)
///   ReceiveFoldSend  out <- combine(in, buffer); the buffer keeps its value
///   Rewrite          the cost of setting up the next phase
/// With `copies` > 1 a ReceiveFold takes so many vectors one after the other
/// from one color, each folded into the buffer.
///
/// A ring cuts the buffer into `length` parts of ceil(words / length) words
/// and takes `copies` rounds r = 0, 1, ..; d is the PE's digit, indices are
/// modulo length. PEs that send on color 0 send first in a round, all others
/// receive:
///   RingFold         part d - r -> out; part d - r - 1 folds what comes in
///   RingCopy         part d + 1 - r -> out; in -> part d - r
struct Transfer {
  enum class Kind : uint8_t {
    Send,
    Receive,
    ReceiveFold,
    ReceiveFoldSend,
    Rewrite,
    RingFold,
    RingCopy
  };
  Kind kind = Kind::Send;
  unsigned in = 0;
  unsigned out = 0;
  uint64_t copies = 1;

  /// Whether it reads or writes the buffer, takes words, puts words.
  bool reads() const { return kind != Kind::Receive && kind != Kind::Rewrite; }
  bool writes() const {
    return kind != Kind::Send && kind != Kind::ReceiveFoldSend &&
           kind != Kind::Rewrite;
  }
  bool receives() const { return kind != Kind::Send && kind != Kind::Rewrite; }
  bool sends() const {
    return kind != Kind::Receive && kind != Kind::ReceiveFold &&
           kind != Kind::Rewrite;
  }
  bool operator==(const Transfer &other) const {
    return kind == other.kind && in == other.in && out == other.out &&
           copies == other.copies;
  }
};

/// What the PEs of one class do. Routes are sorted by color.
struct ClassProgram {
  llvm::SmallVector<Route, 3> routes;
  llvm::SmallVector<Transfer, 3> transfers;

  bool operator==(const ClassProgram &other) const {
    return routes == other.routes && transfers == other.transfers;
  }
};

/// `pattern`, a list of classes, `repeats` times along the line.
struct Run {
  llvm::SmallVector<unsigned, 4> pattern;
  uint64_t repeats = 1;
};

/// A transfer and the classes that make it, ascending.
struct Step {
  Transfer transfer;
  llvm::SmallVector<unsigned, 4> classes;
};

/// A route and the classes that have it, ascending.
struct SharedRoute {
  Route route;
  llvm::SmallVector<unsigned, 4> classes;
};

/// A solved collective. Runs cover the line's whole extent, from position 0.
struct CollectivePlan {
  /// What was chosen; never Auto. A broadcast is a Chain of nothing.
  Algorithm algorithm = Algorithm::Chain;
  unsigned group = 0, levels = 0;
  /// Colors 0 .. colors - 1 are used.
  unsigned colors = 0;
  /// Whether routes count words: such a plan shares its colors with no plan of
  /// another number of words. All others share them if their routes are equal.
  bool routesCountWords = false;
  std::vector<ClassProgram> classes;
  std::vector<Run> runs;

  /// The transfers of all classes in one list, in which each class finds its
  /// own in order: few, however many classes there are.
  std::vector<Step> steps() const;
  /// The routes of all classes, by color.
  std::vector<SharedRoute> routes() const;
  unsigned classAt(uint64_t position) const;
  /// One class per position, for a caller that merges several plans.
  std::vector<unsigned> classPerPosition() const;
  /// Whether both plans do the same at every router: the same line, algorithm,
  /// group and root, any number of words.
  bool hasRoutesOf(const CollectivePlan &other) const;
};

/// The algorithms among which `auto` chooses for a line, the first of equally
/// cheap ones first. It never chooses the ring, whose transfers work on parts
/// of the buffer.
llvm::SmallVector<Algorithm> candidates(const Line &);

/// The colors that a plan of the request takes, whose algorithm is not Auto.
unsigned colors(const Line &, const Request &, const Costs & = {});

/// Refuses what no algorithm can do: says what, the number and the limit.
llvm::Error check(const Line &, const Request &, const Costs & = {});

/// Chooses (for `auto`) by cost among what fits `costs.colors`, and solves. The
/// plan has passed `verify`.
llvm::Expected<CollectivePlan> solve(const Line &, const Request &,
                                     const Costs & = {});

/// What the PEs of a line have of a stream that crosses a border of their
/// region: one sends it, all take it, or it passes.
enum class Border : uint8_t { Send, Receive, Pass };

/// The routes and transfers of it on `length` PEs, in color 0; `up`: it travels
/// to higher positions. The PE at `sender` sends it.
CollectivePlan planBorder(unsigned length, Border border, bool up,
                          unsigned sender = 0);

/// Traces every route and counts words: that a plan does what was requested is
/// established here and nowhere else. Shares no code with the solvers.
llvm::Error verify(const Line &, const Request &, const CollectivePlan &);

/// Cycles by the closed forms of docs/collectives.md, with the issue of
/// instructions that the published ones leave out (`costs.issue` = 0 is close
/// to those). `algorithm` is not Auto.
uint64_t cycles(const Line &, const Request &, const Costs & = {});

/// The published closed form, for a root at position 0 and neighbouring PEs;
/// an all-reduce is a reduce and a broadcast, or the ring. 0: nobody published
/// one.
double publishedCycles(Kind, Algorithm, unsigned length, uint64_t words,
                       unsigned group, unsigned ramp);

/// No schedule of messages takes fewer cycles (published for a root at position
/// 0; otherwise of the longer arm alone).
double lowerBoundCycles(Kind, unsigned length, unsigned root, uint64_t words,
                        unsigned ramp);

/// What a tree takes in which every PE has at most two children, whatever its
/// shape and its colors: where `grown` would be if levels and colors had no
/// limit. Of one segment of neighbouring PEs; an all-reduce has its multicast.
uint64_t grownBoundCycles(const Line &, const Request &, const Costs & = {});

/// What no way of combining or sending can be below: one PE's first word goes
/// to the one farthest from it that must hear of it, and the others follow.
uint64_t hardBoundCycles(const Line &, const Request &, const Costs & = {});

} // namespace waferloom::collectives

#endif // WAFERLOOM_COLLECTIVES_COLLECTIVES_H
