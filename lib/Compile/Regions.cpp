// Cycles are the sum of work, which more PEs make less, and of distances, which
// they make more: over the logarithms of the sides the sum has one valley, but
// for dents where a side does not suit a model's dimensions. So squares are
// followed to the bottom first, then parts of the whole are looked at, since
// several regions may stand there, and the best shape is moved along and across
// as long as a neighbour is better. Only sides with many factors are
// looked at: they leave the layouts their choices.

#include "waferloom/Compile/Regions.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <map>
#include <set>

using namespace waferloom;

/// What is just below a half, a third and a quarter of a limit: as many regions
/// stand side by side.
static std::vector<int64_t> partsOf(int64_t limit) {
  constexpr int64_t smooth = 32;
  std::vector<int64_t> parts{limit};
  for (int64_t count : {2, 3, 4})
    if (int64_t side = limit / count / smooth * smooth)
      parts.push_back(side);
  return parts;
}

/// 8, 9, 10, 12, 14, 16, 18, 20, ..., and the parts of the limit.
static std::vector<int64_t> sidesUpTo(int64_t limit) {
  std::set<int64_t> sides;
  for (int64_t octave = 8; octave < limit; octave *= 2)
    for (int64_t eighths : {8, 9, 10, 12, 14})
      if (octave * eighths / 8 < limit)
        sides.insert(octave * eighths / 8);
  for (int64_t side : partsOf(limit))
    sides.insert(side);
  return {sides.begin(), sides.end()};
}

/// The index of the first side of at least `size`, or of the last.
static int indexOf(llvm::ArrayRef<int64_t> sides, int64_t size) {
  auto index = llvm::lower_bound(sides, size) - sides.begin();
  return static_cast<int>(std::min<int64_t>(index, sides.size() - 1));
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
  void rate(Point point);
  void followSquares();
  void rateParts();
  bool improve();

  std::vector<int64_t> widths, heights;
  EstimateShape estimate;
  int64_t left;
  std::map<Point, std::optional<double>> rated;
  Point best{-1, -1};
};
} // namespace

void ShapeSearch::rate(Point point) {
  auto [i, j] = point;
  if (i < 0 || j < 0 || i >= static_cast<int>(widths.size()) ||
      j >= static_cast<int>(heights.size()))
    return;
  auto [it, isNew] = rated.try_emplace(point);
  if (!isNew || left <= 0)
    return;
  --left;
  it->second = estimate({widths[i], heights[j]});
  if (it->second && (best.first < 0 || *it->second < *rated[best]))
    best = point;
}

/// From small squares to large ones, cut off at the limit, until two behind
/// each other are no better than the best.
void ShapeSearch::followSquares() {
  int worse = 0;
  for (int64_t side = 8;; side *= 2)
    for (int64_t size : {side, side * 3 / 2}) {
      const Point before = best;
      rate({indexOf(widths, size), indexOf(heights, size)});
      worse = best == before && best.first >= 0 ? worse + 1 : 0;
      if (worse == 2 || (size >= widths.back() && size >= heights.back()))
        return;
    }
}

/// Several regions instead of one: parts of the whole rectangle.
void ShapeSearch::rateParts() {
  for (int64_t width : partsOf(widths.back()))
    for (int64_t height : partsOf(heights.back()))
      rate({indexOf(widths, width), indexOf(heights, height)});
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
  rateParts();
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
