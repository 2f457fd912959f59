// Values and cycles of single instructions.

#include "Running.h"

using namespace waferloom;
using namespace waferloom::test;

TEST(Executor, PointToPoint) {
  Builder b(3, 1);
  b.columns("in", Role::input, 4, 0);
  b.columns("out", Role::output, 4, 64);
  b.send(1, 0, 4, at(0));
  b.recv(3, 0, 4, at(64));
  routeEast(b, 0, 0, 2);
  auto session = sessionOf(b);
  std::vector<float> in = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  StepResult result = stepOf(session.get(), {tensor("in", in, {3, 4})});
  std::vector<float> expected = {0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
  EXPECT_EQ(valuesOf(result), expected);
  // Issue 6, ramp 2, two hops, ramp 2, then one word per cycle.
  EXPECT_EQ(result.cycles, 6u + 2 + 2 + 2 + 4);
  EXPECT_EQ(result.lastX, 2u);
  EXPECT_EQ(result.words, 8u);
}

/// K7: operands in different banks, and in the same.
TEST(Executor, K7VectorOperation) {
  for (bool collide : {false, true}) {
    Builder b(1, 1, 42000);
    uint32_t other = 20496 + (collide ? 0 : 8); // 20496 = 16 * 1281
    b.vector(Opcode::fma, 0, 5124, at(0), at(0), at(other), constant(bits(2)));
    auto session = sessionOf(b);
    EXPECT_EQ(stepOf(session.get()).cycles, collide ? 10254u : 5130u);
  }
}

/// K8: an iteration of a matrix product with colliding strides costs 22 + 2 L.
TEST(Executor, K8LoopIteration) {
  for (uint32_t length : {8u, 32u, 64u, 128u}) {
    Builder b(1, 1, 40000);
    b.loop(0, 100, 1);
    OperandT row = at(1024), x = at(0, 0);
    row.steps = {LoopStep(0, 256)};
    x.steps = {LoopStep(0, 4)};
    b.vector(Opcode::fma, 0, length, at(512), at(512), row, x);
    auto session = sessionOf(b);
    EXPECT_EQ(stepOf(session.get()).cycles, 100 * (22 + 2 * length));
  }
}

/// Elements per cycle by stride, where the target alone would give 4.
TEST(Executor, StridesLimitTheRate) {
  struct Row {
    int stride; // f16 elements, so 16-bit words
    uint32_t cycles;
  };
  for (Row row : {Row{1, 16}, Row{2, 16}, Row{3, 16}, Row{4, 32}, Row{5, 16},
                  Row{6, 16}, Row{7, 32}, Row{8, 64}, Row{9, 32}, Row{10, 16},
                  Row{16, 64}, Row{0, 16}}) {
    Builder b(1, 1, 4096);
    b.vector(Opcode::mov, 0, 64, at(0, 1, Type::f16),
             at(256, row.stride, Type::f16));
    EXPECT_EQ(stepOf(sessionOf(b).get()).cycles, 6 + row.cycles)
        << "stride " << row.stride;
  }
}
