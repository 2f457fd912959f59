// How stages follow each other on every grid that closes: strips, turns, what
// is passed on the way back, and shares of trips.

#include "waferloom/Dialect/Wafer/Stages.h"

#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

namespace {
struct Stages : ::testing::Test {
  Stages() { context.loadDialect<WaferDialect>(); }

  template <typename Check>
  void forEachGrid(Check check) {
    for (int64_t columns = 1; columns <= 6; ++columns)
      for (int64_t rows = 1; rows <= 6; ++rows)
        for (bool inColumns : {false, true})
          if (columns * rows > 1 &&
              StagesAttr::closes(columns, rows, inColumns))
            check(StagesAttr::get(&context, columns, rows, inColumns));
  }

  MLIRContext context{MLIRContext::Threading::DISABLED};
};
} // namespace

TEST_F(Stages, standOncePerPlaceAndGiveToTheirNeighbours) {
  forEachGrid([&](StagesAttr stages) {
    std::set<std::pair<int64_t, int64_t>> taken;
    for (int64_t i = 0; i < stages.getCount(); ++i) {
      auto [x, y] = getStagePlace(stages, i);
      EXPECT_TRUE(0 <= x && x < stages.getColumns() && 0 <= y &&
                  y < stages.getRows());
      EXPECT_TRUE(taken.insert({x, y}).second);
      HandOver way = getHandOver(stages, i);
      const int64_t far = (way.up ? 1 : -1) * (way.between + 1);
      (way.direction == Axis::X ? x : y) += far;
      EXPECT_EQ(std::pair(x, y),
                getStagePlace(stages, (i + 1) % stages.getCount()));
      if (i + 1 < stages.getCount())
        EXPECT_EQ(way.between, 0);
      EXPECT_EQ(way.turns, way.direction != getDirection(stages));
    }
    EXPECT_EQ(getStagePlace(stages, 0), std::pair(int64_t(0), int64_t(0)));
  });
}

TEST_F(Stages, turnOncePerStrip) {
  forEachGrid([&](StagesAttr stages) {
    int64_t turns = 0;
    for (int64_t i = 0; i < stages.getCount(); ++i)
      turns += getHandOver(stages, i).turns;
    const int64_t strips = stages.getStrips();
    EXPECT_EQ(turns, strips == 1 ? 0 : strips);
    EXPECT_EQ(hasTurns(stages), turns > 0);
  });
}

TEST_F(Stages, closeWhereTheLastStandsInLineWithTheFirst) {
  for (int64_t columns = 1; columns <= 6; ++columns)
    for (int64_t rows = 1; rows <= 6; ++rows) {
      // In rows: of an odd number the last ends in the last column.
      EXPECT_EQ(StagesAttr::closes(columns, rows, false),
                rows == 1 || columns == 1 || rows % 2 == 0);
      EXPECT_EQ(StagesAttr::closes(columns, rows, true),
                StagesAttr::closes(rows, columns, false));
    }
}
