// NumPy's archives, as `waferloom run --input` reads them.

#include "../../tools/waferloom/Npz.h"
#include "Fuzz.h"

using namespace waferloom;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  auto arrays = tool::readNpz(fuzz::fileOf(bytes, "arrays.npz"));
  if (!arrays) {
    fuzz::refused(arrays.takeError());
    return 0;
  }
  for (const auto &[name, array] : *arrays) {
    uint64_t elements = 1;
    for (int64_t extent : array.shape)
      elements *= static_cast<uint64_t>(extent);
    if (array.bytes.size() % (elements ? elements : 1))
      fuzz::broken("array '" + name + "' has other bytes than its shape");
  }
  return 0;
}
