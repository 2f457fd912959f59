// Images: loader, checker, what info and report say of them, cycles, a step.

#include "Fuzz.h"

using namespace waferloom;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string bytes(reinterpret_cast<const char *>(data), size);
  image::seal(bytes); // else the checksum refuses every change
  auto loaded = image::readBytes(bytes, "fuzzed");
  if (loaded)
    fuzz::useImage(*loaded);
  else
    fuzz::refused(loaded.takeError());
  return 0;
}
