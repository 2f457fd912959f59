//===- Frame.cpp - The module around the entries --------------------------===//

#include "Frame.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Import/Import.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// So many numbers of bfloat16.
static BlockFormat bfloat16Of(int64_t count) {
  BlockFormat format;
  format.rows = 1;
  format.columns = format.size = static_cast<uint64_t>(count);
  format.bits = 16;
  format.zeros = BlockFormat::Zeros::none;
  format.isBFloat16 = true;
  return format;
}

/// Weights of bfloat16 are widened when the image is written.
llvm::StringMap<StringAttr> import::declareWeights(ModuleOp target,
                                                   onnx::GraphOp graph) {
  OpBuilder builder = OpBuilder::atBlockEnd(target.getBody());
  llvm::StringMap<StringAttr> weights;
  SymbolTable symbols(target);
  graph.walk([&](onnx::WeightOp weight) {
    if (weight.getResult().use_empty())
      return;
    auto type = cast<RankedTensorType>(weight.getType());
    wafer::BlocksAttr blocks;
    if (type.getElementType().isBF16()) {
      type = type.clone(builder.getF32Type());
      if (StringAttr file = weight.getFileAttr())
        blocks = wafer::BlocksAttr::get(
            builder.getContext(), bfloat16Of(type.getNumElements()), file,
            static_cast<int64_t>(weight.getOffset()), StringAttr(), 0);
    }
    auto op = wafer::WeightOp::create(
        builder, weight.getLoc(), weight.getName(), weight.getFileAttr(),
        weight.getOffset(), ElementsAttr(), blocks, wafer::PartAttr(), type);
    op->remove();
    weights[weight.getName()] = symbols.insert(op, builder.getInsertionPoint());
  });
  return weights;
}

void import::describeModel(ModuleOp target, onnx::GraphOp graph,
                           ArrayRef<State> found,
                           ArrayRef<FilledState> foundFilled,
                           const Options &options, const Bindings &bindings) {
  SmallVector<State> states(found);
  SmallVector<FilledState> filled(foundFilled);
  Builder builder(target.getContext());
  auto describe = [&](auto value, ArrayAttr shape) {
    return wafer::ModelTensorAttr::get(builder.getContext(),
                                       value.getNameAttr(),
                                       value.getElementType(), shape);
  };
  auto sizesOf = [&](onnx::InputOp input) {
    return builder.getArrayAttr(
        llvm::map_to_vector(input.getShape(), [&](Attribute dim) -> Attribute {
          auto size = bindings.givenSize(dim);
          return size ? builder.getI64IntegerAttr(*size) : dim;
        }));
  };
  SmallVector<Attribute> inputs, outputs, pairs;
  auto isFixed = [&](onnx::InputOp input) {
    return llvm::any_of(options.sets, [&](const auto &set) {
      return set.first == input.getName();
    });
  };
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (!isFixed(input) &&
        llvm::none_of(states, [&](State &s) { return s.past == input; }) &&
        llvm::none_of(filled, [&](FilledState &s) { return s.past == input; }))
      inputs.push_back(describe(input, sizesOf(input)));
  llvm::StringSet<> given;
  target.walk([&](wafer::OutputOp output) { given.insert(output.getName()); });
  for (auto output : graph.getBody().getOps<onnx::OutputOp>())
    if (given.contains(output.getName()))
      outputs.push_back(describe(output, output.getShape()));
  for (State &state : states)
    pairs.push_back(wafer::ModelStateAttr::get(
        builder.getContext(), state.past.getNameAttr(),
        state.present.getNameAttr(), state.axis));
  for (FilledState &state : filled)
    pairs.push_back(wafer::ModelStateAttr::get(
        builder.getContext(), state.past.getNameAttr(),
        state.present.getNameAttr(), /*axis=*/-1));
  auto program = wafer::ProgramOp::getOrCreate(target);
  program.setInputsAttr(builder.getArrayAttr(inputs));
  program.setOutputsAttr(builder.getArrayAttr(outputs));
  if (states.empty())
    return;
  program.setStatesAttr(builder.getArrayAttr(pairs));
  program.setContextAttr(builder.getI64IntegerAttr(*options.context));
}

void import::noteDoubles(onnx::GraphOp graph) {
  SmallVector<StringRef> names;
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (input.getElementType().isF64())
      names.push_back(input.getName());
  for (auto output : graph.getBody().getOps<onnx::OutputOp>())
    if (output.getElementType().isF64())
      names.push_back(output.getName());
  if (!names.empty())
    emitWarning(graph.getLoc())
        << "'" << llvm::join(names, "', '")
        << "' of double precision: the wafer computes in single precision";
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

void import::eraseDead(func::FuncOp function) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void import::registerDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
                  math::MathDialect, tensor::TensorDialect, onnx::OnnxDialect,
                  wafer::WaferDialect>();
}

void import::loadDialects(MLIRContext &context) {
  DialectRegistry registry;
  registerDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}
