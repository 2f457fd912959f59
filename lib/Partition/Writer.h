//===- Writer.h - Writes a plan into a module -------------------*- C++ -*-===//
//
// The writer behind write(), and what the models of ops are given to write
// themselves with layouts (LayoutOpInterface::writeLayouts).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_WRITER_H
#define WAFERLOOM_LIB_PARTITION_WRITER_H

#include "Write.h"

#include "waferloom/Partition/PartitionOpInterfaces.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

namespace waferloom::partition {

inline mlir::RankedTensorType typeOf(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}

inline mlir::RankedTensorType withLayout(mlir::RankedTensorType type,
                                         wafer::LayoutAttr layout) {
  return mlir::RankedTensorType::get(type.getShape(), type.getElementType(),
                                     layout);
}

class Writer {
public:
  Writer(const ModuleClasses &classes, const LayoutPlan &plan,
         wafer::RegionAttr region)
      : classes(classes), plan(plan), region(region),
        context(region.getContext()), builder(context) {}

  llvm::LogicalResult writeEntry(mlir::func::FuncOp entry);
  llvm::LogicalResult writeBlock(mlir::Block &block);

  // For the models of ops.

  /// The type of `old` with the layout of its classes; `padding` is what is
  /// known of the padding of every dimension.
  mlir::RankedTensorType getType(mlir::Value old, wafer::Padding padding);
  /// The type of the result of an op that moves whole elements: of each
  /// dimension what all `operands` that have it know of its padding.
  mlir::RankedTensorType getMovedType(mlir::Operation *op,
                                      llvm::ArrayRef<mlir::Value> operands);
  /// Operand `index` of `op` as `op` reads it.
  mlir::Value getOperand(mlir::Operation *op, unsigned index);
  /// All operands of `op` as `op` reads them.
  llvm::SmallVector<mlir::Value> getOperands(mlir::Operation *op);
  /// Does `op` read this operand in another layout than it is produced with?
  bool isChanged(mlir::Operation *op, unsigned index) const {
    return classes.changes.count({op, index}) != 0;
  }
  /// The written value that stands for `old`.
  mlir::Value get(mlir::Value old) const { return map.lookup(old); }
  void bind(mlir::Value old, mlir::Value fresh) { map.map(old, fresh); }
  const mlir::IRMapping &getMap() const { return map; }

  /// Slices or gathers `value` until it lies as the classes of `old` say.
  mlir::Value changeToClasses(mlir::Value value, mlir::Value old) {
    return changeTo(value, classes.values.at(old));
  }
  mlir::Value mask(mlir::Value value, int64_t dim, double fill);
  /// With 0 where anything may stand in its padding, for a state, which
  /// promises finite numbers.
  mlir::Value maskGarbage(mlir::Value value);
  /// All-reduces `value` if it is partial.
  mlir::Value allReduce(mlir::Value value);
  /// A copy of `op` with a result of type `result`, bound.
  mlir::Operation *cloneWith(mlir::Operation *op, mlir::Type result);

  mlir::OpBuilder &getBuilder() { return builder; }
  wafer::RegionAttr getRegion() const { return region; }

private:
  wafer::DimAttr getDim(int index, wafer::Padding padding);
  mlir::Value changeTo(mlir::Value value, llvm::ArrayRef<int> target);

  const ModuleClasses &classes;
  const LayoutPlan &plan;
  wafer::RegionAttr region;
  mlir::MLIRContext *context;
  mlir::OpBuilder builder;
  mlir::IRMapping map;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_WRITER_H
