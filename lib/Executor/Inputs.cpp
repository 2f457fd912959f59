#include "Inputs.h"
#include "Distribute.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstring>

using namespace llvm;

namespace waferloom::executor {

namespace {
/// What the image says of an input of an entry.
struct Expectation {
  const image::EntryInputT *input = nullptr;
  const image::BindingT *binding = nullptr; // the first that takes it
  HostType type = HostType::f32;            // as the model has it
  std::vector<int64_t> shape;

  uint64_t elements() const {
    uint64_t count = 1;
    for (int64_t extent : shape)
      count *= static_cast<uint64_t>(extent);
    return count;
  }
};
} // namespace

static Error refuse(StringRef name, const Twine &what) {
  return createStringError("input '" + name + "' " + what);
}

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text = "[";
  ListSeparator separator;
  raw_string_ostream os(text);
  for (int64_t extent : shape)
    os << separator << extent;
  return text + "]";
}

static Expectation expectationOf(const image::ImageT &image, size_t entry,
                                 const image::EntryInputT &input) {
  Expectation expected;
  expected.input = &input;
  for (const auto &region : image.regions)
    for (const auto &binding : region->programs[entry]->inputs)
      if (!expected.binding && binding->name == input.name)
        expected.binding = binding.get();
  if (const auto *info = image::findTensor(*image.entries[entry],
                                           image::Role::input, input.name)) {
    expected.type =
        hostTypeOf(info->type, info->source_bool, info->source_int64);
    expected.shape.assign(info->shape.begin(), info->shape.end());
    return expected;
  }
  // Not one of the model's own, such as the position: as the PEs have it.
  if (expected.binding) {
    expected.type =
        hostTypeOf(expected.binding->source_type, expected.binding->source_bool,
                   expected.binding->source_int64);
    for (const auto &dim : expected.binding->dims)
      expected.shape.push_back(dim->live);
  }
  return expected;
}

static bool isInteger(HostType type) {
  return type == HostType::i32 || type == HostType::i64 ||
         type == HostType::boolean;
}

int64_t integerAt(const void *bytes, HostType type, uint64_t i) {
  const char *data = static_cast<const char *>(bytes);
  if (type == HostType::i64) {
    int64_t value;
    std::memcpy(&value, data + 8 * i, 8);
    return value;
  }
  if (type == HostType::i32) {
    int32_t value;
    std::memcpy(&value, data + 4 * i, 4);
    return value;
  }
  return data[i] != 0;
}

Error outOfRange(StringRef name, int64_t value, uint64_t element, int64_t least,
                 uint32_t limit) {
  return refuse(name, formatv("has {0} at element {1}; values must be in "
                              "[{2}, {3})",
                              value, element, least, limit)
                          .str());
}

/// Values that the model's tables do not have are refused before anything
/// changes; so are those that 32 bits do not hold.
static Error checkValues(const HostTensor &given, uint64_t elements,
                         int64_t least, uint32_t limit) {
  if (!isInteger(given.type))
    return Error::success();
  const char *data = static_cast<const char *>(given.data);
  for (uint64_t i = 0; i < elements; ++i) {
    int64_t value = integerAt(data, given.type, i);
    if (limit != 0 && (value < least || value >= limit))
      return outOfRange(given.name, value, i, least, limit);
    if (value < INT32_MIN || value > INT32_MAX)
      return refuse(given.name, formatv("has {0} at element {1}, which 32 bits "
                                        "do not hold",
                                        value, i)
                                    .str());
  }
  return Error::success();
}

uint64_t elementsOf(const HostTensor &given) {
  uint64_t elements = 1;
  for (int64_t extent : given.shape)
    elements *= static_cast<uint64_t>(extent);
  return elements;
}

// The program was made for rows of equal length that it appends to: it reads no
// such mask, and no such position.
Error checkUnread(const HostTensor &given, image::HostUse use, uint64_t length,
                  int64_t tokens, int64_t limit) {
  using image::HostUse;
  const bool counts = use == HostUse::positions;
  if (counts && (given.shape.empty() || given.shape.back() != tokens))
    return refuse(given.name,
                  formatv("counts the {0} tokens of the step, which its last "
                          "dimension is not",
                          tokens)
                      .str());
  const auto row = static_cast<uint64_t>(counts ? tokens : 1);
  for (uint64_t i = 0; i < elementsOf(given); ++i) {
    const int64_t value = integerAt(given.data, given.type, i);
    if (use == HostUse::beams && (value < 0 || value >= limit))
      return outOfRange(given.name, value, i, 0, static_cast<uint32_t>(limit));
    if (use == HostUse::fixed && value != limit - 1)
      return refuse(given.name,
                    formatv("has {0} at element {1}, but a step behind {2} "
                            "tokens takes {3}; left out, it is",
                            value, i, length, limit - 1)
                        .str());
    if (use == HostUse::ones && value != 1)
      return refuse(given.name,
                    formatv("has {0} at element {1}, but all must be 1: this "
                            "model's attention takes no padding, every row of "
                            "a batch is equally long",
                            value, i)
                        .str());
    const auto expected = static_cast<int64_t>(length + i % row);
    if ((counts || use == HostUse::position) && value != expected)
      return refuse(given.name,
                    formatv("has {0} at element {1}, but rows come behind the "
                            "{2} of this session: it must be {3}; left out, it "
                            "is",
                            value, i, length, expected)
                        .str());
  }
  return Error::success();
}

static Error checkShape(const HostTensor &given, const Expectation &expected) {
  bool fits = given.shape.size() == expected.shape.size();
  for (size_t d = 0; fits && d < given.shape.size(); ++d)
    fits = given.shape[d] >= 0 && given.shape[d] <= expected.shape[d];
  if (!fits)
    return refuse(given.name, "has shape " + shapeText(given.shape) +
                                  " but at most " + shapeText(expected.shape) +
                                  " is taken");
  if (!given.data)
    return refuse(given.name, "has no data");
  if (isInteger(given.type) != isInteger(expected.type))
    return refuse(given.name, Twine("is of type ") + nameOf(given.type) +
                                  " but the model takes " +
                                  nameOf(expected.type));
  return Error::success();
}

/// Copies `given` into the corner of the full shape; the rest stays zero.
static void copyPrefix(const HostTensor &given, const Expectation &expected,
                       std::vector<char> &bytes) {
  size_t size = bytesOf(given.type), rank = given.shape.size();
  const char *from = static_cast<const char *>(given.data);
  if (rank == 0) {
    std::memcpy(bytes.data(), from, size);
    return;
  }
  for (int64_t extent : given.shape)
    if (extent == 0)
      return;
  std::vector<int64_t> at(rank, 0);
  size_t row = size * static_cast<size_t>(given.shape.back());
  while (true) {
    int64_t offset = 0;
    for (size_t d = 0; d < rank; ++d)
      offset = offset * expected.shape[d] + at[d];
    std::memcpy(bytes.data() + size * static_cast<size_t>(offset), from, row);
    from += row;
    size_t d = rank - 1;
    while (d > 0 && ++at[d - 1] == given.shape[d - 1])
      at[--d] = 0;
    if (d == 0)
      return;
  }
}

/// An input that no PE has.
static Error checkUnread(const HostTensor &given, const Expectation &expected,
                         image::HostUse use, uint64_t length, uint64_t tokens) {
  if (Error error = checkShape(given, expected))
    return error;
  if (use == image::HostUse::beams && elementsOf(given) != expected.elements())
    return refuse(given.name, "has shape " + shapeText(given.shape) +
                                  " but says of " + shapeText(expected.shape) +
                                  " rows whose states they go on with");
  return checkUnread(given, use, length, static_cast<int64_t>(tokens),
                     static_cast<int64_t>(expected.input->limit));
}

static Expected<StagedInput> stage(const HostTensor &given,
                                   const Expectation &expected) {
  if (Error error = checkShape(given, expected))
    return std::move(error);
  uint64_t elements = elementsOf(given);
  uint32_t limit = expected.type == HostType::boolean && isInteger(given.type)
                       ? 2
                       : expected.input->limit;
  if (Error error = checkValues(given, elements, expected.input->least, limit))
    return std::move(error);
  StagedInput staged;
  staged.name = given.name;
  staged.type = given.type;
  staged.bytes.resize(expected.elements() * bytesOf(given.type));
  copyPrefix(given, expected, staged.bytes);
  return staged;
}

/// What an input is when the caller leaves it out.
static Expected<StagedInput> fallback(const Expectation &expected,
                                      uint64_t length, uint64_t tokens) {
  using image::Default;
  const image::EntryInputT &input = *expected.input;
  bool ours = image::isOurs(input.name);
  if (input.fallback == Default::required && !ours)
    return refuse(input.name, "is missing");
  StagedInput staged;
  staged.name = input.name;
  uint64_t elements = expected.elements();
  if (input.fallback == Default::required) {
    staged.type = expected.type;
    staged.bytes.resize(elements * bytesOf(staged.type));
    return staged;
  }
  staged.type = HostType::i64;
  staged.bytes.resize(elements * 8);
  uint64_t row =
      expected.shape.empty() ? 1 : static_cast<uint64_t>(expected.shape.back());
  for (uint64_t i = 0; i < elements; ++i) {
    uint64_t value = input.fallback == Default::position    ? length
                     : input.fallback == Default::positions ? length + i % row
                     : input.fallback == Default::length    ? length + tokens
                                                            : 1;
    std::memcpy(staged.bytes.data() + 8 * i, &value, 8);
  }
  return staged;
}

Expected<std::vector<StagedInput>> stageInputs(const image::ImageT &image,
                                               size_t entry,
                                               ArrayRef<HostTensor> inputs,
                                               uint64_t length, bool fed) {
  const image::EntryT &description = *image.entries[entry];
  StringSet<> known, given;
  for (const auto &input : description.inputs)
    if (!image::isOurs(input->name) ||
        input->fallback != image::Default::position)
      known.insert(input->name);
  for (const HostTensor &tensor : inputs) {
    if (!known.contains(tensor.name)) {
      std::string names;
      for (const auto &input : description.inputs)
        if (!image::isOurs(input->name))
          names += (names.empty() ? "'" : ", '") + input->name + "'";
      return refuse(tensor.name, "is not an input; the inputs are " + names);
    }
    if (!given.insert(tensor.name).second)
      return refuse(tensor.name, "is given twice");
  }
  std::vector<StagedInput> staged;
  for (const auto &input : description.inputs) {
    const image::HostUse use = image::hostUseOf(image, entry, *input);
    if (use == image::HostUse::ignored)
      continue;
    Expectation expected = expectationOf(image, entry, *input);
    const HostTensor *tensor = nullptr;
    for (const HostTensor &candidate : inputs)
      if (candidate.name == input->name)
        tensor = &candidate;
    if (!tensor && fed && input->fed)
      continue;
    if (use != image::HostUse::none) {
      if (tensor)
        if (Error error =
                checkUnread(*tensor, expected, use, length, description.tokens))
          return std::move(error);
      continue;
    }
    Expected<StagedInput> one =
        tensor ? stage(*tensor, expected)
               : fallback(expected, length, description.tokens);
    if (!one)
      return one.takeError();
    staged.push_back(std::move(*one));
  }
  return staged;
}

} // namespace waferloom::executor
