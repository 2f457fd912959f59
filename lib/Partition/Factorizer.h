//===- Factorizer.h - Writes ops over the factors of dimensions -----*- C++
//-*-===//
//
// What the models of ops are given to write themselves
// (DimensionOpInterface::factorDims).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_FACTORIZER_H
#define WAFERLOOM_LIB_PARTITION_FACTORIZER_H

#include "Boundaries.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"

namespace waferloom::partition {

/// How many factors, from the last on, are the same in both.
inline size_t countCommonMinor(llvm::ArrayRef<int64_t> a,
                               llvm::ArrayRef<int64_t> b) {
  size_t count = 0;
  while (count < std::min(a.size(), b.size()) &&
         a[a.size() - 1 - count] == b[b.size() - 1 - count])
    ++count;
  return count;
}

class Factorizer {
public:
  Factorizer(Boundaries &boundaries, mlir::SymbolTable &symbols)
      : boundaries(boundaries), symbols(symbols),
        builder(symbols.getOp()->getContext()) {}

  llvm::LogicalResult factorEntry(mlir::func::FuncOp entry);
  llvm::LogicalResult factorBlock(mlir::Block &block);

  /// The same op on factored operands, its results retyped and bound.
  mlir::Operation *clone(mlir::Operation *op);
  /// The number of factors of the dimensions of `value` before `dim`.
  int64_t countBefore(mlir::Value value, int64_t dim);

  /// `value` with `count` dimensions from `first` on as one, which becomes a
  /// new one where there is none.
  mlir::Value merged(mlir::Location loc, mlir::Value value, int64_t first,
                     size_t count);
  /// `value` with dimension `dim` cut into `factors`; without any, dropped.
  mlir::Value cut(mlir::Location loc, mlir::Value value, int64_t dim,
                  llvm::ArrayRef<int64_t> factors);

  llvm::SmallVector<int64_t> getFactors(mlir::Value value, int64_t dim) {
    return boundaries.getFactors(value, dim);
  }
  mlir::RankedTensorType getType(mlir::Value value) {
    return boundaries.getType(value);
  }
  bool areReadersSeparate(mlir::Attribute symbol) const {
    return boundaries.areReadersSeparate(symbol);
  }
  /// The factored value that stands for `value`.
  mlir::Value get(mlir::Value value) const { return map.lookup(value); }
  mlir::Value getOrSame(mlir::Value value) const {
    return map.lookupOrDefault(value);
  }
  void bind(mlir::Value old, mlir::Value fresh) { map.map(old, fresh); }
  const mlir::IRMapping &getMap() const { return map; }
  mlir::OpBuilder &getBuilder() { return builder; }
  mlir::SymbolTable &getSymbols() { return symbols; }

private:
  Boundaries &boundaries;
  mlir::SymbolTable &symbols;
  mlir::OpBuilder builder;
  mlir::IRMapping map;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_FACTORIZER_H
