//===- Pins.h - What a mapping says of layouts --------------------*- C++
//-*-===//

#ifndef WAFERLOOM_LIB_PARTITION_PINS_H
#define WAFERLOOM_LIB_PARTITION_PINS_H

#include "Classes.h"

#include "waferloom/Mapping/Mapping.h"
#include "waferloom/Partition/Planning.h"

namespace waferloom::partition {

/// Takes into `classes` what the mapping of `module` (level 2) says of regions,
/// stages and layouts. Reports, at their lines, fields that no plan can honour.
llvm::LogicalResult pin(mlir::ModuleOp module, ModuleClasses &classes);

/// Says of what goes to stages of another kind that it is whole along their
/// strip, and lies as `lanes` (may be null) say. Of a module of one kind.
llvm::LogicalResult poseKind(mlir::ModuleOp module, ModuleClasses &classes,
                             const Lanes *lanes);

/// Trips of the loop of like layers; 0: there is none.
int64_t countLayers(mlir::ModuleOp module);

/// What a mapping says of `plan`: an entry for each class that may be split.
std::vector<mapping::Layout> describeLayouts(mlir::ModuleOp module,
                                             const ModuleClasses &classes,
                                             const LayoutPlan &plan);

/// Reports that no grid has stages where the mapping of `module` does.
llvm::LogicalResult refusePlaces(mlir::ModuleOp module);

/// Leaves those of `grids`, of regions of `width` x `height` PEs, in which
/// every stage stands where `places` has it.
void keepPinned(llvm::SmallVectorImpl<StageGrid> &grids, int64_t width,
                int64_t height, const StagePlaces &places);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_PINS_H
