// Experiments whose cycles somebody has published, run on the executor. None of
// the numbers that come out depends on a number that is compared with, except
// through the figures of the targets (docs/validation.md says which were
// fitted).

#include "waferloom/Measure/Validation.h"

#include "waferloom/Executor/Executor.h"
#include "waferloom/Measure/Collective.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace waferloom;
using namespace waferloom::measure;
using collectives::Algorithm;
using collectives::Kind;
using llvm::Error;
using llvm::Expected;

bool ValidationRow::passes() const {
  return std::abs(executed - published) <=
         std::max(cycles, percent / 100 * published);
}

bool Validation::passes() const {
  for (const ValidationRow &row : rows)
    if (!row.passes())
      return false;
  // Two cells are closer than the formulas are exact: the page names them.
  return agree + 2 >= cells;
}

namespace {

class Experiments {
public:
  explicit Experiments(const ValidationTargets &targets) : targets(targets) {}

  Error run();
  Validation result;

private:
  Error chainAndTwoPhase();
  Error multicasts();
  Error formulas();
  Error cell(unsigned length, uint64_t words);
  Error vectors();
  Expected<uint64_t> collective(Kind kind, Algorithm algorithm, unsigned length,
                                uint64_t words, unsigned group,
                                const image::TargetT &target);
  Expected<uint64_t> vector(uint32_t elements, uint32_t iterations,
                            uint32_t distance);
  void row(const char *id, std::string what, double executed, double published,
           double percent, double cycles = 0) {
    result.rows.push_back(
        {id, std::move(what), executed, published, percent, cycles});
  }

  const ValidationTargets &targets;
};

} // namespace

Expected<uint64_t> Experiments::collective(Kind kind, Algorithm algorithm,
                                           unsigned length, uint64_t words,
                                           unsigned group,
                                           const image::TargetT &target) {
  collectives::Line line;
  line.length = length;
  collectives::Request request;
  request.kind = kind;
  request.algorithm = algorithm;
  request.words = words;
  request.group = group;
  Expected<CollectiveRun> run = runCollective(line, request, image::Type::f32,
                                              target, /*withLaunch=*/true);
  if (!run)
    return run.takeError();
  return run->executed;
}

/// K1, K2 and the start-up row.
Error Experiments::chainAndTwoPhase() {
  Expected<uint64_t> chain =
      collective(Kind::Reduce, Algorithm::Chain, 512, 4096, 0, targets.wse2);
  if (!chain)
    return chain.takeError();
  row("K1", "chain reduce, 512 PEs, 4096 words", *chain, 7218, 3);
  struct Known {
    unsigned group, words;
    double cycles;
  };
  for (const Known &known : {Known{8, 4096, 9117}, Known{32, 4096, 8973},
                             Known{256, 4096, 9800}, Known{28, 64, 926.5}}) {
    Expected<uint64_t> run = collective(Kind::Reduce, Algorithm::TwoPhase, 512,
                                        known.words, known.group, targets.wse2);
    if (!run)
      return run.takeError();
    row("K2",
        llvm::formatv("two-phase reduce, 512 PEs, {0} words, groups of {1}",
                      known.words, known.group),
        *run, known.cycles, 4);
  }
  return Error::success();
}

/// K3 and K4 on the device, K5 on an ideal wire.
Error Experiments::multicasts() {
  struct Known {
    unsigned receivers;
    double few, many;
  };
  for (const Known &known :
       {Known{1, 39, 309}, Known{16, 53, 323}, Known{64, 101, 371},
        Known{256, 293, 563}, Known{512, 549, 819}})
    for (bool many : {false, true}) {
      Expected<uint64_t> run =
          collective(Kind::Broadcast, Algorithm::Auto, known.receivers + 1,
                     many ? 256 : 16, 0, targets.wse3);
      if (!run)
        return run.takeError();
      row(many ? "K4" : "K3",
          llvm::formatv("multicast of {0} bytes to {1} PEs", many ? 1024 : 64,
                        known.receivers),
          *run, many ? known.many : known.few, 3);
    }
  for (unsigned length : {16u, 64u, 256u, 512u})
    for (uint64_t words : {1, 16, 256, 4096}) {
      Expected<uint64_t> run = collective(Kind::Broadcast, Algorithm::Auto,
                                          length, words, 0, targets.ideal);
      if (!run)
        return run.takeError();
      row("K5", llvm::formatv("broadcast, {0} PEs, {1} words", length, words),
          *run, double(words) + length + 4, 2, 1);
    }
  return Error::success();
}

/// One cell of K6: all algorithms, and who wins.
Error Experiments::cell(unsigned length, uint64_t words) {
  struct Tried {
    Algorithm algorithm;
    double executed, published;
  };
  std::vector<Tried> tried;
  const auto group = static_cast<unsigned>(std::lround(std::sqrt(length)));
  for (Algorithm algorithm : {Algorithm::Star, Algorithm::Chain,
                              Algorithm::Tree, Algorithm::TwoPhase}) {
    const double published =
        collectives::publishedCycles(Kind::Reduce, algorithm, length, words,
                                     group, targets.ideal.ramp_cycles);
    // A star moves words through P routers each: the long ones, which never
    // win, would take minutes.
    if (algorithm == Algorithm::Star &&
        words * length * length > (uint64_t(1) << 23))
      continue;
    Expected<uint64_t> run =
        collective(Kind::Reduce, algorithm, length, words,
                   algorithm == Algorithm::TwoPhase ? group : 0, targets.ideal);
    if (!run)
      return run.takeError();
    tried.push_back({algorithm, double(*run), published});
    double compared = published, percent = 5, cycles = 1;
    if (algorithm == Algorithm::Tree) {
      // With the distance outside the maximum: docs/validation.md.
      const double depth = std::log2(length);
      compared = double(words) * depth + length - 1 +
                 (2 * targets.ideal.ramp_cycles + 1) * depth;
      percent = 5, cycles = 10;
    }
    if (algorithm == Algorithm::TwoPhase)
      percent = 15;
    row("K6",
        llvm::formatv("{0} reduce, {1} PEs, {2} words",
                      collectives::nameOf(algorithm), length, words),
        *run, compared, percent, cycles);
  }
  auto byExecuted = [](const Tried &a, const Tried &b) {
    return a.executed < b.executed;
  };
  auto byPublished = [](const Tried &a, const Tried &b) {
    return a.published < b.published;
  };
  const Tried &ours = *std::min_element(tried.begin(), tried.end(), byExecuted);
  const Tried &theirs =
      *std::min_element(tried.begin(), tried.end(), byPublished);
  ++result.cells;
  if (ours.algorithm == theirs.algorithm || ours.executed == theirs.executed) {
    ++result.agree;
    return Error::success();
  }
  result.disagreements.push_back(llvm::formatv(
      "{0} PEs, {1} words: {2} ({3} cycles) before {4} ({5}), by the formulas "
      "{6} and {7}",
      length, words, collectives::nameOf(ours.algorithm),
      uint64_t(ours.executed), collectives::nameOf(theirs.algorithm),
      uint64_t(theirs.executed), std::lround(ours.published),
      std::lround(theirs.published)));
  return Error::success();
}

Error Experiments::formulas() {
  for (unsigned length : {16u, 64u, 256u, 512u})
    for (uint64_t words : {1, 16, 256, 4096})
      if (Error error = cell(length, words))
        return error;
  return Error::success();
}

//===----------------------------------------------------------------------===//
// K7, K8: vector instructions on one PE
//===----------------------------------------------------------------------===//

static std::unique_ptr<image::OperandT> at(uint32_t base, int32_t stride) {
  auto operand = std::make_unique<image::OperandT>();
  operand->base = base;
  operand->strides = {stride};
  return operand;
}

/// `iterations` times dst = dst + b * scalar over `elements`, where dst and b
/// lie `distance` bytes apart modulo the period of the banks, and the scalar
/// and b move every time if there is more than one.
Expected<uint64_t> Experiments::vector(uint32_t elements, uint32_t iterations,
                                       uint32_t distance) {
  const image::TargetT &target = targets.wse2;
  const uint32_t period = target.banks * target.bank_bytes;
  const uint32_t bytes = (elements * 4 + period - 1) / period * period;
  const uint32_t scalars = 2 * bytes + period;
  image::ImageT image;
  image.producer = "waferloom validation";
  image.target = std::make_unique<image::TargetT>(target);
  image.names = {"", "fma"};
  image.entries.push_back(std::make_unique<image::EntryT>());
  image.entries.back()->name = "main";
  image.entries.back()->tokens = 1;
  auto region = std::make_unique<image::RegionT>();
  region->width = region->height = 1;
  region->memory = scalars + period + iterations * 4;
  for (auto *runs : {&region->columns, &region->rows}) {
    runs->push_back(std::make_unique<image::RunT>());
    runs->back()->classes = {0};
    runs->back()->repeats = 1;
  }
  region->sets.push_back(std::make_unique<image::ClassSetT>());
  auto program = std::make_unique<image::ProgramT>();
  if (iterations > 1) {
    auto loop = std::make_unique<image::InstructionT>();
    loop->op = image::Opcode::loop;
    loop->count = iterations;
    loop->body = 1;
    loop->node = 1;
    program->instructions.push_back(std::move(loop));
  }
  auto fma = std::make_unique<image::InstructionT>();
  fma->op = image::Opcode::fma;
  fma->shape = {elements};
  fma->dst = at(0, 1);
  fma->a = at(0, 1);
  fma->b = at(bytes + distance, 1);
  fma->c = at(scalars, 0);
  if (iterations > 1)
    fma->c->steps.emplace_back(0u, 4);
  fma->node = 1;
  program->instructions.push_back(std::move(fma));
  region->programs.push_back(std::move(program));
  image.regions.push_back(std::move(region));

  auto loaded = image::adopt(std::move(image), "");
  if (!loaded)
    return loaded.takeError();
  auto session = executor::Session::create(*loaded);
  if (!session)
    return session.takeError();
  auto step = (*session)->step(0, {});
  if (!step)
    return step.takeError();
  return step->cycles;
}

Error Experiments::vectors() {
  for (bool collides : {false, true}) {
    Expected<uint64_t> run = vector(5124, 1, collides ? 0 : 8);
    if (!run)
      return run.takeError();
    row("K7",
        llvm::formatv("f32 vector of 5124, operands in {0}",
                      collides ? "the same banks" : "different banks"),
        *run, collides ? 10254 : 5130, 1);
  }
  struct Known {
    uint32_t elements;
    double cycles;
  };
  constexpr uint32_t iterations = 100;
  for (const Known &known :
       {Known{8, 38}, Known{32, 87}, Known{64, 155.2}, Known{128, 294.5}}) {
    Expected<uint64_t> run = vector(known.elements, iterations, 0);
    if (!run)
      return run.takeError();
    row("K8",
        llvm::formatv("inner iteration of a naive f32 GEMM, {0} elements",
                      known.elements),
        double(*run) / iterations, known.cycles, 10);
  }
  return Error::success();
}

Error Experiments::run() {
  if (Error error = chainAndTwoPhase())
    return error;
  if (Error error = multicasts())
    return error;
  if (Error error = formulas())
    return error;
  return vectors();
}

Expected<Validation> measure::validate(const ValidationTargets &targets) {
  Experiments experiments(targets);
  if (Error error = experiments.run())
    return std::move(error);
  return std::move(experiments.result);
}
