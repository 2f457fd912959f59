// The search over shapes of regions: it finds the bottom of a valley, keeps to
// its limits, and is the same each time.

#include "waferloom/Compile/Regions.h"

#include "gtest/gtest.h"

#include <cmath>
#include <set>

using namespace waferloom;

/// Work that PEs share, and distances.
static double cyclesOf(Shape shape, double work, double acrossWeight) {
  auto [width, height] = shape;
  return work / static_cast<double>(width * height) +
         acrossWeight * static_cast<double>(width) +
         3.0 * static_cast<double>(height);
}

TEST(Regions, TheBottomOfAValleyIsFound) {
  for (double work : {1e5, 1e6, 1e8, 4e9}) {
    for (double weight : {1.0, 2.0, 9.0}) {
      const Shape limit(755, 1170);
      auto rated = rateShapes(
          limit,
          [&](Shape shape) -> std::optional<double> {
            return cyclesOf(shape, work, weight);
          },
          200);
      ASSERT_FALSE(rated.empty());
      // Of all shapes, not only of those with smooth sides.
      double best = 1e300;
      for (int64_t width = 8; width <= limit.first; ++width)
        for (int64_t height = 8; height <= limit.second; ++height)
          best = std::min(best, cyclesOf({width, height}, work, weight));
      EXPECT_LE(rated.front().cycles, 1.03 * best) << work << " " << weight;
    }
  }
}

TEST(Regions, TheCheapestComesFirstAndOfEqualsTheSmallest) {
  auto rated =
      rateShapes({64, 64}, [](Shape) { return std::optional<double>(7); }, 200);
  ASSERT_GT(rated.size(), 3u);
  for (size_t i = 1; i < rated.size(); ++i)
    EXPECT_LE(rated[i - 1].shape.first * rated[i - 1].shape.second,
              rated[i].shape.first * rated[i].shape.second);
}

TEST(Regions, LimitsHold) {
  for (Shape limit : {Shape(1, 1), Shape(1, 12), Shape(7, 5), Shape(13, 1),
                      Shape(755, 8), Shape(100, 1170)}) {
    int64_t asked = 0;
    std::set<Shape> shapes;
    auto rated = rateShapes(
        limit,
        [&](Shape shape) -> std::optional<double> {
          ++asked;
          EXPECT_TRUE(shapes.insert(shape).second) << "asked twice";
          EXPECT_LE(shape.first, limit.first);
          EXPECT_LE(shape.second, limit.second);
          EXPECT_GE(std::min(shape.first, shape.second), 1);
          return cyclesOf(shape, 1e6, 2);
        },
        9);
    EXPECT_LE(asked, 9);
    EXPECT_FALSE(rated.empty());
  }
}

TEST(Regions, WhereOnlyLargeShapesHavePlansTheyAreFound) {
  // Memory: nothing below half of the fabric fits.
  auto estimate = [](Shape shape) -> std::optional<double> {
    if (shape.first * shape.second < 755 * 1170 / 2)
      return std::nullopt;
    return cyclesOf(shape, 4e9, 2);
  };
  auto rated = rateShapes({755, 1170}, estimate, 200);
  ASSERT_FALSE(rated.empty());
  EXPECT_TRUE(rateShapes({100, 100}, estimate, 200).empty());
}

TEST(Regions, SidesFitTheDimensions) {
  // What a PE has of 4,096 elements counts, and every PE costs.
  auto estimate = [](Shape shape) -> std::optional<double> {
    auto [width, height] = shape;
    return std::ceil(4096.0 / double(width)) * 100 + double(width) +
           double(height);
  };
  auto rated = rateShapes({377, 64}, estimate, 200, {4096, 128});
  ASSERT_FALSE(rated.empty());
  double best = 1e300;
  for (int64_t width = 8; width <= 377; ++width)
    best = std::min(best, *estimate({width, 8}));
  EXPECT_EQ(rated.front().cycles, best);
  for (const RatedShape &one : rated)
    EXPECT_TRUE(one.shape.first <= 377 && one.shape.second <= 64);
}
