// Programs as text: parsed, verified, buffers without an address get one,
// assembled, checked, written back and read again, and run.

#include "Fuzz.h"

#include "waferloom/Codegen/CoreTranslations.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

using namespace waferloom;

static mlir::FailureOr<codegen::Image> assemble(llvm::StringRef text,
                                                mlir::MLIRContext &context) {
  mlir::ParserConfig config(&context);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, config, "fuzzed");
  if (!module)
    return mlir::failure();
  return codegen::assemble(*module);
}

/// What an image says as text is a text of the same image.
static void goBack(const image::ImageT &image, mlir::MLIRContext &context) {
  auto module = codegen::imageToCore(image, &context);
  if (!module)
    fuzz::broken("an image that was text has no text");
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os, mlir::OpPrintingFlags().enableDebugInfo());
  auto again = assemble(text, context);
  if (mlir::failed(again))
    fuzz::broken("the text of an image is refused:\n" + text);
  if (image::writeBytes(again->image, {}) != image::writeBytes(image, {}))
    fuzz::broken("the text of an image is another image's:\n" + text);
}

static void tryText(llvm::StringRef text, mlir::MLIRContext &context) {
  auto assembled = assemble(text, context);
  if (mlir::failed(assembled))
    return;
  auto section = codegen::DataSection::of(*assembled);
  if (!section)
    return fuzz::refusedText(section.takeError());
  std::string data;
  for (llvm::ArrayRef<char> chunk : section->getChunks())
    data.append(chunk.begin(), chunk.end());
  auto loaded = image::adopt(std::move(assembled->image), std::move(data));
  if (!loaded)
    return fuzz::refused(loaded.takeError());
  goBack((*loaded)->image, context);
  fuzz::useImage(*loaded);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // The parser takes the NUL behind a text for its end.
  const std::string text(reinterpret_cast<const char *>(data), size);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  // Texts may carry a whole machine as an attribute.
  context.loadDialect<core::CoreDialect, wafer::WaferDialect>();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) {});
  tryText(text, context);
  return 0;
}
