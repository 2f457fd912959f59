// What the host does to sessions: threads, forks, signals, limits.

#include "../../lib/Executor/Workers.h"
#include "Running.h"
#include "waferloom/Executor/Tokens.h"
#include <atomic>
#include <chrono>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace waferloom;
using namespace waferloom::test;

/// So many additions on each of two PEs, in two loops.
static Builder additions(uint32_t outer, uint32_t inner, uint32_t elements) {
  Builder b(2, 1);
  b.columns("y", Role::output, 1, 64);
  b.loop(0, outer, 2);
  b.loop(0, inner, 1);
  b.vector(Opcode::add, 0, elements, at(64, 0), at(64, 0), constant(bits(1)));
  return b;
}

TEST(Host, WorkIsCountedBeforeItIsDone) {
  auto session = sessionOf(additions(2, 3, 5));
  executor::RunOptions options;
  // A loop, two loops, and six additions of five elements on two PEs.
  options.workLimit = 2 * (1 + 2 + 6 * 5);
  EXPECT_EQ(valuesOf(stepOf(session.get(), {}, options)),
            (std::vector<float>{30, 30}));
  options.workLimit -= 1;
  std::string text = failure(session->step(0, {}, options));
  EXPECT_NE(text.find("a step of entry 'run' computes and moves 66 elements on "
                      "all PEs, more than the limit of 65"),
            std::string::npos)
      << text;
  // It changed nothing: the session needs no reset.
  options.workLimit = 0;
  EXPECT_EQ(valuesOf(stepOf(session.get(), {}, options)),
            (std::vector<float>{60, 60}));
}

/// 2^62 operations of one instruction: the sum is no small number again.
TEST(Host, WorkOfYearsIsRefused) {
  auto session = sessionOf(additions(1u << 16, 1u << 15, 1u << 31));
  executor::RunOptions options;
  options.workLimit = executor::usualWorkLimit;
  auto begin = std::chrono::steady_clock::now();
  std::string text = failure(session->step(0, {}, options));
  EXPECT_NE(text.find("more than the limit of 1000000000000"),
            std::string::npos)
      << text;
  EXPECT_LT(std::chrono::steady_clock::now() - begin,
            std::chrono::seconds(60)); // not years
}

/// What stands behind an `end` is never done, so it is not counted.
TEST(Host, NothingBehindTheEndCounts) {
  Builder b = additions(1, 1, 1);
  b.add(Opcode::end, 0, 0);
  b.loop(0, 1u << 31, 1);
  b.vector(Opcode::add, 0, 1u << 20, at(64, 0), at(64, 0), constant(bits(1)));
  auto session = sessionOf(b);
  executor::RunOptions options;
  options.workLimit = 100;
  EXPECT_EQ(valuesOf(stepOf(session.get(), {}, options)),
            (std::vector<float>{1, 1}));
}

/// Cycles that only the word-by-word engine can count.
TEST(Host, CountingHasALimitToo) {
  Builder b(2, 1);
  b.loop(0, 1u << 31, 1);
  b.vector(Opcode::mov, 0, 1, at(0), at(4)).rows = 1;
  auto loaded = adopt(b.image, b.data);
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  executor::RunOptions options;
  options.workLimit = 1'000'000;
  std::string text = failure(executor::countStep(*loaded, 0, options));
  EXPECT_NE(text.find("to count these cycles 4294967298 instructions"),
            std::string::npos)
      << text;
}

TEST(Host, StepsAreInterrupted) {
  for (auto kind :
       {executor::EngineKind::lockstep, executor::EngineKind::reference}) {
    Builder b = additions(1u << 10, 1u << 10, 1u << 16); // minutes
    auto loaded = adopt(b.image, b.data);
    ASSERT_TRUE(bool(loaded));
    auto session = llvm::cantFail(Session::create(*loaded, kind));
    executor::RunOptions options;
    unsigned asked = 0;
    options.interrupted = [&] { return ++asked == 3; };
    EXPECT_EQ(failure(session->step(0, {}, options)),
              "interrupted; reset the session before the next step");
    EXPECT_EQ(asked, 3u);
    EXPECT_NE(failure(session->step(0, {}, options)).find("reset the session"),
              std::string::npos);
    llvm::cantFail(session->reset());
    asked = 0;
    EXPECT_NE(failure(session->step(0, {}, options)).find("interrupted"),
              std::string::npos);
  }
}

/// A program of 2^31 rounds is interrupted while its order is sought.
TEST(Host, CountingIsInterrupted) {
  Builder b(2, 1);
  b.loop(0, 1u << 31, 1);
  b.vector(Opcode::mov, 0, 1, at(0), at(4));
  auto loaded = adopt(b.image, b.data);
  ASSERT_TRUE(bool(loaded));
  executor::RunOptions options;
  unsigned asked = 0;
  options.interrupted = [&] { return ++asked == 2; };
  EXPECT_NE(
      failure(executor::countStep(*loaded, 0, options)).find("interrupted"),
      std::string::npos);
}

TEST(Host, OneThreadAtATime) {
  Builder b = additions(1u << 10, 1u << 10, 1u << 16);
  auto loaded = adopt(b.image, b.data);
  ASSERT_TRUE(bool(loaded));
  auto session = llvm::cantFail(Session::create(*loaded));
  std::atomic<bool> started{false}, stop{false};
  std::string first;
  std::thread other([&] {
    executor::RunOptions options;
    options.interrupted = [&] {
      started = true;
      return stop.load();
    };
    first = failure(session->step(0, {}, options));
  });
  while (!started)
    std::this_thread::yield();
  for (std::string text :
       {failure(session->step(0, {}, {})), toString(session->reset()),
        toString(session->check(0, {}, 0, {})),
        toString(session->proveHangFree(0))})
    EXPECT_EQ(text, "the session is in use by another thread; give each thread "
                    "its own");
  EXPECT_EQ(session->length(), 0u);
  stop = true;
  other.join();
  EXPECT_NE(first.find("interrupted"), std::string::npos) << first;
  EXPECT_EQ(toString(session->reset()), "");
}

static uint64_t sumOf(executor::Workers &workers) {
  std::atomic<uint64_t> sum{0};
  workers.forEach(1000, [&](size_t i, unsigned) { sum += i; });
  return sum;
}

/// In the child there are no threads but the one that forked.
TEST(Host, ForksAreSurvived) {
  auto workers = std::make_unique<executor::Workers>(4);
  ASSERT_EQ(sumOf(*workers), 499500u);
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60); // else a hang were a hang of the test
    bool right = sumOf(*workers) == 499500;
    workers->resize(3);
    right = right && sumOf(*workers) == 499500 && workers->size() == 3;
    workers.reset();
    ::_exit(right ? 7 : 8);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  EXPECT_EQ(workers->size(), 4u);
  EXPECT_EQ(sumOf(*workers), 499500u);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WAFERLOOM_TEST_SANITIZED
#endif
#endif

/// Stacks of threads are what the limit of addresses leaves no room for.
#ifndef WAFERLOOM_TEST_SANITIZED
TEST(Host, FewerThreadsDoTheSame) {
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    long pages = 0;
    if (std::FILE *file = std::fopen("/proc/self/statm", "r")) {
      (void)!std::fscanf(file, "%ld", &pages);
      std::fclose(file);
    }
    struct rlimit limit{};
    limit.rlim_cur = limit.rlim_max =
        static_cast<rlim_t>(pages) * 4096 + (rlim_t(100) << 20);
    setrlimit(RLIMIT_AS, &limit);
    executor::Workers workers(256);
    bool right = workers.size() < 256 && sumOf(workers) == 499500;
    ::_exit(right ? 7 : 8);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
}
#endif

/// An input that must be ones and is on no PE is looked at, not copied: 2^32
/// elements of it would be 32 GiB.
TEST(Host, InputsOnNoPeTakeNoMemory) {
  Builder b = additions(1, 1, 1);
  auto input = std::make_unique<EntryInputT>();
  input->name = "m";
  input->fallback = Default::only_ones;
  b.image.entries[0]->inputs.push_back(std::move(input));
  auto info = std::make_unique<TensorInfoT>();
  info->name = "m";
  info->type = Type::i32;
  info->source_int64 = true;
  info->role = Role::input;
  info->shape = {1u << 16, 1u << 16};
  b.image.entries[0]->tensors.push_back(std::move(info));
  auto session = sessionOf(b);
  ASSERT_TRUE(session);
  EXPECT_EQ(valuesOf(stepOf(session.get())), (std::vector<float>{1, 1}));
  std::vector<int64_t> ones = {1, 1, 0};
  HostTensor mask{"m", ones.data(), HostType::i64, {1, 3}};
  EXPECT_NE(failure(session->step(0, {mask}, {})).find("all must be 1"),
            std::string::npos);
  mask.shape = {1, 2};
  EXPECT_EQ(valuesOf(stepOf(session.get(), {mask})),
            (std::vector<float>{2, 2}));
}

/// Two entries, of two tokens and of one; `x` adds to a state, and `i` is
/// below 5.
static Builder cutInTwo() {
  Builder b(1, 1);
  b.image.capacity = 9;
  auto make = [&](uint32_t tokens) {
    auto entry = std::make_unique<EntryT>();
    entry->name = "tokens" + std::to_string(tokens);
    entry->tokens = tokens;
    auto program = std::make_unique<ProgramT>();
    auto transfer = [&](const char *name, Role role, uint32_t columns,
                        uint32_t address) {
      auto info = std::make_unique<TensorInfoT>();
      info->name = name;
      info->type = Type::i32;
      info->role = role;
      info->shape = {1, columns};
      entry->tensors.push_back(std::move(info));
      auto binding = std::make_unique<BindingT>();
      binding->name = name;
      binding->role = role;
      binding->type = binding->source_type = Type::i32;
      binding->address = address;
      auto dim = std::make_unique<DimT>();
      dim->live = columns;
      dim->source_stride = 1;
      dim->digits = {Digit(Axis::none, columns, 0)};
      binding->dims.push_back(std::move(dim));
      if (role == Role::output) {
        program->outputs.push_back(std::move(binding));
        return;
      }
      auto input = std::make_unique<EntryInputT>();
      input->name = name;
      entry->inputs.push_back(std::move(input));
      program->inputs.push_back(std::move(binding));
    };
    transfer("x", Role::input, tokens, 0);
    transfer("mask", Role::input, 9, 32);
    transfer("y", Role::output, tokens, 80);
    auto add = std::make_unique<InstructionT>();
    add->op = Opcode::add;
    add->shape = {tokens};
    add->dst = std::make_unique<OperandT>(at(80, 1, Type::i32));
    add->a = std::make_unique<OperandT>(at(0, 1, Type::i32));
    add->b = std::make_unique<OperandT>(at(32, 1, Type::i32));
    program->instructions.push_back(std::move(add));
    b.image.entries.push_back(std::move(entry));
    b.region().programs.push_back(std::move(program));
  };
  b.image.entries.clear();
  b.region().programs.clear();
  make(1);
  make(2);
  return b;
}

/// A mask that fits the first cut and not the second: nothing has run then.
TEST(Host, AStepThatIsRefusedInItsSecondCutChangesNothing) {
  auto session = sessionOf(cutInTwo());
  ASSERT_TRUE(session);
  std::vector<int32_t> x = {1, 2, 3}, mask(3, 10);
  std::vector<int64_t> wide = {10, 10, int64_t(1) << 40};
  auto run = [&](HostTensor with) {
    HostTensor tokens{"x", x.data(), HostType::i32, {1, 3}};
    return executor::runTokens(*session, {tokens, with});
  };
  std::string text = failure(run({"mask", wide.data(), HostType::i64, {1, 3}}));
  EXPECT_NE(text.find("32 bits do not hold"), std::string::npos) << text;
  EXPECT_EQ(session->length(), 0u);
  auto result = run({"mask", mask.data(), HostType::i32, {1, 3}});
  ASSERT_TRUE(bool(result)) << toString(result.takeError());
  EXPECT_EQ(result->entries, (std::vector<size_t>{1, 0}));
  EXPECT_EQ(session->length(), 3u);
}

/// Before an archive is unpacked only names and shapes are known.
TEST(Host, ShapesAreCheckedWithoutElements) {
  Builder b = cutInTwo();
  auto checked = [&](const char *name, std::vector<int64_t> shape) {
    return toString(executor::checkShape(b.image, name, shape));
  };
  EXPECT_EQ(checked("x", {1, 1}), "");
  EXPECT_EQ(checked("x", {1, 9}), "");
  EXPECT_EQ(checked("mask", {1, 9}), "");
  EXPECT_NE(checked("x", {1, 10}), "");
  EXPECT_NE(checked("x", {2, 1}), "");
  EXPECT_NE(checked("x", {1}), "");
  EXPECT_NE(checked("x", {1, -1}), "");
  EXPECT_NE(checked("mask", {1, int64_t(1) << 40}), "");
  EXPECT_EQ(checked("z", {1}), "input 'z' is not an input");
}
