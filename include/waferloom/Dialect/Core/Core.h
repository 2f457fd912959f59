//===- Core.h - The core dialect --------------------------------*- C++ -*-===//

#ifndef WAFERLOOM_DIALECT_CORE_CORE_H
#define WAFERLOOM_DIALECT_CORE_CORE_H

#include "waferloom/Format/Blocks.h"

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

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace waferloom::core {

/// Whether memories and the data section have elements of this type.
inline bool isElement(mlir::Type type) {
  return type.isF32() || type.isF16() || type.isSignlessInteger(32);
}

/// Calls `visit` for the destination, the sources and the predicate of an
/// instruction, in this order. Other ops have none.
void forEachOperand(mlir::Operation *instruction,
                    llvm::function_ref<void(OperandAttr)> visit);

/// The buffers that a program can name: its own, and those of its region.
class Buffers {
public:
  Buffers() = default;
  explicit Buffers(RegionOp region) { add(region.getBody()); }
  explicit Buffers(ProgramOp program)
      : Buffers(mlir::cast<RegionOp>(program->getParentOp())) {
    add(program.getBody());
  }

  /// Null if there is none of this name.
  BufferOp lookup(mlir::FlatSymbolRefAttr name) const {
    return byName.lookup(name.getAttr());
  }

private:
  void add(mlir::Region &body) {
    for (BufferOp buffer : body.getOps<BufferOp>())
      byName[buffer.getSymNameAttr()] = buffer;
  }

  llvm::DenseMap<mlir::StringAttr, BufferOp> byName;
};

} // namespace waferloom::core

#endif // WAFERLOOM_DIALECT_CORE_CORE_H
