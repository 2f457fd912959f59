//===- Outputs.cpp - What a step gives, and what it keeps -----------------===//

#include "Outputs.h"
#include "HostInputs.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Whether both are of floats, of booleans, or of other integers: what a file
/// declares may be wider or narrower than what its nodes are held in.
static bool isAlike(Type declared, Type made) {
  return isa<IntegerType>(declared) == isa<IntegerType>(made) &&
         declared.isInteger(1) == made.isInteger(1);
}

namespace {
class Outputs {
public:
  Outputs(Lowering &lowering, onnx::GraphOp graph,
          const llvm::DenseMap<Value, SymbolicTensor *> &values, Uses &uses,
          StepKind kind)
      : lowering(lowering), graph(graph), values(values), uses(uses),
        kind(kind) {}

  LogicalResult add(onnx::OutputOp output);

private:
  InFlightDiagnostic error(onnx::OutputOp output) {
    return emitError(graph.getLoc()) << "output '" << output.getName() << "'";
  }
  LogicalResult refuse(onnx::OutputOp output) {
    return error(output) << ": " << lowering.refusal, failure();
  }
  LogicalResult checkType(onnx::OutputOp output, SymbolicTensor *q);
  LogicalResult addState(onnx::OutputOp output, unsigned number,
                         SymbolicTensor *q);
  LogicalResult addFilled(onnx::OutputOp output, FilledState &state,
                          SymbolicTensor *q);
  LogicalResult give(onnx::OutputOp output, SymbolicTensor *q);

  Lowering &lowering;
  onnx::GraphOp graph;
  const llvm::DenseMap<Value, SymbolicTensor *> &values;
  Uses &uses;
  StepKind kind;
};
} // namespace

LogicalResult Outputs::checkType(onnx::OutputOp output, SymbolicTensor *q) {
  if (isAlike(output.getElementType(), q->type))
    return success();
  InFlightDiagnostic diagnostic = error(output);
  diagnostic << " is declared as " << output.getElementType()
             << ", but its node makes " << q->type;
  diagnostic.attachNote()
      << "declare what the node makes, or put a Cast in front";
  return failure();
}

LogicalResult Outputs::addState(onnx::OutputOp output, unsigned number,
                                SymbolicTensor *q) {
  if (kind == StepKind::First)
    return failed(beginState(lowering, number, q)) ? refuse(output) : success();
  State state = lowering.states[number];
  // A static cache may have been brought back to the order of its file.
  const bool isWritten = placeOf(state) && lowering.stateAppended[number];
  if (q->appended < 0 && !isWritten)
    return error(output) << ": not an append of '" << state.past.getName()
                         << "'",
           failure();
  return success();
}

/// Later steps give back what they found, or nothing.
LogicalResult Outputs::addFilled(onnx::OutputOp output, FilledState &state,
                                 SymbolicTensor *q) {
  if (kind == StepKind::First)
    return failed(fillState(lowering, state, q)) ? refuse(output) : success();
  if (q == values.lookup(state.past.getResult()) ||
      llvm::is_contained(q->shape, lowering.math.constant(0)))
    return success();
  return error(output) << ": later steps change what the first one fills '"
                       << state.past.getName() << "' with",
         failure();
}

LogicalResult Outputs::give(onnx::OutputOp output, SymbolicTensor *q) {
  // A branch that was not taken would have filled it: nothing comes out.
  if (!lowering.states.empty() &&
      llvm::is_contained(q->shape, lowering.math.constant(0)))
    return success();
  for (Expr size : q->shape)
    if (lowering.isBounded(size)) {
      InFlightDiagnostic diagnostic = error(output);
      diagnostic << " has the shape " << lowering.print(q->shape)
                 << ", which changes with the position";
      diagnostic.attachNote()
          << "only outputs that append to an input are states";
      return failure();
    }
  if (q->rows)
    return error(output) << " has as many rows as data decides", failure();
  lowering.refusal.clear();
  Value tensor = lowering.plain(q);
  if (!tensor)
    return refuse(output);
  wafer::OutputOp::create(lowering.builder, lowering.loc, output.getName(),
                          tensor, StringAttr(), wafer::LayoutAttr());
  return success();
}

LogicalResult Outputs::add(onnx::OutputOp output) {
  lowering.loc = output.getLoc();
  lowering.refusal.clear();
  SymbolicTensor *q = values.lookup(output.getValue());
  if (!q)
    return error(output) << " has no value at run time", failure();
  if (failed(checkType(output, q)))
    return failure();
  for (auto [number, state] : llvm::enumerate(lowering.states))
    if (onnx::OutputOp(state.present) == output)
      return addState(output, number, q);
  if (FilledState *state = uses.find(output))
    return addFilled(output, *state, q);
  return give(output, q);
}

LogicalResult
import::addOutputs(Lowering &lowering, onnx::GraphOp graph,
                   const llvm::DenseMap<Value, SymbolicTensor *> &values,
                   Uses &uses, StepKind kind) {
  Outputs outputs(lowering, graph, values, uses, kind);
  for (auto output : graph.getBody().getOps<onnx::OutputOp>())
    if (failed(outputs.add(output)))
      return failure();
  return success();
}
