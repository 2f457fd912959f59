// The numbers that go in are small whole numbers, so that every order of adding
// them gives the same sum, in f16 too, and the answer can be compared exactly.

#include "waferloom/Measure/Collective.h"

#include "waferloom/Executor/Executor.h"

#include "llvm/Support/FormatVariadic.h"

#include <cstring>

using namespace waferloom;
using namespace waferloom::measure;
using collectives::Combiner;
using collectives::Kind;
using llvm::Error;
using llvm::Expected;

namespace {

struct Numbers {
  const collectives::Line &line;
  const collectives::Request &request;
  image::Type type;
  uint64_t elements; // per PE

  uint32_t input(uint64_t pe, uint64_t i) const {
    return (pe * 31 + i * 17) % (type == image::Type::f16 ? 2 : 97);
  }
  uint64_t segmentSize() const { return uint64_t(line.length) * line.stride; }
  /// The first PE of the group of `pe`.
  uint64_t firstOf(uint64_t pe) const {
    return pe / segmentSize() * segmentSize() + pe % line.stride;
  }
  bool hasResult(uint64_t pe) const {
    return request.kind != Kind::Reduce ||
           pe == firstOf(pe) + uint64_t(request.root) * line.stride;
  }
  uint32_t output(uint64_t pe, uint64_t i) const;
};

} // namespace

uint32_t Numbers::output(uint64_t pe, uint64_t i) const {
  const uint64_t first = firstOf(pe);
  if (request.kind == Kind::Broadcast)
    return input(first + uint64_t(request.root) * line.stride, i);
  uint32_t result = input(first, i);
  for (unsigned digit = 1; digit < line.length; ++digit) {
    const uint32_t next = input(first + uint64_t(digit) * line.stride, i);
    switch (request.combiner) {
    case Combiner::Sum:
      result += next;
      break;
    case Combiner::Max:
      result = std::max(result, next);
      break;
    case Combiner::Min:
      result = std::min(result, next);
      break;
    }
  }
  return result;
}

/// A small whole number as f16 bits.
static uint16_t halfBits(uint32_t value) {
  if (value == 0)
    return 0;
  unsigned exponent = 31 - __builtin_clz(value);
  return static_cast<uint16_t>(((exponent + 15) << 10) |
                               ((value << 10 >> exponent) & 0x3FF));
}

static void store(image::Type type, uint32_t value, char *to) {
  if (type == image::Type::f16) {
    const uint16_t bits = halfBits(value);
    std::memcpy(to, &bits, sizeof bits);
  } else if (type == image::Type::f32) {
    const auto real = static_cast<float>(value);
    std::memcpy(to, &real, sizeof real);
  } else {
    std::memcpy(to, &value, sizeof value);
  }
}

static Error compare(const Numbers &numbers, llvm::ArrayRef<char> got) {
  const size_t size = image::bytesOf(numbers.type);
  if (got.size() != numbers.line.extent() * numbers.elements * size)
    return llvm::createStringError(
        llvm::formatv("the collective gave {0} bytes", got.size()));
  // The answer is the same in a whole group.
  std::vector<char> wanted(numbers.elements * size);
  for (uint64_t first = 0; first < numbers.line.extent(); ++first) {
    if (numbers.firstOf(first) != first)
      continue;
    for (uint64_t i = 0; i < numbers.elements; ++i)
      store(numbers.type, numbers.output(first, i), &wanted[i * size]);
    for (unsigned digit = 0; digit < numbers.line.length; ++digit) {
      const uint64_t pe = first + uint64_t(digit) * numbers.line.stride;
      if (numbers.hasResult(pe) &&
          std::memcmp(wanted.data(), got.data() + pe * wanted.size(),
                      wanted.size()) != 0)
        return llvm::createStringError(
            llvm::formatv("the collective left a wrong result at PE {0}", pe));
    }
  }
  return Error::success();
}

Expected<CollectiveRun>
measure::runCollective(const collectives::Line &line,
                       const collectives::Request &request, image::Type type,
                       const image::TargetT &target, bool withLaunch,
                       bool withPath) {
  CollectiveRun run;
  Expected<CollectiveImage> made =
      collectiveImage(line, request, type, target, run);
  if (!made)
    return made.takeError();
  auto loaded = image::adopt(std::move(made->image), std::move(made->data));
  if (!loaded)
    return loaded.takeError();
  auto session = executor::Session::create(*loaded);
  if (!session)
    return session.takeError();

  const uint64_t elements =
      type == image::Type::f16 ? request.words * 2 : request.words;
  const Numbers numbers{line, request, type, elements};
  const size_t size = image::bytesOf(type);
  std::vector<char> bytes(line.extent() * elements * size);
  for (uint64_t pe = 0; pe < line.extent(); ++pe)
    for (uint64_t i = 0; i < elements; ++i)
      store(type, numbers.input(pe, i), &bytes[(pe * elements + i) * size]);
  executor::HostTensor input;
  input.name = "x";
  input.data = bytes.data();
  input.type = type == image::Type::f16   ? executor::HostType::f16
               : type == image::Type::f32 ? executor::HostType::f32
                                          : executor::HostType::i32;
  input.shape = {int64_t(line.extent()), int64_t(elements)};
  executor::RunOptions options;
  options.launch = withLaunch;
  executor::CriticalPath path;
  if (withPath)
    options.critical = &path;
  auto step = (*session)->step(0, {input}, options);
  if (!step)
    return step.takeError();
  for (const executor::OutputTensor &output : step->outputs)
    if (Error error = compare(numbers, output.bytes))
      return std::move(error);
  run.executed = step->cycles;
  run.sharedLinkCycles = step->sharedLinkCycles.value_or(0);
  run.path = path.cycles();
  return run;
}
