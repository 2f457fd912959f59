//===- CollectiveEmitter.h - The collectives of one region ------*- C++ -*-===//
//
// Expands plans, at the colors and queues that routing gave them, into
// instructions, routes and classes. Nothing is chosen here.
//
// Every collective of a program runs along lines of one axis, and several of
// them share the columns (or rows): each has classes of its own along the line.
// A region has one class per column, so the classes are multiplied out: two
// columns are of one class if every collective treats them alike. Instructions
// and routes of one collective then belong to a set of such classes. Streams
// that cross the border of the region have classes in the same way.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_COLLECTIVEEMITTER_H
#define WAFERLOOM_LIB_CODEGEN_COLLECTIVEEMITTER_H

#include "Emitter.h"
#include "Readers.h"

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Routing/Routing.h"

#include "llvm/ADT/BitVector.h"
#include "llvm/Support/Error.h"

namespace waferloom::codegen {

using routing::Direction;

class CollectiveEmitter {
public:
  /// On a region of `width` x `height` PEs of `target`. Sets of classes take
  /// names from `names`.
  CollectiveEmitter(int64_t width, int64_t height, fabric::QueuesAttr queues,
                    const image::TargetT &target, SymbolNames &names)
      : width(width), height(height), queues(queues), target(target),
        names(names) {}

  /// Emits one collective in place on `buffer`: dense, all elements of its
  /// values. Only PEs on `parts` need do it.
  llvm::Error emit(Emitter &emitter, fabric::CollectiveOpInterface op,
                   Ref buffer, const Lines &parts);

  /// A stream of another region or to one: along `direction`, up if to higher
  /// positions. Of what is sent the PE at `sender` speaks.
  struct Border {
    collectives::Border what;
    Direction direction;
    bool up;
    unsigned color;
    unsigned sender = 0;
  };
  /// Emits the part of the region in a stream of `words` of `buffer`; nothing
  /// but routes where it passes.
  llvm::Error emit(Emitter &emitter, const Border &border, Ref buffer,
                   int64_t words);

  /// The set of the lines at `positions` along `direction`, if what was emitted
  /// so far tells them from the others.
  mlir::FlatSymbolRefAttr setOf(Direction direction,
                                const llvm::BitVector &positions);

  /// Writes the classes, sets and routes of all that was emitted.
  void finish(core::RegionOp region,
              llvm::ArrayRef<core::ProgramOp> programs) const;

  /// Starts the program of the next entry: it has routes of its own.
  void nextProgram() { ++program; }

private:
  struct Emitted {
    Direction direction;
    collectives::CollectivePlan plan;
    unsigned firstColor;
    std::vector<collectives::Step> steps;
    std::vector<collectives::SharedRoute> routes;
    llvm::SmallVector<unsigned> programs;
    std::vector<std::vector<unsigned>> asked; ///< classes of sets of lines
  };
  /// Classes along a direction: those of some classes of a plan.
  struct Set {
    Direction direction = Direction::X;
    const Emitted *emitted = nullptr;
    llvm::ArrayRef<unsigned> classes = {};
    mlir::FlatSymbolRefAttr name = {};

    bool operator==(const Set &other) const {
      return std::tie(direction, emitted, classes) ==
             std::tie(other.direction, other.emitted, other.classes);
    }
  };

  /// The plan of `op` at its color; this program uses it.
  llvm::Expected<Emitted *> planOf(fabric::CollectiveOpInterface op,
                                   routing::Collective &collective);
  llvm::Expected<Emitted *> plan(const routing::Collective &collective,
                                 unsigned firstColor);
  /// `plan` from `firstColor` on, one that is known or a new one.
  Emitted *know(Direction direction, collectives::CollectivePlan plan,
                unsigned firstColor);
  /// Says that this program uses it.
  void use(Emitted &emitted);
  /// Makes ops of the sets in front of what `region` has, and gives it its
  /// classes along `direction`.
  void writeClasses(core::RegionOp region, Direction direction,
                    std::vector<llvm::SmallVector<int64_t>> &contents) const;
  /// The name of `set`, which it gets when it is first asked for: `what` its
  /// PEs do, and on which stages.
  mlir::FlatSymbolRefAttr nameOf(Set set, llvm::StringRef what = "");
  llvm::Expected<Channel> channelIn(unsigned color) const;
  llvm::Expected<Channel> channelOut(unsigned color) const;
  llvm::Error emitStep(Emitter &emitter, const Emitted &emitted,
                       const collectives::Transfer &step, Ref buffer,
                       Folded folded, Guard guard) const;
  /// The PEs that make a step of a plan.
  Guard guardOf(const Emitted &emitted, const collectives::Step &step);
  /// `setOf`, where one line may have to be told from the others first; none
  /// for all lines, and for those that cannot be told.
  mlir::FlatSymbolRefAttr makeSetOf(Direction direction,
                                    const llvm::BitVector &positions);
  /// `guard` on the PEs of it that are on `parts`; none: there is no such PE.
  std::optional<Guard> narrowed(const Emitted &emitted,
                                const collectives::Step &step,
                                const Lines &parts);

  int64_t width, height;
  fabric::QueuesAttr queues;
  const image::TargetT &target;
  SymbolNames &names;
  std::vector<std::unique_ptr<Emitted>> plans;
  std::vector<Set> sets; // in the order in which they were first named
  unsigned program = 0;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_COLLECTIVEEMITTER_H
