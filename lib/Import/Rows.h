//===- Rows.h - Rows of which data decides the number -----------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_ROWS_H
#define WAFERLOOM_LIB_IMPORT_ROWS_H

#include "Lowering.h"

namespace waferloom::import {

/// An operator on operands whose rows may be absent: row by row, or refused.
Results lowerOnRows(Call &call, const OperatorEntry &entry);

/// A Range whose bounds depend on data: what it is gathered from has all rows
/// that there may be.
Results lowerWindow(Call &call, Expr begin, Expr end);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_ROWS_H
