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

/// Who shares fewer boundaries where those of a dimension do not nest, first to
/// last.
enum class Yielding {
  Cuts,     ///< and joins: major factors are whole on every PE anyway
  Reshapes, ///< what they reshape is whole on every PE from then on
  Weights,  ///< all of their dimensions are
};

/// The factors of every dimension of a module, major to minor.
class Boundaries {
public:
  /// Finds all boundaries. Where those of a dimension do not nest, the slices
  /// and concats of it share a common divisor of them, if there is one; else
  /// they, then its reshapes, then weights relate nothing and see it whole.
  /// Errors: an op without a rule; boundaries that do not nest even so.
  llvm::LogicalResult compute(mlir::ModuleOp module);

  /// The factors of a dimension; none if it has one element.
  llvm::SmallVector<int64_t> getFactors(mlir::Value value, int64_t dim);
  /// The shape of `value` after factoring.
  llvm::SmallVector<int64_t> getShape(mlir::Value value);
  mlir::RankedTensorType getType(mlir::Value value);

  // For the models of ops (DimensionOpInterface::relateDimensions).

  /// Does `op` see the dimensions that it changes whole, with factors on both
  /// sides that need not agree? Asked by ops that can, when it is their turn.
  bool seesWhole(mlir::Operation *op, Yielding turn) {
    return getGrain(op, turn) == 1;
  }

  /// Two dimensions are factored alike; nothing if their sizes differ.
  void join(mlir::Value a, int64_t dimA, mlir::Value b, int64_t dimB);
  void joinAll(mlir::Value a, mlir::Value b);
  /// Consecutive dimensions of `a` and of `b`, each seen as one, are one.
  void relateFlat(mlir::Value a, llvm::ArrayRef<int64_t> dimsA, mlir::Value b,
                  llvm::ArrayRef<int64_t> dimsB);
  /// Dimension `slicedDim` of `slice` is [start, start + m * step) of dimension
  /// `dim` of `whole`, by `op`.
  void relateSlice(mlir::Operation *op, mlir::Value whole, int64_t dim,
                   mlir::Value slice, int64_t slicedDim, int64_t start,
                   int64_t step);
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
  /// The greatest boundary that `op` shares between its sides; 0: any.
  int64_t getGrain(mlir::Operation *op, Yielding turn) {
    yielding.try_emplace(op, turn);
    return grains.lookup(op);
  }
  /// Two boundaries of a dimension that do not nest.
  std::optional<std::pair<int64_t, int64_t>> findClash(DimId id) const;
  llvm::LogicalResult findBounds(llvm::ArrayRef<mlir::Operation *> ops);
  /// Lets ops on dimensions that do not nest share less; false: there are no
  /// more such ops.
  bool yield(llvm::ArrayRef<mlir::Operation *> ops);
  llvm::LogicalResult checkNesting();

  Dimensions dims;
  std::vector<Set> bounds; // of representatives; products of minor factors
  llvm::DenseMap<mlir::Attribute, mlir::Value> firstUse; // of a symbol or state
  llvm::DenseSet<mlir::Attribute> separate;
  llvm::DenseMap<mlir::Operation *, Yielding> yielding; // ops that can
  llvm::DenseMap<mlir::Operation *, int64_t> grains;    // of those that did
  bool changed = false;
  bool failedOp = false;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_BOUNDARIES_H
