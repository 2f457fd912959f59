//===- Boundaries.h - Where each dimension must be factored ------*- C++
//-*-===//

#ifndef WAFERLOOM_LIB_PARTITION_BOUNDARIES_H
#define WAFERLOOM_LIB_PARTITION_BOUNDARIES_H

#include "Dimensions.h"

#include "waferloom/Partition/PartitionOpInterfaces.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"

#include <set>

namespace waferloom::partition {

/// The factors of every dimension of a module, major to minor.
class Boundaries {
public:
  /// Finds all boundaries. Where those of a dimension do not nest, the slices
  /// and concats of it, then its reshapes, relate nothing and see it whole.
  /// Errors: an op without a rule; boundaries that do not nest even so.
  llvm::LogicalResult compute(mlir::ModuleOp module);

  /// The factors of a dimension; none if it has one element.
  llvm::SmallVector<int64_t> getFactors(mlir::Value value, int64_t dim);
  /// The shape of `value` after factoring.
  llvm::SmallVector<int64_t> getShape(mlir::Value value);
  mlir::RankedTensorType getType(mlir::Value value);

  // For the models of ops (DimensionOpInterface::relateDimensions).

  /// Does `op` see the dimensions that it changes whole, with factors on both
  /// sides that need not agree? Asked by ops that can; first of all those do
  /// whose dimensions are whole on every PE anyway (`anyway`).
  bool seesWhole(mlir::Operation *op, bool anyway) {
    asked.try_emplace(op, anyway);
    return wholes.contains(op);
  }

  /// Two dimensions are factored alike; nothing if their sizes differ.
  void join(mlir::Value a, int64_t dimA, mlir::Value b, int64_t dimB);
  void joinAll(mlir::Value a, mlir::Value b);
  /// Consecutive dimensions of `a` and of `b`, each seen as one, are one.
  void relateFlat(mlir::Value a, llvm::ArrayRef<int64_t> dimsA, mlir::Value b,
                  llvm::ArrayRef<int64_t> dimsB);
  /// Dimension `slicedDim` of `slice` is [start, start + m * step) of dimension
  /// `dim` of `whole`.
  void relateSlice(mlir::Value whole, int64_t dim, mlir::Value slice,
                   int64_t slicedDim, int64_t start, int64_t step);
  /// `value` holds the elements of a weight or state, in one order everywhere.
  void relateSymbol(mlir::Attribute symbol, mlir::Value value);
  /// Readers of a weight need not agree: each sees it as one dimension, whole.
  void separateReaders(mlir::Attribute symbol) { separate.insert(symbol); }
  bool areReadersSeparate(mlir::Attribute symbol) const {
    return separate.contains(symbol);
  }

private:
  using Set = std::set<int64_t>;

  void visit(mlir::Operation *op);
  /// Boundaries of consecutive dimensions seen as one.
  Set flatten(mlir::Value value, llvm::ArrayRef<int64_t> dims);
  void unflatten(mlir::Value value, llvm::ArrayRef<int64_t> dims,
                 const Set &bounds);
  void addBound(mlir::Value value, int64_t dim, int64_t bound);
  Set &get(mlir::Value value, int64_t dim);
  bool nests(DimId id);
  llvm::LogicalResult findBounds(llvm::ArrayRef<mlir::Operation *> ops);
  /// Lets ops on dimensions that do not nest see them whole; false: there are
  /// no more such ops.
  bool addWholes(llvm::ArrayRef<mlir::Operation *> ops);
  llvm::LogicalResult checkNesting();

  Dimensions dims;
  std::vector<Set> bounds; // of representatives; products of minor factors
  llvm::DenseMap<mlir::Attribute, mlir::Value> firstUse; // of a symbol or state
  llvm::DenseSet<mlir::Attribute> separate;
  llvm::DenseMap<mlir::Operation *, bool> asked; // can see dimensions whole
  llvm::DenseSet<mlir::Operation *> wholes;      // do
  bool changed = false;
  bool failedOp = false;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_BOUNDARIES_H
