// The lock-step engine counts cycles itself: random programs of collectives one
// after the other, with work of random length between them, on targets with
// short queues, where senders run ahead and have to wait for credits.

#include "Running.h"
#include "waferloom/Executor/CriticalPath.h"
#include <random>

using namespace waferloom;
using namespace waferloom::test;

namespace {
/// Rounds of a star, a chain, a multicast and a shift along rows, in any order.
class Rounds {
public:
  explicit Rounds(unsigned seed)
      : random(seed), width(3 + draw(8)),
        b(width, 1 + draw(3), 4096, "grid-12x3") {
    target();
    starWords = 1 + draw(9);
    for (uint32_t c = 0; c < width; ++c) {
      if (c > 0)
        senders.push_back(c);
      if (c > 0 && c + 1 < width)
        (c % 2 ? odd : even).push_back(c);
    }
    routes();
    for (unsigned round = 0, n = 2 + draw(8); round < n; ++round) {
      work();
      collective();
    }
    work();
  }

  Builder &builder() { return b; }

private:
  uint32_t draw(uint32_t below) { return random() % below; }

  void target() {
    TargetT &target = *b.image.target;
    target.hop_cycles = 1 + draw(2);
    target.ramp_cycles = draw(3);
    target.issue_cycles = draw(3);
    target.forward_cycles = 1 + draw(3);
    target.words_per_burst = draw(2) * (1 + draw(5));
    target.input_queue_words = 1 + draw(4);
    target.output_queue_words = 1 + draw(3);
  }

  void routes() {
    // Color 0: to the first column; routers take their own words first.
    b.route(0, 1, {Turn(Side::east, 0)}, {Side::ramp});
    for (uint32_t c = 1; c + 1 < width; ++c)
      b.route(0, c + 1,
              {Turn(Side::ramp, starWords),
               Turn(Side::east, starWords * (width - 1 - c))},
              {Side::west});
    b.route(0, width, {Turn(Side::ramp, 0)}, {Side::west});
    // Colors 1 and 2: a chain to the first column, and shifts to the west.
    for (uint32_t c = 0; c < width; ++c) {
      uint8_t out = c % 2 ? 2 : 1, in = c % 2 ? 1 : 2;
      if (c > 0)
        b.route(out, c + 1, {Turn(Side::ramp, 0)}, {Side::west});
      if (c + 1 < width)
        b.route(in, c + 1, {Turn(Side::east, 0)}, {Side::ramp});
    }
    // Color 3: from the first column to all.
    b.route(3, 1, {Turn(Side::ramp, 0)}, {Side::east});
    for (uint32_t c = 1; c + 1 < width; ++c)
      b.route(3, c + 1, {Turn(Side::west, 0)}, {Side::east, Side::ramp});
    b.route(3, width, {Turn(Side::west, 0)}, {Side::ramp});
  }

  /// Some columns are busy for some time.
  void work() {
    for (unsigned k = draw(4); k > 0; --k) {
      InstructionT &made = b.vector(Opcode::add, draw(width + 1), 1 + draw(60),
                                    at(1024), at(2048), at(3072));
      made.node = 2;
    }
    if (draw(4) == 0)
      b.add(Opcode::rewrite, draw(width + 1), 0);
  }

  void collective() {
    switch (draw(4)) {
    case 0: {
      b.send(b.set(senders), 0, starWords, at(0));
      InstructionT &fold = b.recv(1, 0, width - 1, at(0), Opcode::recv_fold);
      fold.shape = {width - 1, starWords};
      fold.dst->strides = {0, 1};
      break;
    }
    case 1: {
      uint32_t words = 1 + draw(30);
      b.send(width, (width - 1) % 2 ? 2 : 1, words, at(0));
      for (uint32_t c = width - 2; c > 0; --c)
        b.pass(c + 1, c % 2 ? 1 : 2, c % 2 ? 2 : 1, words, at(0));
      b.recv(1, 2, words, at(0), Opcode::recv_fold);
      break;
    }
    case 2: {
      uint32_t words = 1 + draw(30);
      b.send(1, 3, words, at(0));
      b.recv(b.set(senders), 3, words, at(512));
      break;
    }
    default: {
      uint32_t words = 1 + draw(30);
      if (odd.empty() || even.empty())
        return;
      b.send(b.set(odd), 2, words, at(0));
      std::vector<uint32_t> takers;
      for (uint32_t c : odd)
        takers.push_back(c - 1);
      b.recv(b.set(takers), 2, words, at(512));
    }
    }
  }

  std::mt19937 random;
  uint32_t width;
  Builder b;
  uint32_t starWords = 1;
  std::vector<uint32_t> senders, odd, even;
};
} // namespace

TEST(Timing, RandomCollectivesAreCountedInLockstep) {
  unsigned ended = 0, counted = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    Rounds rounds(seed);
    auto loaded = adopt(rounds.builder().image, rounds.builder().data);
    if (!loaded) {
      ADD_FAILURE() << toString(loaded.takeError());
      return;
    }
    std::unique_ptr<Session> session = bothEngines(*loaded);
    ASSERT_TRUE(session);
    auto result = session->step(0, {});
    if (!result) {
      EXPECT_TRUE(contains(toString(result.takeError()), "came to rest"));
      continue;
    }
    ++ended;
    executor::CriticalPath path;
    executor::RunOptions options;
    options.critical = &path;
    auto alone = executor::countStep(*loaded, 0, options);
    ASSERT_TRUE(bool(alone)) << toString(alone.takeError());
    BothEngines::expectCounts(*alone, *result);
    EXPECT_EQ(path.total(), result->cycles);
    counted += result->counter == executor::EngineKind::lockstep;
    if (HasFailure())
      return;
  }
  // Where words of different groups want a link at once, all are counted
  // together.
  EXPECT_GT(counted, 2400u);
  EXPECT_GT(ended, 2500u); // the others hang, in both engines
}

/// Cycles of a step, and its path; nothing where it comes to rest, or where
/// words wait for links: what comes earlier may then make others late.
static std::optional<uint64_t> countOf(const Builder &b,
                                       executor::CriticalPath &path) {
  executor::RunOptions options;
  options.critical = &path;
  auto loaded = adopt(b.image, b.data);
  if (!loaded) {
    ADD_FAILURE() << toString(loaded.takeError());
    return std::nullopt;
  }
  auto result = executor::countStep(*loaded, 0, options);
  if (!result) {
    EXPECT_TRUE(contains(toString(result.takeError()), "came to rest"));
    return std::nullopt;
  }
  if (result->sharedLinkCycles != 0)
    return std::nullopt;
  return result->cycles;
}

/// An instruction that is not on the path may take less, and nothing changes;
/// one that is may not take more without the step doing so.
TEST(Timing, ThePathDecides) {
  unsigned off = 0, on = 0;
  for (unsigned seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE(seed);
    Rounds rounds(seed);
    Builder &b = rounds.builder();
    executor::CriticalPath path, other;
    const std::optional<uint64_t> cycles = countOf(b, path);
    if (!cycles)
      continue;
    std::vector<bool> isOn(b.program().instructions.size());
    for (const executor::PathStep &step : path.steps)
      isOn[step.instruction] = true;
    for (uint32_t i = 0; i < isOn.size(); ++i) {
      InstructionT &instruction = *b.program().instructions[i];
      if (instruction.op != Opcode::add)
        continue;
      const uint32_t n = instruction.shape[0];
      instruction.shape = {isOn[i] ? n + 40 : 1};
      const std::optional<uint64_t> now = countOf(b, other);
      instruction.shape = {n};
      if (!now)
        continue;
      if (isOn[i])
        EXPECT_GE(*now, *cycles + 10) << i; // at four elements per cycle
      else
        EXPECT_EQ(*now, *cycles) << i;
      ++(isOn[i] ? on : off);
    }
  }
  EXPECT_GT(on, 500u);
  EXPECT_GT(off, 500u);
}
