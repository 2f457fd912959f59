//===- Uses.cpp - Two uses of one file ------------------------------------===//

#include "Uses.h"
#include "Branches.h"
#include "HostInputs.h"
#include "Operators.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

FilledState *Uses::find(Operation *pastOrPresent) {
  auto found = llvm::find_if(filled, [&](FilledState &state) {
    return state.past == pastOrPresent || state.present == pastOrPresent;
  });
  return found == filled.end() ? nullptr : &*found;
}

/// The one input that decides between branches; null: none or several do.
static onnx::InputOp findDecider(onnx::GraphOp graph, const Options &options) {
  onnx::InputOp decider;
  for (auto choice : graph.getBody().getOps<onnx::IfOp>()) {
    onnx::InputOp input = decidingInput(choice);
    if (!input || branchesOf(choice, options).size() == 1)
      continue;
    if (decider && decider != input)
      return nullptr;
    decider = input;
  }
  return decider;
}

static Options withSet(Options options, onnx::InputOp input, int64_t value) {
  options.states.clear();
  options.sets.emplace_back(input.getName().str(), value);
  return options;
}

/// `past` renamed as `like` is: "past.0.k" is to "present.0.k" as "past.1.v" to
/// "present.1.v". Empty: the names begin otherwise.
static std::string renamed(StringRef past, State like) {
  StringRef from = like.past.getName(), to = like.present.getName();
  while (!from.empty() && !to.empty() && from.back() == to.back())
    from = from.drop_back(), to = to.drop_back();
  if (!past.consume_front(from))
    return {};
  return (to + past).str();
}

static SmallVector<FilledState> findFilled(onnx::GraphOp graph,
                                           ArrayRef<State> states,
                                           const Options &later,
                                           const Options &asked) {
  llvm::StringMap<onnx::OutputOp> outputs;
  for (auto output : graph.getBody().getOps<onnx::OutputOp>())
    outputs[output.getName()] = output;
  for (State state : states)
    outputs.erase(state.present.getName());
  SmallVector<FilledState> filled;
  for (auto input : graph.getBody().getOps<onnx::InputOp>()) {
    if (!isa<FloatType>(input.getElementType()) ||
        llvm::any_of(states, [&](State s) { return s.past == input; }) ||
        llvm::none_of(input->getUsers(),
                      [&](Operation *user) { return mayRun(user, later); }))
      continue;
    SmallVector<std::string> names;
    for (const auto &[past, present] : asked.states)
      if (past == input.getName())
        names.push_back(present);
    for (State state : states)
      names.push_back(renamed(input.getName(), state));
    for (const std::string &name : names)
      if (onnx::OutputOp present = outputs.lookup(name)) {
        outputs.erase(name);
        filled.push_back({input, present});
        break;
      }
  }
  return filled;
}

FailureOr<Uses> import::findUses(onnx::GraphOp graph, const Options &options) {
  Uses uses;
  onnx::InputOp decider = findDecider(graph, options);
  if (!decider)
    return uses;
  SmallVector<State> states[2];
  for (int64_t value : {0, 1}) {
    auto found = findStates(graph, withSet(options, decider, value));
    if (failed(found))
      return failure();
    states[value] = std::move(*found);
  }
  if (states[0].empty() == states[1].empty() ||
      llvm::any_of(states[states[0].empty()],
                   [](State state) { return placeOf(state); }))
    return uses;
  uses.decider = decider;
  uses.later = states[0].empty();
  uses.filled = findFilled(graph, states[uses.later],
                           withSet(options, decider, uses.later), options);
  return uses;
}

namespace {
/// Moves what is written while it lives up to what it reads, so that what a
/// layer keeps stands in it.
class WrittenInPlace {
public:
  explicit WrittenInPlace(OpBuilder &builder)
      : block(builder.getInsertionBlock()), before(&block->back()) {}
  ~WrittenInPlace() {
    for (Operation &op : llvm::make_early_inc_range(llvm::make_range(
             std::next(before->getIterator()), block->end()))) {
      Operation *last = nullptr;
      for (Value operand : op.getOperands())
        if (Operation *made = operand.getDefiningOp();
            made && (!last || last->isBeforeInBlock(made)))
          last = made;
      if (last)
        op.moveAfter(last);
      else
        op.moveBefore(block, block->begin());
    }
  }

private:
  Block *block;
  Operation *before;
};
} // namespace

LogicalResult import::beginState(Lowering &lowering, unsigned number,
                                 SymbolicTensor *rows) {
  State state = lowering.states[number];
  onnx::InputOp past = state.past;
  if (rows->rank() != past.getShape().size() ||
      rows->type != heldType(past.getElementType()))
    return lowering.refuse("the first step begins '" + past.getName() +
                           "' with values of another type or rank"),
           failure();
  const WrittenInPlace moved(lowering.builder);
  Value update = lowering.plain(rows);
  if (!update)
    return failure();
  SmallVector<int64_t> sizes(
      cast<RankedTensorType>(update.getType()).getShape());
  sizes[state.axis] = lowering.context;
  wafer::AppendOp::create(
      lowering.builder, lowering.loc,
      RankedTensorType::get(sizes, getElementTypeOrSelf(update.getType())),
      update, lowering.makeState(past, sizes), lowering.position(), state.axis,
      wafer::LayoutAttr());
  return success();
}

LogicalResult import::fillState(Lowering &lowering, FilledState &state,
                                SymbolicTensor *value) {
  if (!value->isFloat() || value->rank() != state.past.getShape().size())
    return lowering.refuse("the first step fills '" + state.past.getName() +
                           "' with values of another type or rank"),
           failure();
  const WrittenInPlace moved(lowering.builder);
  Value update = lowering.plain(value);
  if (!update)
    return failure();
  state.sizes =
      llvm::to_vector(cast<RankedTensorType>(update.getType()).getShape());
  wafer::StoreOp::create(lowering.builder, lowering.loc, update,
                         lowering.makeState(state.past, state.sizes));
  return success();
}

SymbolicTensor *import::readState(Lowering &lowering, const FilledState &state,
                                  Sizes shape) {
  onnx::InputOp past = state.past;
  for (auto [declared, size] : llvm::zip_equal(shape, state.sizes)) {
    Expr given = lowering.math.constant(size);
    if (declared && declared != given)
      return lowering.refuse("the first step fills it with " +
                             lowering.math.print(given) + " where it has " +
                             lowering.math.print(declared));
    declared = given;
  }
  Value tensor = lowering.makeState(past, state.sizes);
  SymbolicTensor *q =
      lowering.fromTensor(shape, heldType(past.getElementType()), tensor);
  q->paddingIsFinite = true;
  return q;
}
