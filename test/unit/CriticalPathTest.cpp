// Programs whose critical path is known. Every other test of the executor
// compares the paths of both engines, and their sums with the cycles
// (Running.h).

#include "Running.h"

using namespace waferloom;
using namespace waferloom::test;
using executor::CriticalPath;
using executor::PathCycles;
using executor::PathKind;

namespace {
/// A step and its path.
struct Walked {
  StepResult result;
  CriticalPath path;

  explicit Walked(Builder &b, bool launch = false) {
    executor::RunOptions options;
    options.critical = &path;
    options.launch = launch;
    result = stepOf(sessionOf(b).get(), {}, options);
  }

  int64_t of(PathKind kind) const { return path.cycles()[size_t(kind)]; }
};

/// Cycles of one kind at one column.
struct Stretch {
  PathKind kind;
  uint32_t x;
  int64_t cycles;
};
} // namespace

static void expectPath(const CriticalPath &path,
                       const std::vector<Stretch> &expected) {
  ASSERT_EQ(path.steps.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(nameOf(path.steps[i].kind).str(), nameOf(expected[i].kind).str())
        << i;
    EXPECT_EQ(path.steps[i].x, expected[i].x) << i;
    EXPECT_EQ(path.steps[i].cycles, expected[i].cycles) << i;
  }
}

/// A vector instruction of 8 cycles of work per 8 elements.
static void busy(Builder &b, uint32_t columns, uint32_t n) {
  b.vector(Opcode::max, columns, n, at(2048, 0), at(2048, 0), at(3072));
}

/// A core works, then sends four words over two links.
TEST(CriticalPath, AMessage) {
  Builder b(3, 1, 4096);
  busy(b, 1, 20);
  b.send(1, 0, 4, at(0));
  b.recv(3, 0, 4, at(64));
  routeEast(b, 0, 0, 2);
  Walked walked(b);
  EXPECT_EQ(walked.result.cycles, 6u + 20 + 6 + 2 + 2 + 2 + 4);
  expectPath(walked.path, {{PathKind::vectorIssue, 0, 6},
                           {PathKind::work, 0, 20},
                           {PathKind::streamIssue, 0, 6},
                           {PathKind::words, 0, 3},
                           {PathKind::hops, 2, 2},
                           {PathKind::ramp, 2, 4},
                           {PathKind::words, 2, 1}});
  std::vector<executor::PathPassage> passages = passagesOf(walked.path);
  ASSERT_EQ(passages.size(), 1u);
  EXPECT_EQ(passages[0].words, 4u);
  EXPECT_TRUE(passages[0].spreads && !passages[0].reduces);
  EXPECT_TRUE(passages[0].alongX && !passages[0].alongY);
  EXPECT_EQ(executor::total(passages[0].cycles), 16);
}

/// The receiver is late: nothing of the sender is on the path.
TEST(CriticalPath, WhoIsLateIsOnThePath) {
  Builder b(3, 1, 4096);
  b.send(1, 0, 4, at(0));
  busy(b, 3, 100);
  b.recv(3, 0, 4, at(64));
  routeEast(b, 0, 0, 2);
  expectPath(Walked(b).path, {{PathKind::vectorIssue, 2, 6},
                              {PathKind::work, 2, 100},
                              {PathKind::streamIssue, 2, 6},
                              {PathKind::words, 2, 4}});
}

/// The middle core takes a word, adds its own and puts the sum.
TEST(CriticalPath, AChain) {
  Builder b(3, 1, 4096);
  b.send(3, 0, 1, at(0));
  b.pass(2, 0, 1, 1, at(0));
  b.recv(1, 1, 1, at(0), Opcode::recv_fold);
  b.route(0, 3, {Turn(Side::ramp, 0)}, {Side::west});
  b.route(0, 2, {Turn(Side::east, 0)}, {Side::ramp});
  b.route(1, 2, {Turn(Side::ramp, 0)}, {Side::west});
  b.route(1, 1, {Turn(Side::east, 0)}, {Side::ramp});
  const uint32_t forward = b.image.target->forward_cycles;
  Walked walked(b);
  expectPath(walked.path, {{PathKind::streamIssue, 2, 6},
                           {PathKind::hops, 1, 1},
                           {PathKind::ramp, 1, 4},
                           {PathKind::forwarding, 1, forward},
                           {PathKind::hops, 0, 1},
                           {PathKind::ramp, 0, 4},
                           {PathKind::words, 0, 1}});
  std::vector<executor::PathPassage> passages = passagesOf(walked.path);
  ASSERT_EQ(passages.size(), 1u);
  EXPECT_TRUE(passages[0].reduces && !passages[0].spreads);
}

/// A router gives its own core four words' turn, then the other input, whose
/// words have waited.
TEST(CriticalPath, ARouterGivesTurns) {
  Builder b(3, 1, 4096);
  b.send(b.set({1, 2}), 0, 4, at(0));
  InstructionT &fold = b.recv(1, 0, 8, at(64), Opcode::recv_fold);
  fold.shape = {2, 4};
  fold.dst->strides = {0, 1};
  b.route(0, 1, {Turn(Side::east, 0)}, {Side::ramp});
  b.route(0, 2, {Turn(Side::ramp, 4), Turn(Side::east, 4)}, {Side::west});
  b.route(0, 3, {Turn(Side::ramp, 0)}, {Side::west});
  Walked walked(b);
  EXPECT_EQ(walked.result.cycles, 19u);
  EXPECT_EQ(walked.result.counter, executor::EngineKind::lockstep);
  expectPath(walked.path, {{PathKind::streamIssue, 1, 6},
                           {PathKind::words, 1, 3},
                           {PathKind::ramp, 1, 2},
                           {PathKind::turns, 1, 1},
                           {PathKind::words, 1, 3},
                           {PathKind::hops, 0, 1},
                           {PathKind::ramp, 0, 2},
                           {PathKind::words, 0, 1}});
}

/// The receiver is busy; the sender runs out of credits, and ends last.
TEST(CriticalPath, CreditsLeadToTheReceiver) {
  Builder b(2, 1, 4096);
  b.send(1, 0, 40, at(0));
  busy(b, 1, 90);
  busy(b, 2, 200);
  b.recv(2, 0, 40, at(64));
  routeEast(b, 0, 0, 1);
  const TargetT &target = *b.image.target;
  const int64_t window = target.hop_cycles + 2 * target.ramp_cycles +
                         target.output_queue_words + target.input_queue_words;
  ASSERT_LT(window, 40);
  expectPath(Walked(b).path, {{PathKind::vectorIssue, 1, 6},
                              {PathKind::work, 1, 200},
                              {PathKind::streamIssue, 1, 6},
                              {PathKind::credits, 0, 1},
                              {PathKind::words, 0, 40 - window},
                              {PathKind::vectorIssue, 0, 6},
                              {PathKind::work, 0, 90}});
}

/// The same over two messages, so that the credits are those of words of a
/// superstep before.
TEST(CriticalPath, CreditsOfEarlierWords) {
  Builder b(2, 1, 4096);
  const TargetT &target = *b.image.target;
  const uint32_t window = target.hop_cycles + 2 * target.ramp_cycles +
                          target.output_queue_words + target.input_queue_words;
  b.send(1, 0, window, at(0));
  b.vector(Opcode::mov, 1, 1, at(512), at(256));
  b.send(1, 0, 5, at(0));
  busy(b, 1, 90);
  busy(b, 2, 200);
  b.recv(2, 0, window, at(64));
  b.vector(Opcode::mov, 2, 1, at(512), at(256));
  b.recv(2, 0, 5, at(64));
  routeEast(b, 0, 0, 1);
  expectPath(Walked(b).path, {{PathKind::vectorIssue, 1, 6},
                              {PathKind::work, 1, 200},
                              {PathKind::streamIssue, 1, 6},
                              {PathKind::credits, 0, 1},
                              {PathKind::words, 0, 5},
                              {PathKind::vectorIssue, 0, 6},
                              {PathKind::work, 0, 90}});
}

TEST(CriticalPath, BanksAndStrides) {
  Builder banks(1, 1, 42000);
  banks.vector(Opcode::fma, 0, 5124, at(0), at(0), at(20496),
               constant(bits(2)));
  Walked collides(banks);
  EXPECT_EQ(collides.of(PathKind::work), 5124);
  EXPECT_EQ(collides.of(PathKind::conflict), 5124);
  Builder strides(1, 1, 4096);
  strides.vector(Opcode::mov, 0, 64, at(0, 1, Type::f16),
                 at(256, 8, Type::f16));
  Walked slow(strides);
  EXPECT_EQ(slow.of(PathKind::work), 16);
  EXPECT_EQ(slow.of(PathKind::conflict), 48);
}

/// Descriptors stand before an instruction, behind the last, or alone.
TEST(CriticalPath, Descriptors) {
  for (bool alone : {false, true}) {
    Builder b(1, 1, 4096);
    const int64_t rewrite = b.image.target->rewrite_cycles;
    b.add(Opcode::rewrite, 0, 0);
    if (!alone)
      busy(b, 0, 8);
    b.add(Opcode::rewrite, 0, 0);
    Walked walked(b);
    EXPECT_EQ(walked.of(PathKind::rewrite), 2 * rewrite);
    EXPECT_EQ(walked.path.total(), 2 * rewrite + (alone ? 0 : 14u));
  }
  Builder nothing(1, 1, 4096);
  EXPECT_EQ(Walked(nothing).path.total(), 0u);
}

TEST(CriticalPath, Launch) {
  Builder b(1, 1, 4096);
  b.image.target->launch_cycles = 50;
  busy(b, 0, 8);
  Walked walked(b, /*launch=*/true);
  EXPECT_EQ(walked.path.launch, 50u);
  EXPECT_EQ(walked.path.steps.front().begin, 50u);
}

/// A microthread sends beside the program, which waits for it.
TEST(CriticalPath, Microthreads) {
  Builder b(2, 1, 4096);
  b.send(1, 0, 40, at(0)).thread = 1;
  busy(b, 1, 8);
  b.add(Opcode::wait, 1, 0).thread = 1;
  b.recv(2, 0, 40, at(64));
  busy(b, 1, 60);
  routeEast(b, 0, 0, 1);
  Walked walked(b);
  // Both used the datapath: 46 cycles and 14, then the wait's own.
  EXPECT_EQ(walked.of(PathKind::threads), 46 + 14 + 1);
  EXPECT_EQ(walked.of(PathKind::work), 60);
}

/// Layers of tokens are numbered over both loops.
TEST(CriticalPath, Layers) {
  Builder b(1, 1, 4096);
  b.loop(0, 2, 3).over = LoopOver::tokens;
  busy(b, 0, 4);
  b.loop(0, 3, 1).over = LoopOver::layers;
  busy(b, 0, 8);
  busy(b, 0, 16);
  Walked walked(b);
  std::vector<uint32_t> layers, tokens;
  for (const executor::PathTrip &trip : walked.path.trips) {
    const bool isLayer = trip.over == LoopOver::layers;
    (isLayer ? layers : tokens).push_back(trip.trip);
    EXPECT_EQ(executor::total(trip.cycles), isLayer ? 14 : 10);
  }
  EXPECT_EQ(layers, (std::vector<uint32_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(tokens, (std::vector<uint32_t>{0, 1}));
}

/// What the reference engine would have to write down is refused before it
/// begins.
TEST(CriticalPath, TooLongToWriteDown) {
  Builder b(1, 1, 4096);
  b.loop(0, 2'000'000'000, 1);
  busy(b, 0, 1);
  auto session = sessionOf(b);
  ASSERT_TRUE(session);
  executor::RunOptions options;
  CriticalPath path;
  options.critical = &path;
  std::string text = failure(session->step(0, {}, options));
  EXPECT_TRUE(contains(text, "the critical path of these"));
  EXPECT_TRUE(contains(text, "--cycles counts without it")) << text;
}
