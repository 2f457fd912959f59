//===- StageGrids.h - How equal stages stand beside each other --*- C++ -*-===//

#ifndef WAFERLOOM_LIB_PARTITION_STAGEGRIDS_H
#define WAFERLOOM_LIB_PARTITION_STAGEGRIDS_H

#include "Pins.h"

#include "waferloom/Partition/Planning.h"

namespace waferloom::partition {

/// The direction of the strips of all grids that have room for `stages`
/// regions.
std::optional<wafer::Axis::Direction> getOnlyWay(const target::Target &target,
                                                 int64_t width, int64_t height,
                                                 int64_t stages,
                                                 const StagePlaces &places);

/// Sets stages beside each other, in as few strips as there is room for: in
/// rows if what they carry is whole along x, else in columns.
llvm::LogicalResult setStages(mlir::ModuleOp module, int64_t count,
                              const StagePlaces &places);

/// What the values carried from stage to stage cost per step of the shortest
/// entry.
double getStageSendRecvCycles(mlir::ModuleOp module,
                              const image::TargetT &target);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_STAGEGRIDS_H
