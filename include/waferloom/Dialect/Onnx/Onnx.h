//===- Onnx.h - A model as its file says it ---------------------*- C++ -*-===//

#ifndef WAFERLOOM_DIALECT_ONNX_ONNX_H
#define WAFERLOOM_DIALECT_ONNX_ONNX_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "waferloom/Dialect/Onnx/OnnxDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "waferloom/Dialect/Onnx/OnnxTypes.h.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Onnx/OnnxOps.h.inc"

#endif // WAFERLOOM_DIALECT_ONNX_ONNX_H
