// What waferloom-opt can do with core text besides passes.

#include "waferloom/Codegen/CoreText.h"
#include "waferloom/Codegen/CoreTranslations.h"

#include "mlir/Tools/mlir-translate/Translation.h"

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

static LogicalResult throughImage(Operation *op, llvm::raw_ostream &os) {
  core::ImageOp image = imageIn(op);
  if (!image)
    return failure();
  FailureOr<codegen::AssembledImage> assembled = codegen::coreToImage(image);
  if (failed(assembled))
    return failure();
  OwningOpRef<ModuleOp> module =
      codegen::imageToCore(assembled->image, op->getContext());
  if (!module)
    return failure();
  module->print(os, OpPrintingFlags().enableDebugInfo());
  return success();
}

static void registerDialects(DialectRegistry &registry) {
  registry.insert<core::CoreDialect>();
}

void codegen::registerCoreTranslations() {
  static TranslateFromMLIRRegistration round("core-through-image",
                                             "core text to an image and back",
                                             throughImage, registerDialects);
}
