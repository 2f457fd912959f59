//===- Codegen.h - From per-PE tensors to a wafer image ---------*- C++ -*-===//

#ifndef WAFERLOOM_CODEGEN_CODEGEN_H
#define WAFERLOOM_CODEGEN_CODEGEN_H

#include "waferloom/Image/Image_generated.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"

#include <string>
#include <vector>

namespace waferloom::codegen {

/// Where the bytes of one source of the image come from: a stretch of a file,
/// or bytes that the compiler computed.
struct SourceBytes {
  std::string file; // empty: `inlined`
  uint64_t offset = 0;
  std::string inlined;
};

/// An image before it is written: the schema's object and its data section.
struct Image {
  image::ImageT image;
  std::vector<SourceBytes> sources; // one per image.sources
};

/// How the SRAM of the fullest PE is used, in bytes.
struct Fit {
  int64_t weights = 0, states = 0, tables = 0, scratch = 0, code = 0,
          reserved = 0;
  int64_t limit = 0;
  int64_t total() const {
    return weights + states + tables + scratch + code + reserved;
  }
};

/// Emits the programs of `module` (level 5: one function per entry, all on one
/// region) for `target`. Fails with the fit table when a PE's SRAM does not
/// hold weights, states, buffers, code and reserved bytes.
mlir::FailureOr<Image> emitImage(mlir::ModuleOp module,
                                 const image::TargetT &target, Fit &fit);

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CODEGEN_H
