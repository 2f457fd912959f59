// Every option in its range, wherever it came from: what a caller in C++ or
// Python may set to anything is refused here, before the model is read.

#include "Phases.h"

#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Compile/Choices.h"
#include "waferloom/Spelling/Nearest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"

#include <cmath>

using namespace waferloom;
using llvm::ArrayRef;
using llvm::Error;
using llvm::StringRef;

static Error checkRange(StringRef option, int64_t value, int64_t least,
                        int64_t most) {
  if (value >= least && value <= most)
    return Error::success();
  return llvm::createStringError(llvm::formatv(
      "{0} {1} is not between {2} and {3}", option, value, least, most));
}

namespace {
/// An option that takes one of a few values.
struct Choice {
  StringRef option; // on the command line
  StringRef what;   // in messages
  std::string CompileOptions::*member;
  llvm::SmallVector<StringRef> values; // the usual one first
};
} // namespace

static ArrayRef<Choice> choices() {
  using O = CompileOptions;
  static const Choice all[] = {
      {"precision", "precision", &O::precision, {"model", "f32", "f16"}},
      {"weights",
       "storage of weights",
       &O::storage,
       {"auto", "kept", "expanded", "int8", "int4", "fp8", "mxfp4"}},
      {"scales", "choice of scales", &O::scales, {"absmax", "mse"}},
      {"experts", "choice of experts", &O::experts, {"auto", "chosen", "all"}},
      {"logits", "choice of logits", &O::logits, {"last", "all"}},
      {"prefill", "way to prefill", &O::prefill, {"auto", "block", "stream"}},
      {"objective",
       "objective",
       &O::objective,
       {"balanced", "decode", "prefill"}},
  };
  return all;
}

ArrayRef<StringRef> waferloom::choicesOf(StringRef option) {
  for (const Choice &choice : choices())
    if (choice.option == option)
      return choice.values;
  if (option == "stop-after")
    return phaseNames();
  if (option == "disable-rewrite")
    return algebra::rewriteNames();
  return {};
}

static Error checkChoice(StringRef what, StringRef value,
                         ArrayRef<StringRef> values) {
  if (llvm::is_contained(values, value))
    return Error::success();
  return llvm::createStringError(llvm::formatv(
      "there is no {0} '{1}'; {2}there are {3}", what, value,
      spelling::didYouMean(value, values), llvm::join(values, ", ")));
}

static Error checkNumbers(const CompileOptions &options,
                          const target::Target &target) {
  constexpr int64_t mostContext = 1 << 24, mostTokens = 1 << 20,
                    mostPlans = 1 << 20, mostSize = int64_t(1) << 31;
  if (options.context)
    if (Error error =
            checkRange("a context of", *options.context, 1, mostContext))
      return error;
  for (int64_t tokens : options.chunks)
    if (Error error = checkRange("a chunk of", tokens, 1, mostTokens))
      return error;
  for (const auto &[name, size] : options.dims)
    if (Error error =
            checkRange("dimension '" + name + "': size", size, 1, mostSize))
      return error;
  if (options.stages)
    if (Error error = checkRange("stages", *options.stages, 1,
                                 int64_t(target.userWidth) * target.userHeight))
      return error;
  if (Error error =
          checkRange("plans to search", options.searchPlans, 1, mostPlans))
    return error;
  for (const auto &[name, value] : options.sets)
    if (!std::isfinite(value))
      return llvm::createStringError(llvm::formatv(
          "input '{0}' cannot be fixed to {1}, which is not finite", name,
          value));
  return Error::success();
}

Error waferloom::checkEnds(const CompileOptions &options,
                           const target::Target &target) {
  if (!options.ends)
    return Error::success();
  auto [width, height] = *options.ends;
  if (width < 1 || height < 1)
    return llvm::createStringError(llvm::formatv(
        "ends of {0} x {1} PEs have none; both must be at least 1", width,
        height));
  if (Error error = target::checkRectangle(target, width, height))
    return error;
  if (!options.region)
    return llvm::createStringError(
        "--ends is about stages of given regions: say --region, too");
  if (options.stages == 1)
    return llvm::createStringError(
        "--ends needs a stage for the layers as well, at least --stages 2");
  if (width != options.region->first && height != options.region->second)
    return llvm::createStringError(llvm::formatv(
        "ends of {0} x {1} PEs cannot stand in a strip with regions of {2} x "
        "{3}: give them the same height, or the same width",
        width, height, options.region->first, options.region->second));
  return Error::success();
}

/// What becomes of weights.
static Error checkRounding(const CompileOptions &options) {
  for (auto [isGiven, name] :
       {std::pair(!options.block.empty(), "--block"),
        std::pair(options.scales != "absmax", "--scales"),
        std::pair(!options.keep.empty(), "--keep")})
    if (isGiven && !roundsWeights(options))
      return llvm::createStringError(llvm::formatv(
          "{0} is about weights that are rounded, which --weights {1} does "
          "not: say --weights int8, int4, fp8 or mxfp4, too",
          name, options.storage));
  constexpr int64_t most = 1 << 20;
  int64_t block = 32;
  if (!options.block.empty() && options.block != "channel" &&
      (StringRef(options.block).getAsInteger(10, block) || block < 2 ||
       block > most))
    return llvm::createStringError(llvm::formatv(
        "--block {0} is neither 'channel' nor a number of weights between 2 "
        "and {1}",
        options.block, most));
  if (options.storage == "mxfp4" && (options.block == "channel" || block != 32))
    return llvm::createStringError(llvm::formatv(
        "--block {0}: in mxfp4 32 numbers share a scale; leave it out, or say "
        "--weights int4",
        options.block));
  for (const auto &[pattern, type] : options.keep) {
    if (Error error = checkChoice("type to keep weights in", type, {"f16"}))
      return error;
    llvm::Expected<llvm::GlobPattern> parsed =
        llvm::GlobPattern::create(pattern);
    if (!parsed)
      return llvm::createStringError(
          llvm::formatv("--keep {0} is no pattern of names: {1}", pattern,
                        llvm::toString(parsed.takeError())));
  }
  return Error::success();
}

Error waferloom::checkOptions(const CompileOptions &options,
                              const target::Target &target) {
  if (Error error = checkNumbers(options, target))
    return error;
  if (options.region) {
    auto [width, height] = *options.region;
    if (width < 1 || height < 1)
      return llvm::createStringError(llvm::formatv(
          "a region of {0} x {1} PEs has none; both must be at least 1", width,
          height));
    if (Error error = target::checkRectangle(target, width, height))
      return error;
  }
  if (Error error = checkEnds(options, target))
    return error;
  if (Error error = samplingOf(options).takeError())
    return error;
  if (options.objective == "speculation")
    return llvm::createStringError(
        "there are no entries yet that check several tokens at once, which the "
        "objective 'speculation' is about; choose decode, prefill or balanced");
  for (const Choice &choice : choices())
    if (Error error =
            checkChoice(choice.what, options.*choice.member, choice.values))
      return error;
  if (Error error = checkRounding(options))
    return error;
  if (options.objective == "prefill" && options.chunks.empty())
    return llvm::createStringError(
        "objective 'prefill' is about prompts, but no entry takes several "
        "tokens: add a chunk, or choose decode or balanced");
  if (!options.stopAfter.empty())
    if (Error error = checkChoice("phase", options.stopAfter, phaseNames()))
      return error;
  return algebra::checkRewrites(options.disabledRewrites);
}
