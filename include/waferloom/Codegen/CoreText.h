//===- CoreText.h - Core text to images and back ----------------*- C++ -*-===//
//
// An image as text, to be read, and text as an image, to be run.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_CODEGEN_CORETEXT_H
#define WAFERLOOM_CODEGEN_CORETEXT_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Image/Image_generated.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <vector>

namespace waferloom::codegen {

/// An image and the bytes that its sources point into. Sources given by their
/// size only have zeros.
struct AssembledImage {
  image::ImageT image;
  std::vector<uint8_t> data;
};

/// The image of verified text. Instructions name the ONNX node of their
/// location, or the line of the text. Emits a diagnostic and fails when the
/// target is unknown or a number does not fit the image.
mlir::FailureOr<AssembledImage> coreToImage(core::ImageOp);

/// The text of an image. Fails with a diagnostic when an index of the image
/// points outside (a checked image has none such).
mlir::OwningOpRef<mlir::ModuleOp> imageToCore(const image::ImageT &,
                                              mlir::MLIRContext *);

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CORETEXT_H
