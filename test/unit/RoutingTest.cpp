// Random regions with random collectives are chosen, planned, routed and
// proved; then answers are made wrong in every way that `verify` must notice.

#include "waferloom/Routing/Routing.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <random>
#include <set>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::routing;
using collectives::Algorithm;
using collectives::Kind;

namespace {
struct Routing : ::testing::Test {
  MLIRContext context{MLIRContext::Threading::DISABLED};
  std::string said;
  ScopedDiagnosticHandler handler{&context, [this](Diagnostic &diagnostic) {
                                    said = diagnostic.str();
                                    return success();
                                  }};
  Location loc = UnknownLoc::get(&context);

  Collective collective(Direction direction, collectives::Line line,
                        uint64_t words, Kind kind = Kind::AllReduce) {
    Collective c{loc, direction, line, {}};
    c.request.kind = kind;
    c.request.words = words;
    c.request.root = line.length / 2;
    return c;
  }

  /// Chooses, plans, routes and verifies.
  FailureOr<Solution> solve(Problem &problem, collectives::Costs costs = {}) {
    said.clear();
    costs.colors = problem.limits.colors;
    if (failed(choose(problem.collectives, costs)) || failed(plan(problem)) ||
        failed(check(problem)))
      return failure();
    FailureOr<Solution> solution = route(problem);
    if (succeeded(solution)) {
      EXPECT_TRUE(succeeded(verify(problem, *solution))) << said;
    }
    return solution;
  }

  bool refuses(const Problem &problem, const Solution &solution,
               StringRef message) {
    said.clear();
    bool refused = failed(verify(problem, solution));
    EXPECT_NE(said.find(message.str()), std::string::npos) << said;
    return refused;
  }

  /// A region with a product along each direction.
  Problem twoProducts() {
    Problem problem{loc, 6, 5, {}, 0, {}, {}};
    problem.collectives = {collective(Direction::X, {6, 1, 1}, 8),
                           collective(Direction::Y, {5, 1, 1}, 4)};
    for (Collective &c : problem.collectives)
      c.request.algorithm = Algorithm::Chain;
    EXPECT_TRUE(succeeded(plan(problem)));
    return problem;
  }
};
} // namespace

TEST_F(Routing, whatIsFoundIsRight) {
  std::mt19937 dice(11);
  unsigned found = 0;
  for (int trial = 0; trial < 300; ++trial) {
    // A direction of one to three factors, and collectives over any of them.
    unsigned factors[2][3], extent[2] = {1, 1};
    for (unsigned d = 0; d < 2; ++d)
      for (unsigned &factor : factors[d])
        extent[d] *= factor = dice() % 3 == 0 ? 1 : dice() % 5 + 1;
    Problem problem{loc, extent[0], extent[1], {}, 0, {}, {}};
    for (unsigned count = dice() % 8 + 1; count > 0; --count) {
      unsigned d = dice() % 2, which = dice() % 3;
      collectives::Line line;
      line.length = factors[d][which];
      for (unsigned minor = which + 1; minor < 3; ++minor)
        line.stride *= factors[d][minor];
      line.segments = extent[d] / (line.length * line.stride);
      if (line.length < 2)
        continue;
      Collective c = collective(d == 0 ? Direction::X : Direction::Y, line,
                                dice() % 60 + 1, Kind(dice() % 3));
      c.request.root = dice() % line.length;
      problem.collectives.push_back(c);
    }
    found += succeeded(solve(problem));
  }
  EXPECT_GT(found, 150u);
}

TEST_F(Routing, equalRoutesShareColors) {
  Problem problem{loc, 6, 5, {}, 0, {}, {}};
  for (uint64_t words : {8, 9, 10, 8})
    problem.collectives.push_back(collective(Direction::X, {6, 1, 1}, words));
  problem.collectives.push_back(collective(Direction::Y, {5, 1, 1}, 8));
  for (Collective &c : problem.collectives)
    c.request.algorithm = Algorithm::Chain;
  FailureOr<Solution> solution = solve(problem);
  ASSERT_TRUE(succeeded(solution)) << said;
  EXPECT_EQ(problem.plans.size(), 4u); // 8 words over 6 and 5 PEs, 9, 10
  EXPECT_EQ(solution->firstColors, (SmallVector<unsigned>{0, 0, 0, 0, 3}));
}

TEST_F(Routing, aStarOfOtherWordsSharesNothing) {
  Problem problem{loc, 6, 1, {}, 0, {}, {}};
  for (uint64_t words : {1, 2, 1})
    problem.collectives.push_back(collective(Direction::X, {6, 1, 1}, words));
  for (Collective &c : problem.collectives)
    c.request.algorithm = Algorithm::Star;
  FailureOr<Solution> solution = solve(problem);
  ASSERT_TRUE(succeeded(solution)) << said;
  EXPECT_EQ(solution->firstColors, (SmallVector<unsigned>{0, 3, 0}));
}

TEST_F(Routing, oneShapePerLineAndWhatColorsAllow) {
  // Alone, each takes another shape.
  auto region = [&](unsigned colors) {
    Problem problem{loc, 256, 1, {}, 0, {}, {}};
    problem.limits.colors = colors;
    for (uint64_t words : {1, 4, 13, 30})
      problem.collectives.push_back(
          collective(Direction::X, {256, 1, 1}, words));
    return problem;
  };
  using Option = std::tuple<Algorithm, unsigned, unsigned>;
  auto options = [](const Problem &problem) {
    std::set<Option> used;
    for (const Collective &c : problem.collectives)
      used.insert({c.request.algorithm, c.request.group, c.request.levels});
    return used;
  };
  auto cyclesOf = [&](const Problem &problem) {
    uint64_t total = 0;
    for (const Collective &c : problem.collectives)
      total += collectives::cycles(c.line, c.request);
    return total;
  };
  uint64_t last = UINT64_MAX;
  for (unsigned colors : {3, 5, 7, 9}) {
    Problem problem = region(colors);
    ASSERT_TRUE(succeeded(solve(problem))) << said;
    unsigned shapes = 0;
    for (auto [algorithm, group, levels] : options(problem))
      shapes += algorithm == Algorithm::Grown && levels > 1;
    EXPECT_EQ(shapes, colors >= 5 ? 1u : 0u) << colors;
    EXPECT_LE(cyclesOf(problem), last) << colors;
    last = cyclesOf(problem);
  }
}

/// What is chosen is the best of all combinations that fit, found by trying
/// them.
TEST_F(Routing, theChoiceIsTheBestThatFits) {
  using Option = std::tuple<Algorithm, unsigned, unsigned>;
  SmallVector<Option> options = {{Algorithm::Chain, 0, 0},
                                 {Algorithm::Tree, 0, 0}};
  for (unsigned levels = 1; levels <= 5; ++levels)
    options.push_back({Algorithm::Grown, 12, levels});
  const std::tuple<Direction, unsigned, uint64_t> lines[] = {
      {Direction::X, 96, 3}, {Direction::Y, 64, 12}};
  auto price = [&](const Problem &problem, ArrayRef<Option> chosen) {
    std::pair<unsigned, uint64_t> price; // colors, cycles
    for (auto [c, option] : llvm::zip_equal(problem.collectives, chosen)) {
      collectives::Request request = c.request;
      std::tie(request.algorithm, request.group, request.levels) = option;
      price.first += collectives::colors(c.line, request);
      price.second += c.times * collectives::cycles(c.line, request);
    }
    return price;
  };
  for (unsigned colors = 6; colors <= 24; ++colors) {
    Problem problem{loc, 96, 64, {}, 0, {}, {}};
    problem.limits.colors = colors;
    for (auto [direction, length, words] : lines) {
      problem.collectives.push_back(
          collective(direction, {length, 1, 1}, words));
      problem.collectives.back().times = length;
    }
    uint64_t least = UINT64_MAX;
    for (const Option &x : options)
      for (const Option &y : options)
        if (auto [taken, cycles] = price(problem, {x, y}); taken <= colors)
          least = std::min(least, cycles);
    ASSERT_TRUE(succeeded(solve(problem))) << said;
    uint64_t chosen = 0;
    for (const Collective &c : problem.collectives)
      chosen += c.times * collectives::cycles(c.line, c.request);
    EXPECT_LE(chosen, least) << colors;
  }
}

/// Where deep trees of two lines do not fit together, shallower ones are taken:
/// not a chain, which is several times as long.
TEST_F(Routing, noChainWhereTwoLevelsFit) {
  for (unsigned colors : {10, 12, 14, 21}) {
    Problem problem{loc, 762, 1024, {}, 0, {}, {}};
    problem.limits.colors = colors;
    for (auto [direction, length, words] :
         {std::tuple(Direction::X, 762u, 13u), {Direction::Y, 1024u, 6u}})
      problem.collectives.push_back(
          collective(direction, {length, 1, 1}, uint64_t(words)));
    ASSERT_TRUE(succeeded(solve(problem))) << said;
    for (const Collective &c : problem.collectives) {
      EXPECT_EQ(c.request.algorithm, Algorithm::Grown);
      EXPECT_GE(c.request.levels, 2u);
    }
  }
}

/// What is given has its colors first.
TEST_F(Routing, givenAlgorithmsAreLeftAlone) {
  Problem problem{loc, 96, 64, {}, 0, {}, {}};
  problem.limits.colors = 12;
  problem.collectives = {collective(Direction::X, {96, 1, 1}, 8),
                         collective(Direction::Y, {64, 1, 1}, 8)};
  problem.collectives[0].request.algorithm = Algorithm::Tree; // 8 of 12
  ASSERT_TRUE(succeeded(solve(problem))) << said;
  EXPECT_EQ(problem.collectives[0].request.algorithm, Algorithm::Tree);
  EXPECT_LE(problem.plans[problem.collectives[1].plan].colors, 4u);
}

TEST_F(Routing, refusesWhenColorsRunOut) {
  Problem problem{loc, 6, 5, {}, 0, {}, {}};
  problem.limits.colors = 5;
  problem.collectives = {collective(Direction::X, {6, 1, 1}, 8),
                         collective(Direction::Y, {5, 1, 1}, 8)};
  EXPECT_TRUE(failed(solve(problem)));
  EXPECT_NE(
      said.find(
          "collectives up to this one need 6 colors but the target has 5"),
      std::string::npos)
      << said;
}

TEST_F(Routing, refusesLinesThatDoNotSpanTheRegion) {
  Problem problem = twoProducts();
  problem.width = 7;
  EXPECT_TRUE(failed(check(problem)));
  EXPECT_NE(said.find("has lines over 6 columns but the region has 7"),
            std::string::npos);
  problem = twoProducts();
  problem.limits.colors = 2;
  EXPECT_TRUE(failed(check(problem)));
  EXPECT_NE(said.find("takes 3 colors but the target has 2"),
            std::string::npos);
}

TEST_F(Routing, queuesAreApartWhileThereAreAny) {
  Problem problem = twoProducts();
  FailureOr<Solution> solution = route(problem);
  ASSERT_TRUE(succeeded(solution));
  // Colors 0 and 1 are taken by other PEs of a chain, but both by its root.
  std::set<int64_t> queues(solution->inputQueues.begin(),
                           solution->inputQueues.end());
  EXPECT_EQ(queues.count(-1), 0u);
  for (int64_t x : {0, 1, 2})
    for (int64_t y : {3, 4, 5})
      EXPECT_NE(solution->inputQueues[x], solution->inputQueues[y]);
  problem.limits.inputQueues = 1;
  solution = route(problem);
  EXPECT_EQ(solution->inputQueues, SmallVector<int64_t>(6, 0));
  EXPECT_TRUE(succeeded(verify(problem, *solution))) << said;
}

TEST_F(Routing, wrongAnswersAreNoticed) {
  Problem problem = twoProducts();
  const Solution right = *route(problem);
  ASSERT_TRUE(succeeded(verify(problem, right)));

  Solution wrong = right;
  wrong.firstColors[1] = 2;
  EXPECT_TRUE(refuses(problem, wrong,
                      "routes color 2 along y, where another collective routes "
                      "it along x"));
  wrong = right;
  wrong.firstColors[1] = 22;
  EXPECT_TRUE(refuses(problem, wrong,
                      "takes colors 22 to 24 but the target has 24, 0 to 23"));
  wrong = right;
  wrong.firstColors.pop_back();
  EXPECT_TRUE(
      refuses(problem, wrong, "has colors for 1 collectives but there are 2"));
  wrong = right;
  wrong.inputQueues[1] = 8;
  EXPECT_TRUE(
      refuses(problem, wrong,
              "takes words of color 1 by queue 8 but the target has 8"));
  wrong = right;
  wrong.outputQueues[4] = -1;
  EXPECT_TRUE(refuses(problem, wrong,
                      "puts words of color 4, to which no queue is given"));
  wrong = right;
  wrong.inputQueues.resize(2);
  EXPECT_TRUE(refuses(problem, wrong,
                      "takes words of color 2, to which no queue is given"));
}

TEST_F(Routing, collectivesOfADirectionThatMeetAreNoticed) {
  Problem problem = twoProducts();
  problem.collectives[1] = collective(Direction::X, {6, 1, 1}, 4);
  problem.collectives[1].request.algorithm = Algorithm::Chain;
  problem.collectives[1].request.root = 0;
  ASSERT_TRUE(succeeded(plan(problem)));
  Solution wrong = *route(problem);
  wrong.firstColors[1] = 0;
  EXPECT_TRUE(refuses(problem, wrong, "otherwise than another collective"));
}

TEST_F(Routing, brokenPlansAreNoticed) {
  const Problem sound = twoProducts();
  const Solution right = *route(sound);
  // A router that gives its words to nobody.
  Problem problem = sound;
  for (auto &program : problem.plans[0].classes)
    for (auto &route : program.routes)
      route.outputs &= ~collectives::Ramp;
  EXPECT_TRUE(failed(verify(problem, right)));
  // A PE that does not take what comes.
  problem = sound;
  problem.plans[0].classes.back().transfers.clear();
  EXPECT_TRUE(failed(verify(problem, right)));
}
