//===- executor.cpp - Both engines and the host's roof --------------------===//
//
//   waferloom-bench-executor [IMAGE.wafer] [--benchmark_...]
//
// Without an image: a step like that of a decoder's layer, made here. Counters
// are per second: instructions of PEs, multiply-adds, words sent and taken, and
// bytes of weights read. `ratio` is the reference engine's time over the
// lock-step engine's. The roof of the host, its multiply-adds and bytes read,
// is measured in the same run. What is counted once per session is not in a
// step's time: `First` has it; `Count` counts cycles and executes nothing.
//
//===----------------------------------------------------------------------===//

#include "waferloom/Executor/Executor.h"
#include "../../test/unit/Programs.h"
#include "benchmark/benchmark.h"
#include "waferloom/Image/Image.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <map>
#include <thread>

using namespace waferloom;
using executor::EngineKind;

namespace {
std::shared_ptr<const image::Loaded> loaded;

/// The seconds of a step, by engine.
std::map<EngineKind, double> seconds;
} // namespace

/// Sixteen rows of a matrix per PE, sums along rows and columns, and arithmetic
/// on short vectors: 96 x 96 PEs.
static std::shared_ptr<const image::Loaded> makeLayer() {
  using namespace test;
  constexpr uint32_t side = 96, width = 24;
  Builder b(side, side, 8192, "wse2");
  uint32_t weights = 2048;
  uint32_t last = side;
  for (unsigned round = 0; round < 8; ++round) {
    b.loop(0, 16, 1);
    OperandT row = at(weights), x = at(1024, 0);
    row.steps = {LoopStep(0, 4 * width)};
    x.steps = {LoopStep(0, 4)};
    b.vector(Opcode::fma, 0, width, at(0), at(0), row, x);
    for (unsigned k = 0; k < 12; ++k)
      b.vector(k % 2 ? Opcode::add : Opcode::mul, 0, 6, at(256), at(0),
               at(128));
    // A chain to the west, by columns, and the sum back to all of the row.
    uint8_t even = 0, odd = 1, back = 2;
    if (round == 0) {
      for (uint32_t c = 0; c < side; ++c) {
        uint8_t out = c % 2 ? odd : even;
        if (c > 0)
          b.route(out, c + 1, {Turn(Side::ramp, 0)}, {Side::west});
        if (c + 1 < side)
          b.route(c % 2 ? even : odd, c + 1, {Turn(Side::east, 0)},
                  {Side::ramp});
        if (c == 0)
          b.route(back, c + 1, {Turn(Side::ramp, 0)}, {Side::east});
        else if (c + 1 < side)
          b.route(back, c + 1, {Turn(Side::west, 0)}, {Side::east, Side::ramp});
        else
          b.route(back, c + 1, {Turn(Side::west, 0)}, {Side::ramp});
      }
    }
    b.send(last, odd, width, at(0)); // column 95 is odd
    for (uint32_t c = side - 2; c > 0; --c)
      b.pass(c + 1, c % 2 ? even : odd, c % 2 ? odd : even, width, at(0));
    b.recv(1, odd, width, at(0), Opcode::recv_fold);
    b.send(1, back, width, at(0));
    std::vector<uint32_t> others;
    for (uint32_t c = 1; c < side; ++c)
      others.push_back(c);
    b.recv(b.set(others), back, width, at(0));
  }
  auto made = image::adopt(std::move(b.image), std::move(b.data));
  if (!made) {
    llvm::errs() << llvm::toString(made.takeError()) << "\n";
    return nullptr;
  }
  return *made;
}

/// What the first entry needs.
struct Inputs {
  std::vector<std::vector<char>> bytes;
  std::vector<executor::HostTensor> tensors;

  Inputs() {
    const image::EntryT &entry = *loaded->image.entries.front();
    for (const auto &info : entry.tensors) {
      bool needed = false;
      for (const auto &input : entry.inputs)
        needed |= input->name == info->name &&
                  input->fallback == image::Default::required;
      if (!needed || info->role != image::Role::input)
        continue;
      executor::HostTensor tensor;
      tensor.name = info->name;
      tensor.type = info->type == image::Type::f32   ? executor::HostType::f32
                    : info->type == image::Type::f16 ? executor::HostType::f16
                                                     : executor::HostType::i32;
      size_t size = executor::bytesOf(tensor.type);
      for (uint32_t extent : info->shape) {
        tensor.shape.push_back(extent);
        size *= extent;
      }
      bytes.emplace_back(size);
      tensor.data = bytes.back().data();
      tensors.push_back(tensor);
    }
  }
};

/// Multiply-adds of the programs of an entry, all PEs and loops.
static uint64_t multiplyAdds() {
  uint64_t total = 0;
  for (const auto &region : loaded->image.regions) {
    const image::ProgramT &program = *region->programs.front();
    image::Classes classes = image::classesOf(*region);
    const image::ClassPairs pairs = image::instructionPairs(*region, classes);
    image::ProgramTable table = image::tabulate(*region, pairs, program);
    std::map<uint32_t, uint64_t> pes;
    for (uint32_t row : classes.rows)
      for (uint32_t column : classes.columns)
        ++pes[table.ofPair[pairs.of(column, row)]];
    for (auto [index, count] : pes) {
      std::vector<std::pair<uint64_t, uint64_t>> loops; // end, times
      for (uint32_t i : table.programs[index]) {
        while (!loops.empty() && loops.back().first <= i)
          loops.pop_back();
        const image::InstructionT &in = *program.instructions[i];
        uint64_t times = loops.empty() ? 1 : loops.back().second;
        if (image::isLoop(in.op))
          loops.push_back({uint64_t(i) + 1 + in.body, times * in.count});
        uint64_t elements = 1;
        for (uint32_t extent : in.shape)
          elements *= extent;
        if (in.op == image::Opcode::fma || in.op == image::Opcode::mul)
          total += count * times * elements;
      }
    }
  }
  return total;
}

static std::unique_ptr<executor::Session> begin(EngineKind kind) {
  return llvm::cantFail(executor::Session::create(loaded, kind));
}

static void step(benchmark::State &state, EngineKind kind, unsigned threads) {
  auto session = begin(kind);
  Inputs inputs;
  executor::RunOptions options;
  options.threads = threads;
  auto once = [&] {
    if (loaded->image.capacity != 0 &&
        session->length() >= loaded->image.capacity)
      llvm::cantFail(session->reset());
    return llvm::cantFail(session->step(0, inputs.tensors, options));
  };
  executor::StepResult result = once();
  auto start = std::chrono::steady_clock::now();
  for (auto _ : state)
    result = once();
  double total =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  double each = total / double(state.iterations());
  seconds[kind] = each;
  auto rate = [&](uint64_t count) {
    return benchmark::Counter(double(count) / each);
  };
  state.counters["instructions/s"] = rate(result.instructions);
  state.counters["MAC/s"] = rate(multiplyAdds());
  state.counters["words/s"] = rate(result.words);
  state.counters["cycles"] = double(result.cycles);
  if (seconds.count(EngineKind::reference))
    state.counters["ratio"] = seconds[EngineKind::reference] / each;
}

/// A session's beginning and its first step: weights, streams, order, cycles.
static void first(benchmark::State &state, EngineKind kind) {
  Inputs inputs;
  for (auto _ : state)
    benchmark::DoNotOptimize(llvm::cantFail(
        begin(kind)->step(0, inputs.tensors, executor::RunOptions())));
}

/// The cycles of a step, without executing it.
static void count(benchmark::State &state, EngineKind kind) {
  executor::StepResult result;
  auto start = std::chrono::steady_clock::now();
  for (auto _ : state)
    result = llvm::cantFail(
        executor::countStep(loaded, 0, executor::RunOptions(), kind));
  double total =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  state.counters["instructions/s"] = benchmark::Counter(
      double(result.instructions) * double(state.iterations()) / total);
  state.counters["cycles"] = double(result.cycles);
}

/// Multiply-adds of one core on registers.
#if defined(__x86_64__) && defined(__clang__)
__attribute__((target("avx2,fma"), noinline))
#endif
static float multiplyAdd(uint64_t rounds) {
  float sums[128];
  for (unsigned i = 0; i < 128; ++i)
    sums[i] = float(i);
  for (uint64_t r = 0; r < rounds; ++r)
    for (float &sum : sums)
      sum = __builtin_fmaf(sum, 0.999f, 0.5f);
  float total = 0;
  for (float sum : sums)
    total += sum;
  return total;
}

static void roofOfArithmetic(benchmark::State &state) {
  uint64_t rounds = 10000;
  for (auto _ : state) {
    benchmark::DoNotOptimize(rounds); // the compiler must not know them
    benchmark::DoNotOptimize(multiplyAdd(rounds));
  }
  state.counters["MAC/s"] = benchmark::Counter(
      double(rounds * 128 * state.iterations()), benchmark::Counter::kIsRate);
}

static void roofOfMemory(benchmark::State &state) {
  std::vector<uint64_t> data(size_t(1) << 25, 1); // 256 MiB
  uint64_t sum = 0;
  for (auto _ : state) {
    for (uint64_t value : data)
      sum += value;
    benchmark::DoNotOptimize(sum);
  }
  state.counters["bytes/s"] =
      benchmark::Counter(double(data.size() * 8 * state.iterations()),
                         benchmark::Counter::kIsRate);
}

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  if (argc > 1) {
    auto read = image::read(argv[1]);
    if (!read) {
      llvm::errs() << argv[1] << ": error: " << llvm::toString(read.takeError())
                   << "\n";
      return 1;
    }
    loaded = *read;
  } else {
    loaded = makeLayer();
  }
  if (!loaded)
    return 1;
  auto unit = benchmark::kMillisecond;
  benchmark::RegisterBenchmark("RoofOfOneCore", roofOfArithmetic);
  benchmark::RegisterBenchmark("RoofOfMemoryOneCore", roofOfMemory)->Unit(unit);
  benchmark::RegisterBenchmark("Reference", step, EngineKind::reference, 1)
      ->Unit(unit)
      ->Iterations(2)
      ->UseRealTime();
  for (unsigned threads = 1;
       threads <= std::max(1u, std::thread::hardware_concurrency());
       threads *= 2)
    benchmark::RegisterBenchmark(
        ("Lockstep/threads:" + std::to_string(threads)).c_str(), step,
        EngineKind::lockstep, threads)
        ->Unit(unit)
        ->UseRealTime();
  for (EngineKind kind : {EngineKind::reference, EngineKind::lockstep})
    benchmark::RegisterBenchmark(
        kind == EngineKind::reference ? "First/reference" : "First/lockstep",
        first, kind)
        ->Unit(unit)
        ->Iterations(1)
        ->UseRealTime();
  for (EngineKind kind : {EngineKind::reference, EngineKind::lockstep})
    benchmark::RegisterBenchmark(
        kind == EngineKind::reference ? "Count/reference" : "Count/lockstep",
        count, kind)
        ->Unit(unit)
        ->Iterations(1)
        ->UseRealTime();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
