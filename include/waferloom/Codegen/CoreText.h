//===- CoreText.h - Core text to images and back ----------------*- C++ -*-===//
//
// An image as text, to be read, and text as an image, to be run.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_CODEGEN_CORETEXT_H
#define WAFERLOOM_CODEGEN_CORETEXT_H

#include "waferloom/Codegen/Data.h"
#include "waferloom/Dialect/Core/Core.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <string>

namespace waferloom::codegen {

/// The image of verified text, on `machine` or else the target that the text
/// names. Instructions name the ONNX node of their location, or the line of the
/// text. Emits a diagnostic and fails when the target is unknown, a buffer has
/// no address or a number does not fit the image.
mlir::FailureOr<Image> coreToImage(core::ImageOp,
                                   const image::TargetT *machine = nullptr);

/// The image of the one text in `op`; buffers that have no address get one
/// first. Fails with a diagnostic.
mlir::FailureOr<Image> assemble(mlir::Operation *op,
                                const image::TargetT *machine = nullptr);

/// Where the data section of an image lies: a file and how many bytes behind
/// its begin.
struct DataAt {
  std::string file; ///< empty: nowhere that text could name
  uint64_t begin = 0;
};

/// The text of an image. Fails with a diagnostic when an index of the image
/// points outside (a checked image has none such).
mlir::OwningOpRef<mlir::ModuleOp> imageToCore(const image::ImageT &,
                                              mlir::MLIRContext *,
                                              const DataAt &data = {});

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CORETEXT_H
