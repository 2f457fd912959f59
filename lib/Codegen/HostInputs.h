// Inputs of an entry that no PE reads.

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

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_HOSTINPUTS_H
