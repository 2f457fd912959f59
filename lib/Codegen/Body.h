//===- Body.h - The scalar ops of a generic's body --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_BODY_H
#define WAFERLOOM_LIB_CODEGEN_BODY_H

#include "Emitter.h"

#include "mlir/IR/Operation.h"

namespace waferloom::codegen {

/// How an op of a body is computed: by itself, or as one sequence together with
/// ops that only it reads.
struct BodyForm {
  enum Kind {
    Single,
    MultiplyAdd, ///< operands a, b, c, the last a constant: a + b * c
    Sigmoid,     ///< operand x: 1 / (1 + exp(-x))
    PowerOfTwo,  ///< operands a and b: 2^(a - b)
  };
  Kind kind = Single;
  llvm::SmallVector<mlir::Value, 3> operands; ///< what it is computed from
};
BodyForm formOf(mlir::Operation *op);

/// Emits `dst = op(operands)` elementwise over `shape`, the operands those of
/// its form; refuses an op that the machine has no sequence for.
mlir::LogicalResult emitBodyOp(Emitter &emitter, mlir::Operation *op,
                               BodyForm::Kind kind,
                               llvm::ArrayRef<int64_t> shape,
                               llvm::ArrayRef<Ref> operands, Ref dst);

/// The instruction of a combiner such as arith.addf, if it is one.
std::optional<Opcode> combinerOpcode(mlir::Operation *op);

/// An arith.constant as an immediate.
std::optional<Ref> constantRef(mlir::Attribute value);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_BODY_H
