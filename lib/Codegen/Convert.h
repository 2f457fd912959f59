//===- Convert.h - The conversion of one budget -----------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_CONVERT_H
#define WAFERLOOM_LIB_CODEGEN_CONVERT_H

#include "Generic.h"
#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Image/Image_generated.h"

#include "mlir/IR/BuiltinOps.h"

namespace waferloom::codegen {

/// Appends to `module` (level 5) the image whose programs `budget` allows. Its
/// buffers have no addresses. All else stays as it is.
mlir::FailureOr<core::ImageOp> convertToCore(mlir::ModuleOp module,
                                             const image::TargetT &target,
                                             Budget budget);

/// Takes everything but `image` out of `module`.
void keepOnly(mlir::ModuleOp module, core::ImageOp image);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_CONVERT_H
