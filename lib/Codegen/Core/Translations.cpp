// What waferloom-opt can do with core text besides passes.

#include "waferloom/Codegen/CoreTranslations.h"
#include "waferloom/Image/Image.h"

#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace waferloom;

/// The one image of a text.
static core::ImageOp imageIn(Operation *op) {
  if (auto image = dyn_cast<core::ImageOp>(op))
    return image;
  core::ImageOp found;
  if (auto module = dyn_cast<ModuleOp>(op))
    for (auto image : module.getOps<core::ImageOp>()) {
      if (found) {
        image.emitOpError("is the second of this file");
        return {};
      }
      found = image;
    }
  if (!found)
    op->emitOpError("has no core.image");
  return found;
}

FailureOr<codegen::Image> codegen::assemble(Operation *text) {
  core::ImageOp image = imageIn(text);
  if (!image)
    return failure();
  return coreToImage(image);
}

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
    data.begin = file->getBufferSize() - (*loaded)->data.size();
  }
  return OwningOpRef<Operation *>(
      codegen::imageToCore((*loaded)->image, context, data).release());
}

static void registerDialects(DialectRegistry &registry) {
  registry.insert<core::CoreDialect>();
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
