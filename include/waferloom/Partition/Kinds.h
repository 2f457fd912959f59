//===- Kinds.h - Stages of unlike shapes, planned apart ----------*- C++
//-*-===//
//
// What stands around the layers and the layers themselves as programs of their
// own, each with a region of its own shape (docs/Rationale/Kinds.md).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_PARTITION_KINDS_H
#define WAFERLOOM_PARTITION_KINDS_H

#include "waferloom/Partition/Planning.h"

#include "mlir/IR/OwningOpRef.h"

namespace waferloom::partition {

struct Kinds {
  mlir::OwningOpRef<mlir::ModuleOp> ends, layers;
};

/// The kinds of `module` (level 2, prepared), of which there are so many
/// stages together. Reports an entry without one loop of layers.
mlir::FailureOr<Kinds> outlineKinds(mlir::ModuleOp module,
                                    wafer::StagesAttr stages);

/// The strip in which `stages` regions stand, the first of them of `ends` PEs,
/// the others of `region`: a row or a column; none: `target` has no room.
std::optional<StageGrid> getStrip(std::pair<int64_t, int64_t> region,
                                  std::pair<int64_t, int64_t> ends,
                                  int64_t stages, const target::Target &target);

/// A module with a copy of both.
mlir::OwningOpRef<mlir::ModuleOp> joinKinds(mlir::ModuleOp ends,
                                            mlir::ModuleOp layers);

/// How what goes through the stages of `layers` (level 3) lies.
Lanes getLanes(mlir::ModuleOp layers);

} // namespace waferloom::partition

#endif // WAFERLOOM_PARTITION_KINDS_H
