// Solvers on random problems (whatever they find passes `verify`), what `check`
// refuses, and wrong answers that `verify` must notice.

#include "waferloom/Placement/Placement.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <random>

using namespace mlir;
using namespace waferloom::placement;

namespace {
struct Placement : ::testing::Test {
  MLIRContext context{MLIRContext::Threading::DISABLED};
  std::string said;
  ScopedDiagnosticHandler handler{&context, [this](Diagnostic &diagnostic) {
                                    said = diagnostic.str();
                                    return success();
                                  }};
  Location loc = UnknownLoc::get(&context);

  Stage stage(int64_t width, int64_t height) { return {loc, width, height}; }

  /// Stages of up to half the fabric, each handing on to the next.
  Problem random(std::mt19937 &dice) {
    auto pick = [&](int64_t limit) {
      return static_cast<int64_t>(dice() % limit) + 1;
    };
    Problem problem{loc, pick(40) + 1, pick(40) + 1, {}, {}};
    size_t count = dice() % 9 + 1;
    for (size_t i = 0; i < count; ++i) {
      problem.stages.push_back(
          stage(pick(problem.fabricWidth / 2), pick(problem.fabricHeight / 2)));
      if (i > 0)
        problem.nets.push_back({i - 1, i, pick(1000)});
    }
    return problem;
  }
};
} // namespace

TEST_F(Placement, whatIsFoundIsRight) {
  std::mt19937 dice(7);
  int found = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    Problem problem = random(dice);
    if (failed(check(problem)))
      continue;
    for (auto *solve : {placeInRows, placeInSnake})
      if (std::optional<Solution> solution = solve(problem)) {
        ++found;
        EXPECT_TRUE(succeeded(verify(problem, *solution))) << said;
      }
    FailureOr<Solution> best = place(problem);
    EXPECT_EQ(succeeded(best), placeInRows(problem).has_value() ||
                                   placeInSnake(problem).has_value());
    if (succeeded(best))
      EXPECT_EQ(*best, *place(problem));
  }
  EXPECT_GT(found, 1000);
}

TEST_F(Placement, tallStagesFirstWasteLess) {
  Problem problem{
      loc, 4, 5, {stage(2, 1), stage(2, 4), stage(2, 1), stage(2, 4)}, {}};
  EXPECT_FALSE(placeInSnake(problem));
  EXPECT_TRUE(placeInRows(problem));
  EXPECT_TRUE(succeeded(place(problem)));
}

TEST_F(Placement, theSnakeTurnsAround) {
  // Eight regions of an 8B model on a wse3, each handing on to the next.
  Problem problem{loc, 762, 1172, {}, {}};
  for (size_t i = 0; i < 8; ++i) {
    problem.stages.push_back(stage(381, 256));
    if (i > 0)
      problem.nets.push_back({i - 1, i, 1});
  }
  FailureOr<Solution> solution = place(problem);
  ASSERT_TRUE(succeeded(solution));
  EXPECT_EQ((*solution)[2], (Rect{381, 256, 381, 256}));
  EXPECT_EQ((*solution)[3], (Rect{0, 256, 381, 256}));
  EXPECT_EQ(getByteHops(problem, *solution), 4 * 381 + 3 * 256);
  EXPECT_EQ(getByteHops(problem, *placeInRows(problem)), 7 * 381 + 3 * 256);
}

TEST_F(Placement, refusesTheImpossible) {
  EXPECT_TRUE(failed(check({loc, 4, 4, {stage(5, 1)}, {}})));
  EXPECT_NE(said.find("needs 5 by 1 PEs but the fabric has 4 by 4"),
            std::string::npos);
  EXPECT_TRUE(failed(check({loc, 4, 4, {stage(4, 3), stage(4, 2)}, {}})));
  EXPECT_NE(said.find("need 20 PEs but the fabric has 16"), std::string::npos);
  EXPECT_TRUE(failed(check({loc, 4, 4, {stage(0, 3)}, {}})));
  EXPECT_NE(said.find("has no PE"), std::string::npos);
  EXPECT_TRUE(failed(check({loc, 4, 4, {stage(1, 1)}, {{0, 1, 5}}})));
  EXPECT_NE(said.find("from stage 0 to stage 1 of 1"), std::string::npos);
  // Room enough, but not in one piece.
  Problem gaps{loc, 5, 5, {stage(3, 3), stage(3, 3)}, {}};
  EXPECT_TRUE(succeeded(check(gaps)));
  EXPECT_TRUE(failed(place(gaps)));
  EXPECT_NE(said.find("found no places for 2 stages of 18 PEs"),
            std::string::npos);
}

TEST_F(Placement, wrongAnswersAreNoticed) {
  Problem problem{loc, 4, 4, {stage(2, 2), stage(2, 2)}, {}};
  EXPECT_TRUE(succeeded(verify(problem, {{0, 0, 2, 2}, {2, 0, 2, 2}})));
  EXPECT_TRUE(failed(verify(problem, {{0, 0, 2, 2}, {1, 1, 2, 2}})));
  EXPECT_NE(said.find("shares PEs with another stage"), std::string::npos);
  EXPECT_TRUE(failed(verify(problem, {{0, 0, 2, 2}, {3, 0, 2, 2}})));
  EXPECT_NE(said.find("reaches from (3, 0) to (4, 1)"), std::string::npos);
  EXPECT_TRUE(failed(verify(problem, {{0, 0, 2, 2}, {2, 0, 2, 1}})));
  EXPECT_NE(said.find("is placed on 2 by 1"), std::string::npos);
  EXPECT_TRUE(failed(verify(problem, {{0, -1, 2, 2}, {2, 0, 2, 2}})));
  EXPECT_TRUE(failed(verify(problem, {{0, 0, 2, 2}})));
  EXPECT_NE(said.find("has places for 1 stages but there are 2"),
            std::string::npos);
}

TEST_F(Placement, nothingStandsOnADefect) {
  std::mt19937 dice(11);
  int found = 0, refused = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    Problem problem = random(dice);
    if (failed(check(problem)))
      continue;
    for (size_t i = dice() % 3 + 1; i > 0; --i) {
      auto x = static_cast<int64_t>(dice() % problem.fabricWidth),
           y = static_cast<int64_t>(dice() % problem.fabricHeight);
      problem.defects.push_back({x, y, 1 + static_cast<int64_t>(dice() % 3),
                                 1 + static_cast<int64_t>(dice() % 9)});
    }
    FailureOr<Solution> best = place(problem);
    if (failed(best)) {
      ++refused;
      continue;
    }
    ++found;
    EXPECT_TRUE(succeeded(verify(problem, *best))) << said;
    // One under a stage is noticed.
    problem.defects.push_back({best->back().x, best->back().y, 1, 1});
    EXPECT_TRUE(failed(verify(problem, *best)));
    EXPECT_NE(said.find("stands on a defect of 1 by 1 PEs"), std::string::npos)
        << said;
  }
  EXPECT_GT(found, 300);
  EXPECT_GT(refused, 100);
}

TEST_F(Placement, oneStageFindsAnyRoomThereIs) {
  std::mt19937 dice(5);
  for (int trial = 0; trial < 500; ++trial) {
    Problem problem{loc, 12, 9, {}, {}};
    problem.stages.push_back(stage(1 + static_cast<int64_t>(dice() % 8),
                                   1 + static_cast<int64_t>(dice() % 8)));
    for (int i = 0; i < 3; ++i)
      problem.defects.push_back({static_cast<int64_t>(dice() % 12),
                                 static_cast<int64_t>(dice() % 9), 2, 1});
    bool hasRoom = false;
    const Stage &only = problem.stages.front();
    for (int64_t x = 0; x + only.width <= 12; ++x)
      for (int64_t y = 0; y + only.height <= 9; ++y)
        hasRoom |=
            succeeded(verify(problem, {{x, y, only.width, only.height}}));
    EXPECT_EQ(placeAround(problem).has_value(), hasRoom);
  }
}
