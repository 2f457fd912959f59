#include "HostNeeds.h"
#include "waferloom/Image/Programs.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <unistd.h>

using namespace llvm;

namespace waferloom::executor {

uint64_t hostMemory() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

Error checkHostMemory(uint64_t bytes) {
  const uint64_t host = hostMemory();
  if (bytes <= host)
    return Error::success();
  return createStringError(
      formatv("running the image's PEs needs {0} MiB but this host has {1} "
              "MiB; a smaller region or context needs less",
              bytes >> 20, host >> 20)
          .str());
}

uint64_t bytesOfPes(const image::ImageT &image, bool isSparse) {
  uint64_t bytes = 0;
  for (const auto &region : image.regions) {
    uint64_t each = region->memory;
    if (isSparse)
      each -= std::min(each, image::usageOf(*region, *image.target).weights);
    bytes += uint64_t(region->width) * region->height * each;
  }
  return bytes;
}

/// An input that is on no PE is only looked at.
uint64_t bytesOfArrays(const image::ImageT &image, size_t entry) {
  uint64_t sum = 0;
  for (const auto &info : image.entries[entry]->tensors) {
    uint64_t bytes = 8;
    for (uint32_t extent : info->shape)
      bytes *= extent;
    bool held = info->role == image::Role::output ||
                (info->role == image::Role::input &&
                 any_of(image.regions, [&](const auto &region) {
                   return any_of(region->programs[entry]->inputs,
                                 [&](const auto &binding) {
                                   return binding->name == info->name;
                                 });
                 }));
    if (held)
      sum = SaturatingAdd(sum, bytes);
  }
  return sum;
}

} // namespace waferloom::executor
