//===- Stages.h - Which stages run what -------------------------*- C++ -*-===//
//
// One program, several regions side by side: stage 0 runs what is not repeated,
// the others share the trips of the repeat. Who runs which op follows from who
// needs its value, so no op says it.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_STAGES_H
#define WAFERLOOM_DIALECT_WAFER_STAGES_H

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <utility>

namespace waferloom::wafer {

/// The direction in which stages follow each other.
Axis::Direction getDirection(StagesAttr stages);

/// PEs along x and along y of all stages of `region` together.
std::pair<int64_t, int64_t> getExtents(RegionAttr region, StagesAttr stages);

/// The length of one stage in the direction in which they follow each other.
int64_t getStageLength(RegionAttr region, StagesAttr stages);

/// The repeat whose trips the stages of `entry` share; null with one stage.
RepeatOp getStagedRepeat(mlir::func::FuncOp entry);

/// The trips of `repeat` on each stage behind stage 0.
int64_t getTripCountPerStage(RepeatOp repeat);

/// A set of stages: all, stage 0 (First), or all behind it (Others).
enum class StageSet : uint8_t { All, First, Others };

/// Who runs each op of `entry` that does not stand in another op. With one
/// stage, all.
llvm::DenseMap<mlir::Operation *, StageSet>
getStageSets(mlir::func::FuncOp entry);

/// Who runs `op`, by the ancestor that is in `stageSets`.
StageSet lookup(const llvm::DenseMap<mlir::Operation *, StageSet> &stageSets,
                mlir::Operation *op);

/// Reports why `entry` cannot run on its stages: no single repeat, trips that
/// do not divide, states or outputs that need what no stage has. At level 3
/// also carried values that are not whole along the row (column) of stages.
mlir::LogicalResult verifyStages(mlir::func::FuncOp entry);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_STAGES_H
