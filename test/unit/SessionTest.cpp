// Sessions: inputs and what they are when left out, states, capacity, layouts.

#include "Running.h"
#include "waferloom/Executor/Trace.h"
#include "llvm/Support/JSON.h"

using namespace waferloom;
using namespace waferloom::test;

/// The input is added to a state; the output is state + weight.
static Builder counter() {
  Builder b(2, 1);
  b.columns("x", Role::input, 2, 0);
  b.columns("y", Role::output, 2, 64);
  BindingT &state = b.pairs(Role::state, 128, 3);
  state.name = "s";
  state.padding = bits(100);
  BindingT &weight = b.pairs(Role::parameter, 136, 3);
  weight.name = "w";
  weight.padding = bits(100);
  b.image.sources.push_back(std::make_unique<SourceT>());
  b.image.sources[0]->bytes = 12;
  float weights[] = {10, 20, 30};
  b.data.assign(reinterpret_cast<char *>(weights), 12);
  b.image.capacity = 3;
  b.vector(Opcode::add, 0, 2, at(128), at(128), at(0));
  b.vector(Opcode::add, 0, 2, at(64), at(128), at(136));
  return b;
}

using Floats = std::vector<float>;

TEST(Session, StatesStayAndResetForgets) {
  auto session = sessionOf(counter());
  Floats x = {1, 2, 3, 4};
  auto step = [&] {
    return valuesOf(stepOf(session.get(), {tensor("x", x, {2, 2})}));
  };
  // The fourth weight does not exist: padding.
  EXPECT_EQ(step(), (Floats{11, 22, 33, 104}));
  EXPECT_EQ(step(), (Floats{12, 24, 36, 108}));
  EXPECT_EQ(session->length(), 2u);
  llvm::cantFail(session->reset());
  EXPECT_EQ(session->length(), 0u);
  EXPECT_EQ(step(), (Floats{11, 22, 33, 104}));
}

/// Of the counter's sums nothing says which token made them; to 0 it goes.
TEST(Session, GoesBack) {
  auto session = sessionOf(counter());
  Floats x = {1, 2, 3, 4};
  auto step = [&] {
    return valuesOf(stepOf(session.get(), {tensor("x", x, {2, 2})}));
  };
  const Floats first = step();
  step();
  std::string text = toString(session->rewind(1));
  EXPECT_TRUE(contains(text, "state 's' has no row for each of 3 tokens"))
      << text;
  EXPECT_TRUE(contains(toString(session->rewind(3)),
                       "has 2 tokens, so it cannot go back to 3"));
  EXPECT_EQ(session->length(), 2u);
  llvm::cantFail(session->rewind(2));
  llvm::cantFail(session->rewind(0));
  EXPECT_EQ(session->length(), 0u);
  EXPECT_EQ(step(), first);
}

TEST(Session, ForksGoOnByThemselves) {
  auto session = sessionOf(counter());
  Floats x = {1, 2, 3, 4};
  auto step = [&](Session &one) {
    return valuesOf(stepOf(&one, {tensor("x", x, {2, 2})}));
  };
  step(*session);
  auto fork = llvm::cantFail(session->fork());
  EXPECT_EQ(fork->length(), 1u);
  const Floats second = step(*session);
  step(*session);
  EXPECT_EQ(step(*fork), second);
  EXPECT_EQ(session->length(), 3u);
  llvm::cantFail(session->reset());
  EXPECT_EQ(fork->length(), 2u);
  step(*fork);
}

TEST(Session, AStepBeyondTheCapacityChangesNothing) {
  auto session = sessionOf(counter());
  Floats x = {1, 2, 3, 4};
  for (int i = 0; i < 3; ++i)
    stepOf(session.get(), {tensor("x", x, {2, 2})});
  std::string text = failure(session->step(0, {tensor("x", x, {2, 2})}));
  EXPECT_TRUE(contains(text, "1 tokens after 3 exceed the capacity of 3"))
      << text;
  EXPECT_EQ(session->length(), 3u);
}

TEST(Session, WrongInputsAreRefused) {
  Builder b = counter();
  auto session = sessionOf(b);
  Floats x = {1, 2, 3, 4, 5, 6};
  auto text = [&](std::vector<HostTensor> inputs, size_t entry = 0) {
    return failure(session->step(entry, inputs));
  };
  EXPECT_TRUE(contains(text({}), "input 'x' is missing"));
  EXPECT_TRUE(contains(text({tensor("z", x, {2, 2})}),
                       "'z' is not an input; the inputs are 'x'"));
  EXPECT_TRUE(contains(text({tensor("x", x, {3, 2})}),
                       "has shape [3, 2] but at most [2, 2]"));
  EXPECT_TRUE(contains(text({tensor("x", x, {4})}), "has shape [4]"));
  EXPECT_TRUE(contains(text({tensor("x", x, {2, 2}), tensor("x", x, {2, 2})}),
                       "given twice"));
  std::vector<int64_t> ids = {1, 2, 3, 4};
  EXPECT_TRUE(contains(text({{"x", ids.data(), HostType::i64, {2, 2}}}),
                       "is of type int64 but the model takes float32"));
  EXPECT_TRUE(contains(text({tensor("x", x, {2, 2})}, 1), "does not exist"));
  EXPECT_EQ(session->length(), 0u);
  EXPECT_EQ(valuesOf(stepOf(session.get(), {tensor("x", x, {2, 2})})),
            (Floats{11, 22, 33, 104}));
}

TEST(Session, FewerElementsAreAPrefix) {
  auto session = sessionOf(counter());
  Floats x = {1, 2};
  EXPECT_EQ(valuesOf(stepOf(session.get(), {tensor("x", x, {2, 1})})),
            (Floats{11, 20, 32, 100}));
}

/// An i32 input that is copied to the output, as int64.
static Builder echo(Default fallback, uint32_t limit = 0) {
  Builder b(2, 1);
  b.columns("ids", Role::input, 3, 0, Type::i32);
  b.columns("out", Role::output, 3, 64, Type::i32);
  b.vector(Opcode::mov, 0, 3, at(64, 1, Type::i32), at(0, 1, Type::i32));
  b.image.entries[0]->inputs[0]->fallback = fallback;
  b.image.entries[0]->inputs[0]->limit = limit;
  for (auto &info : b.image.entries[0]->tensors)
    info->source_int64 = true;
  b.image.entries[0]->tokens = 3;
  b.image.capacity = 9;
  return b;
}

using Longs = std::vector<int64_t>;

TEST(Session, WhatIsLeftOutFollowsFromTheLength) {
  struct Row {
    Default fallback;
    Longs first, second;
  };
  for (const Row &row :
       {Row{Default::position, {0, 0, 0, 0, 0, 0}, {3, 3, 3, 3, 3, 3}},
        Row{Default::positions, {0, 1, 2, 0, 1, 2}, {3, 4, 5, 3, 4, 5}},
        Row{Default::ones, {1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}},
        Row{Default::length, {3, 3, 3, 3, 3, 3}, {6, 6, 6, 6, 6, 6}}}) {
    auto session = sessionOf(echo(row.fallback));
    EXPECT_EQ(valuesOf<int64_t>(stepOf(session.get())), row.first);
    EXPECT_EQ(valuesOf<int64_t>(stepOf(session.get())), row.second);
  }
}

TEST(Session, IntegersAreCheckedBeforeTheyCount) {
  auto session = sessionOf(echo(Default::required, 50));
  auto give = [&](const Longs &ids) {
    return failure(
        session->step(0, {{"ids", ids.data(), HostType::i64, {2, 3}}}));
  };
  EXPECT_EQ(give({0, 1, 2, 3, 4, 49}), "no error");
  EXPECT_TRUE(contains(give({0, 1, 2, 3, 50, 0}),
                       "has 50 at element 4; values must be in [0, 50)"));
  EXPECT_TRUE(contains(give({-1, 1, 2, 3, 50, 0}), "has -1 at element 0"));
  auto wide = sessionOf(echo(Default::required));
  Longs large = {0, 0, int64_t(1) << 40, 0, 0, 0};
  EXPECT_TRUE(contains(
      failure(wide->step(0, {{"ids", large.data(), HostType::i64, {2, 3}}})),
      "32 bits"));
  EXPECT_EQ(wide->length(), 0u);
}

/// Digits of two axes and local ones, uneven sizes, against a plain loop.
TEST(Session, LayoutsDistributeAndCollect) {
  Builder b(6, 2);
  auto layout = [&](Role role, uint32_t address) {
    auto made = std::make_unique<BindingT>();
    made->name = role == Role::input ? "in" : "out";
    made->role = role;
    made->address = address;
    auto rows = std::make_unique<DimT>(); // 2 x (x: 3 of stride 2) x 2
    rows->live = 11;
    rows->source_stride = 5;
    rows->digits = {Digit(Axis::none, 2, 0), Digit(Axis::x, 3, 2),
                    Digit(Axis::none, 2, 0)};
    auto columns = std::make_unique<DimT>(); // 3, y: 2, cyclic
    columns->live = 5;
    columns->source_stride = 1;
    columns->digits = {Digit(Axis::none, 3, 0), Digit(Axis::y, 2, 1)};
    made->dims.push_back(std::move(rows));
    made->dims.push_back(std::move(columns));
    auto info = std::make_unique<TensorInfoT>();
    info->name = made->name;
    info->role = role;
    info->shape = {11, 5};
    b.image.entries[0]->tensors.push_back(std::move(info));
    (role == Role::input ? b.program().inputs : b.program().outputs)
        .push_back(std::move(made));
  };
  layout(Role::input, 0);
  layout(Role::output, 64);
  auto input = std::make_unique<EntryInputT>();
  input->name = "in";
  b.image.entries[0]->inputs.push_back(std::move(input));
  // The east of each pair holds a copy; both write the same.
  b.vector(Opcode::add, 0, 12, at(64), at(0), constant(bits(1)));
  auto session = sessionOf(b);
  Floats in(55), expected(55);
  for (int i = 0; i < 55; ++i) {
    in[i] = static_cast<float>(i);
    expected[i] = in[i] + 1;
  }
  EXPECT_EQ(valuesOf(stepOf(session.get(), {tensor("in", in, {11, 5})})),
            expected);
}

TEST(Session, AccountsSumToTheCycles) {
  Builder b(3, 1);
  b.vector(Opcode::add, 1, 40, at(0), at(0), at(512));
  b.send(1, 0, 40, at(0)).node = 2;
  b.recv(3, 0, 40, at(64));
  routeEast(b, 0, 0, 2);
  StepResult result = stepOf(sessionOf(b).get());
  uint64_t sum = 0;
  for (const executor::Account &account : result.accounts) {
    sum += account.busy + account.wait;
    EXPECT_EQ(account.node, "node/a");
  }
  EXPECT_EQ(sum, result.cycles);
}

TEST(Session, ThreadsDoNotChangeAnything) {
  Builder b = counter();
  Floats x = {1, 2, 3, 4};
  executor::RunOptions one, two;
  one.threads = 1;
  two.threads = 2;
  auto first = stepOf(sessionOf(b).get(), {tensor("x", x, {2, 2})}, one);
  auto second = stepOf(sessionOf(b).get(), {tensor("x", x, {2, 2})}, two);
  EXPECT_EQ(first.cycles, second.cycles);
  EXPECT_EQ(first.outputs[0].bytes, second.outputs[0].bytes);
}

TEST(Session, TracesShowWhoDidWhat) {
  auto session = sessionOf(counter());
  Floats x = {1, 2, 3, 4};
  executor::Trace trace;
  executor::RunOptions options;
  options.trace = &trace;
  uint64_t cycles = 0;
  for (int i = 0; i < 2; ++i)
    cycles = stepOf(session.get(), {tensor("x", x, {2, 2})}, options).cycles;
  ASSERT_EQ(trace.events.size(), 8u); // 2 steps, 2 PEs, 2 additions
  EXPECT_EQ(trace.events[4].begin, cycles) << "steps follow each other";
  EXPECT_EQ(trace.events[7].end, 2 * cycles);
  std::string text;
  llvm::raw_string_ostream os(text);
  trace.write(os, session->image());
  auto json = llvm::json::parse(text);
  ASSERT_TRUE(bool(json)) << toString(json.takeError());
  EXPECT_EQ(json->getAsObject()->getArray("traceEvents")->size(), 10u);
  executor::Trace two(2);
  options.trace = &two;
  llvm::cantFail(session->reset());
  stepOf(session.get(), {tensor("x", x, {2, 2})}, options);
  EXPECT_EQ(two.events.size(), 2u);
  EXPECT_EQ(two.leftOut, 2u);
}
