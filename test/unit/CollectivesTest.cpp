// Right answers for every algorithm and odd sizes (solve ends in verify),
// refused requests, and wrong plans that verify must notice.

#include "waferloom/Collectives/Collectives.h"

#include "llvm/ADT/STLExtras.h"
#include "gtest/gtest.h"

#include <numeric>

using namespace waferloom::collectives;

static std::string messageOf(llvm::Error error) {
  return llvm::toString(std::move(error));
}

static CollectivePlan solved(const Line &line, const Request &request,
                             const Costs &costs = {}) {
  auto plan = solve(line, request, costs);
  EXPECT_TRUE(bool(plan)) << messageOf(plan.takeError());
  return plan ? *plan : CollectivePlan();
}

static Request allReduce(Algorithm algorithm, unsigned root, uint64_t words = 7,
                         unsigned group = 0) {
  Request request;
  request.algorithm = algorithm;
  request.root = root;
  request.words = words;
  request.group = group;
  return request;
}

TEST(Collectives, everyAlgorithmSizeAndRootIsRight) {
  auto all = algorithms();
  all.push_back(Algorithm::Auto);
  for (Algorithm algorithm : all)
    for (Kind kind : {Kind::Reduce, Kind::AllReduce})
      for (unsigned length = 1; length <= 19; ++length)
        for (unsigned root = 0; root < length; ++root) {
          Request request = allReduce(algorithm, root);
          request.kind = kind;
          if (llvm::errorToBool(check({length, 1, 3}, request)))
            continue; // not every one does everything
          solved({length, 1, 1}, request);
          solved({length, 1, 3}, request);
        }
}

TEST(Collectives, everyGroupSizeIsRight) {
  for (unsigned length : {2u, 5u, 12u, 17u})
    for (unsigned root : {0u, length / 2, length - 1})
      for (unsigned group = 1; group <= length; ++group)
        solved({length, 1, 2}, allReduce(Algorithm::TwoPhase, root, 3, group));
}

TEST(Collectives, interleavedGroupsDoNotMeet) {
  for (Algorithm algorithm : {Algorithm::Chain, Algorithm::Star})
    for (unsigned length = 2; length <= 7; ++length)
      for (unsigned stride = 2; stride <= 11; ++stride)
        for (unsigned root = 0; root < length; ++root) {
          const Line line{length, stride, 2};
          CollectivePlan plan = solved(line, allReduce(algorithm, root));
          EXPECT_EQ(plan.colors, 2 * stride + 1);
        }
}

TEST(Collectives, broadcastsFromEverywhere) {
  Request request;
  request.kind = Kind::Broadcast;
  for (unsigned length = 1; length <= 9; ++length)
    for (unsigned root = 0; root < length; ++root) {
      request.root = root;
      EXPECT_EQ(solved({length, 3, 2}, request).colors, length > 1 ? 3u : 0u);
    }
}

/// Positions that take what is sent, by following the routes of two regions
/// beside each other, and of `between` that are passed.
static std::vector<size_t> takenAcross(unsigned length, unsigned between,
                                       bool up, unsigned sender) {
  std::vector<ClassProgram> line;
  auto add = [&](Border border) {
    const CollectivePlan plan = planBorder(length, border, up, sender);
    for (unsigned id : plan.classPerPosition())
      line.push_back(plan.classes[id]);
  };
  add(up ? Border::Send : Border::Receive);
  for (unsigned i = 0; i < between; ++i)
    add(Border::Pass);
  add(up ? Border::Receive : Border::Send);
  std::vector<size_t> takers;
  size_t senders = 0;
  for (size_t pe = 0; pe < line.size(); ++pe) {
    if (line[pe].transfers.empty() || !line[pe].transfers.front().sends())
      continue;
    ++senders;
    unsigned from = Ramp;
    for (size_t at = pe;; at += up ? 1 : size_t(-1)) {
      if (at >= line.size() || line[at].routes.size() != 1 ||
          line[at].routes.front().inputs.front().from != from)
        return {}; // lost
      const uint8_t outputs = line[at].routes.front().outputs;
      if (outputs & Ramp)
        takers.push_back(at);
      if (!(outputs & (up ? High : Low)))
        break;
      from = up ? Low : High;
    }
  }
  llvm::sort(takers);
  return senders == 1 ? takers : std::vector<size_t>();
}

TEST(Collectives, crossesBorders) {
  for (unsigned length : {1u, 2u, 3u, 8u})
    for (unsigned between : {0u, 1u, 4u})
      for (bool up : {false, true}) {
        std::vector<size_t> all(length);
        std::iota(all.begin(), all.end(), up ? length * (between + 1) : 0);
        for (unsigned sender = 0; sender < length; ++sender)
          EXPECT_EQ(takenAcross(length, between, up, sender), all)
              << length << " " << between << " " << up << " " << sender;
      }
  // What a region has of a stream does not grow with it.
  EXPECT_EQ(planBorder(8, Border::Receive, true).classes.size(),
            planBorder(96, Border::Receive, true).classes.size());
}

TEST(Collectives, rings) {
  for (unsigned length = 3; length <= 12; ++length)
    for (uint64_t words : {1, 7, 64})
      solved({length, 1, 2}, allReduce(Algorithm::Ring, 0, words));
}

TEST(Collectives, sizeDoesNotFollowTheLine) {
  for (Algorithm algorithm : {Algorithm::Chain, Algorithm::TwoPhase}) {
    const unsigned group = algorithm == Algorithm::TwoPhase ? 8 : 0;
    CollectivePlan small =
        solved({64, 1, 1}, allReduce(algorithm, 32, 7, group));
    CollectivePlan large =
        solved({1024, 1, 1}, allReduce(algorithm, 512, 7, group));
    EXPECT_EQ(small.classes.size(), large.classes.size());
    EXPECT_LE(large.runs.size(), small.runs.size());
    EXPECT_LE(large.classes.size(), 24u);
  }
  // The groups of a grown tree get larger and more, not other.
  for (unsigned levels = 1; levels <= levelsOf(Algorithm::Grown); ++levels) {
    Request request = allReduce(Algorithm::Grown, 200, 7, 13);
    request.levels = levels;
    CollectivePlan small = solved({400, 1, 1}, request);
    request.root = 586;
    CollectivePlan large = solved({1172, 1, 1}, request);
    EXPECT_LE(large.classes.size(), 30u * levels - 5) << levels;
    EXPECT_LE(large.classes.size(), 1.2 * small.classes.size()) << levels;
    EXPECT_LE(large.colors, 2 * levels + 1);
    EXPECT_LE(large.steps().size(), 6u * levels + 3) << levels;
    EXPECT_LE(large.routes().size(), 12u * levels + 4) << levels;
  }
  // A tree has a class per round and end.
  EXPECT_LE(solved({1024, 1, 1}, allReduce(Algorithm::Tree, 0)).classes.size(),
            12u);
}

TEST(Collectives, classAtAgreesWithRuns) {
  CollectivePlan plan =
      solved({37, 1, 3}, allReduce(Algorithm::TwoPhase, 18, 7, 5));
  std::vector<unsigned> all = plan.classPerPosition();
  ASSERT_EQ(all.size(), 111u);
  for (uint64_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(plan.classAt(i), all[i]) << i;
}

/// One list of transfers serves all classes: each finds its own in order.
TEST(Collectives, stepsAndRoutesAreThoseOfTheClasses) {
  for (Algorithm algorithm : algorithms()) {
    const CollectivePlan plan =
        solved({29, 1, 1},
               allReduce(algorithm, algorithm == Algorithm::Ring ? 0 : 14));
    std::vector<ClassProgram> found(plan.classes.size());
    for (const SharedRoute &shared : plan.routes())
      for (unsigned id : shared.classes)
        found[id].routes.push_back(shared.route);
    for (const Step &step : plan.steps())
      for (unsigned id : step.classes)
        found[id].transfers.push_back(step.transfer);
    EXPECT_TRUE(found == plan.classes) << nameOf(algorithm).str();
  }
}

TEST(Collectives, routesDoNotDependOnWords) {
  CollectivePlan few = solved({24, 1, 1}, allReduce(Algorithm::Chain, 12, 1));
  CollectivePlan many =
      solved({24, 1, 1}, allReduce(Algorithm::Chain, 12, 500));
  EXPECT_TRUE(few.hasRoutesOf(many));
  EXPECT_FALSE(few.routesCountWords);
  EXPECT_TRUE(
      solved({9, 1, 1}, allReduce(Algorithm::Star, 4)).routesCountWords);
  EXPECT_FALSE(few.hasRoutesOf(
      solved({24, 1, 1}, allReduce(Algorithm::Chain, 11, 500))));
}

TEST(Collectives, refusals) {
  auto refusal = [](const Line &line, const Request &request,
                    const Costs &costs = {}) {
    auto plan = solve(line, request, costs);
    return plan ? std::string("accepted") : messageOf(plan.takeError());
  };
  EXPECT_EQ(refusal({8, 1, 1}, allReduce(Algorithm::Chain, 8)),
            "root 8 is outside a line of 8 PEs");
  EXPECT_EQ(refusal({8, 1, 1}, allReduce(Algorithm::Chain, 0, 0)),
            "a collective of 0 words: give it at least 1");
  EXPECT_EQ(refusal({8, 12, 1}, allReduce(Algorithm::Chain, 0)),
            "'chain' over PEs 12 apart needs 25 colors of 24 that are left: "
            "make this the minor factor of its axis");
  EXPECT_EQ(refusal({8, 2, 1}, allReduce(Algorithm::Tree, 0)),
            "'tree' needs neighbouring PEs but these are 2 apart: use chain or "
            "star");
  EXPECT_EQ(refusal({8, 1, 1}, allReduce(Algorithm::Chain, 0, 1, 4)),
            "'chain' has no groups: leave out the group size 4");
  EXPECT_EQ(refusal({0, 1, 1}, allReduce(Algorithm::Chain, 0)),
            "a line of 0 PEs, stride 1, 1 segments has no PE");
  EXPECT_EQ(refusal({9000, 1, 1}, allReduce(Algorithm::Chain, 0)),
            "a line of 9000 PEs is longer than any wafer (limit 8192)");
  EXPECT_EQ(refusal({8, 1, 1}, allReduce(Algorithm::TwoPhase, 0, 1, 9)),
            "groups of 9 PEs do not fit a line of 8");
  Request levels = allReduce(Algorithm::Grown, 0);
  levels.levels = 6;
  EXPECT_EQ(refusal({8, 1, 1}, levels), "'grown' has at most 5 levels, not 6");
  levels.algorithm = Algorithm::Tree;
  EXPECT_EQ(refusal({8, 1, 1}, levels),
            "'tree' has no levels: leave out the 6");
  Request broadcast;
  broadcast.kind = Kind::Broadcast;
  broadcast.algorithm = Algorithm::Tree;
  EXPECT_EQ(refusal({3, 8, 1}, broadcast),
            "a broadcast is one multicast and has no algorithm 'tree': use "
            "auto");
  Request ring = allReduce(Algorithm::Ring, 0);
  ring.kind = Kind::Reduce;
  EXPECT_EQ(
      refusal({8, 1, 1}, ring),
      "'ring' does an all-reduce of at least 3 PEs, but this is reduce of "
      "8: use chain");
}

/// Every way to change one fact of a plan must be noticed.
TEST(Collectives, verifyNoticesWrongPlans) {
  for (Algorithm algorithm : algorithms()) {
    const Line line{11, 1, 2};
    Request request = allReduce(algorithm, algorithm == Algorithm::Ring ? 0 : 5,
                                6, algorithm == Algorithm::TwoPhase ? 3 : 0);
    const CollectivePlan right = solved(line, request);
    unsigned tried = 0, missed = 0;
    auto expectWrong = [&](const CollectivePlan &plan) {
      ++tried;
      llvm::Error error = verify(line, request, plan);
      missed += !error;
      llvm::consumeError(std::move(error));
    };
    for (size_t c = 0; c < right.classes.size(); ++c) {
      for (size_t s = 0; s < right.classes[c].transfers.size(); ++s) {
        if (right.classes[c].transfers[s].kind == Transfer::Kind::Rewrite)
          continue;
        CollectivePlan plan = right;
        plan.classes[c].transfers.erase(plan.classes[c].transfers.begin() + s);
        expectWrong(plan);
        plan = right;
        ++plan.classes[c].transfers[s].in;
        if (right.classes[c].transfers[s].receives())
          expectWrong(plan);
        plan = right;
        ++plan.classes[c].transfers[s].out;
        if (right.classes[c].transfers[s].sends())
          expectWrong(plan);
        plan = right;
        plan.classes[c].transfers[s].copies += 1;
        expectWrong(plan);
      }
      for (size_t r = 0; r < right.classes[c].routes.size(); ++r) {
        CollectivePlan plan = right;
        plan.classes[c].routes.push_back(plan.classes[c].routes[r]);
        expectWrong(plan);
        plan = right;
        plan.classes[c].routes[r].inputs.push_back({Ramp, 3});
        expectWrong(plan);
      }
    }
    CollectivePlan plan = right;
    plan.runs.back().repeats += 1;
    expectWrong(plan);
    plan = right;
    plan.runs.front().pattern.front() = 1000;
    expectWrong(plan);
    EXPECT_GT(tried, 10u);
    EXPECT_EQ(missed, 0u) << nameOf(algorithm).str();
  }
}

TEST(Collectives, verifyComparesWithTheRequest) {
  const Line line{8, 1, 1};
  Request reduce = allReduce(Algorithm::Chain, 3);
  reduce.kind = Kind::Reduce;
  const CollectivePlan plan = solved(line, reduce);
  EXPECT_NE(messageOf(verify(line, allReduce(Algorithm::Chain, 3), plan)), "");
  reduce.root = 4;
  EXPECT_NE(messageOf(verify(line, reduce, plan)), "");
  EXPECT_NE(messageOf(verify({4, 1, 2}, reduce, plan)), "");
}

TEST(Collectives, autoChoosesByCost) {
  auto choice = [](unsigned length, uint64_t words, unsigned issue) {
    Costs costs;
    costs.issue = issue;
    costs.rewrite = issue ? 16 : 0;
    Request request = allReduce(Algorithm::Auto, 0, words);
    request.kind = Kind::Reduce;
    return solved({length, 1, 1}, request, costs).algorithm;
  };
  EXPECT_EQ(choice(512, 4096, 0), Algorithm::Chain);
  EXPECT_EQ(choice(512, 256, 0), Algorithm::Grown);
  EXPECT_EQ(choice(512, 1, 0), Algorithm::Grown);
  EXPECT_EQ(choice(16, 1, 0), Algorithm::Star);
}

/// A grown tree costs no more than the shapes that it contains: a chain and
/// two phases are trees of at most two children. Two levels suffice for both,
/// so no more colors than theirs.
TEST(Collectives, grownTreesAreNoWorseThanTwoPhases) {
  for (unsigned length : {2u, 3u, 17u, 96u, 256u, 381u})
    for (uint64_t words : {1, 16, 112}) {
      Request request = allReduce(Algorithm::Grown, length / 2, words);
      request.kind = Kind::Reduce;
      request.levels = 2;
      const uint64_t grown = cycles({length, 1, 1}, request);
      request.levels = 0;
      for (Algorithm other : {Algorithm::Chain, Algorithm::TwoPhase}) {
        request.algorithm = other;
        EXPECT_LE(grown, cycles({length, 1, 1}, request))
            << length << " PEs, " << words << " words, " << nameOf(other).str();
      }
    }
}

/// Nothing is below the bounds, and five levels are close to the one on trees.
TEST(Collectives, boundsAreBelowAndClose) {
  for (unsigned length : {2u, 5u, 16u, 96u, 381u, 1172u})
    for (uint64_t words : {1, 13, 112, 4096})
      for (Kind kind : {Kind::Reduce, Kind::AllReduce}) {
        Request request = allReduce(Algorithm::Grown, length / 2, words);
        request.kind = kind;
        const Line line{length, 1, 1};
        const uint64_t grown = cycles(line, request);
        const uint64_t bound = grownBoundCycles(line, request);
        EXPECT_LE(bound, grown) << length << " " << words;
        EXPECT_LE(double(grown), 1.01 * double(bound) + 1)
            << length << " " << words;
        EXPECT_LE(hardBoundCycles(line, request), bound)
            << length << " " << words;
      }
}

TEST(Collectives, lowerBoundIsBelowEveryForm) {
  for (unsigned length : {2u, 16u, 64u, 256u})
    for (uint64_t words : {1, 16, 256, 4096}) {
      const double bound = lowerBoundCycles(Kind::Reduce, length, 0, words, 2);
      for (Algorithm algorithm :
           {Algorithm::Chain, Algorithm::TwoPhase, Algorithm::Tree})
        EXPECT_LE(
            bound,
            publishedCycles(Kind::Reduce, algorithm, length, words, 0, 2) + 1)
            << length << " " << words << " " << nameOf(algorithm).str();
    }
}
