//===- CollectiveEmitter.h - The collectives of one region ------*- C++ -*-===//
//
// Expands plans, at the colors and queues that routing gave them, into
// instructions, routes and classes. Nothing is chosen here.
//
// Every collective of a program runs along lines of one axis, and several of
// them share the columns (or rows): each has classes of its own along the line.
// A region has one class per column, so the classes are multiplied out: two
// columns are of one class if every collective treats them alike. Instructions
// and routes of one collective then belong to a set of such classes. Where
// regions stand side by side as stages, the stage is part of a class as well.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_COLLECTIVEEMITTER_H
#define WAFERLOOM_LIB_CODEGEN_COLLECTIVEEMITTER_H

#include "Emitter.h"

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Routing/Routing.h"

#include "llvm/Support/Error.h"

namespace waferloom::codegen {

using routing::Direction;

class CollectiveEmitter {
public:
  /// `stages` regions of `width` x `height` PEs of `target`. Sets of classes
  /// take names from `names`.
  CollectiveEmitter(int64_t width, int64_t height, wafer::StagesAttr stages,
                    fabric::QueuesAttr queues, const image::TargetT &target,
                    SymbolNames &names)
      : width(width), height(height), stages(stages), queues(queues),
        target(target), names(names) {}

  /// The PEs of stage `stage`, or of all stages that `stageSet` names.
  Guard guardOf(uint32_t stage) { return guardOf(stage, stage + 1); }
  Guard guardOf(wafer::StageSet stageSet);

  /// Emits one collective in place on `buffer`: dense, all elements of its
  /// values.
  llvm::Error emit(Emitter &emitter, fabric::CollectiveOpInterface op,
                   Ref buffer, wafer::StageSet stageSet);
  /// What stage 0 (`First`) or the others send or receive of what goes from
  /// stage to stage.
  enum class Half { Send, Receive };
  llvm::Error emitSendRecv(Emitter &emitter, fabric::StageSendRecvOp op,
                           Ref buffer, wafer::StageSet who, Half half);

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
  };
  /// Classes along a direction: those of some classes of a plan (all if null)
  /// on some stages, from `firstStage` to before `endStage`.
  struct Set {
    Direction direction = Direction::X;
    const Emitted *emitted = nullptr;
    llvm::ArrayRef<unsigned> classes = {};
    uint32_t firstStage = 0, endStage = UINT32_MAX;
    mlir::FlatSymbolRefAttr name = {};

    bool operator==(const Set &other) const {
      return std::tie(direction, emitted, classes, firstStage, endStage) ==
             std::tie(other.direction, other.emitted, other.classes,
                      other.firstStage, other.endStage);
    }
  };

  /// The plan of `op` at its color; this program uses it.
  llvm::Expected<Emitted *> planOf(fabric::CollectiveOpInterface op, Ref buffer,
                                   routing::Collective &collective);
  llvm::Expected<Emitted *> plan(const routing::Collective &collective,
                                 unsigned firstColor);
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
  /// The PEs of the stages from `firstStage` to before `endStage`.
  Guard guardOf(uint32_t firstStage, uint32_t endStage);
  Direction alongStages() const {
    return wafer::getDirection(stages) == wafer::Axis::Y ? Direction::Y
                                                         : Direction::X;
  }
  uint32_t stageAt(Direction direction, int64_t position) const {
    return static_cast<uint32_t>(position /
                                 (direction == Direction::X ? width : height));
  }
  /// The PEs that make a step of a plan, of those that run what `stageSet`
  /// runs.
  Guard guardOf(const Emitted &emitted, const collectives::Step &step,
                wafer::StageSet stageSet);

  int64_t width, height; // of one stage
  wafer::StagesAttr stages;
  fabric::QueuesAttr queues;
  const image::TargetT &target;
  SymbolNames &names;
  std::vector<std::unique_ptr<Emitted>> plans;
  std::vector<Set> sets; // in the order in which they were first named
  unsigned program = 0;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_COLLECTIVEEMITTER_H
