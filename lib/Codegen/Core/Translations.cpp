// What waferloom-opt can do with core text besides passes.

#include "waferloom/Codegen/CoreTranslations.h"
#include "waferloom/Image/Image.h"

#include "mlir/Tools/mlir-translate/Translation.h"
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

FailureOr<codegen::AssembledImage> codegen::assemble(Operation *text) {
  core::ImageOp image = imageIn(text);
  if (!image)
    return failure();
  return coreToImage(image);
}

static LogicalResult throughImage(Operation *op, llvm::raw_ostream &os) {
  FailureOr<codegen::AssembledImage> assembled = codegen::assemble(op);
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
  FailureOr<codegen::AssembledImage> assembled = codegen::assemble(op);
  if (failed(assembled))
    return failure();
  if (llvm::Error error =
          image::check(assembled->image, assembled->data.size()))
    return op->emitError(llvm::toString(std::move(error)));
  llvm::ArrayRef<char> data(
      reinterpret_cast<const char *>(assembled->data.data()),
      assembled->data.size());
  os << image::writeBytes(assembled->image, data);
  return success();
}

static OwningOpRef<Operation *> fromImage(llvm::SourceMgr &sources,
                                          MLIRContext *context) {
  const llvm::MemoryBuffer *file =
      sources.getMemoryBuffer(sources.getMainFileID());
  auto loaded =
      image::readBytes(file->getBuffer(), file->getBufferIdentifier());
  if (!loaded) {
    emitError(UnknownLoc::get(context), llvm::toString(loaded.takeError()));
    return {};
  }
  return OwningOpRef<Operation *>(
      codegen::imageToCore((*loaded)->image, context).release());
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
