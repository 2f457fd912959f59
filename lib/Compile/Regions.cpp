// Cycles are the sum of work, which more PEs make less, and of distances, which
// they make more: over the logarithms of the sides the sum has one valley, but
// for dents where a side does not suit a model's dimensions. So squares are
// followed to the bottom first, then parts of the whole are looked at, since
// several regions may stand there, and the best shape is moved along and across
// as long as a neighbour is better. Only sides with many factors are
// looked at so far: they leave the layouts their choices. In the end the best
// few are fitted to the dimensions: of 4,096 elements over 352 PEs each has 12,
// as over 342, and over 373 it has 11.

#include "waferloom/Compile/Regions.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

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

/// The least sides at which a PE has as many elements of a dimension as at
/// `side`, and one less.
static std::set<int64_t> fittingSides(llvm::ArrayRef<int64_t> lengths,
                                      int64_t side) {
  // More elements than so many, and one less hardly counts.
  constexpr int64_t many = 64;
  std::set<int64_t> sides;
  for (int64_t length : lengths)
    if (int64_t each = llvm::divideCeil(length, side); each <= many)
      for (int64_t elements : {each, each - 1})
        if (elements > 0)
          sides.insert(llvm::divideCeil(length, elements));
  return sides;
}

namespace {
class ShapeSearch {
public:
  ShapeSearch(Shape limit, EstimateShape estimate, int64_t most)
      : widths(sidesUpTo(limit.first)), heights(sidesUpTo(limit.second)),
        estimate(estimate), left(most) {}

  std::vector<RatedShape> run(llvm::ArrayRef<int64_t> lengths);

private:
  void rate(Shape shape);
  void followSquares();
  void rateParts();
  bool improve();
  void fit(llvm::ArrayRef<int64_t> lengths);
  std::vector<RatedShape> list() const;

  std::vector<int64_t> widths, heights;
  EstimateShape estimate;
  int64_t left;
  std::map<Shape, std::optional<double>> rated;
  std::optional<Shape> best;
};
} // namespace

void ShapeSearch::rate(Shape shape) {
  auto [it, isNew] = rated.try_emplace(shape);
  if (!isNew || left <= 0)
    return;
  --left;
  it->second = estimate(shape);
  if (it->second && (!best || *it->second < *rated[*best]))
    best = shape;
}

/// From small squares to large ones, cut off at the limit, until two behind
/// each other are no better than the best.
void ShapeSearch::followSquares() {
  int worse = 0;
  for (int64_t side = 8;; side *= 2)
    for (int64_t size : {side, side * 3 / 2}) {
      const std::optional<Shape> before = best;
      rate({widths[indexOf(widths, size)], heights[indexOf(heights, size)]});
      worse = best == before && best ? worse + 1 : 0;
      if (worse == 2 || (size >= widths.back() && size >= heights.back()))
        return;
    }
}

/// Several regions instead of one: parts of the whole rectangle.
void ShapeSearch::rateParts() {
  for (int64_t width : partsOf(widths.back()))
    for (int64_t height : partsOf(heights.back()))
      rate({width, height});
}

bool ShapeSearch::improve() {
  const Shape from = *best;
  const int i = indexOf(widths, from.first), j = indexOf(heights, from.second);
  // A step along a side, two (over a dent), and a change of the aspect.
  static constexpr std::pair<int, int> steps[] = {
      {1, 0},  {-1, 0}, {0, 1},  {0, -1}, {2, 0}, {-2, 0},
      {0, 2},  {0, -2}, {1, -1}, {-1, 1}, {1, 1}, {-1, -1},
      {2, -2}, {-2, 2}, {3, 0},  {-3, 0}, {0, 3}, {0, -3}};
  auto isIndex = [](int index, llvm::ArrayRef<int64_t> sides) {
    return index >= 0 && index < static_cast<int>(sides.size());
  };
  for (auto [di, dj] : steps)
    if (isIndex(i + di, widths) && isIndex(j + dj, heights))
      rate({widths[i + di], heights[j + dj]});
  return best != from;
}

/// Estimates are a few percent off, so the best few are.
void ShapeSearch::fit(llvm::ArrayRef<int64_t> lengths) {
  constexpr size_t few = 3;
  std::vector<RatedShape> all = list();
  for (const RatedShape &one : llvm::ArrayRef(all).take_front(few)) {
    const auto [width, height] = one.shape;
    for (int64_t side : fittingSides(lengths, width))
      if (side <= widths.back())
        rate({side, height});
    for (int64_t side : fittingSides(lengths, height))
      if (side <= heights.back())
        rate({width, side});
  }
}

/// What has a plan, the best first.
std::vector<RatedShape> ShapeSearch::list() const {
  std::vector<RatedShape> all;
  for (auto [shape, cycles] : rated)
    if (cycles)
      all.push_back({shape, *cycles});
  llvm::sort(all, [](const RatedShape &a, const RatedShape &b) {
    return std::tuple(a.cycles, a.shape.first * a.shape.second, a.shape) <
           std::tuple(b.cycles, b.shape.first * b.shape.second, b.shape);
  });
  return all;
}

std::vector<RatedShape> ShapeSearch::run(llvm::ArrayRef<int64_t> lengths) {
  followSquares();
  rateParts();
  while (best && improve())
    ;
  fit(lengths);
  return list();
}

std::vector<RatedShape> waferloom::rateShapes(Shape limit,
                                              EstimateShape estimate,
                                              int64_t most,
                                              llvm::ArrayRef<int64_t> lengths) {
  return ShapeSearch(limit, estimate, most).run(lengths);
}
