//===- Stages.h - Which stages run what -------------------------*- C++ -*-===//
//
// One program, several equal regions: stage 0 runs what is not repeated, the
// others share the trips of the repeat. Who runs which op follows from who
// needs its value, so no op says it.
//
// Where stage 0 has a region of another shape there are two kinds of stages,
// each with a module of its own (docs/Rationale/Kinds.md).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_STAGES_H
#define WAFERLOOM_DIALECT_WAFER_STAGES_H

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <optional>
#include <utility>

namespace waferloom::wafer {

/// The direction of the strips in which stages follow each other.
Axis::Direction getDirection(StagesAttr stages);

/// The column and the row of the grid where stage `index` stands.
std::pair<int64_t, int64_t> getStagePlace(StagesAttr stages, int64_t index);
std::pair<int64_t, int64_t> getStagePlace(int64_t columns, int64_t rows,
                                          bool inColumns, int64_t index);

/// How a stage gives values to the one that takes them.
struct HandOver {
  Axis::Direction direction = Axis::X; ///< along which they travel
  bool up = true;                      ///< to the east or south
  bool turns = false;                  ///< across the strips
  int64_t between = 0;                 ///< stages that they pass
};

/// From stage `index` to the next one, from the last to stage 0.
HandOver getHandOver(StagesAttr stages, int64_t index);

/// Whether any stage gives its values across the strips.
bool hasTurns(StagesAttr stages);

/// The kind of stages that the program of `op` is for; none: for all.
std::optional<Kind> getKind(mlir::Operation *op);

/// The modules of the kinds of `module`, or `module` itself where its program
/// is for all stages.
llvm::SmallVector<mlir::ModuleOp> getKinds(mlir::ModuleOp module);

/// The stages that the program of `op` is for: the first, and the one behind
/// the last.
std::pair<int64_t, int64_t> getStagesOfKind(mlir::Operation *op);

/// Columns and rows of PEs of the stages that the program of `op` is for.
std::pair<int64_t, int64_t> getExtents(mlir::Operation *op);

/// Columns and rows of PEs of all stages of `program`, of other kinds too.
std::pair<int64_t, int64_t> getWholeExtents(ProgramOp program);

/// Where stage `index` begins in these.
std::pair<int64_t, int64_t> getOffset(ProgramOp program, int64_t index);

/// The repeat whose trips the stages of `entry` share, in a program for all of
/// them; null with one stage.
RepeatOp getStagedRepeat(mlir::func::FuncOp entry);

/// The repeat whose trips several stages share, in a program for all of them or
/// for the layers.
RepeatOp getSharedRepeat(mlir::func::FuncOp entry);

/// The trips of `repeat` on stage `index` behind stage 0: the first of them,
/// and the one behind the last.
std::pair<int64_t, int64_t> getTrips(RepeatOp repeat, int64_t index);

/// A set of stages: all, stage 0 (First), or all behind it (Others).
enum class StageSet : uint8_t { All, First, Others };

/// Who runs each op of `entry` that does not stand in another op. With one
/// stage, all.
llvm::DenseMap<mlir::Operation *, StageSet>
getStageSets(mlir::func::FuncOp entry);

/// Who runs `op`, by the ancestor that is in `stageSets`.
StageSet lookup(const llvm::DenseMap<mlir::Operation *, StageSet> &stageSets,
                mlir::Operation *op);

/// Reports why `entry` cannot run on its stages: no single repeat, fewer trips
/// than stages, states or outputs that need what no stage has. At level 3 also
/// carried values that are not whole along the strips of stages.
mlir::LogicalResult verifyStages(mlir::func::FuncOp entry);

/// What an entry of one kind gives to other stages and takes from them.
struct KindMessages {
  llvm::SmallVector<mlir::Value> sent, taken;
};

/// Those of `entry`, at levels 2 to 4. Reports that it has not one of each.
mlir::FailureOr<KindMessages> getMessages(mlir::func::FuncOp entry);

/// Reports why the kinds of `module`, if it has kinds, do not fit together:
/// other entries or stages, lanes that do not meet, values that are sent in
/// another layout than they are taken in.
mlir::LogicalResult verifyKinds(mlir::ModuleOp module);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_STAGES_H
