// From text, or what the compiler made, to the image.

#include "waferloom/Codegen/CoreText.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Pass/PassManager.h"

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

/// Whether something still has to be placed.
static bool needsAddresses(core::ImageOp image) {
  return image
      .walk([](core::BufferOp buffer) {
        return buffer.getAddress() ? WalkResult::advance()
                                   : WalkResult::interrupt();
      })
      .wasInterrupted();
}

FailureOr<codegen::Image> codegen::assemble(Operation *op,
                                            const image::TargetT *machine) {
  core::ImageOp image = imageIn(op);
  if (!image)
    return failure();
  std::unique_ptr<image::TargetT> named;
  if (!machine && wafer::getTarget(op)) { // with all figures
    FailureOr<target::Target> target = target::getTarget(op);
    if (failed(target))
      return failure();
    named = target::toImage(*target);
    machine = named.get();
  }
  if (!needsAddresses(image))
    return coreToImage(image, machine);
  if (!machine) {
    llvm::Expected<target::Target> target = target::parse(image.getTarget());
    if (!target)
      return image.emitOpError() << llvm::toString(target.takeError());
    named = target::toImage(*target);
  }
  PassManager pm(op->getContext(), core::ImageOp::getOperationName());
  populateAllocationPipeline(pm, machine ? *machine : *named);
  if (failed(pm.run(image)))
    return failure();
  return coreToImage(image, machine);
}
