//===- Rules.h - What the layouts of operands make of a result ---*- C++
//-*-===//
//
// The rules G1 to G9 of docs/partition.md: which layouts a generic accepts, the
// layout of its result, and what is known of padding.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_RULES_H
#define WAFERLOOM_LIB_PARTITION_RULES_H

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace waferloom::partition {

using ErrorFn = llvm::function_ref<mlir::InFlightDiagnostic()>;

/// Is `layout` one that a tensor of shape `padded` can have on `region`?
llvm::LogicalResult checkLayout(wafer::LayoutAttr layout,
                                llvm::ArrayRef<int64_t> padded,
                                wafer::RegionAttr region, ErrorFn error);

/// What the body of `op` gives (for a reduction: what enters its fold) where
/// the loops in `loops` are in their padding and all others live. `inputs` are
/// the types of the inputs, with layouts; null for scalars.
wafer::Padding getBodyPadding(mlir::linalg::GenericOp op,
                              llvm::ArrayRef<mlir::RankedTensorType> inputs,
                              llvm::ArrayRef<unsigned> loops);

/// A reduction loop, or two of them, in whose padding the body is not neutral.
struct PaddingFault {
  llvm::SmallVector<unsigned> loops;
  wafer::Padding found;
  double needed;
};

/// Rule G8: the first fault of a generic's padding, or nothing.
std::optional<PaddingFault>
findPaddingFault(mlir::linalg::GenericOp op,
                 llvm::ArrayRef<mlir::RankedTensorType> inputs);

/// The layout of the result of `op` on inputs of types `inputs`. `result` gives
/// the digits of loops that no input has. Errors: every rule that is broken.
mlir::FailureOr<wafer::LayoutAttr> inferGeneric(
    mlir::linalg::GenericOp op, llvm::ArrayRef<mlir::RankedTensorType> inputs,
    mlir::RankedTensorType result, wafer::RegionAttr region, ErrorFn error);

/// What is known where either of two paddings may be.
wafer::Padding joinPadding(wafer::Padding a, wafer::Padding b);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_RULES_H
