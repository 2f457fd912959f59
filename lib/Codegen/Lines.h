//===- Lines.h - The collectives of one region ------------------*- C++ -*-===//
//
// Expands plans, at the colors that routing gave them, into instructions,
// routes and classes. Nothing is chosen here.
//
// Every collective of a program runs along lines of one axis, and several of
// them share the columns (or rows): each has classes of its own along the line.
// A region has one class per column, so the classes are multiplied out: two
// columns are of one class if every collective treats them alike. Instructions
// and routes of one collective then belong to a set of such classes.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_LINES_H
#define WAFERLOOM_LIB_CODEGEN_LINES_H

#include "Emitter.h"

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Routing/Routing.h"

#include "llvm/Support/Error.h"

namespace waferloom::codegen {

using routing::Direction;

class Lines {
public:
  /// A region of `width` x `height` PEs of `target`.
  Lines(int64_t width, int64_t height, const image::TargetT &target)
      : width(width), height(height), target(target) {}

  /// Emits one collective in place on `buffer`: dense, all elements of its
  /// values.
  llvm::Error emit(Emitter &emitter, fabric::CollectiveOpInterface op,
                   Ref buffer);

  /// Writes the classes, sets and routes of all that was emitted, and binds
  /// colors to their queues.
  llvm::Error finish(image::RegionT &region, fabric::QueuesAttr queues,
                     llvm::ArrayRef<image::ProgramT *> programs);

  /// Starts the program of the next entry: it has routes of its own.
  void nextProgram() { ++program; }

private:
  struct Planned {
    Direction direction;
    collectives::Plan plan;
    unsigned firstColor;
    unsigned firstSet; // one set per class of the plan
    llvm::SmallVector<unsigned> programs;
  };

  llvm::Expected<Planned *> plan(const routing::Collective &collective,
                                 unsigned firstColor);
  llvm::SmallVector<uint32_t> classesOf(Direction direction,
                                        std::vector<image::ClassSetT> &sets);

  llvm::Error bindQueues(fabric::QueuesAttr queues,
                         llvm::ArrayRef<image::ProgramT *> programs) const;

  int64_t width, height;
  const image::TargetT &target;
  std::vector<std::unique_ptr<Planned>> plans;
  unsigned sets = 1, program = 0;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_LINES_H
