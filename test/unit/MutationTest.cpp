// Thousands of programs with one fact changed. Each is refused, or comes to
// rest with an error, or ends; none crashes or runs on. A changed count, depth,
// color or route never ends with another answer: only a changed order or
// address makes a program that means something else.

#include "waferloom/Executor/Executor.h"
#include "waferloom/Measure/Collective.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"

#include "gtest/gtest.h"

#include <array>
#include <random>

using namespace waferloom;
using namespace waferloom::collectives;

namespace {

constexpr unsigned length = 6, words = 5;

enum class Change { Count, Depth, Color, Order, Route, Address };
constexpr std::array<Change, 6> changes = {Change::Count, Change::Depth,
                                           Change::Color, Change::Order,
                                           Change::Route, Change::Address};

struct Outcome {
  bool ended = false;
  std::string error;
  std::vector<char> bytes;
};

std::unique_ptr<image::TargetT> machineOf() {
  auto target = target::parse("wse2");
  EXPECT_TRUE(bool(target));
  return target::toImage(*target);
}

Outcome refused(llvm::Error error) {
  return {false, llvm::toString(std::move(error)), {}};
}

Outcome run(llvm::Expected<std::shared_ptr<const image::Loaded>> loaded) {
  if (!loaded)
    return refused(loaded.takeError());
  auto session = executor::Session::create(*loaded);
  if (!session)
    return refused(session.takeError());
  std::vector<float> numbers(length * words);
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = float(i * 7 % 31);
  executor::HostTensor input;
  input.name = "x";
  input.data = numbers.data();
  input.shape = {length, words};
  executor::RunOptions options;
  options.threads = 1;
  options.workLimit = 1 << 20;
  auto step = (*session)->step(0, {input}, options);
  if (!step)
    return refused(step.takeError());
  Outcome outcome;
  outcome.ended = true;
  for (const executor::OutputTensor &tensor : step->outputs)
    outcome.bytes.insert(outcome.bytes.end(), tensor.bytes.begin(),
                         tensor.bytes.end());
  return outcome;
}

class Mutator {
public:
  explicit Mutator(uint32_t seed) : random(seed) {}

  void apply(Change change, image::ImageT &image) {
    image::ProgramT &program = *image.regions[0]->programs[0];
    switch (change) {
    case Change::Count:
      return count(pick(program.instructions));
    case Change::Depth:
      return depth(*image.target);
    case Change::Color:
      return color(program);
    case Change::Order: {
      auto &list = program.instructions;
      return std::swap(list[below(list.size())], list[below(list.size())]);
    }
    case Change::Route:
      return route(program, *image.regions[0]);
    case Change::Address:
      return address(pick(program.instructions));
    }
  }

  uint32_t below(size_t limit) { return uint32_t(random() % limit); }

private:
  template <typename Element>
  Element &pick(std::vector<std::unique_ptr<Element>> &list) {
    return *list[below(list.size())];
  }
  /// Small numbers mostly, and those where arithmetic breaks.
  uint32_t number() {
    static constexpr uint32_t odd[] = {0,          1,          0x7FFFFFFF,
                                       0x80000000, 0xFFFFFFFF, 65536};
    return below(3) ? below(12) : odd[below(std::size(odd))];
  }
  void count(image::InstructionT &instruction) {
    if (instruction.shape.empty() || below(8) == 0)
      instruction.shape.push_back(number());
    else
      instruction.shape[below(instruction.shape.size())] = number();
  }
  void depth(image::TargetT &target) {
    if (below(2))
      target.input_queue_words = number();
    else
      target.output_queue_words = number();
  }
  void color(image::ProgramT &program) {
    image::InstructionT &instruction = pick(program.instructions);
    switch (below(4)) {
    case 0:
      instruction.in_color = uint8_t(below(4) ? below(6) : below(256));
      break;
    case 1:
      instruction.out_color = uint8_t(below(4) ? below(6) : below(256));
      break;
    case 2:
      pick(program.routes).color = uint8_t(below(4) ? below(6) : below(256));
      break;
    default:
      instruction.in_queue = uint8_t(below(16));
      instruction.out_queue = uint8_t(below(16));
    }
  }
  void route(image::ProgramT &program, image::RegionT &region) {
    image::RouteT &route = pick(program.routes);
    const auto side = static_cast<image::Side>(below(5));
    switch (below(6)) {
    case 0:
      route.outputs ^= uint8_t(1) << below(8);
      break;
    case 1:
      route.inputs[below(route.inputs.size())] = image::Turn(side, number());
      break;
    case 2:
      route.inputs.push_back(image::Turn(side, number()));
      break;
    case 3:
      route.columns = below(region.sets.size() + 2);
      break;
    case 4:
      program.routes.erase(program.routes.begin() +
                           below(program.routes.size()));
      break;
    default:
      region.columns[below(region.columns.size())]->repeats = number();
    }
  }
  void address(image::InstructionT &instruction) {
    image::OperandT *operand =
        instruction.dst ? instruction.dst.get() : instruction.a.get();
    if (!operand)
      return;
    switch (below(4)) {
    case 0:
      operand->base = below(2) ? below(10) * 4 : number();
      break;
    case 1:
      if (!operand->strides.empty())
        operand->strides.back() = int32_t(number());
      break;
    case 2:
      operand->index_scale = int32_t(number());
      operand->index_count = number();
      operand->index_at = below(8) * 4;
      break;
    default:
      operand->steps.emplace_back(below(2), int32_t(number()));
    }
  }

  std::mt19937 random;
};

image::ImageT program(Algorithm algorithm, const image::TargetT &target) {
  Request request;
  request.algorithm = algorithm;
  request.root = 2;
  request.words = words;
  request.group = algorithm == Algorithm::TwoPhase ? 2 : 0;
  measure::CollectiveRun about;
  auto image = measure::collectiveImage({length, 1, 1}, request,
                                        image::Type::f32, target, about);
  EXPECT_TRUE(bool(image)) << llvm::toString(image.takeError());
  return std::move(image->image);
}

constexpr std::array<Algorithm, 5> mutated = {
    Algorithm::Chain, Algorithm::TwoPhase, Algorithm::Tree, Algorithm::Star,
    Algorithm::Grown};

} // namespace

TEST(Mutation, oneChangedFactIsRefusedOrHarmless) {
  const auto target = machineOf();
  unsigned refusals = 0, same = 0, other = 0;
  for (Algorithm algorithm : mutated) {
    const Outcome right = run(image::adopt(program(algorithm, *target), ""));
    ASSERT_TRUE(right.ended) << right.error;
    for (uint32_t seed = 0; seed < 1250; ++seed) {
      const Change change = changes[seed % changes.size()];
      image::ImageT image = program(algorithm, *target);
      Mutator(seed * 4 + unsigned(algorithm)).apply(change, image);
      const Outcome outcome = run(image::adopt(std::move(image), ""));
      if (!outcome.ended) {
        EXPECT_NE(outcome.error, "");
        ++refusals;
      } else if (outcome.bytes == right.bytes) {
        ++same;
      } else {
        EXPECT_TRUE(change == Change::Order || change == Change::Address)
            << nameOf(algorithm).str() << " seed " << seed;
        ++other;
      }
    }
  }
  EXPECT_EQ(refusals + same + other, 1250u * mutated.size());
  // Enough of each for the test to mean something.
  EXPECT_GT(refusals, 1500u);
  EXPECT_GT(same, 300u);
  std::printf("%u refused, %u the same answer, %u another\n", refusals, same,
              other);
}

/// Bytes of a file are changed: it is refused, or it runs as any image does.
TEST(Mutation, changedBytesOfAFileDoNoHarm) {
  const auto target = machineOf();
  const std::string good =
      image::writeBytes(program(Algorithm::Chain, *target), {});
  unsigned refusals = 0;
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    Mutator random(seed);
    std::string bytes = good;
    for (uint32_t i = 0; i <= random.below(3); ++i)
      bytes[random.below(bytes.size())] = char(random.below(256));
    if (random.below(10) == 0)
      bytes.resize(random.below(bytes.size()));
    // Half of them get past the checksum.
    if (seed % 2)
      image::seal(bytes);
    const Outcome outcome = run(image::readBytes(bytes, "mutated"));
    refusals += !outcome.ended;
  }
  EXPECT_GT(refusals, 300u);
}
