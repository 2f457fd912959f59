//===- Writer.h - Writes a plan into a module -------------------*- C++ -*-===//
//
// The writer behind write(). Changes of layout and whole entries are in
// Write.cpp; what computes is in WriteGeneric.cpp, what moves, stores and
// repeats in WriteForms.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_WRITER_H
#define WAFERLOOM_LIB_PARTITION_WRITER_H

#include "Write.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
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

private:
  llvm::LogicalResult writeBlock(mlir::Block &block);
  llvm::LogicalResult writeOp(mlir::Operation *op);
  llvm::LogicalResult writeGeneric(mlir::linalg::GenericOp op);
  llvm::LogicalResult writeLookup(wafer::LookupOp op);
  llvm::LogicalResult writeAppend(wafer::AppendOp op);
  llvm::LogicalResult writeRepeat(wafer::RepeatOp op);
  llvm::LogicalResult writeInput(wafer::InputOp op);
  /// An op that moves whole elements: each dimension keeps what is known.
  llvm::LogicalResult writeMove(mlir::Operation *op);
  llvm::LogicalResult maskPadding(mlir::linalg::GenericOp op,
                                  llvm::SmallVectorImpl<mlir::Value> &inputs);

  wafer::DimAttr getDim(int index, wafer::Padding padding);
  mlir::RankedTensorType getType(mlir::Type element, llvm::ArrayRef<int> list,
                                 wafer::Padding padding);
  mlir::RankedTensorType getType(mlir::Value old, wafer::Padding padding) {
    return getType(mlir::getElementTypeOrSelf(old.getType()),
                   classes.values.at(old), padding);
  }
  /// Operand `index` of `op` as `op` reads it.
  mlir::Value getOperand(mlir::Operation *op, unsigned index);
  mlir::Value changeTo(mlir::Value value, llvm::ArrayRef<int> target);
  mlir::Value mask(mlir::Value value, int64_t dim, double fill);
  mlir::Value allReduce(mlir::Value value);
  mlir::Operation *cloneWith(mlir::Operation *op, mlir::Type result);
  void bind(mlir::Value old, mlir::Value fresh) { map.map(old, fresh); }

  const ModuleClasses &classes;
  const LayoutPlan &plan;
  wafer::RegionAttr region;
  mlir::MLIRContext *context;
  mlir::OpBuilder builder;
  mlir::IRMapping map;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_WRITER_H
