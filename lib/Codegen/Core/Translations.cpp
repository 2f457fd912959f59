// What waferloom-opt can do with core text besides passes.

#include "waferloom/Codegen/CoreTranslations.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Image/Image.h"

#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace waferloom;

static LogicalResult throughImage(Operation *op, llvm::raw_ostream &os) {
  FailureOr<codegen::Image> assembled = codegen::assemble(op);
  if (failed(assembled))
    return failure();
  OwningOpRef<ModuleOp> module =
      codegen::imageToCore(assembled->image, op->getContext());
  if (!module)
    return failure();
  module->print(os, OpPrintingFlags().enableDebugInfo());
  return success();
}

static LogicalResult toImage(Operation *op, llvm::raw_ostream &os) {
  FailureOr<codegen::Image> assembled = codegen::assemble(op);
  if (failed(assembled))
    return failure();
  auto data = codegen::DataSection::of(*assembled);
  if (!data)
    return op->emitError(llvm::toString(data.takeError()));
  uint64_t bytes = 0;
  for (llvm::ArrayRef<char> chunk : data->getChunks())
    bytes += chunk.size();
  if (llvm::Error error = image::check(assembled->image, bytes))
    return op->emitError(llvm::toString(std::move(error)));
  os << image::writeBytes(assembled->image, data->getChunks());
  return success();
}

static OwningOpRef<Operation *> fromImage(llvm::SourceMgr &sources,
                                          MLIRContext *context) {
  const llvm::MemoryBuffer *file =
      sources.getMemoryBuffer(sources.getMainFileID());
  StringRef name = file->getBufferIdentifier();
  auto loaded = image::readBytes(file->getBuffer(), name);
  if (!loaded) {
    emitError(UnknownLoc::get(context), llvm::toString(loaded.takeError()));
    return {};
  }
  codegen::DataAt data;
  if (llvm::sys::fs::exists(name)) { // else it came through a pipe
    data.file = name.str();
    data.begin = static_cast<uint64_t>((*loaded)->data.data() -
                                       (*loaded)->file->getBufferStart());
  }
  return OwningOpRef<Operation *>(
      codegen::imageToCore((*loaded)->image, context, data).release());
}

static void registerDialects(DialectRegistry &registry) {
  registry.insert<core::CoreDialect, wafer::WaferDialect>();
}

void codegen::registerCoreTranslations() {
  static TranslateFromMLIRRegistration round("core-through-image",
                                             "core text to an image and back",
                                             throughImage, registerDialects);
  static TranslateFromMLIRRegistration assembleFile(
      "core-to-image", "core text to the file that the machine loads", toImage,
      registerDialects);
  static TranslateToMLIRRegistration disassembleFile(
      "image-to-core", "the file that the machine loads to core text",
      fromImage);
}
