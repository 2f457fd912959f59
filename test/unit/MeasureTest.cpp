// Collectives as programs on the executor: the numbers are right and the closed
// forms tell the cycles.

#include "waferloom/Measure/Collective.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"

#include "gtest/gtest.h"

using namespace waferloom;
using namespace waferloom::collectives;

static std::unique_ptr<image::TargetT> machineOf(const char *name) {
  auto target = target::parse(name);
  EXPECT_TRUE(bool(target)) << llvm::toString(target.takeError());
  return target::toImage(*target);
}

static measure::CollectiveRun run(const Line &line, const Request &request,
                                  image::Type type, const char *name) {
  auto run = measure::runCollective(line, request, type, *machineOf(name),
                                    /*withLaunch=*/false, /*withPath=*/true);
  EXPECT_TRUE(bool(run)) << llvm::toString(run.takeError());
  if (!run)
    return measure::CollectiveRun();
  EXPECT_EQ(executor::total(run->path), int64_t(run->executed));
  return *run;
}

TEST(Measure, everyCollectiveGivesTheRightNumbers) {
  for (Algorithm algorithm :
       {Algorithm::Auto, Algorithm::Chain, Algorithm::TwoPhase, Algorithm::Tree,
        Algorithm::Star, Algorithm::Grown})
    for (Combiner combiner : {Combiner::Sum, Combiner::Max, Combiner::Min})
      for (image::Type type :
           {image::Type::f32, image::Type::f16, image::Type::i32})
        for (unsigned length : {1u, 2u, 3u, 7u, 12u})
          for (unsigned root : {0u, length / 2, length - 1}) {
            Request request;
            request.algorithm = algorithm;
            request.combiner = combiner;
            request.root = root;
            request.words = 5;
            run({length, 1, 2}, request, type, "wse2");
            request.kind = Kind::Reduce;
            run({length, 1, 1}, request, type, "wse3");
          }
}

TEST(Measure, interleavedGroups) {
  for (unsigned stride : {2u, 3u, 8u})
    for (Kind kind : {Kind::Reduce, Kind::AllReduce, Kind::Broadcast}) {
      Request request;
      request.kind = kind;
      request.root = 2;
      request.words = 9;
      run({4, stride, 2}, request, image::Type::f32, "wse2");
    }
}

TEST(Measure, rings) {
  for (unsigned length : {3u, 4u, 7u, 16u})
    for (uint64_t words : {1, 5, 64, 600})
      for (image::Type type : {image::Type::f32, image::Type::f16}) {
        Request request;
        request.algorithm = Algorithm::Ring;
        request.words = words;
        const measure::CollectiveRun about =
            run({length, 1, 2}, request, type, "wse2");
        EXPECT_LE(std::abs(double(about.estimated) - double(about.executed)),
                  0.1 * about.executed + 12)
            << length << " " << words << ": " << about.estimated << " for "
            << about.executed;
      }
}

/// A choice by closed forms is only as good as they are.
TEST(Measure, closedFormsTellTheCycles) {
  for (Algorithm algorithm :
       {Algorithm::Chain, Algorithm::TwoPhase, Algorithm::Tree, Algorithm::Star,
        Algorithm::Grown})
    for (Kind kind : {Kind::Reduce, Kind::AllReduce})
      for (const char *name : {"wse2", "wse2,issue=0,rewrite=0"})
        for (unsigned length : {2u, 5u, 16u, 48u, 130u})
          for (uint64_t words : {1, 4, 16, 96, 400})
            for (unsigned root : {0u, length / 2}) {
              if (algorithm == Algorithm::Star && length > 48)
                continue;
              Request request;
              request.kind = kind;
              request.algorithm = algorithm;
              request.words = words;
              request.root = root;
              const measure::CollectiveRun about =
                  run({length, 1, 1}, request, image::Type::f32, name);
              const double error =
                  double(about.estimated) - double(about.executed);
              EXPECT_LE(std::abs(error), 0.05 * about.executed + 12)
                  << nameOf(algorithm).str() << " " << nameOf(kind).str() << " "
                  << name << " P " << length << " B " << words << " root "
                  << root << " s " << about.group << ": " << about.estimated
                  << " for " << about.executed;
            }
}

/// Messages of a line pass each other by (E32), but where a tree carries more
/// words than it was grown for.
TEST(Measure, whoSharesLinks) {
  Request request;
  for (Algorithm algorithm :
       {Algorithm::Chain, Algorithm::Star, Algorithm::Grown})
    for (const char *name : {"wse2", "wse3"})
      for (unsigned length : {16u, 65u, 192u})
        for (uint64_t words : {1, 13, 64})
          for (unsigned root : {0u, length / 2}) {
            request.algorithm = algorithm;
            request.words = words;
            request.root = root;
            EXPECT_EQ(run({length, 1, 1}, request, image::Type::f32, name)
                          .sharedLinkCycles,
                      0u)
                << nameOf(algorithm).str() << " " << length << " " << words;
          }
  request.algorithm = Algorithm::Grown;
  request.group = 4;
  request.words = 28;
  request.root = 96;
  EXPECT_GT(
      run({192, 1, 1}, request, image::Type::f32, "wse3").sharedLinkCycles, 0u);
}

TEST(Measure, refusals) {
  auto refusal = [](const Line &line, const Request &request) {
    auto run = measure::runCollective(line, request, image::Type::f32,
                                      *machineOf("wse2"));
    return run ? std::string("accepted") : llvm::toString(run.takeError());
  };
  Request request;
  EXPECT_EQ(refusal({1200, 1, 1}, request),
            "a line of 1200 PEs does not fit target wse2, which is 757 x 996");
  request.words = 20000;
  EXPECT_EQ(refusal({8, 1, 1}, request),
            "80000 bytes per PE do not fit the 45056 bytes that target wse2 "
            "leaves: combine fewer words at a time");
  request.words = 1ull << 40;
  EXPECT_EQ(refusal({8, 1, 1}, request),
            "1099511627776 words are too many for any PE");
}
