//===- Generic.h - One linalg.generic as vector instructions ----*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_GENERIC_H
#define WAFERLOOM_LIB_CODEGEN_GENERIC_H

#include "Emitter.h"

#include "waferloom/Target/Resources.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace waferloom::codegen {

/// How much scratch memory an operation may take to be quick.
struct Budget {
  int64_t temporaryBytes = 4096;
  bool spreadOverBanks = true; ///< buffers that are read together
  /// Fmas of one product that are written out.
  int64_t unrolled = target::mostRowsWrittenOut;
  bool copiesTrips = true; ///< the weights of a layer, so that nothing moves
  bool schedules = true;   ///< core-merge, core-schedule: buffers live longer
};

/// The element type on the wafer: i1 and i32 are words, i64 is refused.
mlir::FailureOr<Word> wordType(mlir::Operation *op, mlir::Type element);

/// Emits `generic`. `operands` are its inputs, then its init (an immediate when
/// the init is a splat, absent when nobody reads it); `dst` is where the result
/// goes; all have one stride per tensor dimension. `rounded` has the values
/// that products read as halves, once they are.
mlir::LogicalResult emitGeneric(Emitter &emitter,
                                mlir::linalg::GenericOp generic,
                                llvm::ArrayRef<Ref> operands, Ref dst,
                                Budget budget, const image::TargetT &target,
                                llvm::DenseMap<mlir::Value, Ref> &rounded);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_GENERIC_H
