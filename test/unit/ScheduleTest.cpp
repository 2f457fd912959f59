// Which PEs the lock-step engine takes as one exchange group.

#include "../../lib/Executor/Schedule.h"
#include "Running.h"

using namespace waferloom;
using namespace waferloom::test;

/// Column 0 sends twice along the rows. In between the others send down their
/// columns, which column 0 knows nothing of: it is ahead of them.
static Builder ahead() {
  Builder b(4, 3);
  b.columns("in", Role::input, 4, 0);
  b.columns("out", Role::output, 4, 64);
  const uint32_t first = 1, inner = b.set({1, 2}), others = b.set({1, 2, 3});
  const uint32_t below = b.set({1, 2});
  b.route(0, first, {Turn(Side::ramp, 0)}, {Side::east});
  b.route(0, inner, {Turn(Side::west, 0)}, {Side::east, Side::ramp});
  b.route(0, 4, {Turn(Side::west, 0)}, {Side::ramp});
  b.route(1, others, {Turn(Side::ramp, 0)}, {Side::south}).rows = 1;
  b.route(1, others, {Turn(Side::north, 0)}, {Side::south, Side::ramp}).rows =
      2;
  b.route(1, others, {Turn(Side::north, 0)}, {Side::ramp}).rows = 3;
  for (uint32_t to : {64, 80}) {
    b.send(first, 0, 4, at(0));
    b.recv(others, 0, 4, at(to));
    if (to == 80)
      break;
    b.vector(Opcode::add, others, 4, at(64), at(64), at(0));
    b.send(others, 1, 4, at(64)).rows = 1;
    b.recv(others, 1, 4, at(96)).rows = below;
    b.vector(Opcode::mov, others, 4, at(112), at(96));
  }
  return b;
}

TEST(Schedule, WhoDoesNotTakeYetIsInNoGroupWithTheSender) {
  Builder b = ahead();
  std::vector<float> in(16, 2.0f);
  EXPECT_EQ(valuesOf(stepOf(sessionOf(b).get(), {tensor("in", in, {4, 4})}))[4],
            4.0f);
  const executor::PreparedEntry prepared = executor::prepare(b.image, 0);
  const executor::Streams streams =
      cantFail(executor::traceStreams(b.image, 0, prepared));
  const std::unique_ptr<executor::Schedule> schedule = executor::makeSchedule(
      prepared, streams, b.image.target->issue_cycles, nullptr);
  ASSERT_TRUE(schedule);
  // Four along a row, or three along a column; never both.
  EXPECT_FALSE(schedule->groups.empty());
  for (const executor::ExchangeGroup &group : schedule->groups)
    EXPECT_LE(group.pes.size(), 4u);
}
