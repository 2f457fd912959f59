// Both solvers set stages side by side as type is set in a line: when a row is
// full, the next one begins below its tallest stage. They differ in the order,
// and in where a row begins. Rows of stages of one height waste nothing, so the
// tallest go first; a snake keeps the order of the data instead, and turns
// around at the end of every row, so that nothing crosses the fabric to reach
// its next stage.

#include "waferloom/Placement/Placement.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

#include <cstdlib>
#include <set>

using namespace mlir;
using namespace waferloom::placement;

static std::optional<Solution>
fillRows(const Problem &problem, ArrayRef<size_t> order, bool turnAround) {
  Solution solution(problem.stages.size());
  int64_t used = 0, y = 0, rowHeight = 0;
  bool backward = false;
  for (size_t i : order) {
    const Stage &stage = problem.stages[i];
    if (used + stage.width > problem.fabricWidth) {
      y += rowHeight;
      used = rowHeight = 0;
      backward = turnAround && !backward;
    }
    if (y + stage.height > problem.fabricHeight)
      return std::nullopt;
    int64_t x = backward ? problem.fabricWidth - used - stage.width : used;
    solution[i] = {x, y, stage.width, stage.height};
    used += stage.width;
    rowHeight = std::max(rowHeight, stage.height);
  }
  return solution;
}

std::optional<Solution>
waferloom::placement::placeInRows(const Problem &problem) {
  auto order = llvm::to_vector(llvm::seq<size_t>(problem.stages.size()));
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::pair(-problem.stages[a].height, a) <
           std::pair(-problem.stages[b].height, b);
  });
  return fillRows(problem, order, /*turnAround=*/false);
}

std::optional<Solution>
waferloom::placement::placeInSnake(const Problem &problem) {
  auto order = llvm::to_vector(llvm::seq<size_t>(problem.stages.size()));
  return fillRows(problem, order, /*turnAround=*/true);
}

std::optional<Solution>
waferloom::placement::placeAround(const Problem &problem) {
  Solution solution;
  SmallVector<Rect> taken(problem.defects);
  for (const Stage &stage : problem.stages) {
    // What is free can be moved until it touches something.
    std::set<int64_t> columns{0}, rows{0};
    for (const Rect &rect : taken) {
      columns.insert(rect.x + rect.width);
      rows.insert(rect.y + rect.height);
    }
    std::optional<Rect> found;
    for (int64_t y : rows)
      for (int64_t x : columns)
        if (!found && x + stage.width <= problem.fabricWidth &&
            y + stage.height <= problem.fabricHeight &&
            llvm::none_of(taken, [&](const Rect &rect) {
              return x < rect.x + rect.width && rect.x < x + stage.width &&
                     y < rect.y + rect.height && rect.y < y + stage.height;
            }))
          found = {x, y, stage.width, stage.height};
    if (!found)
      return std::nullopt;
    taken.push_back(*found);
    solution.push_back(*found);
  }
  return solution;
}

int64_t waferloom::placement::getByteHops(const Problem &problem,
                                          const Solution &solution) {
  int64_t total = 0;
  for (const Net &net : problem.nets) {
    const Rect &a = solution[net.from], &b = solution[net.to];
    // Twice the distance of the centres, which may lie between PEs.
    int64_t twice = std::abs(2 * a.x + a.width - 2 * b.x - b.width) +
                    std::abs(2 * a.y + a.height - 2 * b.y - b.height);
    total += net.bytes * twice / 2;
  }
  return total;
}

FailureOr<Solution> waferloom::placement::place(const Problem &problem) {
  std::optional<Solution> snake, rows;
  if (problem.defects.empty()) {
    snake = placeInSnake(problem);
    rows = placeInRows(problem);
  } else {
    rows = placeAround(problem);
  }
  if (snake && rows)
    return getByteHops(problem, *snake) <= getByteHops(problem, *rows) ? *snake
                                                                       : *rows;
  if (snake || rows)
    return snake ? *snake : *rows;
  int64_t wanted = 0;
  for (const Stage &stage : problem.stages)
    wanted += stage.width * stage.height;
  InFlightDiagnostic diag =
      emitError(problem.loc)
      << "found no places for " << problem.stages.size() << " stages of "
      << wanted << " PEs together on a fabric of " << problem.fabricWidth
      << " by " << problem.fabricHeight;
  if (!problem.defects.empty())
    diag.attachNote() << problem.defects.size()
                      << " defects are in the way; smaller regions stand "
                         "between them";
  diag.attachNote() << "regions of one height leave no gaps between rows; "
                       "smaller regions find more room";
  return diag;
}
