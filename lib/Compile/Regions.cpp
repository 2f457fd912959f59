// Cycles are the sum of work, which more PEs make less, and of distances, which
// they make more: over the logarithms of the sides the sum has one valley, but
// for dents where a side does not suit a model's dimensions. So squares are
// followed to the bottom first, and then the best shape is moved along and
// across as long as a neighbour is better. Only sides with many factors are
// looked at: they leave the layouts their choices.

#include "waferloom/Compile/Regions.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <map>

using namespace waferloom;

/// 8, 9, 10, 12, 14, 16, 18, 20, ..., and the limit itself.
static std::vector<int64_t> sidesUpTo(int64_t limit) {
  std::vector<int64_t> sides;
  for (int64_t octave = 8; octave < limit; octave *= 2)
    for (int64_t eighths : {8, 9, 10, 12, 14})
      if (octave * eighths / 8 < limit)
        sides.push_back(octave * eighths / 8);
  sides.push_back(limit);
  return sides;
}

namespace {
/// Indices of a width and a height among the sides.
using Point = std::pair<int, int>;

class ShapeSearch {
public:
  ShapeSearch(Shape limit, EstimateShape estimate, int64_t most)
      : widths(sidesUpTo(limit.first)), heights(sidesUpTo(limit.second)),
        estimate(estimate), left(most) {}

  std::vector<RatedShape> run();

private:
  std::optional<double> rate(Point point);
  void followSquares();
  bool improve();

  std::vector<int64_t> widths, heights;
  EstimateShape estimate;
  int64_t left;
  std::map<Point, std::optional<double>> rated;
  Point best{-1, -1};
};
} // namespace

std::optional<double> ShapeSearch::rate(Point point) {
  auto [i, j] = point;
  if (i < 0 || j < 0 || i >= static_cast<int>(widths.size()) ||
      j >= static_cast<int>(heights.size()))
    return std::nullopt;
  auto [it, isNew] = rated.try_emplace(point);
  if (isNew && left > 0) {
    --left;
    it->second = estimate({widths[i], heights[j]});
    if (it->second && (best.first < 0 || *it->second < *rated[best]))
      best = point;
  }
  return it->second;
}

/// From small squares to large ones, cut off at the limit, until two behind
/// each other are no better than the best.
void ShapeSearch::followSquares() {
  auto last = [](const std::vector<int64_t> &sides) {
    return static_cast<int>(sides.size()) - 1;
  };
  int worse = 0;
  for (int64_t side = 8;; side *= 2)
    for (int64_t size : {side, side * 3 / 2}) {
      auto at = [&](const std::vector<int64_t> &sides) {
        return std::min(
            static_cast<int>(llvm::lower_bound(sides, size) - sides.begin()),
            last(sides));
      };
      const Point before = best;
      rate({at(widths), at(heights)});
      worse = best == before && best.first >= 0 ? worse + 1 : 0;
      if (worse == 2 || (size >= widths.back() && size >= heights.back()))
        return;
    }
}

bool ShapeSearch::improve() {
  const Point from = best;
  // A step along a side, two (over a dent), and a change of the aspect.
  static constexpr std::pair<int, int> steps[] = {
      {1, 0},  {-1, 0}, {0, 1},  {0, -1}, {2, 0}, {-2, 0},
      {0, 2},  {0, -2}, {1, -1}, {-1, 1}, {1, 1}, {-1, -1},
      {2, -2}, {-2, 2}, {3, 0},  {-3, 0}, {0, 3}, {0, -3}};
  for (auto [di, dj] : steps)
    rate({from.first + di, from.second + dj});
  return best != from;
}

std::vector<RatedShape> ShapeSearch::run() {
  followSquares();
  if (best.first >= 0)
    while (improve())
      ;
  std::vector<RatedShape> all;
  for (auto [point, cycles] : rated)
    if (cycles)
      all.push_back({{widths[point.first], heights[point.second]}, *cycles});
  llvm::sort(all, [](const RatedShape &a, const RatedShape &b) {
    return std::tuple(a.cycles, a.shape.first * a.shape.second, a.shape) <
           std::tuple(b.cycles, b.shape.first * b.shape.second, b.shape);
  });
  return all;
}

std::vector<RatedShape>
waferloom::rateShapes(Shape limit, EstimateShape estimate, int64_t most) {
  return ShapeSearch(limit, estimate, most).run();
}
