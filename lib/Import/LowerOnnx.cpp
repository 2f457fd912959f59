//===- LowerOnnx.cpp - Level 1 to level 2 ---------------------------------===//
//
// Each entry (a number of new tokens) is lowered by itself: the nodes are
// walked once in order, and each is either folded into what is known of its
// results or written as operations with static shapes. A node that cannot be
// lowered poisons what depends on it, and the walk goes on, so that one run
// reports everything that is wrong.
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"
#include "Branches.h"
#include "Causality.h"
#include "Frame.h"
#include "HostInputs.h"
#include "Joins.h"
#include "Loops.h"
#include "Operators.h"
#include "Outputs.h"
#include "Rows.h"
#include "Unsupported.h"
#include "waferloom/Dialect/Wafer/HostInputs.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {

class ModelLowering {
public:
  ModelLowering(ModuleOp source, const Options &options)
      : options(options), builder(source.getContext()),
        target(ModuleOp::create(source.getLoc())) {
    auto graphs = source.getOps<onnx::GraphOp>();
    graph = graphs.empty() ? onnx::GraphOp() : *graphs.begin();
  }

  OwningOpRef<ModuleOp> run();

private:
  LogicalResult lowerEntries(Bindings &bindings, ArrayRef<int64_t> entries);
  void noteTokensInSight(Bindings &bindings, StepKind stepKind);
  LogicalResult lowerEntry(Bindings &bindings, int64_t tokens, StepKind kind);
  LogicalResult addInputs(Lowering &lowering, Bindings &bindings);
  void addHostInput(Lowering &lowering, onnx::InputOp input, StringRef use,
                    ArrayRef<Expr> shape);
  SymbolicTensor *makeHostInput(Lowering &lowering, const HostInput &host,
                                Sizes shape);
  SymbolicTensor *makeInput(Lowering &lowering, onnx::InputOp input,
                            Sizes shape);
  void addState(Lowering &lowering, onnx::InputOp input, Sizes shape,
                bool isOpen);
  void lowerBlock(Lowering &lowering, Block &block);
  void lowerNode(Lowering &lowering, onnx::NodeOp node);
  InFlightDiagnostic error() { return emitError(graph.getLoc()); }
  void reportNode(onnx::NodeOp node, StringRef reason);

  Options options;
  OpBuilder builder;
  OwningOpRef<ModuleOp> target;
  onnx::GraphOp graph;
  SmallVector<State> states;
  Uses uses;
  StepKind kind = StepKind::Any; // of the entry at hand
  SmallVector<HostInput> hostInputs;
  llvm::StringMap<StringAttr> weights;
  llvm::DenseMap<Value, SymbolicTensor *> values; // null: poisoned
  bool failed = false;
};

std::string describe(Operation *op, StringRef operatorType) {
  auto loc = dyn_cast<NameLoc>(op->getLoc());
  return "node '" + (loc ? loc.getName().str() : "") + "' (" +
         operatorType.str() + ")";
}

void ModelLowering::reportNode(onnx::NodeOp node, StringRef reason) {
  error() << describeNode(node) << ": " << reason;
  failed = true;
}

OwningOpRef<ModuleOp> ModelLowering::run() {
  if (!graph)
    return nullptr;
  // First of all ops, as weights and entries come behind it.
  wafer::ProgramOp::getOrCreate(*target);
  auto foundUses = findUses(graph, options);
  if (mlir::failed(foundUses))
    return nullptr;
  uses = std::move(*foundUses);
  const Options asked = options;
  if (uses.decider)
    options.sets.emplace_back(uses.decider.getName().str(), uses.later);
  llvm::erase_if(options.states, [&](const auto &pair) {
    return llvm::any_of(uses.filled, [&](FilledState &state) {
      return state.past.getName() == pair.first &&
             state.present.getName() == pair.second;
    });
  });
  auto found = findStates(graph, options);
  if (failed || mlir::failed(found) || mlir::failed(checkOperators(graph)))
    return nullptr;
  states = std::move(*found);
  hostInputs = findHostInputs(graph, states);
  Bindings bindings(graph, states, hostInputs, options);
  if (mlir::failed(chooseContext(graph, states, options)) ||
      mlir::failed(checkOptions(graph, bindings, states, options)))
    return nullptr;
  auto entries = bindings.chooseEntries();
  if (mlir::failed(entries))
    return nullptr;
  noteDoubles(graph);
  weights = declareWeights(*target, graph);
  if (mlir::failed(lowerEntries(bindings, *entries)))
    return nullptr;
  options.sets = asked.sets;
  describeModel(*target, graph, states, uses.filled, options, bindings);
  eraseUnusedWeights(*target);
  return std::move(target);
}

//===----------------------------------------------------------------------===//
// One entry
//===----------------------------------------------------------------------===//

/// A session that the first step begins in a way of its own has an entry for
/// that, of as few tokens as can be: the others take what is behind them. It is
/// lowered first, as it says what states are filled with, and stands last.
LogicalResult ModelLowering::lowerEntries(Bindings &bindings,
                                          ArrayRef<int64_t> entries) {
  if (uses.filled.empty()) {
    noteTokensInSight(bindings, StepKind::Any);
    for (int64_t tokens : entries)
      if (mlir::failed(lowerEntry(bindings, tokens, StepKind::Any)))
        return failure();
    return success();
  }
  options.sets.back().second = 1 - uses.later;
  if (mlir::failed(lowerEntry(bindings, entries.front(), StepKind::First)))
    return failure();
  options.sets.back().second = uses.later;
  auto first = *target->getOps<func::FuncOp>().begin();
  wafer::EntryOp entry = wafer::getEntry(first);
  noteTokensInSight(bindings, StepKind::Later);
  for (int64_t tokens : entries)
    if (mlir::failed(lowerEntry(bindings, tokens, StepKind::Later)))
      return failure();
  first->moveBefore(target->getBody(), target->getBody()->end());
  entry->moveBefore(entry->getBlock(), entry->getBlock()->end());
  return success();
}

/// A word where a step of several tokens may be another one than the file's, as
/// it is cut, and a part does not see the next. An entry of few tokens and
/// slots shows it, and goes again.
void ModelLowering::noteTokensInSight(Bindings &bindings, StepKind stepKind) {
  constexpr int64_t most = 7; // a number that few dimensions have
  onnx::InputOp input = bindings.tokens();
  if (states.empty() || !input || isa<IntegerAttr>(input.getShape()[1]) ||
      *options.context < 2)
    return;
  const std::optional<int64_t> context = options.context;
  const int64_t tokens = std::min(most, *context);
  options.context = std::min(tokens + 2, *context);
  bool isHidden = true;
  {
    ScopedDiagnosticHandler quiet(builder.getContext(),
                                  [](Diagnostic &) { return success(); });
    const bool isLowered =
        mlir::succeeded(lowerEntry(bindings, tokens, stepKind));
    auto entries = llvm::to_vector(wafer::getProgram(*target).getEntries());
    auto function =
        target->lookupSymbol<func::FuncOp>(entries.back().getFunction());
    if (isLowered)
      isHidden =
          hidesLastToken(function, input.getName(), tokens,
                         std::min<int64_t>(1, *options.context - tokens));
    entries.back().erase();
    function.erase();
  }
  options.context = context;
  failed = false;
  if (isHidden)
    return;
  InFlightDiagnostic warning = emitWarning(graph.getLoc());
  warning << "nothing in the file is seen to hide later tokens: in a step of "
             "several, ONNX Runtime lets each see all of them, here it sees "
             "those of its part of the step and those before";
  warning.attachNote() << "give one token per step, or N at once where that is "
                          "an entry: --chunk N --prefill block --logits all";
}

LogicalResult ModelLowering::lowerEntry(Bindings &bindings, int64_t tokens,
                                        StepKind stepKind) {
  kind = stepKind;
  builder.setInsertionPointToEnd(target->getBody());
  auto function = func::FuncOp::create(
      builder, graph.getLoc(),
      (kind == StepKind::First ? "first" : "tokens") + std::to_string(tokens),
      builder.getFunctionType({}, {}));
  wafer::EntryOp entry = wafer::getProgram(*target).addEntry(
      function.getName(), function.getName(), tokens);
  if (kind == StepKind::First)
    entry.setUntil(1);
  else if (kind == StepKind::Later)
    entry.setFrom(1);
  builder.setInsertionPointToStart(function.addEntryBlock());

  Lowering lowering(builder, options, weights);
  lowering.loc = graph.getLoc();
  lowering.context = states.empty() ? tokens : *options.context;
  lowering.states = states;
  lowering.stateTensors.resize(states.size());
  lowering.stateAppended.resize(states.size(), false);
  lowering.math.maxPosition =
      kind == StepKind::First ? 0 : lowering.context - tokens;
  bindings.bind(lowering.math, tokens);
  values.clear();
  if (mlir::failed(addInputs(lowering, bindings)))
    return failure();
  lowerBlock(lowering, graph.getBody().front());
  if (failed || mlir::failed(addOutputs(lowering, graph, values, uses, kind)))
    return failure();
  func::ReturnOp::create(builder, graph.getLoc());
  eraseDead(function);
  return success();
}

void ModelLowering::lowerBlock(Lowering &lowering, Block &block) {
  for (Operation &op : block) {
    lowering.loc = op.getLoc();
    if (auto weight = dyn_cast<onnx::WeightOp>(op)) {
      SymbolicTensor q;
      auto type = cast<RankedTensorType>(weight.getType());
      for (int64_t size : type.getShape())
        q.shape.push_back(lowering.math.constant(size));
      q.type = heldType(type.getElementType());
      q.weight = weights.lookup(weight.getName());
      values[weight.getResult()] = lowering.clone(q);
    } else if (auto constant = dyn_cast<onnx::ConstantOp>(op)) {
      if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue()))
        values[constant.getResult()] =
            lowering.fromConstant(narrowed(dense), constant.getName());
    } else if (auto node = dyn_cast<onnx::NodeOp>(op)) {
      lowerNode(lowering, node);
    } else if (auto choice = dyn_cast<onnx::IfOp>(op)) {
      lowering.refusal.clear();
      auto lower = [&](Block &branch) { lowerBlock(lowering, branch); };
      if (mlir::failed(lowerIf(lowering, choice, values, lower)) && !failed)
        error() << describe(choice, "If") << ": " << lowering.refusal,
            failed = true;
    } else if (auto loop = dyn_cast<onnx::LoopOp>(op)) {
      lowering.refusal.clear();
      auto lower = [&](Block &body) { lowerBlock(lowering, body); };
      if (mlir::failed(lowerLoop(lowering, loop, values, lower)) && !failed)
        error() << describe(loop, loop.getOperatorType()) << ": "
                << lowering.refusal,
            failed = true;
    }
  }
}

LogicalResult ModelLowering::addInputs(Lowering &lowering, Bindings &bindings) {
  Arithmetic &math = lowering.math;
  for (auto input : graph.getBody().getOps<onnx::InputOp>()) {
    if (llvm::none_of(input.getResult().getUsers(),
                      [&](Operation *user) { return mayRun(user, options); }))
      continue;
    lowering.loc = input.getLoc();
    auto *state = llvm::find_if(
        states, [&](State &candidate) { return candidate.past == input; });
    const bool isFirst = kind == StepKind::First;
    bool isState = state != states.end() && !isFirst, isOpen = false;
    FilledState *filled = uses.find(input);
    Sizes shape;
    for (Attribute dim : input.getShape()) {
      Expr size = bindings.size(math, dim);
      if (!size && state != states.end() && state->sizesFollow())
        size = math.constant(1), isOpen = true;
      if (!size && filled && isFirst)
        size = math.constant(0); // nothing is there yet
      if (!size && !filled) {
        StringRef name = cast<StringAttr>(dim).getValue();
        InFlightDiagnostic diagnostic = error();
        diagnostic << "input '" << input.getName() << "': dimension '" << name
                   << "' has no size";
        diagnostic.attachNote() << "bind it: --dim " << name << "=N";
        return failure();
      }
      shape.push_back(size);
    }
    if (filled && !isFirst) {
      lowering.refusal.clear();
      SymbolicTensor *q = readState(lowering, *filled, shape);
      if (!q)
        return error() << "input '" << input.getName()
                       << "': " << lowering.refusal,
               failure();
      values[input.getResult()] = q;
      continue;
    }
    // What has no elements is known, and no step reads it.
    if (!isState && llvm::is_contained(shape, lowering.math.constant(0))) {
      Type type = heldType(input.getElementType());
      values[input.getResult()] =
          lowering.fromFunction(shape, type, lowering.constantOf(0, type));
      continue;
    }
    int64_t elements = 1;
    for (auto [i, size] : llvm::enumerate(shape)) {
      int64_t capacity = isState && i == state->axis && !placeOf(*state)
                             ? lowering.context
                             : lowering.capacity(size);
      if (capacity < 1 || llvm::MulOverflow(elements, capacity, elements) ||
          elements > (int64_t(1) << 31))
        return error() << "input '" << input.getName() << "' has a shape of "
                       << lowering.print(shape) << ", which a step cannot hold",
               failure();
    }
    if (isState) {
      addState(lowering, input, shape, isOpen);
      continue;
    }
    values[input.getResult()] = makeInput(lowering, input, shape);
  }
  return success();
}

/// A state with an open size is made when its append knows it.
void ModelLowering::addState(Lowering &lowering, onnx::InputOp input,
                             Sizes shape, bool isOpen) {
  unsigned number = 0;
  while (states[number].past != input)
    ++number;
  SmallVector<int64_t> sizes;
  for (auto [i, size] : llvm::enumerate(shape))
    sizes.push_back(i == states[number].axis && !placeOf(states[number])
                        ? lowering.context
                        : lowering.capacity(size));
  if (!isOpen)
    lowering.stateTensors[number] = lowering.makeState(input, sizes);
  SymbolicTensor q;
  q.shape = shape;
  q.type = heldType(input.getElementType());
  q.past = number;
  values[input.getResult()] = lowering.clone(q);
}

/// The entry says the name and type of an input that no PE reads.
void ModelLowering::addHostInput(Lowering &lowering, onnx::InputOp input,
                                 StringRef use, ArrayRef<Expr> shape) {
  auto function =
      cast<func::FuncOp>(builder.getInsertionBlock()->getParentOp());
  SmallVector<int64_t> sizes;
  for (Expr size : shape)
    sizes.push_back(lowering.capacity(size));
  wafer::addHostInput(wafer::getEntry(function), input.getName(), use,
                      RankedTensorType::get(sizes, input.getElementType()));
}

/// What is in the input is known, which the host checks: no step reads it, and
/// the entry only says its name and type.
SymbolicTensor *ModelLowering::makeHostInput(Lowering &lowering,
                                             const HostInput &host,
                                             Sizes shape) {
  onnx::InputOp input = host.input;
  Arithmetic &math = lowering.math;
  addHostInput(lowering, input, host.use, shape);
  math.dims = shape;
  Expr last = shape.empty() ? math.constant(0) : math.dim(shape.size() - 1);
  Expr known = host.use == "ones"
                   ? lowering.constantOf(1, input.getElementType())
               // Rows go on with their own states: the host has moved them.
               : host.use == "beams"     ? last
               : host.use == "positions" ? math.add(math.position(), last)
                                         : math.position();
  return lowering.fromFunction(shape, input.getElementType(), known);
}

/// The host refuses what the type of an input does not hold, or 32 bits.
static void limitToType(Lowering &lowering, wafer::InputOp op, unsigned source,
                        IntegerType type) {
  const unsigned bits = std::min(31u, type.getWidth() - !type.isUnsigned());
  const int64_t high = (int64_t(1) << bits) - 1;
  op.setLimit(high + 1);
  op.setLeast(type.isUnsigned() ? 0 : -high - 1);
  lowering.math.reads[source].low = *op.getLeast();
  lowering.math.reads[source].high = high;
}

SymbolicTensor *ModelLowering::makeInput(Lowering &lowering,
                                         onnx::InputOp input, Sizes shape) {
  const Type declared = input.getElementType(), type = heldType(declared);
  for (const auto &[name, value] : options.sets)
    if (name == input.getName()) {
      if (uses.decider == input)
        addHostInput(lowering, input, value ? "yes" : "no", shape);
      return lowering.fromFunction(shape, type,
                                   lowering.constantOf(value, type));
    }
  for (const HostInput &host : hostInputs)
    if (host.input == input)
      return makeHostInput(lowering, host, shape);
  SmallVector<int64_t> sizes;
  for (Expr size : shape)
    sizes.push_back(lowering.capacity(size));
  auto stored = RankedTensorType::get(sizes, lowering.runtimeType(type));
  StringRef name = input.getName();
  auto op = wafer::InputOp::create(
      builder, lowering.loc, stored, name,
      countsRows(input, states) ? "length" : fallbackOf(input), int64_t(0),
      IntegerAttr(), TypeAttr::get(declared), wafer::LayoutAttr());
  SymbolicTensor *q = lowering.fromTensor(shape, type, op.getResult());
  if (q->isFloat())
    return q;
  unsigned source = lowering.math.reads.size() - 1;
  lowering.math.reads[source].name = input.getName().str();
  lowering.inputs[source] = op;
  if (auto integer = dyn_cast<IntegerType>(type);
      integer && !q->isBool() &&
      (integer.getWidth() < 32 || integer.isUnsigned()))
    limitToType(lowering, op, source, integer);
  // Ids and positions index tables: the host refuses negative ones.
  if (name == "input_ids" || name == "position_ids" ||
      name == "token_type_ids") {
    op.setLimit(std::numeric_limits<int32_t>::max());
    lowering.math.reads[source].low = 0;
    lowering.math.reads[source].high = std::numeric_limits<int32_t>::max() - 1;
  }
  return q;
}

void ModelLowering::lowerNode(Lowering &lowering, onnx::NodeOp node) {
  const OperatorEntry *entry =
      findOperator(node.getDomain(), node.getOperatorType());
  if (!entry) // in a branch: others were looked at before
    return reportNode(node, "the operator is not supported");
  Call call{lowering,
            lowering.math,
            node.getOperatorType(),
            node.getDomain(),
            static_cast<int64_t>(node.getVersion()),
            {},
            node.getParameters(),
            static_cast<unsigned>(node.getNumResults()),
            {}};
  for (Value result : node.getOutputs())
    call.wanted.push_back(!result.use_empty());
  // Outputs that are named "" or that nobody uses count as left out.
  while (call.resultCount > 1 &&
         node.getResult(call.resultCount - 1).use_empty() &&
         node.getOperatorType() != "Split")
    --call.resultCount;
  for (Value input : node.getInputs()) {
    if (input.getDefiningOp<onnx::AbsentOp>()) {
      call.inputs.push_back(nullptr);
      continue;
    }
    SymbolicTensor *q = values.lookup(input);
    if (!q)
      return; // depends on a node that was refused
    call.inputs.push_back(q);
  }
  lowering.refusal.clear();
  lowering.math.overflowed = false;
  lowering.math.dims.clear();
  narrowDoubles(call);
  auto mayLackRows = [](SymbolicTensor *q) { return q && q->rows; };
  auto isApart = [](SymbolicTensor *q) { return q && !q->parts.empty(); };
  Results results =
      llvm::any_of(call.inputs, mayLackRows) ? lowerOnRows(call, *entry)
      : llvm::any_of(call.inputs, isApart)   ? lowerOnParts(call, *entry)
                                             : entry->lower(call);
  if (lowering.math.overflowed)
    lowering.refuse("its sizes or indices grow beyond what can be followed");
  if (!lowering.refusal.empty() || results.empty()) {
    reportNode(node, lowering.refusal.empty() ? "cannot be lowered"
                                              : StringRef(lowering.refusal));
    return;
  }
  for (auto [output, result] : llvm::zip(node.getOutputs(), results)) {
    if (result && result->view)
      result->type = heldType(result->type);
    values[output] = result;
  }
}

} // namespace

OwningOpRef<ModuleOp> import::lowerOnnx(ModuleOp onnx, const Options &options) {
  return ModelLowering(onnx, options).run();
}
