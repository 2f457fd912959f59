// A caller's step has any number of tokens, the entries of an image have fixed
// numbers. So a step is divided: again and again the longest entry runs that
// fits both the tokens that are left and the capacity; there is always an entry
// of one token. Inputs are sliced along their tokens; where a step begins, and
// whose states it goes on with, is for the first slice. An input that has a
// column per token seen so far (an attention mask) is given up to the last
// token of the slice. Entries that give only the last token's outputs are left
// out where the caller wants the outputs of all tokens. Where a session begins
// with an entry of its own, that runs first, and behind it those that go on.

#include "waferloom/Executor/Tokens.h"
#include "Inputs.h"
#include "Slices.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>
#include <map>
#include <tuple>

using namespace waferloom;
using namespace waferloom::executor;
using llvm::Error;
using llvm::Expected;

namespace {
/// A step while it is being cut.
struct Step {
  Session &session;
  llvm::ArrayRef<HostTensor> given;
  const image::ImageT &image = session.image();
  int64_t tokens = 1;
  const int64_t start = static_cast<int64_t>(session.length());
  size_t begin = 0; // the entry of fewest tokens that can run first

  bool haveAll(const HostTensor &tensor,
               llvm::function_ref<bool(const image::EntryT &,
                                       llvm::ArrayRef<uint32_t> shape)>
                   isOne) const;
  bool isWhole(const HostTensor &tensor) const;
  bool mayCount(const HostTensor &tensor, size_t dim) const;
  std::optional<size_t> tokenDim(const HostTensor &tensor) const;
  const image::EntryInputT *inputOf(const HostTensor &tensor) const;
  bool countsLive(const HostTensor &tensor) const;
  bool countsScores(const HostTensor &tensor) const;
  bool givesTokens(size_t entry, const std::string &name) const;
  bool givesLast(size_t entry, const image::TensorInfoT &info) const;
  bool givesOnlyLast(size_t entry, llvm::ArrayRef<std::string> wanted) const;
  Error findTokens();
  Error check() const;
  /// The entry that runs next, after `done` tokens of the step.
  size_t entryFor(int64_t done, const RunOptions &options, bool lastOnly) const;
  bool mayRun(const image::EntryT &entry) const {
    return start == 0 || image::isFor(entry, static_cast<uint64_t>(start));
  }
};
} // namespace

/// Whether every entry that the step may run has an input of this name and
/// rank, and a shape for it that is one of those.
bool Step::haveAll(const HostTensor &tensor,
                   llvm::function_ref<bool(const image::EntryT &,
                                           llvm::ArrayRef<uint32_t> shape)>
                       isOne) const {
  for (size_t entry = 0; entry < image.entries.size(); ++entry) {
    if (!mayRun(*image.entries[entry]))
      continue;
    const auto *info = image::findTensor(*image.entries[entry],
                                         image::Role::input, tensor.name);
    if (!info || info->shape.size() != tensor.shape.size() ||
        !isOne(*image.entries[entry], info->shape))
      return false;
  }
  return true;
}

/// Whether a dimension is the tokens of every entry.
bool Step::mayCount(const HostTensor &tensor, size_t dim) const {
  return dim < tensor.shape.size() &&
         haveAll(
             tensor, [&](const image::EntryT &entry,
                         auto shape) { return shape[dim] == entry.tokens; });
}

/// The dimension that counts the tokens of the step, if one does: the second,
/// or else the last, as of positions that come in several rows.
std::optional<size_t> Step::tokenDim(const HostTensor &tensor) const {
  const size_t rank = tensor.shape.size();
  for (size_t dim : {size_t(1), rank - 1})
    if (mayCount(tensor, dim) && tensor.shape[dim] == tokens)
      return dim;
  return std::nullopt;
}

const image::EntryInputT *Step::inputOf(const HostTensor &tensor) const {
  for (const auto &input : image.entries[begin]->inputs)
    if (input->name == tensor.name)
      return input.get();
  return nullptr;
}

/// Whether every part of the step takes all of it.
bool Step::isWhole(const HostTensor &tensor) const {
  const auto *info =
      image::findTensor(*image.entries[begin], image::Role::input, tensor.name);
  return info && info->whole;
}

/// Whether the second dimension is all tokens seen by the end of the step, of
/// as many as the capacity: no other dimension that happens to be as long.
bool Step::countsLive(const HostTensor &tensor) const {
  return tensor.shape.size() >= 2 && image.capacity && !isWhole(tensor) &&
         tensor.shape[1] == start + tokens &&
         haveAll(tensor, [&](const image::EntryT &, auto shape) {
           return shape[1] == image.capacity;
         });
}

/// Whether the last two dimensions are the tokens of the step, and all tokens
/// seen by its end: a mask or a bias of scores.
bool Step::countsScores(const HostTensor &tensor) const {
  const size_t rank = tensor.shape.size();
  return rank >= 3 && image.capacity && !isWhole(tensor) &&
         tensor.shape[rank - 2] == tokens &&
         tensor.shape[rank - 1] == start + tokens &&
         haveAll(tensor, [&](const image::EntryT &entry, auto shape) {
           return shape[rank - 2] == entry.tokens &&
                  shape[rank - 1] == image.capacity;
         });
}

/// Whether dimension 1 of an output is the tokens of the entry, or the last.
bool Step::givesTokens(size_t entry, const std::string &name) const {
  const auto *info =
      image::findTensor(*image.entries[entry], image::Role::output, name);
  return info && !info->whole && info->shape.size() >= 2 &&
         (givesLast(entry, *info) ||
          info->shape[1] == image.entries[entry]->tokens);
}

/// Whether an entry of several tokens has one element where the entry of one
/// token has one, too.
bool Step::givesLast(size_t entry, const image::TensorInfoT &info) const {
  const auto *single =
      image::findTensor(*image.entries[0], image::Role::output, info.name);
  return image.entries[entry]->tokens > 1 && image.entries[0]->tokens == 1 &&
         !info.whole && info.shape.size() >= 2 && info.shape[1] == 1 &&
         single && single->shape == info.shape;
}

/// Whether of an output that the caller wants for every token the entry has
/// that of its last only.
bool Step::givesOnlyLast(size_t entry,
                         llvm::ArrayRef<std::string> wanted) const {
  return llvm::any_of(image.entries[entry]->tensors, [&](const auto &info) {
    return info->role == image::Role::output && givesLast(entry, *info) &&
           info->name != image::nextToken &&
           (wanted.empty() || llvm::is_contained(wanted, info->name));
  });
}

Error Step::findTokens() {
  begin = image::firstFor(image, session.length());
  const HostTensor *first = nullptr;
  for (const HostTensor &tensor : given)
    if (mayCount(tensor, 1) && (!first || tensor.shape[1] > first->shape[1]))
      first = &tensor;
  tokens = first ? first->shape[1] : image.entries[begin]->tokens;
  for (const HostTensor &tensor : given)
    if (mayCount(tensor, 1) && !tokenDim(tensor) && !countsScores(tensor))
      return llvm::createStringError(llvm::formatv(
          "input '{0}' has {1} tokens but '{2}' has {3}", tensor.name,
          tensor.shape[1], first->name, first->shape[1]));
  if (tokens < 1)
    return llvm::createStringError(
        llvm::formatv("input '{0}' has no tokens", first->name));
  return Error::success();
}

static bool isOfReals(const HostTensor &tensor) {
  return tensor.type == HostType::f32 || tensor.type == HostType::f16;
}

/// What a later entry would refuse is refused before the first one runs.
Error Step::check() const {
  if (image.capacity && start + tokens > image.capacity)
    return llvm::createStringError(llvm::formatv(
        "{0} tokens after {1} do not fit the capacity of {2}; compile with a "
        "larger context or reset the session",
        tokens, start, image.capacity));
  bool zeros = false;
  const image::EntryInputT *missing = nullptr;
  for (const auto &input : image.entries[begin]->inputs) {
    const HostTensor *tensor = nullptr;
    for (const HostTensor &candidate : given)
      if (candidate.name == input->name)
        tensor = &candidate;
    if (!tensor) {
      if (input->fallback == image::Default::positions)
        missing = input.get();
      continue;
    }
    const image::HostUse use = image::hostUseOf(image, begin, *input);
    if (use == image::HostUse::ignored || isOfReals(*tensor))
      continue;
    if (use != image::HostUse::none) {
      if (Error error =
              checkUnread(*tensor, use, session.length(), tokens, input->limit))
        return error;
      continue;
    }
    for (uint64_t i = 0; i < elementsOf(*tensor); ++i) {
      int64_t value = integerAt(tensor->data, tensor->type, i);
      zeros |= input->fallback == image::Default::ones && value == 0;
      if (input->limit && (value < input->least || value >= input->limit))
        return outOfRange(tensor->name, value, i, input->least, input->limit);
    }
  }
  if (zeros && missing)
    return llvm::createStringError(llvm::formatv(
        "the mask has zeros, but '{0}' was left out: this model numbers "
        "positions by it, so give both",
        missing->name));
  return Error::success();
}

size_t Step::entryFor(int64_t done, const RunOptions &options,
                      bool lastOnly) const {
  std::optional<size_t> best;
  for (size_t i = 0; i < image.entries.size(); ++i) {
    const image::EntryT &entry = *image.entries[i];
    if (!image::isFor(entry, static_cast<uint64_t>(start + done)))
      continue;
    if (!best || (entry.tokens <= tokens - done &&
                  entry.tokens >= image.entries[*best]->tokens &&
                  (lastOnly || !givesOnlyLast(i, options.outputs))))
      best = i;
  }
  return best.value_or(0);
}

Error executor::checkShape(const image::ImageT &image, llvm::StringRef name,
                           llvm::ArrayRef<int64_t> shape) {
  bool known = false, ours = false;
  for (const auto &entry : image.entries) {
    for (const auto &input : entry->inputs)
      ours |= input->name == name;
    for (const auto &info : entry->tensors) {
      if (info->role != image::Role::input || info->name != name)
        continue;
      known = true;
      bool fits = shape.size() == info->shape.size();
      for (size_t d = 0; fits && d < shape.size(); ++d) {
        // Tokens: as many as the capacity, which a step is cut into.
        uint64_t most = info->shape[d];
        if ((d == 1 || d + 1 == shape.size() ||
             (d > 1 && d + 2 == shape.size())) &&
            most == entry->tokens)
          most = image.capacity ? image.capacity : UINT32_MAX;
        fits = shape[d] >= 0 && static_cast<uint64_t>(shape[d]) <= most;
      }
      if (fits)
        return Error::success();
    }
  }
  if (known)
    return llvm::createStringError("input '" + name +
                                   "' has a shape that no step takes");
  uint64_t elements = 1;
  for (int64_t extent : shape)
    elements =
        llvm::SaturatingMultiply(elements, static_cast<uint64_t>(extent));
  // The position and its like have no shape of the model.
  if (ours && elements <= 1 << 20)
    return Error::success();
  return llvm::createStringError(
      "input '" + name + (ours ? "' is too large" : "' is not an input"));
}

static void merge(std::vector<Account> &accounts, std::vector<Account> &&more) {
  for (Account &account : more) {
    auto same = llvm::find_if(accounts, [&](const Account &known) {
      return std::tie(known.node, known.op, known.product, known.loop,
                      known.repeats) == std::tie(account.node, account.op,
                                                 account.product, account.loop,
                                                 account.repeats);
    });
    if (same == accounts.end()) {
      accounts.push_back(std::move(account));
      continue;
    }
    same->busy += account.busy;
    same->wait += account.wait;
  }
}

static void merge(TokensResult &result, StepResult &&step) {
  result.cycles += step.cycles;
  result.instructions += step.instructions;
  result.words += step.words;
  if (result.sharedLinkCycles && step.sharedLinkCycles)
    *result.sharedLinkCycles += *step.sharedLinkCycles;
  else
    result.sharedLinkCycles.reset();
  merge(result.accounts, std::move(step.accounts));
  result.stages.resize(std::max(result.stages.size(), step.stages.size()));
  for (auto [all, one] : llvm::zip(result.stages, step.stages)) {
    all.x = one.x;
    all.y = one.y;
    all.cycles += one.cycles;
    merge(all.accounts, std::move(one.accounts));
  }
}

/// Lengths of rows as they are `left` tokens before the end of the step.
static Slice cutLengths(const HostTensor &from, int64_t left) {
  Slice slice{from, {}};
  slice.tensor.type = HostType::i64;
  slice.bytes.resize(8 * elementsOf(from));
  for (uint64_t i = 0; i < elementsOf(from); ++i) {
    const int64_t length = integerAt(from.data, from.type, i) - left;
    std::memcpy(slice.bytes.data() + 8 * i, &length, 8);
  }
  return slice;
}

/// What an entry of `count` tokens takes of a step, after `done` tokens of it.
static std::vector<Slice> cutInputs(const Step &step, int64_t done,
                                    int64_t count) {
  std::vector<Slice> slices;
  slices.reserve(step.given.size());
  for (const HostTensor &tensor : step.given) {
    const size_t rank = tensor.shape.size();
    const image::EntryInputT *input = step.inputOf(tensor);
    const image::HostUse use =
        input ? image::hostUseOf(step.image, step.begin, *input)
              : image::HostUse::none;
    if (done && (use == image::HostUse::position ||
                 use == image::HostUse::beams || use == image::HostUse::fixed))
      continue;
    if (input && input->fallback == image::Default::length &&
        !isOfReals(tensor))
      slices.push_back(cutLengths(tensor, step.tokens - done - count));
    else if (auto dim = step.tokenDim(tensor))
      slices.push_back(sliceDim(tensor, *dim, done, count));
    else if (step.countsScores(tensor))
      slices.push_back(sliceDim(sliceDim(tensor, rank - 2, done, count).tensor,
                                rank - 1, 0, step.start + done + count));
    else if (step.countsLive(tensor))
      slices.push_back(sliceDim(tensor, 1, 0, step.start + done + count));
    else
      slices.push_back({tensor, {}});
  }
  return slices;
}

static std::vector<HostTensor> tensorsOf(const std::vector<Slice> &slices) {
  std::vector<HostTensor> tensors;
  for (const Slice &slice : slices) {
    tensors.push_back(slice.tensor);
    if (!slice.bytes.empty())
      tensors.back().data = slice.bytes.data();
  }
  return tensors;
}

/// Lengths of rows are those behind the step: only where they are all tokens
/// so far is it known what they were within it.
static Error checkLengths(const Step &step) {
  const int64_t end = step.start + step.tokens;
  for (const HostTensor &tensor : step.given) {
    const image::EntryInputT *input = step.inputOf(tensor);
    if (!input || input->fallback != image::Default::length ||
        isOfReals(tensor))
      continue;
    for (uint64_t i = 0; i < elementsOf(tensor); ++i)
      if (int64_t value = integerAt(tensor.data, tensor.type, i); value != end)
        return llvm::createStringError(llvm::formatv(
            "input '{0}' has {1} at element {2}, but a step of {3} tokens that "
            "is run in parts takes rows that are equally long, here {4}; give "
            "fewer tokens at once, or compile with chunks = {3}",
            tensor.name, value, i, step.tokens, end));
  }
  return Error::success();
}

/// A step changes everything or nothing: all of its entries are asked before
/// the first one runs.
static Error checkCuts(const Step &step, const RunOptions &options,
                       bool lastOnly) {
  for (int64_t done = 0; done < step.tokens;) {
    size_t entry = step.entryFor(done, options, lastOnly);
    int64_t count = step.image.entries[entry]->tokens;
    if (done == 0 && count == step.tokens)
      return Error::success(); // the step itself checks
    if (Error error = done == 0 ? checkLengths(step) : Error::success())
      return error;
    std::vector<Slice> slices = cutInputs(step, done, count);
    if (Error error = step.session.check(entry, tensorsOf(slices),
                                         static_cast<uint64_t>(done), options))
      return error;
    done += count;
  }
  return Error::success();
}

Expected<TokensResult> executor::runTokens(Session &session,
                                           llvm::ArrayRef<HostTensor> inputs,
                                           const RunOptions &options,
                                           bool lastOnly) {
  Step step{session, inputs};
  const image::ImageT &image = step.image;
  if (Error error = step.findTokens())
    return std::move(error);
  if (Error error = step.check())
    return std::move(error);
  if (Error error = checkCuts(step, options, lastOnly))
    return std::move(error);

  TokensResult result;
  for (int64_t done = 0; done < step.tokens;) {
    size_t entry = step.entryFor(done, options, lastOnly);
    int64_t count = image.entries[entry]->tokens;
    std::vector<Slice> slices = cutInputs(step, done, count);
    Expected<StepResult> part = session.step(entry, tensorsOf(slices), options);
    if (!part)
      return part.takeError();
    done += count;
    result.entries.push_back(entry);
    llvm::erase_if(result.outputs, [](const OutputTensor &output) {
      return output.name == image::nextToken;
    });
    for (OutputTensor &output : part->outputs) {
      bool tokens = step.givesTokens(entry, output.name);
      if (lastOnly && tokens)
        keepLast(output);
      // Entries need not have the same.
      auto known =
          llvm::find_if(result.outputs, [&](const OutputTensor &other) {
            return other.name == output.name;
          });
      if (known == result.outputs.end())
        result.outputs.push_back(std::move(output));
      else if (lastOnly || !tokens)
        *known = std::move(output);
      else
        appendTokens(*known, output);
    }
    merge(result, std::move(*part));
  }
  return result;
}
