//===- Ops.h - The models of ops, one file per family -----------*- C++ -*-===//
//
// Each function adds the models of one file to a context whose dialects are
// loaded. A new op of a new family: a file, its line here and in
// PartitionOpInterfaces.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_OPS_OPS_H
#define WAFERLOOM_LIB_PARTITION_OPS_OPS_H

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"

namespace waferloom::partition {

void addAppendModels(mlir::MLIRContext &context);
void addChangeModels(mlir::MLIRContext &context);
void addConcatModels(mlir::MLIRContext &context);
void addConstantModels(mlir::MLIRContext &context);
void addEntryModels(mlir::MLIRContext &context);
void addGenericModels(mlir::MLIRContext &context);
void addIotaModels(mlir::MLIRContext &context);
void addLookupModels(mlir::MLIRContext &context);
void addRepeatModels(mlir::MLIRContext &context);
void addReshapeModels(mlir::MLIRContext &context);
void addSliceModels(mlir::MLIRContext &context);
void addStageModels(mlir::MLIRContext &context);
void addStoreModels(mlir::MLIRContext &context);
void addStoredModels(mlir::MLIRContext &context);

/// Of ops at the border of an entry or a stage: their dimensions are cut as
/// those of any op, and none of them stands in a layer.
template <typename Op>
struct NeverRerolled
    : DimensionOpInterface::ExternalModel<NeverRerolled<Op>, Op> {
  Rerolling getRerolling(mlir::Operation *) const { return Rerolling::Never; }
};

/// Keeps the layout of an op's type, which local types do not say, as its
/// attribute.
template <typename Op>
void keepLayout(Op op) {
  if (wafer::LayoutAttr layout = wafer::getLayout(op.getType()))
    op.setLayoutAttr(layout);
}

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_OPS_OPS_H
