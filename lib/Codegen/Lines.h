//===- Lines.h - The collectives of one region ------------------*- C++ -*-===//
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

#include "llvm/Support/Error.h"

namespace waferloom::codegen {

enum class Direction : uint8_t { X, Y };

class Lines {
public:
  /// A region of `width` x `height` PEs of `target`.
  Lines(int64_t width, int64_t height, const image::TargetT &target)
      : width(width), height(height), target(target) {}

  /// Emits one collective in place on `buffer` (dense, `request.words` words of
  /// its type) along `line`.
  llvm::Error emit(Emitter &emitter, Direction direction,
                   const collectives::Line &line,
                   const collectives::Request &request, Ref buffer);

  /// Writes the classes, sets and routes that `emit` decided on.
  llvm::Error finish(image::RegionT &region,
                     llvm::ArrayRef<image::ProgramT *> programs);

  /// Starts the program of the next entry: it has routes of its own.
  void nextProgram() { ++program; }

  unsigned colorsUsed() const { return colors; }

private:
  struct Planned {
    Direction direction;
    collectives::Plan plan;
    unsigned firstColor;
    unsigned firstSet; // one set per class of the plan
    llvm::SmallVector<unsigned> programs;
  };

  llvm::Expected<Planned *> plan(Direction direction,
                                 const collectives::Line &line,
                                 const collectives::Request &request);
  llvm::SmallVector<uint32_t> classesOf(Direction direction,
                                        std::vector<image::ClassSetT> &sets);

  void assignQueues(llvm::ArrayRef<image::ProgramT *> programs);

  int64_t width, height;
  const image::TargetT &target;
  std::vector<std::unique_ptr<Planned>> plans;
  unsigned colors = 0, sets = 1, program = 0;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_LINES_H
