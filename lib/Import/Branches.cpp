//===- Branches.cpp - One of two branches ---------------------------------===//
//
// Exporters write a branch where the same file serves two uses (with and
// without a cache, a squeeze of a dimension that may be one): what the caller
// fixes, or the sizes, decide it, and the other branch is never looked at. A
// condition that depends on data selects between the values of both branches.
//
//===----------------------------------------------------------------------===//

#include "Branches.h"
#include "Operators.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static Operation *yieldOf(Region &branch) {
  return branch.front().getTerminator();
}

/// The input that a condition is, through nodes that keep its only element, and
/// whether it is negated on the way.
static std::pair<onnx::InputOp, bool> conditionInput(Value condition) {
  bool negated = false;
  while (auto node = condition.getDefiningOp<onnx::NodeOp>()) {
    StringRef op = node.getOperatorType();
    if (op == "Not")
      negated = !negated;
    else if (op != "Squeeze" && op != "Unsqueeze" && op != "Reshape" &&
             op != "Identity" && op != "Cast")
      return {};
    condition = node.getInputs()[0];
  }
  return {condition.getDefiningOp<onnx::InputOp>(), negated};
}

onnx::InputOp import::decidingInput(onnx::IfOp choice) {
  return conditionInput(choice.getCondition()).first;
}

SmallVector<Block *> import::branchesOf(onnx::IfOp choice,
                                        const Options &options) {
  Block *yes = &choice.getThenBranch().front(),
        *no = &choice.getElseBranch().front();
  if (auto [input, negated] = conditionInput(choice.getCondition()); input)
    for (const auto &[name, value] : options.sets)
      if (name == input.getName())
        return {(value != 0) != negated ? yes : no};
  return {yes, no};
}

bool import::mayRun(Operation *op, const Options &options) {
  for (Operation *parent = op->getParentOp(); parent;
       op = parent, parent = op->getParentOp())
    if (auto choice = dyn_cast<onnx::IfOp>(parent);
        choice &&
        !llvm::is_contained(branchesOf(choice, options), op->getBlock()))
      return false;
  return true;
}

/// Values of both branches, by the condition.
static LogicalResult select(Lowering &lowering, onnx::IfOp choice,
                            SymbolicTensor *condition, Values &values) {
  const OperatorEntry *where = findOperator("", "Where");
  for (auto [result, yes, no] : llvm::zip(
           choice.getOutputs(), yieldOf(choice.getThenBranch())->getOperands(),
           yieldOf(choice.getElseBranch())->getOperands())) {
    SymbolicTensor *a = values.lookup(yes), *b = values.lookup(no);
    if (!a || !b)
      return failure();
    if (a->rows || b->rows || !a->parts.empty() || !b->parts.empty())
      return lowering.refuse("its condition depends on data, and so do the "
                             "sizes of what its branches give"),
             failure();
    if (a->shape != b->shape || a->appended >= 0 || b->appended >= 0)
      return lowering.refuse(
                 "its condition depends on data, and its branches "
                 "give values of shapes " +
                 lowering.print(a->shape) + " and " + lowering.print(b->shape) +
                 (a->appended != b->appended ? ", one of them a state" : "")),
             failure();
    Call call{lowering,
              lowering.math,
              "Where",
              "",
              16,
              {condition, a, b},
              DictionaryAttr::get(lowering.builder.getContext()),
              1,
              {true}};
    Results selected = where->lower(call);
    if (selected.empty())
      return failure();
    values[result] = selected[0];
  }
  return success();
}

LogicalResult import::lowerIf(Lowering &lowering, onnx::IfOp choice,
                              Values &values,
                              llvm::function_ref<void(Block &)> lowerBlock) {
  SymbolicTensor *condition = values.lookup(choice.getCondition());
  if (!condition)
    return success(); // depends on a node that was refused
  Expr function = lowering.functionOf(condition);
  if (!function || !condition->isBool())
    return lowering.refuse("its condition is no boolean that can be followed"),
           failure();
  for (Expr size : condition->shape)
    if (size != lowering.math.constant(1))
      return lowering.refuse("its condition of shape " +
                             lowering.print(condition->shape) +
                             " is not one boolean"),
             failure();
  lowering.math.dims = condition->shape;
  Sizes first(condition->rank(), lowering.math.constant(0));
  function = lowering.math.substitute(function, first);
  if (function->isTrue() || function->isFalse()) {
    Region &branch =
        function->isTrue() ? choice.getThenBranch() : choice.getElseBranch();
    lowerBlock(branch.front());
    for (auto [result, value] :
         llvm::zip(choice.getOutputs(), yieldOf(branch)->getOperands()))
      values[result] = values.lookup(value);
    return success();
  }
  if (auto [input, negated] = conditionInput(choice.getCondition()); input)
    return lowering.refuse("input '" + input.getName() +
                           "' decides which branch runs; fix it: --set " +
                           input.getName() + "=1"),
           failure();
  lowerBlock(choice.getThenBranch().front());
  lowerBlock(choice.getElseBranch().front());
  lowering.loc = choice.getLoc();
  return select(lowering, choice, condition, values);
}
