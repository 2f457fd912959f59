//===- Windows.h - Windows that slide over a value --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_WINDOWS_H
#define WAFERLOOM_LIB_IMPORT_WINDOWS_H

#include "Compose.h"

namespace waferloom::import {

/// The windows of a pool or a convolution over dimensions 2 and on.
struct Windows {
  llvm::SmallVector<int64_t> sizes, kernel, strides, dilations, before, behind,
      out;

  size_t rank() const { return sizes.size(); }
  int64_t reach(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
  int64_t places() const {
    int64_t count = 1;
    for (int64_t size : kernel)
      count *= size;
    return count;
  }
  /// The coordinates of place number `at` of a window.
  llvm::SmallVector<int64_t> coordinates(int64_t at) const {
    llvm::SmallVector<int64_t> result(rank());
    for (size_t i = rank(); i-- > 0; at /= kernel[i])
      result[i] = at % kernel[i];
    return result;
  }
};

/// Elements of `q` at some places of an axis, `fill` at those that are none.
SymbolicTensor *takenOr(Call &call, Compose &compose, SymbolicTensor *q,
                        int64_t axis, int64_t size,
                        llvm::ArrayRef<int64_t> places, SymbolicTensor *fill);

/// The weights of one place of the windows, without its dimensions.
SymbolicTensor *weightsAt(Call &call, Compose &compose, SymbolicTensor *weights,
                          llvm::ArrayRef<int64_t> place);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_WINDOWS_H
