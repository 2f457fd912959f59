// Going back, and tokens that the host has read. A row of a cache is masked
// until its token has come, so on the wafer nothing is done. Here rows beyond
// the position become zeros again, so that a file which looks at them
// nevertheless, and numbers that are none, find what a fresh session has. A
// state holds a row per token along the dimension that is as long as the
// capacity; one without is what the first step stored, and stays.

#include "Distribute.h"
#include "HostNeeds.h"
#include "SessionState.h"
#include "waferloom/Image/HostInputs.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cstring>

using namespace llvm;

namespace waferloom::executor {

/// As the model has it; of an image that does not say: nothing.
static ArrayRef<uint32_t> shapeOf(const image::ImageT &image, StringRef name) {
  for (const auto &entry : image.entries)
    if (const auto *state = image::findTensor(*entry, image::Role::state, name))
      return state->shape;
  return {};
}

/// Calls body(index of the region, binding, shape) for every state.
template <typename Body>
static void forStates(const image::ImageT &image, Body body) {
  for (size_t r = 0; r < image.regions.size(); ++r)
    for (const auto &binding : image.regions[r]->bindings)
      if (binding->role == image::Role::state)
        body(r, *binding, shapeOf(image, binding->name));
}

/// Whether a session begins with an entry of its own.
static bool beginsAlone(const image::ImageT &image) {
  return any_of(image.entries,
                [](const auto &entry) { return entry->until != 0; });
}

/// Why rows of tokens are not known from each other; nothing: they are.
static std::string whyNoRows(const image::ImageT &image) {
  const bool storesFirst = beginsAlone(image);
  bool isStored = false;
  std::string why;
  StringRef last;
  forStates(image, [&](size_t, const image::BindingT &binding,
                       ArrayRef<uint32_t> shape) {
    const auto many = llvm::count(shape, image.capacity);
    last = binding.name;
    isStored |= many == 0;
    if (many > 1)
      why = formatv("state '{0}' has {1} dimensions of {2}, so that it is not "
                    "known which counts its tokens; compile with another "
                    "--context, or reset the session",
                    binding.name, many, image.capacity);
    else if (many == 0 && !storesFirst)
      why = formatv("state '{0}' has no row for each of {1} tokens, so what it "
                    "was is gone; reset the session",
                    binding.name, image.capacity);
  });
  if (why.empty() && storesFirst && !last.empty() && !isStored)
    why = formatv("state '{0}' and all others have a dimension of {1}, so that "
                  "it is not known which the first step filled in; compile "
                  "with another --context, or reset the session",
                  last, image.capacity);
  return why;
}

/// The rows from `length` on become zeros; of 0, all of the state.
static void clearRows(const image::RegionT &region,
                      const image::BindingT &binding, ArrayRef<uint32_t> shape,
                      uint32_t capacity, uint64_t length, Memory &memory,
                      Workers &workers) {
  if (length == 0)
    return clear(region, binding, memory, workers,
                 [](int64_t, bool) { return true; });
  const auto *tokens = find(shape, capacity);
  if (tokens == shape.end())
    return;
  uint64_t row = 1; // elements from a token's to the next
  for (uint32_t extent : ArrayRef<uint32_t>(tokens + 1, shape.end()))
    row = SaturatingMultiply<uint64_t>(row, extent);
  clear(region, binding, memory, workers, [=](int64_t offset, bool live) {
    return live && static_cast<uint64_t>(offset) / row % capacity >= length;
  });
}

Error SessionImpl::rewind(uint64_t length) {
  Use use(busy);
  if (Error error = use.refused())
    return error;
  const image::ImageT &image = loaded->image;
  if (broken)
    return createStringError("the step before ended with an error; reset the "
                             "session first");
  if (length > tokens)
    return createStringError(
        formatv("the session has {0} tokens, so it cannot go back to {1}",
                tokens.load(), length)
            .str());
  if (length == tokens)
    return Error::success();
  if (length != 0) {
    if (none_of(image.entries, [&](const auto &entry) {
          return image::isFor(*entry, length);
        }))
      return createStringError(
          formatv("no entry goes on behind {0} tokens", length).str());
    if (length < moved)
      return createStringError(
          formatv("rows took the states of others behind {0} tokens, so what "
                  "they had behind {1} is gone; reset the session",
                  moved, length)
              .str());
    if (std::string why = whyNoRows(image); !why.empty())
      return createStringError(why);
  }
  forStates(image, [&](size_t region, const image::BindingT &binding,
                       ArrayRef<uint32_t> shape) {
    clearRows(*image.regions[region], binding, shape, image.capacity, length,
              memories[region], workers);
  });
  tokens = length;
  moved = std::min(moved, length);
  before.reset();
  return Error::success();
}

static uint64_t product(ArrayRef<uint32_t> extents) {
  uint64_t product = 1;
  for (uint32_t extent : extents)
    product = SaturatingMultiply<uint64_t>(product, extent);
  return product;
}

/// An image may say anything: whether all that PEs hold of a state is in its
/// shape.
static bool isWithin(const image::BindingT &binding, ArrayRef<uint32_t> shape) {
  uint64_t last = 0;
  for (const auto &dim : binding.dims) {
    if (dim->source_stride < 0)
      return false;
    last = SaturatingMultiplyAdd<uint64_t>(
        static_cast<uint64_t>(dim->source_stride),
        std::max<uint64_t>(dim->live, 1) - 1, last);
  }
  return last < product(shape);
}

/// The array of a state that the host gives, or why it is none.
static Expected<const HostTensor *>
givenFor(const image::BindingT &binding, ArrayRef<uint32_t> shape,
         ArrayRef<HostTensor> states, uint32_t capacity, uint64_t length) {
  const HostTensor *given = find_if(
      states, [&](const auto &one) { return one.name == binding.name; });
  if (given == states.end())
    return createStringError("state '" + binding.name + "' is missing");
  SmallVector<int64_t> wanted(shape.begin(), shape.end());
  std::replace(wanted.begin(), wanted.end(), int64_t(capacity),
               static_cast<int64_t>(length));
  if (ArrayRef<int64_t>(given->shape) != ArrayRef<int64_t>(wanted))
    return createStringError(
        formatv("state '{0}' has shape [{1:$[, ]}], but {2} tokens make it "
                "[{3:$[, ]}]",
                binding.name,
                make_range(given->shape.begin(), given->shape.end()), length,
                make_range(wanted.begin(), wanted.end()))
            .str());
  if (given->type != HostType::f32 && given->type != HostType::f16)
    return createStringError("state '" + binding.name + "' is of type " +
                             nameOf(given->type) +
                             ", but float32 and float16 are taken");
  if (!isWithin(binding, shape))
    return createStringError("the image does not lay state '" + binding.name +
                             "' as it is");
  return given;
}

/// Rows of `given`, and zeros behind them.
static void putRows(const image::RegionT &region,
                    const image::BindingT &binding, ArrayRef<uint32_t> shape,
                    const HostTensor &given, uint32_t capacity, uint64_t length,
                    Memory &memory, Workers &workers) {
  const auto *tokens = find(shape, capacity);
  const uint64_t row = product(ArrayRef<uint32_t>(tokens + 1, shape.end())) *
                       bytesOf(given.type);
  std::vector<char> values(product(shape) * bytesOf(given.type));
  const char *from = static_cast<const char *>(given.data);
  for (size_t at = 0; at < values.size(); at += capacity * row) {
    std::memcpy(values.data() + at, from, length * row);
    from += length * row;
  }
  distribute(region, binding, {values.data(), given.type}, memory, workers);
}

Error SessionImpl::load(ArrayRef<HostTensor> states, uint64_t length) {
  Use use(busy);
  if (Error error = use.refused())
    return error;
  const image::ImageT &image = loaded->image;
  if (broken || tokens != 0)
    return createStringError("states are loaded into a session without tokens; "
                             "reset it first");
  if (length == 0 || length > image.capacity)
    return createStringError(formatv("{0} tokens are none that caches for {1} "
                                     "can hold",
                                     length, image.capacity)
                                 .str());
  if (beginsAlone(image))
    return createStringError("the first step of this program fills in what an "
                             "encoder gave, so it has to be run");
  if (std::string why = whyNoRows(image); !why.empty())
    return createStringError(why);
  std::vector<const HostTensor *> given;
  uint64_t bytes = bytesBesideLaid;
  Error refused = Error::success();
  forStates(image, [&](size_t, const image::BindingT &binding,
                       ArrayRef<uint32_t> shape) {
    bytes = SaturatingMultiplyAdd<uint64_t>(product(shape), 4, bytes);
    auto found = givenFor(binding, shape, states, image.capacity, length);
    if (found)
      given.push_back(*found);
    else
      refused = joinErrors(std::move(refused), found.takeError());
  });
  if (refused)
    return refused;
  if (Error error = checkHostMemory(bytes))
    return error;
  size_t next = 0;
  forStates(image, [&](size_t region, const image::BindingT &binding,
                       ArrayRef<uint32_t> shape) {
    putRows(*image.regions[region], binding, shape, *given[next++],
            image.capacity, length, memories[region], workers);
  });
  tokens = length;
  before.reset();
  return Error::success();
}

std::unique_ptr<EntryState> SessionImpl::forked(const EntryState &state,
                                                SessionImpl &other) const {
  auto copy = std::make_unique<EntryState>();
  copy->program = state.program;
  copy->engine = state.engine->onto(other.memories, other.workers);
  return copy;
}

Expected<std::unique_ptr<Session>> SessionImpl::fork() {
  Use use(busy);
  if (Error error = use.refused())
    return std::move(error);
  uint64_t bytes = bytesBesideLaid;
  for (const Memory &memory : memories)
    bytes += memory.bytesLaid();
  if (Error error = checkHostMemory(bytes))
    return std::move(error);
  auto other = std::make_unique<SessionImpl>(loaded, kind);
  other->makeMemories();
  for (auto [to, from] : zip(other->memories, memories))
    to.copy(from, workers);
  other->bytesBesideLaid = bytesBesideLaid;
  for (const auto &entry : entries)
    other->entries.push_back(forked(*entry, *other));
  for (const Shorter &one : shorter)
    other->shorter.push_back({one.entry, forked(*one.state, *other)});
  other->tokens = tokens.load();
  other->moved = moved;
  other->before = before;
  other->broken = broken;
  return std::unique_ptr<Session>(std::move(other));
}

} // namespace waferloom::executor
