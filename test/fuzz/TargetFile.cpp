// Descriptions of machines, and what follows a preset's name. What is accepted
// can be written and read again.

#include "Fuzz.h"

#include "waferloom/Target/Target.h"

using namespace waferloom;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  // A name that begins so is no path.
  if (auto preset = target::parse(("wse3," + text).str()); !preset)
    fuzz::refusedText(preset.takeError());
  auto parsed = target::parseYaml(text, "fuzzed.yaml");
  if (!parsed) {
    fuzz::refusedText(parsed.takeError());
    return 0;
  }
  std::string written;
  llvm::raw_string_ostream os(written);
  target::writeYaml(*parsed, os);
  target::print(*parsed, llvm::nulls());
  auto again = target::parseYaml(written, "written.yaml");
  if (!again)
    fuzz::broken("a description that cannot be read again: " +
                 llvm::toString(again.takeError()));
  return 0;
}
