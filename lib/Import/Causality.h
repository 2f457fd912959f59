//===- Causality.h - Whether tokens see those behind them -------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_CAUSALITY_H
#define WAFERLOOM_LIB_IMPORT_CAUSALITY_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace waferloom::import {

/// Whether nothing that an entry of several tokens gives or keeps for a token
/// can depend on the last one, other than for that itself. `tokenInput`: the
/// input whose dimension 1 counts them. False where that does not show.
bool hidesLastToken(mlir::func::FuncOp entry, llvm::StringRef tokenInput,
                    int64_t tokens, int64_t position);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_CAUSALITY_H
