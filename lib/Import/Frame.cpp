//===- Frame.cpp - The module around the entries --------------------------===//

#include "Frame.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

llvm::StringMap<StringAttr> import::declareWeights(ModuleOp target,
                                                   onnx::GraphOp graph) {
  OpBuilder builder = OpBuilder::atBlockEnd(target.getBody());
  llvm::StringMap<StringAttr> weights;
  SymbolTable symbols(target);
  for (auto weight : graph.getBody().getOps<onnx::WeightOp>()) {
    if (weight.getResult().use_empty())
      continue;
    auto op = wafer::WeightOp::create(
        builder, weight.getLoc(), weight.getName(), weight.getFileAttr(),
        weight.getOffset(), ElementsAttr(), weight.getType());
    op->remove();
    weights[weight.getName()] = symbols.insert(op, builder.getInsertionPoint());
  }
  return weights;
}

void import::describeModel(ModuleOp target, onnx::GraphOp graph,
                           ArrayRef<State> found, const Options &options) {
  SmallVector<State> states(found);
  Builder builder(target.getContext());
  auto describeValue = [&](StringRef name, Type type, ArrayAttr shape) {
    return builder.getDictionaryAttr(
        {builder.getNamedAttr("name", builder.getStringAttr(name)),
         builder.getNamedAttr("type", TypeAttr::get(type)),
         builder.getNamedAttr("shape", shape)});
  };
  SmallVector<Attribute> inputs, outputs, pairs;
  auto isFixed = [&](onnx::InputOp input) {
    return llvm::any_of(options.sets, [&](const auto &set) {
      return set.first == input.getName();
    });
  };
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (!isFixed(input) &&
        llvm::none_of(states, [&](State &s) { return s.past == input; }))
      inputs.push_back(describeValue(input.getName(), input.getElementType(),
                                     input.getShape()));
  for (auto output : graph.getBody().getOps<onnx::OutputOp>())
    if (llvm::none_of(states, [&](State &s) { return s.present == output; }))
      outputs.push_back(describeValue(output.getName(), output.getElementType(),
                                      output.getShape()));
  for (State &state : states)
    pairs.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("past", state.past.getNameAttr()),
         builder.getNamedAttr("present", state.present.getNameAttr()),
         builder.getNamedAttr("axis", builder.getI64IntegerAttr(state.axis))}));
  SmallVector<NamedAttribute> model{
      builder.getNamedAttr("inputs", builder.getArrayAttr(inputs)),
      builder.getNamedAttr("outputs", builder.getArrayAttr(outputs)),
      builder.getNamedAttr("states", builder.getArrayAttr(pairs))};
  if (!states.empty())
    model.push_back(builder.getNamedAttr(
        "context", builder.getI64IntegerAttr(*options.context)));
  target->setAttr("wafer.model", builder.getDictionaryAttr(model));
}

void import::eraseUnusedWeights(ModuleOp target) {
  llvm::StringSet<> used;
  target.walk([&](wafer::ParameterOp parameter) {
    for (auto name : parameter.getWeights().getAsRange<FlatSymbolRefAttr>())
      used.insert(name.getValue());
  });
  for (auto weight :
       llvm::make_early_inc_range(target.getOps<wafer::WeightOp>()))
    if (!used.contains(weight.getSymName()))
      weight.erase();
}
