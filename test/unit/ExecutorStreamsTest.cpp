// Streams: multicast, chains, turns, windows, hangs, microthreads, and the
// published measurements that they must reproduce.

#include "Running.h"

using namespace waferloom;
using namespace waferloom::test;

static std::string grid(uint32_t width, llvm::StringRef more) {
  return "grid-" + std::to_string(width) + "x1" + more.str();
}

static Builder multicast(uint32_t receivers, uint32_t words,
                         llvm::StringRef target) {
  Builder b(receivers + 1, 1, 8 * words + 64,
            target.empty() ? grid(receivers + 1, "") : target.str());
  b.columns("in", Role::input, words, 0);
  b.columns("out", Role::output, words, 4 * words);
  b.send(1, 0, words, at(0));
  std::vector<uint32_t> all, middle;
  for (uint32_t i = 1; i <= receivers; ++i)
    all.push_back(i);
  for (uint32_t i = 1; i < receivers; ++i)
    middle.push_back(i);
  b.recv(b.set(all), 0, words, at(4 * words));
  b.route(0, 1, {Turn(Side::ramp, 0)}, {Side::east});
  if (!middle.empty())
    b.route(0, b.set(middle), {Turn(Side::west, 0)}, {Side::east, Side::ramp});
  b.route(0, receivers + 1, {Turn(Side::west, 0)}, {Side::ramp});
  return b;
}

TEST(ExecutorStreams, MulticastReachesAll) {
  Builder b = multicast(5, 40, "");
  auto session = sessionOf(b);
  std::vector<float> in(6 * 40);
  for (size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<float>(i);
  std::vector<float> out =
      valuesOf(stepOf(session.get(), {tensor("in", in, {6, 40})}));
  ASSERT_EQ(out.size(), in.size());
  for (size_t i = 40; i < out.size(); ++i)
    EXPECT_EQ(out[i], in[i % 40]);
}

TEST(ExecutorStreams, K5Multicast) {
  for (uint32_t pes : {16u, 64u, 256u})
    for (uint32_t words : {1u, 16u, 256u}) {
      Builder b = multicast(pes - 1, words, grid(pes, ",issue=0"));
      b.image.entries[0]->inputs[0]->fallback = Default::ones;
      auto session = sessionOf(b);
      EXPECT_EQ(stepOf(session.get()).cycles, words + pes + 3);
    }
}

TEST(ExecutorStreams, K3AndK4DeviceMulticast) {
  struct Row {
    uint32_t words, receivers, cycles;
  };
  // Published 39 and 309 at one receiver; the rest agrees to the cycle.
  for (Row row :
       {Row{16, 1, 38}, Row{16, 16, 53}, Row{16, 64, 101}, Row{16, 256, 293},
        Row{16, 512, 549}, Row{256, 1, 308}, Row{256, 16, 323},
        Row{256, 64, 371}, Row{256, 256, 563}, Row{256, 512, 819}}) {
    Builder b = multicast(row.receivers, row.words, "wse3");
    b.image.entries[0]->inputs[0]->fallback = Default::ones;
    auto session = sessionOf(b);
    executor::RunOptions options;
    options.launch = true;
    EXPECT_EQ(stepOf(session.get(), {}, options).cycles, row.cycles);
  }
}

/// A chain reduce of `words` from the last column to the first. Colors
/// alternate, so that each PE takes on one and puts on the other.
static Builder chain(uint32_t pes, uint32_t words, llvm::StringRef target) {
  Builder b(pes, 1, 4 * words + 64, target);
  b.columns("in", Role::input, words, 0);
  b.columns("out", Role::output, words, 0);
  b.image.entries[0]->inputs[0]->fallback = Default::ones;
  std::vector<uint32_t> odd, even, passOdd, passEven;
  for (uint32_t i = 1; i < pes; ++i)
    (i % 2 ? odd : even).push_back(i);
  for (uint32_t i = 1; i + 1 < pes; ++i)
    (i % 2 ? passOdd : passEven).push_back(i);
  b.send(pes, (pes - 1) % 2, words, at(0));
  if (!passOdd.empty())
    b.pass(b.set(passOdd), 0, 1, words, at(0));
  if (!passEven.empty())
    b.pass(b.set(passEven), 1, 0, words, at(0));
  b.recv(1, 1, words, at(0), Opcode::recv_fold);
  if (!even.empty()) {
    std::vector<uint32_t> takes = passOdd;
    b.route(0, b.set(even), {Turn(Side::ramp, 0)}, {Side::west});
    b.route(0, b.set(takes), {Turn(Side::east, 0)}, {Side::ramp});
  }
  std::vector<uint32_t> takes = passEven;
  takes.push_back(0);
  b.route(1, b.set(odd), {Turn(Side::ramp, 0)}, {Side::west});
  b.route(1, b.set(takes), {Turn(Side::east, 0)}, {Side::ramp});
  return b;
}

TEST(ExecutorStreams, ChainAdds) {
  for (uint32_t pes : {2u, 3u, 6u, 9u}) {
    Builder b = chain(pes, 30, grid(pes, ""));
    auto session = sessionOf(b);
    std::vector<float> in(pes * 30), expected(30);
    for (uint32_t i = 0; i < in.size(); ++i) {
      in[i] = static_cast<float>(i % 17 + i / 30);
      expected[i % 30] += in[i];
    }
    std::vector<float> out =
        valuesOf(stepOf(session.get(), {tensor("in", in, {pes, 30})}));
    out.resize(30);
    EXPECT_EQ(out, expected);
  }
}

TEST(ExecutorStreams, K1Chain) {
  Builder b = chain(512, 4096, "wse2");
  auto session = sessionOf(b);
  executor::RunOptions options;
  options.launch = true;
  EXPECT_EQ(stepOf(session.get(), {}, options).cycles,
            7217u); // 7,218 published
}

TEST(ExecutorStreams, K6ChainFormula) {
  for (uint32_t pes : {16u, 64u})
    for (uint32_t words : {1u, 16u, 256u}) {
      Builder b = chain(pes, words, grid(pes, ",issue=0"));
      auto session = sessionOf(b);
      EXPECT_NEAR(stepOf(session.get()).cycles, words + 6.0 * (pes - 1),
                  0.011 * (words + 6.0 * (pes - 1)) + 1);
    }
}

/// A star: all columns send to the first on one color; routers take their own
/// PE's words first, then those that come from further east.
static Builder star(uint32_t pes, uint32_t words, llvm::StringRef target) {
  Builder b(pes, 1, 4 * words + 64, target);
  b.columns("in", Role::input, words, 0);
  b.columns("out", Role::output, words, 0);
  b.image.entries[0]->inputs[0]->fallback = Default::ones;
  std::vector<uint32_t> senders;
  for (uint32_t i = 1; i < pes; ++i)
    senders.push_back(i);
  b.send(b.set(senders), 0, words, at(0));
  InstructionT &fold = b.recv(1, 0, pes - 1, at(0), Opcode::recv_fold);
  fold.shape = {pes - 1, words};
  fold.dst->strides = {0, 1};
  b.route(0, 1, {Turn(Side::east, 0)}, {Side::ramp});
  for (uint32_t i = 1; i + 1 < pes; ++i)
    b.route(0, i + 1,
            {Turn(Side::ramp, words), Turn(Side::east, words * (pes - 1 - i))},
            {Side::west});
  b.route(0, pes, {Turn(Side::ramp, 0)}, {Side::west});
  return b;
}

TEST(ExecutorStreams, StarTakesTurns) {
  Builder b = star(5, 20, grid(5, ""));
  auto session = sessionOf(b);
  std::vector<float> in(5 * 20), expected(20);
  for (uint32_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<float>(i);
    expected[i % 20] += in[i];
  }
  std::vector<float> out =
      valuesOf(stepOf(session.get(), {tensor("in", in, {5, 20})}));
  out.resize(20);
  EXPECT_EQ(out, expected);
}

TEST(ExecutorStreams, K6StarFormula) {
  for (uint32_t pes : {2u, 16u, 64u})
    for (uint32_t words : {1u, 16u, 256u}) {
      Builder b = star(pes, words, grid(pes, ",issue=0"));
      auto session = sessionOf(b);
      EXPECT_EQ(stepOf(session.get()).cycles, words * (pes - 1) + 5);
    }
}

/// Two PEs that send to each other before they receive.
static Builder exchange(uint32_t words) {
  Builder b(2, 1, 1024);
  b.send(0, 0, words, at(0)).out_color = 0;
  b.program().instructions.back()->columns = 1;
  b.send(2, 1, words, at(0));
  b.recv(1, 1, words, at(512));
  b.recv(2, 0, words, at(512));
  b.route(0, 1, {Turn(Side::ramp, 0)}, {Side::east});
  b.route(0, 2, {Turn(Side::west, 0)}, {Side::ramp});
  b.route(1, 2, {Turn(Side::ramp, 0)}, {Side::west});
  b.route(1, 1, {Turn(Side::east, 0)}, {Side::ramp});
  return b;
}

/// Credits between neighbours: output queue 2, ramp 2, one hop, ramp 2, input
/// queue 4, so 11 words.
TEST(ExecutorStreams, ExchangeEndsWithinTheWindow) {
  Builder b = exchange(11);
  EXPECT_GT(stepOf(sessionOf(b).get()).cycles, 0u);
}

TEST(ExecutorStreams, HangNamesWhoWaitsForWhat) {
  Builder b = exchange(12);
  auto session = sessionOf(b);
  std::string text = failure(session->step(0, {}));
  EXPECT_TRUE(contains(text, "2 programs unfinished")) << text;
  EXPECT_TRUE(contains(text, "PE (0, 0), instruction 0 (send, node 'node/a'): "
                             "waits for a credit on color 0, word 11 of 12"));
  EXPECT_TRUE(contains(text, "PE (1, 0), instruction 1 (send"));
  EXPECT_TRUE(contains(failure(session->step(0, {})), "reset"));
}

/// The receiver's queue holds 4 words: an exchange of 5 lives on the network.
TEST(ExecutorStreams, WhatFitsTheQueuesCannotHang) {
  Builder fits = exchange(4), lives = exchange(5);
  EXPECT_FALSE(bool(sessionOf(fits)->proveHangFree(0)));
  auto session = sessionOf(lives);
  std::string text = toString(session->proveHangFree(0));
  EXPECT_TRUE(contains(text, "waits for a credit on color 0, word 4 of 5"))
      << text;
  EXPECT_GT(stepOf(session.get()).cycles, 0u);
  Builder collectives[] = {chain(9, 300, grid(9, "")), star(6, 40, grid(6, "")),
                           multicast(7, 200, "")};
  for (Builder &b : collectives)
    EXPECT_EQ(toString(sessionOf(b)->proveHangFree(0)), "");
}

/// The same without a session, where it takes no more steps than allowed.
TEST(ExecutorStreams, ImagesAreProvedAlone) {
  auto prove = [](Builder b, uint64_t steps) {
    auto loaded =
        llvm::cantFail(image::adopt(std::move(b.image), std::move(b.data)));
    executor::RunOptions options;
    options.workLimit = steps;
    return toString(executor::proveHangFree(*loaded, 0, options));
  };
  EXPECT_EQ(prove(exchange(4), 0), "");
  EXPECT_TRUE(contains(prove(exchange(5), 0), "waits for a credit on color 0"));
  EXPECT_TRUE(contains(prove(exchange(5), 1000), "waits for a credit"));
  EXPECT_EQ(prove(exchange(5), 3), "") << "not tried";
}

TEST(ExecutorStreams, HangForAWord) {
  Builder b(2, 1);
  b.recv(1, 1, 3, at(0));
  b.send(1, 0, 3, at(0));
  b.recv(2, 0, 3, at(0));
  b.send(2, 1, 3, at(0));
  b.route(0, 1, {Turn(Side::ramp, 0)}, {Side::east});
  b.route(0, 2, {Turn(Side::west, 0)}, {Side::ramp});
  b.route(1, 2, {Turn(Side::ramp, 0)}, {Side::west});
  b.route(1, 1, {Turn(Side::east, 0)}, {Side::ramp});
  std::string text = failure(sessionOf(b)->step(0, {}));
  EXPECT_TRUE(contains(text, "waits for a word on color 1 from PE (1, 0), word "
                             "0 of 3"))
      << text;
}

/// A microthread sends while the main program receives: no hang at any length.
TEST(ExecutorStreams, MicrothreadsSendBesideTheProgram) {
  Builder b(2, 1, 4096);
  b.columns("in", Role::input, 400, 0);
  b.columns("out", Role::output, 400, 1600);
  for (uint32_t pe : {0u, 1u}) {
    auto color = static_cast<uint8_t>(pe);
    b.send(pe + 1, color, 400, at(0)).thread = 0;
    b.recv(pe + 1, 1 - color, 400, at(1600));
    b.add(Opcode::wait, pe + 1, 0).thread = 0;
  }
  b.route(0, 1, {Turn(Side::ramp, 0)}, {Side::east});
  b.route(0, 2, {Turn(Side::west, 0)}, {Side::ramp});
  b.route(1, 2, {Turn(Side::ramp, 0)}, {Side::west});
  b.route(1, 1, {Turn(Side::east, 0)}, {Side::ramp});
  auto session = sessionOf(b);
  std::vector<float> in(800);
  for (size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<float>(i);
  StepResult result = stepOf(session.get(), {tensor("in", in, {2, 400})});
  std::vector<float> out = valuesOf(result);
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT_EQ(out[i], in[(i + 400) % 800]);
  // One datapath does 2 x (6 + 400) cycles of work; the wait adds one.
  EXPECT_EQ(result.cycles, 2u * 406 + 1);
}

TEST(ExecutorStreams, HalvesTravelInPairs) {
  for (uint32_t n : {1u, 6u, 7u}) {
    Builder b(2, 1);
    b.columns("in", Role::input, n, 0, Type::f16);
    b.columns("out", Role::output, n, 64, Type::f16);
    b.send(1, 0, n, at(0, 1, Type::f16));
    b.recv(2, 0, n, at(64, 1, Type::f16), Opcode::recv_fold);
    routeEast(b, 0, 0, 1);
    auto session = sessionOf(b);
    std::vector<uint16_t> in(2 * n);
    for (uint32_t i = 0; i < n; ++i)
      in[i] = static_cast<uint16_t>(0x3c00 + i); // 1 and a little
    StepResult result = stepOf(
        session.get(), {{"in", in.data(), HostType::f16, {2, int64_t(n)}}});
    std::vector<uint16_t> out = valuesOf<uint16_t>(result);
    for (uint32_t i = 0; i < n; ++i)
      EXPECT_EQ(out[n + i], in[i]);
    EXPECT_EQ(result.words, 2 * ((n + 1) / 2));
  }
}

TEST(ExecutorStreams, WrongRoutesAreRefused) {
  auto create = [](Builder &b) {
    auto loaded = adopt(b.image, b.data);
    return loaded ? failure(Session::create(*loaded))
                  : toString(loaded.takeError());
  };
  Builder none = exchange(4);
  none.program().routes.pop_back();
  EXPECT_TRUE(contains(create(none), "there is no route")) << create(none);
  Builder side = exchange(4);
  side.program().routes[1]->inputs = {Turn(Side::north, 0)};
  EXPECT_TRUE(contains(create(side), "which is no input"));
  Builder less = exchange(4);
  less.program().instructions[3]->shape = {3};
  EXPECT_TRUE(contains(create(less), "4 words come from PE (0, 0) but the "
                                     "program takes 3"))
      << create(less);
  Builder away = exchange(4);
  away.program().routes[0]->outputs = 1u << unsigned(Side::north);
  EXPECT_TRUE(contains(create(away), "leaves the program's PEs"));
  Builder unfed = exchange(4);
  unfed.program().instructions.erase(unfed.program().instructions.begin());
  EXPECT_TRUE(contains(create(unfed), "no stream reaches the PE"));
  Builder turns = star(4, 4, "grid-4x1");
  turns.program().routes[1]->inputs = {Turn(Side::ramp, 4),
                                       Turn(Side::east, 5)};
  EXPECT_NE(create(turns), "no error");
}
