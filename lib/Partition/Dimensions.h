//===- Dimensions.h - Dimensions of values, joined ---------------*- C++
//-*-===//
//
// Numbers the dimensions of all tensor values of a module and joins those that
// must be treated alike: union-find over (value, dimension).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_DIMENSIONS_H
#define WAFERLOOM_LIB_PARTITION_DIMENSIONS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

#include <vector>

namespace waferloom::partition {

/// One dimension of one value, as a number.
using DimId = int;

/// The dimensions of values; `find` gives the representative of a class.
class Dimensions {
public:
  /// Dimension `dim` of `value`, numbered on first use.
  DimId get(mlir::Value value, int64_t dim) {
    auto [it, isNew] = first.try_emplace(value, 0);
    if (isNew)
      it->second = add(mlir::cast<mlir::ShapedType>(value.getType()), value);
    return it->second + static_cast<DimId>(dim);
  }

  /// Numbers the dimensions of a tensor that is no value of the IR (a change of
  /// layout to come); returns the first. `value` is where errors point.
  DimId add(mlir::ShapedType type, mlir::Value value) {
    auto start = static_cast<DimId>(parents.size());
    for (int64_t size : type.getShape()) {
      parents.push_back(static_cast<DimId>(parents.size()));
      sizes.push_back(size);
      values.push_back(value);
    }
    return start;
  }

  DimId find(DimId id) {
    while (parents[id] != id)
      id = parents[id] = parents[parents[id]];
    return id;
  }

  /// Joins two classes; the lower number represents both. Returns {kept, gone},
  /// equal if they were one already.
  std::pair<DimId, DimId> join(DimId a, DimId b) {
    a = find(a);
    b = find(b);
    if (b < a)
      std::swap(a, b);
    parents[b] = a;
    return {a, b};
  }

  int64_t getSize(DimId id) const { return sizes[id]; }
  mlir::Value getValue(DimId id) const { return values[id]; }
  DimId size() const { return static_cast<DimId>(parents.size()); }

private:
  llvm::DenseMap<mlir::Value, DimId> first;
  std::vector<DimId> parents;
  std::vector<int64_t> sizes;
  std::vector<mlir::Value> values;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_DIMENSIONS_H
