//===- Placement.h - Fit stages onto the fabric -----------------*- C++ -*-===//
//
// The placement problem, its checks and its solvers. Nothing here knows about
// operations: a pass translates to a Problem, solves, and translates back, so a
// solver can be tested and timed on its own.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_PLACEMENT_PLACEMENT_H
#define WAFERLOOM_PLACEMENT_PLACEMENT_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"

#include <cstdint>
#include <optional>

namespace waferloom::placement {

/// A rectangle of PEs: columns [x, x + width), rows [y, y + height).
struct Rect {
  int64_t x = 0, y = 0, width = 0, height = 0;

  bool operator==(const Rect &other) const {
    return x == other.x && y == other.y && width == other.width &&
           height == other.height;
  }
};

/// A part of the program that runs on `width` by `height` PEs of its own. `loc`
/// is where errors about it are reported.
struct Stage {
  mlir::Location loc;
  int64_t width, height;
};

/// Data that stage `from` hands to stage `to` once per step.
struct Net {
  size_t from, to;
  int64_t bytes;
};

/// Stages are in the order data flows through them.
struct Problem {
  mlir::Location loc;                // of the whole
  int64_t fabricWidth, fabricHeight; // in PEs, what programs may take of it
  llvm::SmallVector<Stage> stages;
  llvm::SmallVector<Net> nets;
  llvm::SmallVector<Rect> defects = {}; // where nothing stands
};

/// One rectangle per stage, in the order of `Problem::stages`.
using Solution = llvm::SmallVector<Rect>;

/// Reports what makes `problem` impossible before any search starts.
llvm::LogicalResult check(const Problem &problem);

/// The better of what the solvers below find for a problem that passed `check`;
/// reports an error when none finds room.
llvm::FailureOr<Solution> place(const Problem &problem);

/// Fills the fabric row by row, tallest stages first: wastes the least room and
/// ignores nets. Nothing if a stage finds no room. O(n log n).
std::optional<Solution> placeInRows(const Problem &problem);

/// Fills the fabric row by row in the order of the stages, every other row
/// backward, so that stages that follow each other are neighbours. Nothing if a
/// stage finds no room. O(n).
std::optional<Solution> placeInSnake(const Problem &problem);

/// Sets each stage in its turn into the northernmost place that is free of
/// defects and of those before it. Nothing if one finds none. O(n^4).
std::optional<Solution> placeAround(const Problem &problem);

/// Proves that `solution` solves `problem`: right sizes, on the fabric, no
/// overlap. Shares no code with any solver.
llvm::LogicalResult verify(const Problem &problem, const Solution &solution);

/// Bytes times hops between centres, summed over nets.
int64_t getByteHops(const Problem &problem, const Solution &solution);

} // namespace waferloom::placement

#endif // WAFERLOOM_PLACEMENT_PLACEMENT_H
