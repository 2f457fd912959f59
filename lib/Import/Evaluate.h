//===- Evaluate.h - Index functions at every index --------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_EVALUATE_H
#define WAFERLOOM_LIB_IMPORT_EVALUATE_H

#include "Expr.h"

namespace waferloom::import {

/// The values of an integer function of the indices alone, in row-major order
/// of `sizes`; none if it depends on the position or on data, or if they are
/// too many to look at.
std::optional<std::vector<int64_t>> valuesOf(Expr function,
                                             llvm::ArrayRef<int64_t> sizes);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_EVALUATE_H
