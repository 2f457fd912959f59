#include "Fuzz.h"

#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Programs.h"
#include "waferloom/Report/Cycles.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <cstring>
#include <limits>

using namespace waferloom;
using llvm::StringRef;
using llvm::Twine;

void fuzz::broken(const Twine &what) {
  llvm::errs() << "broken promise: " << what << "\n";
  llvm::errs().flush();
  std::abort();
}

void fuzz::checkMessage(StringRef message) {
  if (message.trim().empty())
    broken("an error without a word");
  if (!llvm::json::isUTF8(message))
    broken("a message that is not UTF-8: " +
           llvm::json::fixUTF8(message.str()));
  for (StringRef ours : {"please report", "without saying why", "LLVM ERROR"})
    if (message.contains(ours))
      broken("the mistake is ours: " + message);
}

void fuzz::refused(llvm::Error error) {
  checkMessage(llvm::toString(std::move(error)));
}

void fuzz::refusedText(llvm::Error error) {
  checkMessage(llvm::json::fixUTF8(llvm::toString(std::move(error))));
}

/// An input array of zeros for what has no default.
static std::vector<executor::HostTensor> inputsOf(const image::EntryT &entry,
                                                  std::vector<char> &zeros) {
  constexpr uint64_t most = 1 << 20; // elements
  std::vector<executor::HostTensor> inputs;
  for (const auto &input : entry.inputs)
    for (const auto &info : entry.tensors) {
      if (info->name != input->name || info->role != image::Role::input ||
          input->fallback != image::Default::required)
        continue;
      executor::HostTensor tensor;
      tensor.name = info->name;
      tensor.type = info->source_bool    ? executor::HostType::boolean
                    : info->source_int64 ? executor::HostType::i64
                    : info->type == image::Type::f32 ? executor::HostType::f32
                    : info->type == image::Type::f16 ? executor::HostType::f16
                                                     : executor::HostType::i32;
      uint64_t elements = 1;
      for (uint32_t extent : info->shape) {
        // A smaller array is legal: the rest reads as zeros.
        tensor.shape.push_back(elements * extent > most ? 1 : extent);
        elements *= static_cast<uint64_t>(tensor.shape.back());
      }
      tensor.data = zeros.data();
      inputs.push_back(std::move(tensor));
    }
  zeros.resize(8 * most);
  for (executor::HostTensor &tensor : inputs)
    tensor.data = zeros.data();
  return inputs;
}

/// Makes every NaN among floats with such an infinity the same one.
template <typename Word>
static void uniteNans(std::string &bytes, Word infinity) {
  constexpr Word magnitude = std::numeric_limits<Word>::max() / 2;
  for (size_t at = 0; at + sizeof(Word) <= bytes.size(); at += sizeof(Word)) {
    Word word;
    std::memcpy(&word, &bytes[at], sizeof word);
    if ((word & magnitude) > infinity)
      std::memcpy(&bytes[at], &magnitude, sizeof word);
  }
}

/// The bytes of an output, but for NaNs: which of two an operation passes on
/// is left to the host (docs/executor.md).
static std::string bytesOf(const executor::OutputTensor &output) {
  std::string bytes(output.bytes.begin(), output.bytes.end());
  if (output.type == executor::HostType::f32)
    uniteNans<uint32_t>(bytes, 0x7f800000);
  else if (output.type == executor::HostType::f16)
    uniteNans<uint16_t>(bytes, 0x7c00);
  return bytes;
}

/// "cycles and outputs", or the error.
static std::string outcomeOf(executor::Session &session, size_t entry,
                             llvm::ArrayRef<executor::HostTensor> inputs) {
  executor::RunOptions options;
  options.workLimit = 200'000;
  options.threads = 1;
  auto step = session.step(entry, inputs, options);
  if (!step) {
    std::string message = llvm::toString(step.takeError());
    fuzz::checkMessage(message);
    return "error: " + message;
  }
  std::string outcome = std::to_string(step->cycles) + " cycles\n";
  for (const executor::OutputTensor &output : step->outputs)
    outcome += bytesOf(output);
  return outcome;
}

/// Whether a session of the image is small enough to make thousands of them.
static bool isSmall(const image::ImageT &image) {
  uint64_t bytes = 0;
  for (const auto &region : image.regions)
    bytes += uint64_t(region->width) * region->height *
             (uint64_t(region->memory) + 4096);
  for (const auto &entry : image.entries)
    for (const auto &info : entry->tensors) {
      uint64_t elements = 1;
      for (uint32_t extent : info->shape)
        elements = std::min<uint64_t>(elements * extent, uint64_t(1) << 31);
      bytes += 8 * elements;
    }
  return bytes < (uint64_t(64) << 20);
}

void fuzz::useImage(const std::shared_ptr<const image::Loaded> &loaded) {
  const image::ImageT &image = loaded->image;
  for (const auto &region : image.regions)
    (void)image::usageOf(*region, *image.target);
  (void)report::rewriteLines(image);
  executor::RunOptions options;
  options.workLimit = 200'000;
  for (size_t entry = 0; entry < image.entries.size(); ++entry) {
    auto counted = executor::countStep(loaded, entry, options);
    if (!counted)
      refused(counted.takeError());
    else
      (void)report::toJson(counted->stages);
  }
  if (!isSmall(image))
    return;
  auto session =
      executor::Session::create(loaded, executor::EngineKind::lockstep);
  auto reference =
      executor::Session::create(loaded, executor::EngineKind::reference);
  if (!session || !reference) {
    if (bool(session) != bool(reference))
      broken("one engine takes the image, the other does not");
    refused(session.takeError());
    return refused(reference.takeError());
  }
  std::vector<char> zeros;
  for (size_t entry = 0; entry < image.entries.size(); ++entry) {
    auto inputs = inputsOf(*image.entries[entry], zeros);
    std::string left = outcomeOf(**session, entry, inputs);
    if (left != outcomeOf(**reference, entry, inputs))
      broken("the engines differ: " + StringRef(left).split('\n').first);
    if (StringRef(left).starts_with("error"))
      return;
  }
}

namespace {
/// A folder that goes with the process.
struct Folder {
  Folder() {
    if (llvm::sys::fs::createUniqueDirectory("waferloom-fuzz", path))
      fuzz::broken("there is no room for a folder");
  }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  llvm::SmallString<128> path;
};
} // namespace

std::string fuzz::fileOf(StringRef bytes, StringRef name) {
  static const Folder folder;
  llvm::SmallString<128> path(folder.path);
  llvm::sys::path::append(path, name);
  std::error_code error;
  llvm::raw_fd_ostream(path, error) << bytes;
  if (error)
    broken("cannot write '" + path + "'");
  return std::string(path);
}
