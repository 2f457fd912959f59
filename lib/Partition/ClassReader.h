//===- ClassReader.h - Reads classes off a module ----------------*- C++-*-===//
//
// The reader behind classify(). What any op has in common is in Classes.cpp;
// one function per form of op is in ClassForms.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_CLASSREADER_H
#define WAFERLOOM_LIB_PARTITION_CLASSREADER_H

#include "Classes.h"
#include "Dimensions.h"

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Format/TypeFormat.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <map>

namespace waferloom::partition {

using Ids = llvm::SmallVector<DimId>;
using Loops =
    llvm::SmallVector<int>; // the loop of each dimension of an operand

/// A work with dimensions instead of classes.
struct RawWork {
  Work work;
  Ids parallel, reduction;
  llvm::SmallVector<std::pair<int64_t, Ids>>
      buffers;                    // bytes of an element, dims
  llvm::SmallVector<Ids> factors; // of a product that is summed: dims
  std::optional<std::pair<DimId, DimId>> change;
};

class Reader {
public:
  llvm::LogicalResult read(mlir::ModuleOp module);
  ModuleClasses finish();

private:
  llvm::LogicalResult readBlock(mlir::Block &block);
  llvm::LogicalResult readOp(mlir::Operation *op);
  void readGeneric(mlir::linalg::GenericOp op);
  void readSlice(mlir::tensor::ExtractSliceOp op);
  void readConcat(mlir::tensor::ConcatOp op);
  void readExpand(mlir::tensor::ExpandShapeOp op);
  void readAppend(wafer::AppendOp op);
  void readLookup(wafer::LookupOp op);
  llvm::LogicalResult readRepeat(wafer::RepeatOp op);
  llvm::LogicalResult readStored(mlir::Operation *op, mlir::ArrayAttr names);

  Ids &getIds(mlir::Value value);
  bool clash(DimId a, DimId b);
  bool join(DimId a, DimId b);
  void keepApart(DimId a, DimId b);
  /// Joins the dimensions of operands and result of `op` by their loops and
  /// adds its work. Loops in `reductions` are contracted.
  RawWork &use(mlir::Operation *op, llvm::ArrayRef<unsigned> operands,
               llvm::ArrayRef<Loops> maps, const Loops &resultMap,
               llvm::ArrayRef<int> reductions);
  /// A class of its own for dimension `dim` of an operand, behind a change.
  DimId addChange(mlir::Operation *op, unsigned operand, Ids &ids, int64_t dim);
  int64_t getBytes(mlir::Value value) {
    return bytesOf(computedFormatOf(value.getType()).value_or(Format::f32));
  }

  Dimensions dims;
  llvm::DenseMap<mlir::Value, Ids> ids;
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, Ids> changed;
  std::map<DimId, std::set<DimId>> apart; // of representatives
  std::set<DimId> whole, cyclic;
  std::vector<std::pair<DimId, DimId>> samePadding;
  std::map<DimId, std::set<std::string>> roles;
  std::vector<RawWork> works;
  std::vector<std::pair<Stored, Ids>> stored;
  llvm::DenseMap<mlir::Value, int> producer; // the work that computes a value
  llvm::DenseMap<mlir::Attribute, mlir::Value> firstUse;
  int64_t tripCount = 1;
  int scope = 0, scopes = 0;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_CLASSREADER_H
