// Links that words of two colors want at once (E32), and who waits (E33). Every
// test of the executor compares what both engines find (Running.h): the
// lock-step engine by rectangles of links and cycles and group by group, the
// reference engine link by link and over the whole step.

#include "Running.h"
#include <random>

using namespace waferloom;
using namespace waferloom::test;

namespace {
/// A message along a row, on a color of its own.
struct Message {
  uint8_t color;
  uint32_t from, to; // columns
  uint32_t words;
};
} // namespace

/// The routes of a message from one column to another.
static void routeAlong(Builder &b, const Message &m) {
  const bool east = m.from < m.to;
  const Side out = east ? Side::east : Side::west;
  const Side in = east ? Side::west : Side::east;
  b.route(m.color, m.from + 1, {Turn(Side::ramp, 0)}, {out});
  for (uint32_t c = m.from; (c += east ? 1 : -1) != m.to;)
    b.route(m.color, c + 1, {Turn(in, 0)}, {out});
  b.route(m.color, m.to + 1, {Turn(in, 0)}, {Side::ramp});
}

static void send(Builder &b, const Message &m) {
  b.send(m.from + 1, m.color, m.words, at(0));
  b.recv(m.to + 1, m.color, m.words, at(512)).node = 2;
}

/// Core 1 sends in the cycles in which words of core 0 come by, and both go on
/// over two links. Color 0 goes first.
TEST(SharedLinks, TwoMessagesMeet) {
  Builder b(5, 1, 4096);
  const TargetT &target = *b.image.target;
  ASSERT_EQ(target.ramp_cycles, 2u);
  ASSERT_EQ(target.output_queue_words, 2u);
  Message one{0, 0, 3, 10}, other{1, 1, 4, 10};
  for (const Message &m : {one, other}) {
    routeAlong(b, m);
    send(b, m);
  }
  StepResult result = stepOf(sessionOf(b).get());
  // Words of core 0 are a hop behind the first of core 1, which goes alone. The
  // next nine wait for ten, four of them on the ramp and in the queue; the last
  // of them crosses the first link in cycle 21, and three more behind it.
  EXPECT_EQ(result.cycles, target.issue_cycles + 21 + 3 + 2 + 1);
  EXPECT_EQ(result.sharedLinkCycles, 8u); // those four, on two links
  EXPECT_TRUE(result.linksArbitrated);
  ASSERT_EQ(result.sharedLinks.size(), 1u);
  const executor::SharedLinks &links = result.sharedLinks.front();
  EXPECT_EQ(links.colors[0], 0);
  EXPECT_EQ(links.colors[1], 1);
  EXPECT_EQ(links.nodes[0], "node/a");
  EXPECT_EQ(links.cycles, 8u);
  EXPECT_EQ(links.links, 2u);
  EXPECT_EQ(links.x, 1u);
  EXPECT_EQ(links.side, Side::east);
}

/// The same with the colors exchanged: the words that come by wait, in the
/// network, and nobody but their receiver is late.
TEST(SharedLinks, TheLowerColorGoesFirst) {
  Builder b(5, 1, 4096);
  const TargetT &target = *b.image.target;
  for (const Message &m : {Message{1, 0, 3, 10}, Message{0, 1, 4, 10}}) {
    routeAlong(b, m);
    send(b, m);
  }
  StepResult result = stepOf(sessionOf(b).get());
  // Core 1's words cross the link in cycles 2 to 11, those that come by in 12
  // to 21; two links later they are there.
  EXPECT_EQ(result.cycles, target.issue_cycles + 21 + 2 + 2 + 1);
}

/// What waits for a link may be what the path waits for.
TEST(SharedLinks, ThePathSaysSo) {
  Builder b(5, 1, 4096);
  for (const Message &m : {Message{0, 0, 3, 10}, Message{1, 1, 4, 10}}) {
    routeAlong(b, m);
    send(b, m);
  }
  auto loaded = adopt(b.image, b.data);
  ASSERT_TRUE(bool(loaded));
  for (executor::EngineKind kind :
       {executor::EngineKind::reference, executor::EngineKind::lockstep}) {
    executor::CriticalPath path;
    executor::RunOptions options;
    options.critical = &path;
    auto result = executor::countStep(*loaded, 0, options, kind);
    ASSERT_TRUE(bool(result)) << toString(result.takeError());
    EXPECT_EQ(path.total(), result->cycles);
    // Ten cycles later than alone.
    EXPECT_EQ(path.cycles()[size_t(executor::PathKind::links)], 10);
  }
}

/// Nothing meets where one is late, nor in opposite directions, nor where only
/// the places are the same.
TEST(SharedLinks, WhatIsApartIsFree) {
  for (unsigned kind = 0; kind < 3; ++kind) {
    Builder b(5, 1, 4096);
    if (kind == 0)
      b.vector(Opcode::max, 2, 11, at(2048, 0), at(2048, 0), at(3072));
    Message one{0, 0, 3, 10}, other{1, 1, 4, 10};
    if (kind == 1)
      other = {1, 4, 1, 10};
    if (kind == 2)
      other = {1, 3, 4, 10};
    for (const Message &m : {one, other}) {
      routeAlong(b, m);
      send(b, m);
    }
    EXPECT_EQ(stepOf(sessionOf(b).get()).sharedLinkCycles, 0u) << kind;
  }
}

/// A stream that turns a corner meets one that comes straight down.
TEST(SharedLinks, AroundACorner) {
  Builder b(2, 4, 4096);
  auto route = [&](uint8_t color, uint32_t column, uint32_t row, Side in,
                   Side out) {
    b.route(color, column + 1, {Turn(in, 0)}, {out}).rows = row + 1;
  };
  route(0, 0, 0, Side::ramp, Side::east);
  route(0, 1, 0, Side::west, Side::south);
  route(0, 1, 1, Side::north, Side::south);
  route(0, 1, 2, Side::north, Side::south);
  route(0, 1, 3, Side::north, Side::ramp);
  route(1, 1, 0, Side::ramp, Side::south);
  route(1, 1, 1, Side::north, Side::south);
  route(1, 1, 2, Side::north, Side::ramp);
  b.send(1, 0, 6, at(0)).rows = 1;
  b.send(2, 1, 6, at(0)).rows = 1;
  b.recv(2, 1, 6, at(0)).rows = 3;
  b.recv(2, 0, 6, at(0)).rows = 4;
  StepResult result = stepOf(sessionOf(b).get());
  // Five words of color 1 meet words that turn the corner, which go first; four
  // of them have room to wait in. Links to rows 1 and 2.
  EXPECT_EQ(result.sharedLinkCycles, 8u);
  ASSERT_EQ(result.sharedLinks.size(), 1u);
  EXPECT_EQ(result.sharedLinks[0].x, 1u);
  EXPECT_EQ(result.sharedLinks[0].y, 0u);
  EXPECT_EQ(result.sharedLinks[0].side, Side::south);
}

/// Trips of a loop count each; equal rows too.
TEST(SharedLinks, TripsAndRowsAddUp) {
  Builder b(5, 3, 4096);
  Message one{0, 0, 3, 10}, other{1, 1, 4, 10};
  b.loop(0, 7, 6);
  // Nobody is ahead when a trip begins: all have waited for the longest.
  b.vector(Opcode::max, 0, 100, at(2048, 0), at(2048, 0), at(3072));
  b.vector(Opcode::max, 2, 1, at(2048, 0), at(2048, 0), at(3072));
  send(b, one);
  send(b, other);
  for (const Message &m : {one, other})
    routeAlong(b, m);
  StepResult result = stepOf(sessionOf(b).get());
  ASSERT_TRUE(result.sharedLinkCycles.has_value());
  EXPECT_GT(*result.sharedLinkCycles, 0u);
  EXPECT_EQ(*result.sharedLinkCycles % 3, 0u);
  ASSERT_EQ(result.sharedLinks.size(), 1u);
  EXPECT_EQ(result.sharedLinks[0].links, 6u);
}

/// Messages at random between the columns of a few rows, in one order on all
/// PEs, with work between them.
TEST(SharedLinks, RandomMessages) {
  unsigned met = 0, ended = 0;
  for (unsigned seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    auto draw = [&](uint32_t below) {
      return static_cast<uint32_t>(random() % below);
    };
    const uint32_t width = 3 + draw(9);
    Builder b(width, 1 + draw(3), 4096, "grid-12x3");
    TargetT &target = *b.image.target;
    target.hop_cycles = 1 + draw(2);
    target.ramp_cycles = draw(3);
    target.words_per_burst = draw(2) * (1 + draw(8));
    target.input_queue_words = 1 + draw(6);
    std::vector<Message> messages;
    for (uint8_t color = 0, n = uint8_t(2 + draw(8)); color < n; ++color) {
      uint32_t from = draw(width), to = draw(width);
      if (from == to)
        continue;
      messages.push_back({color, from, to, 0});
      routeAlong(b, messages.back());
    }
    if (messages.empty())
      continue;
    for (unsigned k = 0, n = 1 + draw(20); k < n; ++k) {
      Message m = messages[draw(uint32_t(messages.size()))];
      m.words = 1 + draw(25);
      if (draw(3) == 0)
        b.vector(Opcode::add, draw(width + 1), 1 + draw(60), at(1024), at(2048),
                 at(3072));
      send(b, m);
    }
    // A color that nobody uses has no stream.
    std::unique_ptr<Session> session = sessionOf(b);
    ASSERT_TRUE(session);
    auto result = session->step(0, {});
    if (!result) {
      EXPECT_TRUE(contains(toString(result.takeError()), "came to rest"));
      continue;
    }
    ++ended;
    met += result->sharedLinkCycles.value_or(0) > 0;
    if (HasFailure())
      return;
  }
  EXPECT_GT(ended, 1000u);
  EXPECT_GT(met, 400u);
}
