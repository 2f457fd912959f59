//===- TensorBytes.h - Tensors of the file as attributes --------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_TENSORBYTES_H
#define WAFERLOOM_LIB_IMPORT_TENSORBYTES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/Error.h"

namespace onnx {
class TensorProto;
}

namespace waferloom::import {

/// The MLIR type of an ONNX element type; null for strings, complex numbers and
/// what this version does not know.
mlir::Type elementType(int32_t onnxType, mlir::MLIRContext *context);

/// Shape and element type, with sizes checked: none negative, at most 2^40
/// elements. The bytes are not looked at.
llvm::Expected<mlir::RankedTensorType> tensorType(const ::onnx::TensorProto &,
                                                  mlir::MLIRContext *);

/// The elements, wherever the message keeps them (not external data).
llvm::Expected<mlir::DenseElementsAttr>
tensorElements(const ::onnx::TensorProto &, mlir::MLIRContext *);

/// Bytes of the elements in a file.
int64_t byteSize(mlir::RankedTensorType type);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_TENSORBYTES_H
