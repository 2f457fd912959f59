//===- Wafer.h - What linalg has no name for --------------------*- C++ -*-===//
//
// The dialect of levels 2 to 4: how values enter and leave a program, and the
// few operators of transformers that linalg cannot say.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_WAFER_H
#define WAFERLOOM_DIALECT_WAFER_WAFER_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "waferloom/Dialect/Wafer/WaferDialect.h.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Wafer/WaferOps.h.inc"

#endif // WAFERLOOM_DIALECT_WAFER_WAFER_H
