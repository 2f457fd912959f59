// Inputs of an entry as the host takes them.

#ifndef WAFERLOOM_LIB_CODEGEN_HOSTINPUTS_H
#define WAFERLOOM_LIB_CODEGEN_HOSTINPUTS_H

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

namespace waferloom::codegen {

/// Those that the host looks at.
void createHostInputs(mlir::OpBuilder &builder, wafer::EntryOp facts);

/// Those of the model that no entry reads: callers may give them.
void createIgnored(mlir::OpBuilder &builder, core::EntryOp entry,
                   wafer::ProgramOp program);

/// Whether an input of this shape is as long as the context by a size of its
/// own, not because it has a column per token so far: parts of a step take all
/// of it.
bool isWholeInput(wafer::ProgramOp program, llvm::StringRef name,
                  llvm::ArrayRef<int64_t> shape);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_HOSTINPUTS_H
