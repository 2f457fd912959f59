//===- States.cpp - Which inputs are states -------------------------------===//
//
// A decoder's cache is a pair of an input (past) and an output (present) with
//
//   present = Concat(past, new)
//   output, present, .. = GroupQueryAttention(query, key, value, past, ..)
//
// A Slice of the present is a sliding cache, whose rows all stay. Names differ
// between exporters and decide nothing; they label the states.
//
//===----------------------------------------------------------------------===//

#include "States.h"
#include "Bindings.h"
#include "Branches.h"

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

namespace {
/// A fused attention that appends: its inputs from `past` on become its results
/// from 1 on, `count` of them, along dimension `axis`.
struct FusedAttention {
  StringRef op;
  unsigned past, count, axis;
};
} // namespace

static const FusedAttention *findFusedAttention(onnx::NodeOp node) {
  static const FusedAttention all[] = {{"Attention", 4, 1, 3},
                                       {"GroupQueryAttention", 3, 2, 2},
                                       {"MultiHeadAttention", 6, 2, 2}};
  if (!node || node.getDomain() != "com.microsoft")
    return nullptr;
  for (const FusedAttention &known : all)
    if (node.getOperatorType() == known.op)
      return &known;
  return nullptr;
}

/// The state that a present of a fused attention is.
static std::optional<State> matchAttention(onnx::OutputOp output,
                                           OpResult present,
                                           const FusedAttention &fused) {
  auto node = cast<onnx::NodeOp>(present.getOwner());
  unsigned result = present.getResultNumber();
  unsigned operand = fused.past + result - 1;
  if (result < 1 || result > fused.count || operand >= node.getInputs().size())
    return std::nullopt;
  auto past =
      skipNoOps(node.getInputs()[operand]).getDefiningOp<onnx::InputOp>();
  if (!past || !isa<FloatType>(past.getElementType()) ||
      past.getShape().size() <= fused.axis ||
      !isa<StringAttr>(past.getShape()[fused.axis]))
    return std::nullopt;
  return State{past, output, node, fused.axis};
}

bool State::sizesFollow() {
  return findFusedAttention(append) && past.getResult().hasOneUse();
}

/// The values that an output may have: of a choice, those of its branches.
static SmallVector<Value> valuesOf(onnx::OutputOp output,
                                   const Options &options) {
  SmallVector<Value> worklist{output.getValue()}, values;
  while (!worklist.empty()) {
    Value value = skipNoOps(worklist.pop_back_val());
    auto choice = value.getDefiningOp<onnx::IfOp>();
    if (!choice) {
      values.push_back(value);
      continue;
    }
    unsigned number = cast<OpResult>(value).getResultNumber();
    for (Block *branch : branchesOf(choice, options))
      worklist.push_back(branch->getTerminator()->getOperand(number));
  }
  return values;
}

/// A sliding cache gives its last rows: what they are the last of.
static Value skipSlice(Value value) {
  auto isNode = [](onnx::NodeOp node, StringRef op) {
    return node && node.getDomain().empty() && node.getOperatorType() == op;
  };
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (!isNode(node, "Slice"))
    return value;
  Value whole = skipNoOps(node.getInputs()[0]);
  return isNode(whole.getDefiningOp<onnx::NodeOp>(), "Concat") ? whole : value;
}

/// The state that an output with this value is the present of, if it is one.
static std::optional<State> matchAppend(onnx::OutputOp output, Value value) {
  value = skipSlice(value);
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (const FusedAttention *fused = findFusedAttention(node))
    return matchAttention(output, cast<OpResult>(value), *fused);
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
    for (Value value : valuesOf(output, options))
      if (auto state = matchAppend(output, value))
        if (pasts.insert(state->past.getName()).second) {
          states.push_back(*state);
          break;
        }

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
  graph.walk([&](onnx::NodeOp node) {
    if (node.getDomain() == "com.microsoft" &&
        node.getOperatorType() == "GroupQueryAttention" &&
        node.getInputs().size() > lengths)
      worklist.push_back(node.getInputs()[lengths]);
  });
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
