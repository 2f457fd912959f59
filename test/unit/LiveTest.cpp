// Dimensions that end with the live slots of a cache (E34, I38).

#include "Running.h"
#include "waferloom/Image/Image.h"

using namespace waferloom;
using namespace waferloom::test;

/// Five slots on each of three PEs, so a context of 15.
static constexpr uint32_t parts = 3, slots = 5;

static Builder context() {
  Builder b(1, 1, 1024);
  b.image.capacity = parts * slots;
  return b;
}

static InstructionT &live(InstructionT &instruction, uint8_t dim,
                          uint32_t from = 0) {
  instruction.live_parts = parts;
  instruction.live_dim = dim;
  instruction.live_from = from;
  return instruction;
}

static uint64_t slotsBehind(uint64_t length) {
  return std::max<uint64_t>(2, (length + parts - 1) / parts);
}

static uint64_t from(uint64_t slots, uint64_t first) {
  return slots > first ? slots - first : 0;
}

/// What lies behind the live slots stays as it was, and takes no cycles.
/// Counted alone a step takes what it takes in a session, at every position.
TEST(Live, DimensionsEndWithTheLiveSlots) {
  Builder b = context();
  b.columns("out", Role::output, 15, 64);
  b.loop(0, 3, 1);
  b.add(Opcode::rewrite, 0, 0);
  live(b.vector(Opcode::mov, 0, slots, at(64), constant(bits(1))), 0);
  // The last two of five.
  live(b.vector(Opcode::mov, 0, 2, at(84), constant(bits(2))), 0, 3);
  OperandT rows = at(92);
  rows.strides = {5, 1};
  InstructionT &both =
      live(b.vector(Opcode::mov, 0, 2, rows, constant(bits(3))), 1);
  both.shape = {2, slots};
  auto loaded = adopt(b.image, b.data);
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  EXPECT_TRUE(executor::hasLiveLengths(b.image, 0));
  EXPECT_EQ(executor::lastPosition(b.image, 0), 14u);
  std::unique_ptr<Session> session = bothEngines(*loaded);
  const TargetT &target = *b.image.target;
  auto cycles = [&](uint64_t elements) {
    return target.issue_cycles +
           (elements + target.rate_mov_32 - 1) / target.rate_mov_32;
  };
  for (uint64_t position = 0; position < 15; ++position) {
    const uint64_t n = slotsBehind(position + 1);
    StepResult result = stepOf(session.get());
    std::vector<float> expected(15);
    for (uint64_t i = 0; i < n; ++i)
      expected[i] = 1;
    for (uint64_t i = 0; i < from(n, 3); ++i)
      expected[5 + i] = 2;
    for (uint64_t row : {0, 1})
      for (uint64_t i = 0; i < n && 7 + 5 * row + i < 15; ++i)
        expected[7 + 5 * row + i] = 3;
    EXPECT_EQ(valuesOf(result), expected) << position;
    EXPECT_EQ(result.cycles, 3 * target.rewrite_cycles + cycles(n) +
                                 cycles(from(n, 3)) + cycles(2 * n))
        << position;
    executor::RunOptions options;
    options.position = position;
    for (auto kind :
         {executor::EngineKind::lockstep, executor::EngineKind::reference}) {
      auto counted = executor::countStep(*loaded, 0, options, kind);
      ASSERT_TRUE(bool(counted)) << toString(counted.takeError());
      BothEngines::expectCounts(*counted, result);
    }
  }
  // Nothing said, it is the last position.
  auto last = executor::countStep(*loaded, 0);
  ASSERT_TRUE(bool(last)) << toString(last.takeError());
  EXPECT_EQ(last->cycles,
            3 * target.rewrite_cycles + cycles(5) + cycles(2) + cycles(10));
  executor::RunOptions beyond;
  beyond.position = 15;
  EXPECT_TRUE(contains(failure(executor::countStep(*loaded, 0, beyond)),
                       "position 15; the last that the caches have room for "
                       "is 14"));
}

/// Back at the begin, a session ends with the few slots again.
TEST(Live, ResetsEndWithFewSlots) {
  Builder b = context();
  b.loop(0, 1, 1);
  b.add(Opcode::rewrite, 0, 0);
  live(b.vector(Opcode::mov, 0, slots, at(64), at(128)), 0);
  std::unique_ptr<Session> session = sessionOf(b);
  std::vector<uint64_t> cycles;
  for (int turn = 0; turn < 2; ++turn) {
    for (int step = 0; step < 15; ++step)
      cycles.push_back(stepOf(session.get()).cycles);
    ASSERT_FALSE(bool(session->reset()));
  }
  EXPECT_LT(cycles.front(), cycles[14]);
  for (size_t i = 0; i < 15; ++i)
    EXPECT_EQ(cycles[i], cycles[15 + i]);
}

/// What ends by a rule of the image, not by what the program says.
TEST(Live, RulesOfTheImage) {
  auto problem = [](const std::function<void(Builder &)> &change) {
    Builder b = context();
    b.loop(0, 2, 1);
    b.add(Opcode::rewrite, 0, 0);
    live(b.vector(Opcode::mov, 0, slots, at(64), at(128)), 0);
    b.loop(0, 4, 1);
    live(b.vector(Opcode::mov, 0, slots, at(64), at(128)), 0);
    change(b);
    llvm::Error error = check(b.image, b.data.size());
    return error ? toString(std::move(error)) : "no error";
  };
  auto expect = [&](const char *text,
                    const std::function<void(Builder &)> &change) {
    const std::string found = problem(change);
    EXPECT_TRUE(contains(found, text)) << text << " / " << found;
  };
  auto at = [](Builder &b, size_t i) -> InstructionT & {
    return *b.program().instructions[i];
  };
  expect("no error", [](Builder &) {});
  expect("I38: regions[0] programs[0] instructions[2] (mov): dimension 1 of 1 "
         "ends with the live slots of a cache",
         [&](Builder &b) { at(b, 2).live_dim = 1; });
  expect("I38: regions[0] programs[0] instructions[2] (mov): ends with the "
         "live slots of a cache, and there is none",
         [&](Builder &b) { b.image.capacity = 0; });
  expect("I38: regions[0] programs[0] instructions[1] (rewrite): ends with the "
         "live slots of a cache, but is no vector instruction",
         [&](Builder &b) { live(at(b, 1), 0); });
  const char *few = "I38: regions[0] programs[0] instructions[2] (mov): 2 "
                    "instructions end with the live slots of a cache, but all "
                    "PEs rewrite ";
  for (const auto &[left, change] :
       std::vector<std::pair<const char *, std::function<void(Builder &)>>>{
           {"1 descriptors", [&](Builder &b) { at(b, 0).count = 1; }},
           {"0 descriptors", [&](Builder &b) { at(b, 0).count = 0; }},
           {"0 descriptors", [&](Builder &b) { at(b, 0).columns = 1; }},
           {"0 descriptors", [&](Builder &b) { at(b, 1).rows = 1; }},
           // In one loop with what needs them.
           {"0 descriptors", [&](Builder &b) { at(b, 0).body = 2; }}})
    expect((few + std::string(left)).c_str(), change);
}
