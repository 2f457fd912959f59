//===- Onnx.cpp - A model as its file says it -----------------------------===//

#include "waferloom/Dialect/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace waferloom::onnx;

#include "waferloom/Dialect/Onnx/OnnxDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "waferloom/Dialect/Onnx/OnnxTypes.cpp.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Onnx/OnnxOps.cpp.inc"

void OnnxDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "waferloom/Dialect/Onnx/OnnxTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "waferloom/Dialect/Onnx/OnnxOps.cpp.inc"
      >();
}

void GraphOp::build(OpBuilder &builder, OperationState &state, StringRef name) {
  state.addAttribute("name", builder.getStringAttr(name));
  state.addRegion()->emplaceBlock();
}

LogicalResult NodeOp::verify() {
  if (getOutputNames().size() != getNumResults())
    return emitOpError("names ")
           << getOutputNames().size() << " outputs but has " << getNumResults();
  return success();
}

/// A body of Loop takes the trip and gives no trip; one of Scan takes rows and
/// may give others.
LogicalResult LoopOp::verify() {
  if (getOutputNames().size() != getNumResults())
    return emitOpError("names ")
           << getOutputNames().size() << " outputs but has " << getNumResults();
  const bool isLoop = getOperatorType() == "Loop";
  if (!isLoop && getOperatorType() != "Scan")
    return emitOpError("is no ") << getOperatorType();
  auto yield = dyn_cast<YieldOp>(getBody().front().getTerminator());
  if (!yield || yield.getValues().size() != getNumResults() + isLoop)
    return emitOpError("has a body that does not yield ")
           << getNumResults() + isLoop << " values";
  if (getBody().getNumArguments() != getInputs().size())
    return emitOpError("has a body of ")
           << getBody().getNumArguments() << " arguments, not "
           << getInputs().size();
  return success();
}

LogicalResult IfOp::verify() {
  if (getOutputNames().size() != getNumResults())
    return emitOpError("names ")
           << getOutputNames().size() << " outputs but has " << getNumResults();
  for (Region &branch : getOperation()->getRegions()) {
    auto yield = dyn_cast<YieldOp>(branch.front().getTerminator());
    if (!yield || yield.getValues().size() != getNumResults())
      return emitOpError("has a branch that does not yield ")
             << getNumResults() << " values";
  }
  return success();
}
