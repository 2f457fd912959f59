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
    Problem problem{loc, 6, 5, {}, {}, {}};
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
    Problem problem{loc, extent[0], extent[1], {}, {}, {}};
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
  Problem problem{loc, 6, 5, {}, {}, {}};
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
  Problem problem{loc, 6, 1, {}, {}, {}};
  for (uint64_t words : {1, 2, 1})
    problem.collectives.push_back(collective(Direction::X, {6, 1, 1}, words));
  for (Collective &c : problem.collectives)
    c.request.algorithm = Algorithm::Star;
  FailureOr<Solution> solution = solve(problem);
  ASSERT_TRUE(succeeded(solution)) << said;
  EXPECT_EQ(solution->firstColors, (SmallVector<unsigned>{0, 3, 0}));
}

TEST_F(Routing, oneGroupPerLineAndWhatColorsAllow) {
  // Alone, each takes another algorithm or group.
  auto region = [&](unsigned colors) {
    Problem problem{loc, 256, 1, {}, {}, {}};
    problem.limits.colors = colors;
    for (uint64_t words : {1, 30, 60, 200, 900, 20000})
      problem.collectives.push_back(
          collective(Direction::X, {256, 1, 1}, words));
    return problem;
  };
  auto options = [](const Problem &problem) {
    std::set<std::pair<Algorithm, unsigned>> used;
    for (const Collective &c : problem.collectives)
      used.insert({c.request.algorithm, c.request.group});
    return used;
  };
  Problem many = region(24), some = region(12), few = region(3);
  ASSERT_TRUE(succeeded(solve(many))) << said;
  std::set<unsigned> groups;
  for (auto [algorithm, group] : options(many))
    if (algorithm == Algorithm::TwoPhase)
      groups.insert(group);
  EXPECT_EQ(groups.size(), 1u);
  EXPECT_EQ(options(many).size(), 3u); // tree, two-phase, chain
  ASSERT_TRUE(succeeded(solve(some))) << said;
  EXPECT_LT(options(some).size(), 3u);
  ASSERT_TRUE(succeeded(solve(few))) << said;
  EXPECT_EQ(options(few),
            (std::set<std::pair<Algorithm, unsigned>>{{Algorithm::Chain, 0}}));
}

/// Where trees of two lines do not fit together, the next best way is taken,
/// which nobody used before: not a chain, which is several times as long.
TEST_F(Routing, twoPhaseIsTheRefugeOfTrees) {
  Problem problem{loc, 762, 1024, {}, {}, {}};
  problem.limits.colors = 21;
  for (auto [direction, length, words] :
       {std::tuple(Direction::X, 762u, 13u), {Direction::Y, 1024u, 6u}})
    problem.collectives.push_back(
        collective(direction, {length, 1, 1}, uint64_t(words)));
  ASSERT_TRUE(succeeded(solve(problem))) << said;
  std::set<Algorithm> used;
  for (const Collective &c : problem.collectives)
    used.insert(c.request.algorithm);
  EXPECT_EQ(used, (std::set<Algorithm>{Algorithm::Tree, Algorithm::TwoPhase}));
}

TEST_F(Routing, refusesWhenColorsRunOut) {
  Problem problem{loc, 6, 5, {}, {}, {}};
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
