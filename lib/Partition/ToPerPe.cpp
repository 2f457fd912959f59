// From level 3 to level 4: every tensor becomes the local shard that one PE
// holds. Layouts leave the types; what enters and leaves a program keeps them
// as an attribute, because there the whole tensor meets the local shards.

#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AttrTypeSubElements.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONTOPERPE
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::RegionAttr;

static LogicalResult localize(func::FuncOp entry) {
  RegionAttr region = wafer::getRegion(entry);
  if (!region)
    return entry.emitError("is in no program with a region: plan it first");
  for (Type type : entry.getArgumentTypes())
    if (wafer::getLayout(type))
      return entry.emitError(
          "takes arguments with layouts: read a wafer.input");
  SmallVector<LayoutOpInterface> ops;
  entry.walk([&](LayoutOpInterface op) { ops.push_back(op); });
  // Attributes first: ops read layouts off the types.
  for (LayoutOpInterface op : ops)
    if (failed(op.makeLocal(region)))
      return failure();
  AttrTypeReplacer types;
  types.addReplacement([&](RankedTensorType type) -> std::optional<Type> {
    if (wafer::getLayout(type))
      return wafer::getLocalType(type, region);
    return std::nullopt;
  });
  types.recursivelyReplaceElementsIn(entry, /*replaceAttrs=*/false,
                                     /*replaceLocs=*/false,
                                     /*replaceTypes=*/true);
  return success();
}

namespace {
struct PartitionToPerPe
    : partition::impl::PartitionToPerPeBase<PartitionToPerPe> {
  void runOnOperation() override {
    for (auto entry : getOperation().getOps<func::FuncOp>())
      if (failed(localize(entry)))
        return signalPassFailure();
  }
};
} // namespace
