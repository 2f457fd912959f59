//===- HostInputs.h - Inputs that no PE reads -------------------*- C++ -*-===//
//
// A program may count on what is in an input and not read it. The host takes
// such an input, and refuses what the program does not count on:
//
//   ones        all elements are 1
//   position    all elements are p, the tokens before the step
//   positions   p, p + 1, .. along the last dimension
//   beams       row i of the batch goes on with the states of row beams[i]: the
//               host moves them before the step
//   no, yes     all elements are false, or all true: of two uses of a model,
//               the one that the entry is for
//
// An entry lists the first kind as `ones` and the others as `host`, by name:
//
//   wafer.entry "tokens1" of @tokens1 tokens 1 ones {mask = tensor<1x64xi64>}
//       {host = {write_indices = ["position", tensor<1xi64>]}}
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_HOSTINPUTS_H
#define WAFERLOOM_DIALECT_WAFER_HOSTINPUTS_H

#include "waferloom/Dialect/Wafer/Wafer.h"

namespace waferloom::wafer {

struct HostInput {
  mlir::StringAttr name;
  llvm::StringRef use;
  mlir::RankedTensorType type;
};

/// All of an entry, which was verified.
llvm::SmallVector<HostInput> getHostInputs(EntryOp entry);
void addHostInput(EntryOp entry, llvm::StringRef name, llvm::StringRef use,
                  mlir::RankedTensorType type);
/// Whether two entries have the same ones, whatever their shapes.
bool shareHostInputs(EntryOp a, EntryOp b);
llvm::LogicalResult verifyHostInputs(EntryOp entry);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_HOSTINPUTS_H
