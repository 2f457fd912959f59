// Programs as text: parsed, verified, assembled, checked, run, and written
// back.

#include "Fuzz.h"

#include "waferloom/Codegen/CoreTranslations.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

using namespace waferloom;

static void tryText(llvm::StringRef text, mlir::MLIRContext &context) {
  mlir::ParserConfig config(&context);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, config, "fuzzed");
  if (!module)
    return;
  auto assembled = codegen::assemble(*module);
  if (mlir::failed(assembled))
    return;
  auto section = codegen::DataSection::of(*assembled);
  if (!section) {
    llvm::consumeError(section.takeError());
    return;
  }
  std::string data;
  for (llvm::ArrayRef<char> chunk : section->getChunks())
    data.append(chunk.begin(), chunk.end());
  auto loaded = image::adopt(std::move(assembled->image), std::move(data));
  if (!loaded)
    return fuzz::refused(loaded.takeError());
  if (!codegen::imageToCore((*loaded)->image, &context))
    fuzz::broken("an image that was text has no text");
  fuzz::useImage(*loaded);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  context.loadDialect<core::CoreDialect>();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) {});
  tryText(text, context);
  return 0;
}
