//===- Unsupported.h - Nodes that import does not lower ---------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_UNSUPPORTED_H
#define WAFERLOOM_LIB_IMPORT_UNSUPPORTED_H

#include "waferloom/Dialect/Onnx/Onnx.h"

namespace waferloom::import {

/// The name of a node and its operator, as messages have them.
std::string describeNode(onnx::NodeOp node);

/// What in the machine, or in what a program is, stands against an operator,
/// or for one of another domain the way around it;
/// empty where it is only not written yet.
llvm::StringRef reasonAgainst(llvm::StringRef domain, llvm::StringRef name);

/// Reports all nodes whose operator is not supported in one message.
mlir::LogicalResult checkOperators(onnx::GraphOp graph);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_UNSUPPORTED_H
