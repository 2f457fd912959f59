// ONNX files: what info says of them, and a compilation for four PEs. What the
// compiler makes is an image that every reader takes.

#include "Fuzz.h"

#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Compile.h"

#include "llvm/Support/xxhash.h"

using namespace waferloom;

/// Options that follow from the bytes, so that a case can be repeated.
static CompileOptions optionsFor(llvm::StringRef bytes) {
  uint64_t choice = llvm::xxh3_64bits(bytes);
  CompileOptions options;
  options.target = "grid-2x2";
  options.context = 8;
  if (choice & 1)
    options.precision = "f16";
  if (choice & 2)
    options.chunks = {3};
  if (choice & 4)
    options.logits = "all";
  return options;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  std::string path = fuzz::fileOf(bytes, "model.onnx");
  if (auto facts = describeModel(path); !facts)
    fuzz::refused(facts.takeError());
  CompileResult result = compile(path, optionsFor(bytes));
  for (const Diagnostic &diagnostic : result.diagnostics)
    fuzz::checkMessage(format(diagnostic, "model.onnx"));
  if (!result.succeeded)
    return 0;
  auto made = imageBytes(*result.image);
  if (!made) {
    fuzz::refused(made.takeError());
    return 0;
  }
  auto loaded = image::readBytes(*made, "made");
  if (!loaded)
    fuzz::broken("an image that is refused: " +
                 llvm::toString(loaded.takeError()));
  fuzz::useImage(*loaded);
  return 0;
}
