//===- CopyRuns.h - Copies that are one instruction -------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_COPYRUNS_H
#define WAFERLOOM_LIB_CODEGEN_COPYRUNS_H

#include "mlir/IR/Operation.h"

namespace waferloom::codegen {

/// Whether `next` copies what lies behind what `first` copies, to behind it.
bool continues(mlir::Operation *first, mlir::Operation *next);

/// Makes `first` copy what `next` copied.
void join(mlir::Operation *first, mlir::Operation *next);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_COPYRUNS_H
