//===- Checks.h - What the result of an op may claim ------------*- C++ -*-===//
//
// What the models of ops share when they verify layouts
// (LayoutOpInterface::verifyLayouts). All of them emit what is wrong.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_CHECKS_H
#define WAFERLOOM_LIB_PARTITION_CHECKS_H

#include "waferloom/Dialect/Wafer/Wafer.h"

namespace waferloom::partition {

/// Does knowing `known` of padding justify the claim `claimed`?
bool implies(wafer::Padding known, wafer::Padding claimed);

/// Is `type`, the claim of a result, justified by the layout `given` that the
/// op gives?
llvm::LogicalResult checkClaim(mlir::Operation *op, wafer::LayoutAttr given,
                               mlir::RankedTensorType type,
                               wafer::RegionAttr region);

/// Is `type` without a partial sum and a root? For what enters, leaves or
/// stays.
llvm::LogicalResult checkPlain(mlir::Operation *op, mlir::Type type);

/// Does the result of a source claim no more of padding than `promised`?
llvm::LogicalResult checkSource(mlir::Operation *op, wafer::Padding promised);
llvm::LogicalResult checkSource(mlir::Operation *op, mlir::Value result,
                                wafer::Padding promised);

/// Does dimension `resultDim` of the result take over dimension `dim` of
/// `from`: split alike, and with no more known of its padding?
llvm::LogicalResult checkKept(mlir::Operation *op, mlir::Value from,
                              int64_t dim, int64_t resultDim,
                              wafer::RegionAttr region);

/// Is dimension `dim` of `value`, which `op` cuts, whole on every PE?
llvm::LogicalResult checkWhole(mlir::Operation *op, mlir::Value value,
                               int64_t dim);

/// May `op` put what lies as `update` into a state: does it live everywhere,
/// and is a dimension of it split like dimension `dim` of the state, with the
/// padding that this promises?
llvm::LogicalResult checkStored(mlir::Operation *op, wafer::LayoutAttr update);
llvm::LogicalResult checkStored(mlir::Operation *op, size_t dim,
                                wafer::DimAttr from, wafer::DimAttr state);

/// Is nothing that `op` moves partial or at a root?
llvm::LogicalResult checkMoves(mlir::Operation *op);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_CHECKS_H
