//===- States.cpp - Which inputs are states -------------------------------===//
//
// A decoder's cache is a pair of an input (past) and an output (present) with
//
//   present = Concat(past, new)
//
// Names differ between exporters and decide nothing; they label the states.
//
//===----------------------------------------------------------------------===//

#include "States.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Walks back through nodes that hand a value on unchanged.
static Value skipNoOps(Value value) {
  while (auto node = value.getDefiningOp<onnx::NodeOp>()) {
    StringRef op = node.getOperatorType();
    bool unchanged = node.getDomain().empty() && node.getInputs().size() == 1 &&
                     (op == "Identity" || op == "Concat");
    if (!unchanged)
      break;
    value = node.getInputs()[0];
  }
  return value;
}

/// The state that an output is the present of, if it is one.
static std::optional<State> matchAppend(onnx::OutputOp output) {
  auto node = skipNoOps(output.getValue()).getDefiningOp<onnx::NodeOp>();
  if (!node || !node.getDomain().empty() ||
      node.getOperatorType() != "Concat" || node.getInputs().size() != 2)
    return std::nullopt;
  auto past = skipNoOps(node.getInputs()[0]).getDefiningOp<onnx::InputOp>();
  auto axis = node.getParameters().getAs<IntegerAttr>("axis");
  if (!past || !axis || !isa<FloatType>(past.getElementType()))
    return std::nullopt;
  int64_t rank = past.getShape().size();
  int64_t at = axis.getInt() < 0 ? axis.getInt() + rank : axis.getInt();
  if (at < 0 || at >= rank || !isa<StringAttr>(past.getShape()[at]))
    return std::nullopt;
  return State{past, output, node, static_cast<unsigned>(at)};
}

FailureOr<SmallVector<State>> import::findStates(onnx::GraphOp graph,
                                                 const Options &options) {
  SmallVector<State> states;
  llvm::StringSet<> pasts;
  for (auto output : graph.getBody().getOps<onnx::OutputOp>())
    if (auto state = matchAppend(output))
      if (pasts.insert(state->past.getName()).second)
        states.push_back(*state);

  for (const auto &pair : options.states) {
    StringRef past = pair.first, present = pair.second;
    bool found = llvm::any_of(states, [&](State &state) {
      return state.past.getName() == past && state.present.getName() == present;
    });
    if (found)
      continue;
    InFlightDiagnostic error = emitError(graph.getLoc())
                               << "output '" << present
                               << "': not an append of '" << past << "'";
    error.attachNote() << "only appends at the end are states; --state "
                          "PAST=PRESENT does not change that";
    return failure();
  }
  return states;
}
