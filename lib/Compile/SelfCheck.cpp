// What the compiler wrote is read as a stranger's image would be: every rule of
// the checker, and where that takes no long time, the proof that no step hangs.

#include "Phases.h"

#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Image.h"

#include "llvm/Support/FormatVariadic.h"

using namespace waferloom;

/// The proof traces every stream through every router and follows every word:
/// PEs, and instructions and words, above which it is left out.
static constexpr uint64_t mostProvedPes = 16 << 10;
static constexpr uint64_t mostProvedSteps = 1 << 18;

static llvm::Error prove(const image::Loaded &loaded,
                         const CompileOptions &options) {
  uint64_t pes = 0;
  for (const auto &region : loaded.image.regions)
    pes += uint64_t(region->width) * region->height;
  if (pes > mostProvedPes)
    return llvm::Error::success();
  executor::RunOptions run;
  run.workLimit = mostProvedSteps;
  run.interrupted = options.interrupted;
  for (size_t entry = 0; entry < loaded.image.entries.size(); ++entry)
    if (llvm::Error error = executor::proveHangFree(loaded, entry, run))
      return error;
  return llvm::Error::success();
}

llvm::Error waferloom::checkImage(image::ImageT &image, bool isText,
                                  const CompileOptions &options) {
  llvm::Error error = image::checkWithoutData(image);
  if (isText)
    return error;
  if (!error) {
    image::Loaded loaded;
    loaded.image = std::move(image);
    error = prove(loaded, options);
    image = std::move(loaded.image);
  }
  if (!error)
    return error;
  return llvm::createStringError(llvm::formatv(
      "the image that was made is not sound: {0}; this is a mistake of the "
      "compiler, please report this model",
      llvm::toString(std::move(error))));
}
