//===- TensorUses.h - Which tensors of a file are weights -------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_TENSORUSES_H
#define WAFERLOOM_LIB_IMPORT_TENSORUSES_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringSet.h"

namespace onnx {
class GraphProto;
}

namespace waferloom::import {

/// What nodes make of the tensors of a file: floats are weights unless they
/// decide shapes, integers decide shapes unless they are packed weights.
class TensorUses {
public:
  explicit TensorUses(const ::onnx::GraphProto &graph);

  /// Weights stay in their files; others are read.
  bool isWeight(mlir::RankedTensorType type, llvm::StringRef name) const;
  bool isPacked(llvm::StringRef name) const { return packed.contains(name); }

private:
  llvm::StringSet<> packed, deciding;
};

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_TENSORUSES_H
