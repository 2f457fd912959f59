//===- States.cpp - Which inputs are states -------------------------------===//
//
// A decoder's cache is a pair of an input (past) and an output (present) with
//
//   present = Concat(past, new)
//   output, present, .. = GroupQueryAttention(query, key, value, past, ..)
//   present = TensorScatter(past, new, place)          a static cache
//
// ScatterElements and ScatterND stand for the last where their indices count up
// from a place; behind beams the past is Gather(past, beams) along the batch; a
// Slice of the present is a sliding cache, whose rows all stay.
// Names differ between exporters and decide nothing; they label the states.
//
//===----------------------------------------------------------------------===//

#include "States.h"
#include "Bindings.h"
#include "Branches.h"
#include "HostInputs.h"

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

/// Whether it is an operator of the standard.
static bool isNode(onnx::NodeOp node, StringRef op) {
  return node && node.getDomain().empty() && node.getOperatorType() == op;
}

static int64_t axisOf(onnx::NodeOp node, int64_t otherwise) {
  auto axis = node.getParameters().getAs<IntegerAttr>("axis");
  return axis ? axis.getInt() : otherwise;
}

/// The input of integers that a value is, whatever type they were brought to.
static onnx::InputOp integersBelow(Value value) {
  value = skipNoOps(value);
  while (isNode(value.getDefiningOp<onnx::NodeOp>(), "Cast"))
    value = skipNoOps(value.getDefiningOp<onnx::NodeOp>().getInputs()[0]);
  auto input = value.getDefiningOp<onnx::InputOp>();
  return input && isa<IntegerType>(input.getElementType()) ? input
                                                           : onnx::InputOp();
}

/// The past that `value` is, its rows moved by `beams` or not.
static onnx::InputOp pastBelow(Value value, onnx::InputOp &beams) {
  value = skipNoOps(value);
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (isNode(node, "Gather") && axisOf(node, 0) == 0) {
    beams = integersBelow(node.getInputs()[1]);
    if (beams && beams.getShape().size() == 1)
      value = skipNoOps(node.getInputs()[0]);
  }
  auto past = value.getDefiningOp<onnx::InputOp>();
  return past && isa<FloatType>(past.getElementType()) ? past : onnx::InputOp();
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
  onnx::InputOp beams;
  onnx::InputOp past = pastBelow(node.getInputs()[operand], beams);
  if (!past || past.getShape().size() <= fused.axis ||
      !isa<StringAttr>(past.getShape()[fused.axis]))
    return std::nullopt;
  return State{past, output, node, fused.axis};
}

/// The order that a Transpose brings; `value` becomes what it transposes.
/// Empty: there is none.
static SmallVector<int64_t> skipTranspose(Value &value) {
  auto node = value.getDefiningOp<onnx::NodeOp>();
  SmallVector<int64_t> order;
  if (!isNode(node, "Transpose"))
    return order;
  if (auto perm = node.getParameters().getAs<ArrayAttr>("perm"))
    for (auto dim : perm.getAsRange<IntegerAttr>())
      order.push_back(dim.getInt());
  value = skipNoOps(node.getInputs()[0]);
  return order;
}

Value import::placeOf(State state) {
  for (auto [op, operand] :
       {std::pair("TensorScatter", 2), std::pair("ScatterElements", 1),
        std::pair("ScatterND", 1)})
    if (isNode(state.append, op))
      return state.append.getInputs()[operand];
  return nullptr;
}

onnx::InputOp import::beamsOf(State state) {
  for (Value operand : state.append.getInputs()) {
    onnx::InputOp beams;
    skipTranspose(operand);
    if (pastBelow(operand, beams) == state.past)
      return beams;
  }
  return nullptr;
}

/// How many coordinates the indices of a ScatterND have, as far as that shows.
static size_t coordinatesOf(Value indices) {
  auto node = skipNoOps(indices).getDefiningOp<onnx::NodeOp>();
  while (isNode(node, "Cast"))
    node = skipNoOps(node.getInputs()[0]).getDefiningOp<onnx::NodeOp>();
  return isNode(node, "Concat") ? node.getInputs().size() : 1;
}

/// The inputs that values are computed from, by more than their sizes.
static SmallVector<onnx::InputOp> inputsBelow(SmallVector<Value> worklist) {
  llvm::DenseSet<Value> seen;
  SmallVector<onnx::InputOp> inputs;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (auto input = value.getDefiningOp<onnx::InputOp>())
      inputs.push_back(input);
    else if (auto node = value.getDefiningOp<onnx::NodeOp>();
             node && !isNode(node, "Shape") && !isNode(node, "Size"))
      llvm::append_range(worklist, node.getInputs());
  }
  return inputs;
}

/// Whether anything but an output takes the value.
static bool isRead(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    auto node = dyn_cast<onnx::NodeOp>(user);
    return isNode(node, "Identity") || isNode(node, "Transpose")
               ? isRead(node.getResult(0))
               : !isa<onnx::OutputOp>(user);
  });
}

/// Whether a step takes tokens; other graphs put rows into inputs, too.
static bool takesTokens(onnx::GraphOp graph) {
  return llvm::any_of(graph.getBody().getOps<onnx::InputOp>(),
                      [](onnx::InputOp input) {
                        return input.getName() == "input_ids" ||
                               input.getName() == "inputs_embeds" ||
                               (input.getShape().size() >= 2 &&
                                isa<StringAttr>(input.getShape()[1]));
                      });
}

/// A static cache: the step itself reads it, and an input says where rows go.
/// Whether that is behind those of the steps before, the operator's lowering
/// checks.
static std::optional<State> matchScatter(onnx::OutputOp output, Value value) {
  SmallVector<int64_t> back = skipTranspose(value);
  auto node = value.getDefiningOp<onnx::NodeOp>();
  const bool isTensorScatter = isNode(node, "TensorScatter"),
             isElements = isNode(node, "ScatterElements"),
             isND = isNode(node, "ScatterND");
  if ((!isTensorScatter && !isElements && !isND) || node.getInputs().size() < 3)
    return std::nullopt;
  Value data = skipNoOps(node.getInputs()[0]);
  SmallVector<int64_t> order = skipTranspose(data);
  onnx::InputOp beams;
  onnx::InputOp past = pastBelow(data, beams);
  Value place = node.getInputs()[isTensorScatter ? 2 : 1];
  if (!past || back.size() != order.size() || !isRead(node.getResult(0)) ||
      inputsBelow({place}).empty() ||
      (!isTensorScatter && skipNoOps(place).getDefiningOp<onnx::InputOp>()) ||
      !takesTokens(output->getParentOfType<onnx::GraphOp>()))
    return std::nullopt;
  const auto rank = static_cast<int64_t>(past.getShape().size());
  int64_t axis = isND ? static_cast<int64_t>(coordinatesOf(place)) - 1
                      : axisOf(node, isTensorScatter ? -2 : 0);
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis >= rank)
    return std::nullopt;
  if (static_cast<int64_t>(order.size()) == rank)
    axis = order[axis];
  return State{past, output, node, static_cast<unsigned>(axis)};
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
  if (!isNode(node, "Concat") || node.getInputs().size() != 2)
    return matchScatter(output, value);
  onnx::InputOp beams;
  onnx::InputOp past = pastBelow(node.getInputs()[0], beams);
  if (!past)
    return std::nullopt;
  int64_t rank = past.getShape().size(), at = axisOf(node, 0);
  at = at < 0 ? at + rank : at;
  if (at < 0 || at >= rank || !isa<StringAttr>(past.getShape()[at]))
    return std::nullopt;
  return State{past, output, node, static_cast<unsigned>(at)};
}

/// The host moves rows of all states, or of none.
static LogicalResult checkBeams(onnx::GraphOp graph, ArrayRef<State> states) {
  auto orderText = [](State state) {
    onnx::InputOp beams = beamsOf(state);
    return beams ? "the order of '" + beams.getName().str() + "'"
                 : std::string("its own order");
  };
  for (State state : states)
    if (State first = states.front(); beamsOf(state) != beamsOf(first))
      return emitError(graph.getLoc())
                 << "the rows of '" << first.past.getName() << "' are read in "
                 << orderText(first) << ", those of '" << state.past.getName()
                 << "' in " << orderText(state)
                 << ": the host moves the rows of all states by one input, or "
                    "of none",
             failure();
  return success();
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
  if (failed(checkBeams(graph, states)))
    return failure();
  return states;
}

LogicalResult import::chooseContext(onnx::GraphOp graph, ArrayRef<State> states,
                                    Options &options) {
  for (State state : states) {
    auto room = dyn_cast<IntegerAttr>(state.past.getShape()[state.axis]);
    if (!room || !placeOf(state))
      continue;
    if (options.context && *options.context > room.getInt()) {
      InFlightDiagnostic error = emitError(graph.getLoc())
                                 << "a context of " << *options.context
                                 << " tokens, but '" << state.past.getName()
                                 << "' has room for " << room.getInt();
      error.attachNote() << "the file fixes it: leave --context out";
      return failure();
    }
    options.context = options.context.value_or(room.getInt());
  }
  return success();
}

/// Whether beams do nothing but move rows of states.
static bool onlyMovesStates(Value value, ArrayRef<State> states) {
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    auto node = dyn_cast<onnx::NodeOp>(use.getOwner());
    if (isNode(node, "Cast") || isNode(node, "Identity"))
      return onlyMovesStates(node.getResult(0), states);
    if (!isNode(node, "Gather") || use.getOperandNumber() != 1)
      return isNode(node, "Shape");
    Value data = skipNoOps(node.getInputs()[0]);
    return llvm::any_of(
        states, [&](State state) { return state.past.getResult() == data; });
  });
}

SmallVector<onnx::InputOp> import::findLengthMasks(onnx::GraphOp graph) {
  constexpr unsigned lengths = 5;
  SmallVector<Value> rows;
  graph.walk([&](onnx::NodeOp node) {
    if (node.getDomain() == "com.microsoft" &&
        node.getOperatorType() == "GroupQueryAttention" &&
        node.getInputs().size() > lengths)
      rows.push_back(node.getInputs()[lengths]);
  });
  SmallVector<onnx::InputOp> masks = inputsBelow(rows);
  llvm::erase_if(
      masks, [](onnx::InputOp input) { return fallbackOf(input) != "ones"; });
  return masks;
}

SmallVector<HostInput> import::findHostInputs(onnx::GraphOp graph,
                                              ArrayRef<State> states) {
  SmallVector<HostInput> found;
  SmallVector<Value> places;
  for (onnx::InputOp mask : findLengthMasks(graph))
    found.push_back({mask, "ones"});
  auto add = [&](onnx::InputOp input, StringRef use) {
    if (llvm::none_of(found,
                      [&](HostInput &other) { return other.input == input; }))
      found.push_back({input, use});
  };
  bool placesRows = false;
  for (State state : states) {
    if (onnx::InputOp beams = beamsOf(state);
        beams && onlyMovesStates(beams.getResult(), states))
      add(beams, "beams");
    Value place = placeOf(state);
    if (!place)
      continue;
    places.push_back(place);
    placesRows |= !isNode(state.append, "TensorScatter");
  }
  for (onnx::InputOp input : inputsBelow(places)) {
    if (!isa<IntegerType>(input.getElementType()) ||
        input.getName() == "input_ids")
      continue;
    // TensorScatter has one place for each row of the batch.
    ArrayAttr shape = input.getShape();
    const bool counts = placesRows && !shape.empty() &&
                        shape[shape.size() - 1] !=
                            Builder(graph.getContext()).getI64IntegerAttr(1);
    add(input, fallbackOf(input) == "ones" ? "ones"
               : counts                    ? "positions"
                                           : "position");
  }
  return found;
}

bool import::countsRows(onnx::InputOp input, ArrayRef<State> states) {
  if (states.empty() || !isa<IntegerType>(input.getElementType()) ||
      input.getShape().size() != 1)
    return false;
  // No other operand of an attention is a row of integers; within a function of
  // the file its own name must do.
  return input.getName() == "nonpad_kv_seqlen" ||
         llvm::any_of(input->getUsers(), [](Operation *user) {
           auto node = dyn_cast<onnx::NodeOp>(user);
           return node && node.getBodyOf() == StringRef("Attention");
         });
}

SymbolicTensor *import::transposedPast(Lowering &lowering, SymbolicTensor *past,
                                       ArrayRef<int64_t> order) {
  SymbolicTensor *result = lowering.clone(*past);
  SmallVector<int64_t> before = orderOf(past);
  View view;
  for (auto [to, from] : llvm::enumerate(order)) {
    result->shape[to] = past->shape[from];
    const int64_t dim = before.empty() ? from : before[from];
    view.dims.push_back(
        {Factor{lowering.capacity(past->shape[from]), static_cast<int>(dim)}});
  }
  result->view = std::move(view);
  return result;
}

SmallVector<int64_t> import::orderOf(const SymbolicTensor *past) {
  SmallVector<int64_t> order;
  if (past->view)
    for (const auto &dim : past->view->dims)
      order.push_back(dim[0].base);
  return order;
}
