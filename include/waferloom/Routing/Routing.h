//===- Routing.h - Algorithms, colors and queues of a region ----*- C++ -*-===//
//
// All collectives of a region together: which algorithm each goes by, which
// colors it takes, which queues serve them. Nothing here knows about
// operations: passes translate to a Problem, solve, and translate back.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_ROUTING_ROUTING_H
#define WAFERLOOM_ROUTING_ROUTING_H

#include "waferloom/Collectives/Collectives.h"

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace waferloom::routing {

enum class Direction : uint8_t { X, Y };

/// A collective in every row (direction x) or every column of the region.
/// `loc` is where errors about it are reported.
struct Collective {
  mlir::Location loc;
  Direction direction;
  collectives::Line line;
  collectives::Request request;
  uint64_t times = 1;   // per step
  bool isAside = false; ///< nobody waits for it
  size_t plan = 0;      // index into Problem::plans, by `plan`
  /// Its first color, where somebody has chosen it, and who.
  std::optional<unsigned> color = {};
  std::optional<mlir::Location> colorFrom = {};
  /// Whether its root is anybody's choice: a sum that travels back.
  bool freeRoot = false;

  /// Whether both are along the same line.
  bool isOn(const Collective &other) const {
    return direction == other.direction && line.length == other.line.length &&
           line.stride == other.line.stride;
  }
};

/// What of a target the answer depends on.
struct Limits : collectives::Costs {
  unsigned inputQueues = 8, outputQueues = 8;

  Limits() = default;
  explicit Limits(const image::TargetT &target)
      : Costs(target), inputQueues(target.input_queues),
        outputQueues(target.output_queues) {}
};

/// Collectives are in the order of the program, those of all entries: a color
/// keeps its routes for all of them.
struct Problem {
  mlir::Location loc;    // of the whole
  int64_t width, height; // of the region, in PEs
  Limits limits;
  /// Colors of streams between regions, the highest of the target: any router
  /// may pass them and any PE take and put their words, so no collective has
  /// them.
  unsigned borderColors = 0;
  llvm::SmallVector<Collective> collectives;
  std::vector<collectives::CollectivePlan> plans;

  /// Those that collectives may have.
  unsigned colorsLeft() const {
    return limits.colors - std::min(limits.colors, borderColors);
  }
};

struct Solution {
  /// The first color of each collective; a plan's color c is this plus c.
  llvm::SmallVector<unsigned> firstColors;
  /// The queue by which PEs take and put words of each color; -1: none do.
  llvm::SmallVector<int64_t> inputQueues, outputQueues;
};

/// Decides algorithm and group of the collectives whose algorithm is `Auto`:
/// the least cycles in all by the closed forms, as far as colors allow.
mlir::LogicalResult choose(llvm::MutableArrayRef<Collective> collectives,
                           const collectives::Costs &costs);

/// Solves every collective (none is `Auto`) and fills in the problem's plans.
mlir::LogicalResult plan(Problem &problem);

/// Reports what makes `problem` impossible before any search: lines that do not
/// span the region, a plan that takes more colors than the target has.
mlir::LogicalResult check(const Problem &problem);

/// Gives every distinct set of routes colors of its own, and colors queues.
/// Reports an error on the first collective for which no color is left.
mlir::FailureOr<Solution> route(const Problem &problem);

/// Lifts the routes of all collectives back to streams and compares them with
/// the requests: no router has two inputs for a color, every stream reaches its
/// receivers and nobody else, colors and queues are within the target. Shares
/// no code with a solver.
mlir::LogicalResult verify(const Problem &problem, const Solution &solution);

} // namespace waferloom::routing

#endif // WAFERLOOM_ROUTING_ROUTING_H
