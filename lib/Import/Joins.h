//===- Joins.h - Values behind a live length --------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_JOINS_H
#define WAFERLOOM_LIB_IMPORT_JOINS_H

#include "Lowering.h"

namespace waferloom::import {

/// `parts` one behind the other along `axis`, kept apart.
SymbolicTensor *keptApart(Lowering &lowering,
                          llvm::ArrayRef<SymbolicTensor *> parts, int64_t axis,
                          Sizes shape);

/// An operator on operands that are kept apart: part by part, or refused.
Results lowerOnParts(Call &call, const OperatorEntry &entry);

/// A slice of what is kept apart, at the boundaries of its parts.
SymbolicTensor *slicedParts(Lowering &lowering, SymbolicTensor *q, int64_t axis,
                            Expr start, Expr length, int64_t step);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_JOINS_H
