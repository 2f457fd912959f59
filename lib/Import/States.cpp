//===- States.cpp - Which inputs are states -------------------------------===//
//
// A decoder's cache is a pair of an input (past) and an output (present) with
//
//   present = Concat(past, new)
//   output, present, .. = GroupQueryAttention(query, key, value, past, ..)
//
// Names differ between exporters and decide nothing; they label the states.
//
//===----------------------------------------------------------------------===//

#include "States.h"
#include "Bindings.h"

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

static bool isFusedAttention(onnx::NodeOp node) {
  return node && node.getDomain() == "com.microsoft" &&
         node.getOperatorType() == "GroupQueryAttention";
}

/// Inputs 3 and 4 of the attention are the pasts of its results 1 and 2.
static std::optional<State> matchAttention(onnx::OutputOp output,
                                           OpResult present) {
  auto node = cast<onnx::NodeOp>(present.getOwner());
  unsigned operand = present.getResultNumber() + 2;
  constexpr unsigned axis = 2;
  if (present.getResultNumber() < 1 || present.getResultNumber() > 2 ||
      operand >= node.getInputs().size())
    return std::nullopt;
  auto past =
      skipNoOps(node.getInputs()[operand]).getDefiningOp<onnx::InputOp>();
  if (!past || !isa<FloatType>(past.getElementType()) ||
      past.getShape().size() != 4 || !isa<StringAttr>(past.getShape()[axis]))
    return std::nullopt;
  return State{past, output, node, axis};
}

bool State::sizesFollow() {
  return isFusedAttention(append) && past.getResult().hasOneUse();
}

/// The state that an output is the present of, if it is one.
static std::optional<State> matchAppend(onnx::OutputOp output) {
  Value value = skipNoOps(output.getValue());
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (isFusedAttention(node))
    return matchAttention(output, cast<OpResult>(value));
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

SmallVector<onnx::InputOp> import::findLengthMasks(onnx::GraphOp graph) {
  constexpr unsigned lengths = 5;
  SmallVector<Value> worklist;
  for (auto node : graph.getBody().getOps<onnx::NodeOp>())
    if (isFusedAttention(node) && node.getInputs().size() > lengths)
      worklist.push_back(node.getInputs()[lengths]);
  llvm::DenseSet<Value> seen;
  SmallVector<onnx::InputOp> masks;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (auto input = value.getDefiningOp<onnx::InputOp>()) {
      if (fallbackOf(input) == "ones")
        masks.push_back(input);
    } else if (auto node = value.getDefiningOp<onnx::NodeOp>()) {
      llvm::append_range(worklist, node.getInputs());
    }
  }
  return masks;
}
