//===- ImportOnnx.cpp - A model file as level 1 ---------------------------===//
//
// One pass over the graph in file order, which the checker guarantees to be an
// order of definition before use. Float tensors become references to their
// bytes; scalars and integers, whose values decide shapes, masks and positions,
// become constants.
//
//===----------------------------------------------------------------------===//

#include "ExternalData.h"
#include "GraphBuilder.h"
#include "Operators.h"
#include "TensorBytes.h"
#include "TensorUses.h"
#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Import/Import.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

#include "onnx/onnx_pb.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;
namespace level1 = waferloom::onnx; // ::onnx is the library
using llvm::Error;
using llvm::Expected;

Location import::locationOf(MLIRContext *context, StringRef file) {
  return FileLineColLoc::get(context, file, 0, 0);
}

Expected<OwningOpRef<ModuleOp>> GraphBuilder::build() {
  Location loc = locationOf(builder.getContext(), file);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder, loc);
  builder.setInsertionPointToEnd(module->getBody());
  auto graph = level1::GraphOp::create(builder, loc, model.graph().name());
  top = &graph.getBody().front();
  builder.setInsertionPointToEnd(top);
  for (const ::onnx::OperatorSetIdProto &opset : model.opset_import()) {
    const std::string domain =
        opset.domain() == "ai.onnx" ? std::string() : opset.domain();
    auto [known, isNew] = versions.try_emplace(domain, opset.version());
    if (!isNew && known->second != opset.version())
      return makeError("operator set '" + domain + "' is imported as version " +
                       Twine(known->second) + " and as " +
                       Twine(opset.version()));
  }

  llvm::StringMap<bool> initialized;
  for (const ::onnx::TensorProto &tensor : model.graph().initializer())
    initialized[tensor.name()] = true;
  if (model.graph().sparse_initializer_size() > 0)
    return makeError("sparse initializers are not supported");
  if (Error error = checkInterface(model.graph().input(), "input"))
    return error;
  if (Error error = checkInterface(model.graph().output(), "output"))
    return error;
  if (Error error = addInputs(initialized))
    return error;
  if (Error error = addInitializers())
    return error;
  for (const ::onnx::NodeProto &node : model.graph().node())
    if (Error error = addNode(node))
      return error;
  if (Error error = addOutputs())
    return error;
  return module;
}

/// Callers name inputs and outputs: each once, and none as we name ours.
Error GraphBuilder::checkInterface(
    const google::protobuf::RepeatedPtrField<::onnx::ValueInfoProto> &values,
    StringRef what) {
  llvm::StringSet<> known;
  for (const ::onnx::ValueInfoProto &value : values) {
    if (Error error = checkUtf8(what, value.name()))
      return error;
    if (!known.insert(value.name()).second)
      return makeError(what + " '" + value.name() + "' is declared twice");
    if (StringRef(value.name()).starts_with("wafer."))
      return makeError(what + " '" + value.name() +
                       "': names that begin with 'wafer.' are the compiler's "
                       "own; rename it");
    for (const auto &dim : value.type().tensor_type().shape().dim())
      if (Error error =
              checkUtf8("a dimension of " + value.name(), dim.dim_param()))
        return error;
  }
  return Error::success();
}

Expected<std::pair<Type, ArrayAttr>>
GraphBuilder::declaredType(const ::onnx::ValueInfoProto &value) {
  if (!value.has_type() || !value.type().has_tensor_type())
    return makeError("'" + value.name() + "' is not a tensor");
  const auto &tensor = value.type().tensor_type();
  Type element = elementType(tensor.elem_type(), builder.getContext());
  if (!element)
    return makeError("'" + value.name() + "': element type " +
                     Twine(tensor.elem_type()) + " is not supported");
  SmallVector<Attribute> shape;
  for (const auto &dim : tensor.shape().dim()) {
    if (dim.has_dim_value() && dim.dim_value() < 0)
      return makeError("'" + value.name() + "': dimension of size " +
                       Twine(dim.dim_value()));
    shape.push_back(dim.has_dim_value()
                        ? Attribute(builder.getI64IntegerAttr(dim.dim_value()))
                        : builder.getStringAttr(dim.dim_param()));
  }
  return std::pair(element, builder.getArrayAttr(shape));
}

Error GraphBuilder::addInputs(const llvm::StringMap<bool> &initialized) {
  for (const ::onnx::ValueInfoProto &input : model.graph().input()) {
    if (initialized.contains(input.name()))
      continue;
    auto type = declaredType(input);
    if (!type)
      return type.takeError();
    values[input.name()] = level1::InputOp::create(
        builder, at(input.name()), builder.getType<level1::ValueType>(),
        input.name(), type->first, type->second);
  }
  return Error::success();
}

Error GraphBuilder::addInitializers() {
  bool known = static_cast<int>(positions.initializers.size()) ==
               model.graph().initializer_size();
  for (auto [i, tensor] : llvm::enumerate(model.graph().initializer())) {
    auto value =
        addTensor(tensor, tensor.name(), known ? positions.initializers[i] : -1,
                  at(tensor.name()));
    if (!value)
      return value.takeError();
    values[tensor.name()] = *value;
  }
  return Error::success();
}

Expected<Value> GraphBuilder::lookup(const std::string &name) {
  if (name.empty()) {
    if (!absent) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(top);
      absent = level1::AbsentOp::create(builder, builder.getUnknownLoc(),
                                        builder.getType<level1::ValueType>());
    }
    return absent;
  }
  auto found = values.find(name);
  if (found == values.end())
    return makeError("'" + name + "' is used before it is defined");
  return found->second;
}

Expected<Attribute> GraphBuilder::attribute(const ::onnx::AttributeProto &a) {
  using Proto = ::onnx::AttributeProto;
  switch (a.type()) {
  case Proto::INT:
    return builder.getI64IntegerAttr(a.i());
  case Proto::FLOAT:
    return builder.getF32FloatAttr(a.f());
  case Proto::STRING:
    return builder.getStringAttr(a.s());
  case Proto::INTS:
    return builder.getI64ArrayAttr(
        SmallVector<int64_t>(a.ints().begin(), a.ints().end()));
  case Proto::FLOATS:
    return builder.getF32ArrayAttr(
        SmallVector<float>(a.floats().begin(), a.floats().end()));
  case Proto::STRINGS: {
    SmallVector<StringRef> strings(a.strings().begin(), a.strings().end());
    return builder.getStrArrayAttr(strings);
  }
  case Proto::TENSOR: {
    auto elements = tensorElements(a.t(), builder.getContext());
    if (!elements)
      return elements.takeError();
    return *elements;
  }
  default:
    // A graph, a type, a sparse tensor: the node is refused when it is lowered.
    return builder.getUnitAttr();
  }
}

Expected<DictionaryAttr>
GraphBuilder::attributes(const ::onnx::NodeProto &node) {
  NamedAttrList attributes;
  for (const ::onnx::AttributeProto &a : node.attribute()) {
    auto value = attribute(a);
    if (!value)
      return value.takeError();
    if (attributes.get(a.name()))
      return makeError("node '" + node.name() + "' (" + node.op_type() +
                       "): attribute '" + a.name() + "' is given twice");
    attributes.set(a.name(), *value);
  }
  return attributes.getDictionary(builder.getContext());
}

Expected<SmallVector<Value>>
GraphBuilder::inputs(const ::onnx::NodeProto &node) {
  SmallVector<Value> inputs;
  for (const std::string &name : node.input()) {
    auto value = lookup(name);
    if (!value)
      return value.takeError();
    inputs.push_back(*value);
  }
  return inputs;
}

int64_t GraphBuilder::versionOf(const ::onnx::NodeProto &node,
                                StringRef domain) {
  const NodeOrigin *origin = checked.originOf(node);
  return origin ? origin->version : versions[domain];
}

Error GraphBuilder::addNode(const ::onnx::NodeProto &node) {
  if (node.output_size() == 0)
    return Error::success();
  Location loc = at(node.name().empty() ? node.output(0) : node.name());
  std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
  if (domain.empty() && node.op_type() == "Constant") {
    auto value = addConstantNode(node, loc);
    if (!value)
      return value.takeError();
    values[node.output(0)] = *value;
    return Error::success();
  }
  if (domain.empty() && node.op_type() == "If")
    return addIf(node, loc);
  if (domain.empty() && (node.op_type() == "Loop" || node.op_type() == "Scan"))
    return addLoop(node, loc);
  auto inputs = this->inputs(node);
  if (!inputs)
    return inputs.takeError();
  auto attributes = this->attributes(node);
  if (!attributes)
    return attributes.takeError();
  SmallVector<StringRef> names(node.output().begin(), node.output().end());
  SmallVector<Type> types(names.size(), builder.getType<level1::ValueType>());
  const NodeOrigin *origin = checked.originOf(node);
  auto op = level1::NodeOp::create(
      builder, loc, types, node.op_type(), *inputs, domain,
      versionOf(node, domain), *attributes, builder.getStrArrayAttr(names),
      origin ? builder.getStringAttr(origin->bodyOf) : StringAttr());
  for (auto [name, result] : llvm::zip_equal(node.output(), op.getOutputs()))
    if (!name.empty())
      values[name] = result;
  return Error::success();
}

/// A branch sees the names around it; its own end with it.
Error GraphBuilder::addBranch(const ::onnx::GraphProto &graph, Region &region) {
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&region);
  llvm::StringMap<Value> outside = values;
  for (const ::onnx::ValueInfoProto &input : graph.input())
    values[input.name()] = region.addArgument(
        builder.getType<level1::ValueType>(), at(input.name()));
  for (const ::onnx::TensorProto &tensor : graph.initializer()) {
    auto value =
        addTensor(tensor, tensor.name(), /*position=*/-1, at(tensor.name()));
    if (!value)
      return value.takeError();
    values[tensor.name()] = *value;
  }
  for (const ::onnx::NodeProto &node : graph.node())
    if (Error error = addNode(node))
      return error;
  SmallVector<Value> results;
  for (const ::onnx::ValueInfoProto &output : graph.output()) {
    auto value = lookup(output.name());
    if (!value)
      return value.takeError();
    results.push_back(*value);
  }
  level1::YieldOp::create(builder, builder.getUnknownLoc(), results);
  values = std::move(outside);
  return Error::success();
}

Error GraphBuilder::addIf(const ::onnx::NodeProto &node, Location loc) {
  auto condition = lookup(node.input(0));
  if (!condition)
    return condition.takeError();
  SmallVector<StringRef> names(node.output().begin(), node.output().end());
  SmallVector<Type> types(names.size(), builder.getType<level1::ValueType>());
  auto op = level1::IfOp::create(builder, loc, types, *condition,
                                 builder.getStrArrayAttr(names));
  for (const ::onnx::AttributeProto &a : node.attribute()) {
    bool isThen = a.name() == "then_branch";
    if (!a.has_g() || (!isThen && a.name() != "else_branch"))
      continue;
    Region &region = isThen ? op.getThenBranch() : op.getElseBranch();
    if (!region.empty())
      return makeError("node '" + node.name() + "' (If): attribute '" +
                       a.name() + "' is given twice");
    if (static_cast<size_t>(a.g().output_size()) != names.size())
      return makeError("node '" + node.name() + "' (If): its " + a.name() +
                       " has " + Twine(a.g().output_size()) + " outputs, not " +
                       Twine(names.size()));
    if (Error error = addBranch(a.g(), region))
      return error;
  }
  if (op.getThenBranch().empty() || op.getElseBranch().empty())
    return makeError("node '" + node.name() + "' (If) lacks a branch");
  for (auto [name, result] : llvm::zip_equal(node.output(), op.getOutputs()))
    if (!name.empty())
      values[name] = result;
  return Error::success();
}

Error GraphBuilder::addLoop(const ::onnx::NodeProto &node, Location loc) {
  auto refuse = [&](const Twine &what) {
    return makeError("node '" + node.name() + "' (" + node.op_type() + ") " +
                     what);
  };
  auto inputs = this->inputs(node);
  if (!inputs)
    return inputs.takeError();
  auto attributes = this->attributes(node);
  if (!attributes)
    return attributes.takeError();
  const bool isLoop = node.op_type() == "Loop";
  if (int64_t version = versionOf(node, ""); !isLoop && version < 9)
    return refuse("is of version " + Twine(version) +
                  ", which scans batches: convert the model to 9 or above");
  // Those at the end may be left out; the body has arguments for them.
  while (isLoop && inputs->size() < 2)
    inputs->push_back(*lookup(""));
  const ::onnx::GraphProto *body = nullptr;
  for (const ::onnx::AttributeProto &a : node.attribute())
    if (a.name() == "body" && a.has_g())
      body = &a.g();
  if (!body)
    return refuse("lacks a body");
  SmallVector<StringRef> names(node.output().begin(), node.output().end());
  const auto results = static_cast<int>(names.size()) + isLoop;
  if (body->input_size() != static_cast<int>(inputs->size()) ||
      body->output_size() < results)
    return refuse("has " + Twine(inputs->size()) + " inputs and " +
                  Twine(names.size()) + " outputs, but its body " +
                  Twine(body->input_size()) + " and " +
                  Twine(body->output_size()));
  while (static_cast<int>(names.size()) + isLoop < body->output_size())
    names.push_back("");
  SmallVector<Type> types(names.size(), builder.getType<level1::ValueType>());
  auto op = level1::LoopOp::create(builder, loc, types, node.op_type(), *inputs,
                                   versionOf(node, ""), *attributes,
                                   builder.getStrArrayAttr(names));
  if (Error error = addBranch(*body, op.getBody()))
    return error;
  for (auto [name, result] : llvm::zip_first(node.output(), op.getOutputs()))
    if (!name.empty())
      values[name] = result;
  return Error::success();
}

Error GraphBuilder::addOutputs() {
  for (const ::onnx::ValueInfoProto &output : model.graph().output()) {
    auto type = declaredType(output);
    if (!type)
      return type.takeError();
    auto value = lookup(output.name());
    if (!value)
      return value.takeError();
    level1::OutputOp::create(builder, at(output.name()), output.name(), *value,
                             type->first, type->second);
  }
  return Error::success();
}

namespace {

OwningOpRef<ModuleOp> finish(Expected<CheckedModel> model, StringRef file,
                             MLIRContext *context, bool withWeights = true) {
  Location loc = locationOf(context, file);
  if (!model) {
    emitError(loc) << llvm::toString(model.takeError());
    return nullptr;
  }
  GraphBuilder builder(*model, file, context, withWeights);
  auto module = builder.build();
  if (!module) {
    emitError(builder.whereItFailed()) << llvm::toString(module.takeError());
    return nullptr;
  }
  return std::move(*module);
}

bool isNative(StringRef domain, StringRef name) {
  return findOperator(domain, name) != nullptr;
}

} // namespace

OwningOpRef<ModuleOp> import::importOnnxBytes(StringRef bytes, StringRef name,
                                              MLIRContext *context,
                                              bool withWeights) {
  loadDialects(*context);
  return finish(readModel(bytes, isNative), name, context, withWeights);
}

OwningOpRef<ModuleOp> import::importOnnxText(StringRef text, StringRef name,
                                             MLIRContext *context) {
  loadDialects(*context);
  return finish(readModelText(text, isNative), name, context);
}

OwningOpRef<ModuleOp> import::importOnnx(StringRef path, MLIRContext *context,
                                         bool withWeights) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer) {
    emitError(locationOf(context, path))
        << "the file cannot be read: " << buffer.getError().message();
    return nullptr;
  }
  return importOnnxBytes((*buffer)->getBuffer(), path, context, withWeights);
}

OwningOpRef<ModuleOp> import::importModel(StringRef path,
                                          const Options &options,
                                          MLIRContext *context) {
  OwningOpRef<ModuleOp> onnx = importOnnx(path, context);
  if (!onnx)
    return nullptr;
  return lowerOnnx(*onnx, options);
}
