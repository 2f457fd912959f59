//===- Codegen.h - From per-PE tensors to a wafer image ---------*- C++ -*-===//

#ifndef WAFERLOOM_CODEGEN_CODEGEN_H
#define WAFERLOOM_CODEGEN_CODEGEN_H

#include "waferloom/Image/Blocks.h"
#include "waferloom/Image/Image_generated.h"
#include "waferloom/Target/Resources.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"

#include <optional>
#include <string>
#include <vector>

namespace waferloom::wafer {
class BlocksAttr;
class WeightOp;
} // namespace waferloom::wafer

namespace waferloom::codegen {

/// The blocks of a weight as the expander of images knows them.
image::BlockFormat formatOf(wafer::WeightOp weight, wafer::BlocksAttr blocks);

/// Where the bytes of one source of the image come from: a stretch of a file,
/// or bytes that the compiler computed.
struct SourceBytes {
  std::string file; // empty: `inlined`
  uint64_t offset = 0;
  std::string inlined;
  bool narrows = false; // f32 in the file, f16 in the image
  /// Integers that the writer expands; scales and zeros lie elsewhere.
  std::optional<image::BlockFormat> blocks;
  std::string scalesFile, zerosFile;
  uint64_t scalesOffset = 0, zerosOffset = 0;
};

/// An image before it is written: the schema's object and its data section.
struct Image {
  image::ImageT image;
  std::vector<SourceBytes> sources; // one per image.sources
};

/// Emits the programs of `module` (level 5: one function per entry, all on one
/// region) for `target`. Fails with the fit table when a PE's SRAM does not
/// hold weights, states, buffers, code and reserved bytes; `fit` then says what
/// the smallest programs would need.
mlir::FailureOr<Image> emitImage(mlir::ModuleOp module,
                                 const image::TargetT &target,
                                 target::Fit &fit);

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CODEGEN_H
