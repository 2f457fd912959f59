#include "waferloom/Image/HostInputs.h"

using namespace llvm;

namespace waferloom::image {

size_t firstFor(const ImageT &image, uint64_t length) {
  auto entry = llvm::find_if(
      image.entries, [&](const auto &entry) { return isFor(*entry, length); });
  return entry == image.entries.end()
             ? 0
             : static_cast<size_t>(entry - image.entries.begin());
}

const TensorInfoT *findTensor(const EntryT &entry, Role role, StringRef name) {
  for (const auto &tensor : entry.tensors)
    if (tensor->role == role && tensor->name == name)
      return tensor.get();
  return nullptr;
}

static bool isOnPes(const ImageT &image, size_t entry, StringRef name) {
  for (const auto &region : image.regions)
    for (const auto &binding : region->programs[entry]->inputs)
      if (binding->name == name)
        return true;
  return false;
}

HostUse hostUseOf(const ImageT &image, size_t entry, const EntryInputT &input) {
  switch (input.fallback) {
  case Default::only_ones:
    return HostUse::ones;
  case Default::fixed:
    return HostUse::fixed;
  case Default::ignored:
    return isBeams(input) ? HostUse::beams : HostUse::ignored;
  case Default::position:
  case Default::positions:
    if (isOnPes(image, entry, input.name))
      return HostUse::none;
    return input.fallback == Default::position ? HostUse::position
                                               : HostUse::positions;
  default:
    return HostUse::none;
  }
}

} // namespace waferloom::image
