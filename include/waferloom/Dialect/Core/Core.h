//===- Core.h - The core dialect --------------------------------*- C++ -*-===//

#ifndef WAFERLOOM_DIALECT_CORE_CORE_H
#define WAFERLOOM_DIALECT_CORE_CORE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"

#include "waferloom/Dialect/Core/CoreDialect.h.inc"
#include "waferloom/Dialect/Core/CoreEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "waferloom/Dialect/Core/CoreAttributes.h.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Core/CoreOps.h.inc"

#endif // WAFERLOOM_DIALECT_CORE_CORE_H
