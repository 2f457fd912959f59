//===- Body.h - The scalar ops of a generic's body --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_BODY_H
#define WAFERLOOM_LIB_CODEGEN_BODY_H

#include "Emitter.h"

#include "mlir/IR/Operation.h"

namespace waferloom::codegen {

/// Emits `dst = op(operands)` elementwise over `shape`; refuses an op that the
/// machine has no sequence for.
mlir::LogicalResult emitBodyOp(Emitter &emitter, mlir::Operation *op,
                               llvm::ArrayRef<int64_t> shape,
                               llvm::ArrayRef<Ref> operands, Ref dst);

/// The instruction of a combiner such as arith.addf, if it is one.
std::optional<Opcode> combinerOpcode(mlir::Operation *op);

/// An arith.constant as an immediate.
std::optional<Ref> constantRef(mlir::Attribute value);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_BODY_H
