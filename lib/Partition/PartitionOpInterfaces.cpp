#include "waferloom/Partition/PartitionOpInterfaces.h"

#include "Ops/Ops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

#include "waferloom/Partition/PartitionOpInterfaces.cpp.inc"

Rerolling partition::getRerolling(Operation *op) {
  auto known = dyn_cast<DimensionOpInterface>(op);
  return known ? known.getRerolling() : Rerolling::Computes;
}

bool partition::isStored(Value value) {
  auto known = dyn_cast_or_null<LayoutOpInterface>(value.getDefiningOp());
  return known && known.isStored();
}

void partition::registerOpModels(DialectRegistry &registry) {
  // A module has layouts or ops of ours, whatever else stands in it.
  registry.addExtension(+[](MLIRContext *context, wafer::WaferDialect *) {
    context->loadDialect<arith::ArithDialect, linalg::LinalgDialect,
                         tensor::TensorDialect>();
    addAppendModels(*context);
    addChangeModels(*context);
    addConcatModels(*context);
    addConstantModels(*context);
    addEntryModels(*context);
    addGenericModels(*context);
    addIotaModels(*context);
    addLookupModels(*context);
    addRepeatModels(*context);
    addReshapeModels(*context);
    addSliceModels(*context);
    addStageModels(*context);
    addStoreModels(*context);
    addStoredModels(*context);
  });
}
