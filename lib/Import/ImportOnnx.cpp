//===- ImportOnnx.cpp - A model file as level 1 ---------------------------===//
//
// One pass over the graph in file order, which the checker guarantees to be an
// order of definition before use. Float tensors become references to their
// bytes; scalars and integers, whose values decide shapes, masks and positions,
// become constants.
//
//===----------------------------------------------------------------------===//

#include "ExternalData.h"
#include "Operators.h"
#include "ReadModel.h"
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

/// Where what concerns the whole model is. Names are kept for its nodes, and a
/// program must not depend on where the file lies.
static Location fileLoc(MLIRContext *context, StringRef file) {
  return FileLineColLoc::get(context, file, 0, 0);
}

namespace {

Error makeError(const Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// Builds the `onnx.graph` of one model.
class GraphBuilder {
public:
  GraphBuilder(const CheckedModel &model, StringRef file, MLIRContext *context,
               bool withWeights)
      : checked(model), model(*model.proto), positions(model.positions),
        file(file), withWeights(withWeights), builder(context),
        errorAt(fileLoc(context, file)), uses(model.proto->graph()) {}

  Expected<OwningOpRef<ModuleOp>> build();
  /// Where an error of `build` belongs: the file, or a node of it.
  Location whereItFailed() const { return errorAt; }

private:
  Location at(StringRef name) {
    return NameLoc::get(builder.getStringAttr(name));
  }
  Error addInputs(const llvm::StringMap<bool> &initialized);
  Error addInitializers();
  Error addNode(const ::onnx::NodeProto &node);
  Error addOutputs();
  Expected<Value> addTensor(const ::onnx::TensorProto &tensor, StringRef name,
                            int64_t position, Location loc);
  Expected<Value> addExternal(const ::onnx::TensorProto &tensor, StringRef name,
                              RankedTensorType type, Location loc);
  Error checkInterface(
      const google::protobuf::RepeatedPtrField<::onnx::ValueInfoProto> &values,
      StringRef what);
  Error refuseData(StringRef name, const Twine &reason);
  Expected<Value> addConstantNode(const ::onnx::NodeProto &node, Location loc);
  Expected<Attribute> attribute(const ::onnx::AttributeProto &attribute);
  Expected<std::pair<Type, ArrayAttr>>
  declaredType(const ::onnx::ValueInfoProto &value);
  Expected<Value> lookup(const std::string &name);

  const CheckedModel &checked;
  const ::onnx::ModelProto &model;
  const WeightPositions &positions;
  StringRef file;
  bool withWeights;
  OpBuilder builder;
  Location errorAt;
  llvm::StringMap<Value> values;
  TensorUses uses;
  llvm::StringMap<int64_t> versions;
  Value absent;
};

Expected<OwningOpRef<ModuleOp>> GraphBuilder::build() {
  Location loc = fileLoc(builder.getContext(), file);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder, loc);
  builder.setInsertionPointToEnd(module->getBody());
  auto graph = level1::GraphOp::create(builder, loc, model.graph().name());
  builder.setInsertionPointToEnd(&graph.getBody().front());
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

static Error checkUtf8(StringRef what, StringRef name) {
  if (llvm::json::isUTF8(name))
    return Error::success();
  return makeError("the name of " + what + " '" + name + "' is not UTF-8");
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

Expected<Value> GraphBuilder::addTensor(const ::onnx::TensorProto &tensor,
                                        StringRef name, int64_t position,
                                        Location loc) {
  if (Error error = checkUtf8("tensor", name))
    return error;
  auto type = tensorType(tensor, builder.getContext());
  if (!type)
    return type.takeError();
  if (tensor.data_location() == ::onnx::TensorProto::EXTERNAL)
    return addExternal(tensor, name, *type, loc);
  auto valueType = builder.getType<level1::ValueType>();
  bool reference = position >= 0 && tensor.has_raw_data() &&
                   uses.isWeight(*type, name) &&
                   (type->getNumElements() > 1 || uses.isPacked(name));
  if (reference) {
    if (static_cast<int64_t>(tensor.raw_data().size()) != byteSize(*type))
      return makeError("tensor '" + Twine(name) + "': has " +
                       Twine(tensor.raw_data().size()) +
                       " bytes but its dimensions say " +
                       Twine(byteSize(*type)));
    return level1::WeightOp::create(builder, loc, valueType, name,
                                    withWeights ? builder.getStringAttr(file)
                                                : StringAttr(),
                                    withWeights ? position : 0, *type)
        .getResult();
  }
  auto elements = tensorElements(tensor, builder.getContext());
  if (!elements)
    return elements.takeError();
  return level1::ConstantOp::create(builder, loc, valueType, name, *elements)
      .getResult();
}

/// The data of a tensor is not where the model says: at the node that reads it.
Error GraphBuilder::refuseData(StringRef name, const Twine &reason) {
  std::string reader;
  for (const ::onnx::NodeProto &node : model.graph().node())
    if (reader.empty() && llvm::any_of(node.input(), [&](auto &input) {
          return input == name;
        })) {
      reader = node.name().empty() && node.output_size() > 0 ? node.output(0)
                                                             : node.name();
      errorAt = at(reader);
      reader = "node '" + reader + "' (" + node.op_type() + "): ";
    }
  return makeError(reader + "tensor '" + name + "': external data " + reason);
}

Expected<Value> GraphBuilder::addExternal(const ::onnx::TensorProto &tensor,
                                          StringRef name, RankedTensorType type,
                                          Location loc) {
  const auto bytes = static_cast<uint64_t>(byteSize(type));
  auto data = findExternalData(tensor, file, bytes);
  if (!data)
    return refuseData(name, llvm::toString(data.takeError()));
  auto valueType = builder.getType<level1::ValueType>();
  if (!withWeights && uses.isWeight(type, name))
    return level1::WeightOp::create(builder, loc, valueType, name, StringAttr(),
                                    int64_t(0), type)
        .getResult();
  if (Error error = checkExternalData(*data, file, bytes))
    return refuseData(name, llvm::toString(std::move(error)));
  if (uses.isWeight(type, name))
    return level1::WeightOp::create(builder, loc, valueType, name,
                                    builder.getStringAttr(data->path),
                                    static_cast<int64_t>(data->offset), type)
        .getResult();
  // Integers decide shapes: read them now.
  auto buffer =
      llvm::MemoryBuffer::getFileSlice(data->path, data->length, data->offset);
  if (!buffer)
    return refuseData(name, "'" + data->path + "' cannot be read: " +
                                buffer.getError().message());
  ::onnx::TensorProto inside = tensor;
  inside.clear_data_location();
  inside.clear_external_data();
  inside.set_raw_data((*buffer)->getBuffer().str());
  return addTensor(inside, name, /*position=*/-1, loc);
}

Expected<Value> GraphBuilder::lookup(const std::string &name) {
  if (name.empty()) {
    if (!absent) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(builder.getInsertionBlock());
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

Expected<Value> GraphBuilder::addConstantNode(const ::onnx::NodeProto &node,
                                              Location loc) {
  StringRef name = node.output(0);
  for (const ::onnx::AttributeProto &a : node.attribute()) {
    if (a.has_t()) {
      auto found = positions.constants.find(name);
      return addTensor(a.t(), name,
                       found == positions.constants.end() ? -1 : found->second,
                       loc);
    }
    ::onnx::TensorProto tensor;
    tensor.set_name(node.output(0));
    if (a.name() == "value_int" || a.name() == "value_ints") {
      tensor.set_data_type(::onnx::TensorProto::INT64);
      if (a.name() == "value_int") {
        tensor.add_int64_data(a.i());
      } else {
        tensor.add_dims(a.ints_size());
        *tensor.mutable_int64_data() = a.ints();
      }
    } else if (a.name() == "value_float" || a.name() == "value_floats") {
      tensor.set_data_type(::onnx::TensorProto::FLOAT);
      if (a.name() == "value_float") {
        tensor.add_float_data(a.f());
      } else {
        tensor.add_dims(a.floats_size());
        *tensor.mutable_float_data() = a.floats();
      }
    } else {
      return makeError("node '" + Twine(name) + "' (Constant): attribute '" +
                       a.name() + "' is not supported");
    }
    return addTensor(tensor, name, /*position=*/-1, loc);
  }
  return makeError("node '" + Twine(name) + "' (Constant) has no value");
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
  SmallVector<Value> inputs;
  for (const std::string &name : node.input()) {
    auto value = lookup(name);
    if (!value)
      return value.takeError();
    inputs.push_back(*value);
  }
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
  SmallVector<StringRef> names(node.output().begin(), node.output().end());
  SmallVector<Type> types(names.size(), builder.getType<level1::ValueType>());
  const NodeOrigin *origin = checked.originOf(node);
  auto op = level1::NodeOp::create(
      builder, loc, types, node.op_type(), inputs, domain,
      origin ? origin->version : versions[domain],
      attributes.getDictionary(builder.getContext()),
      builder.getStrArrayAttr(names),
      origin ? builder.getStringAttr(origin->bodyOf) : StringAttr());
  for (auto [name, result] : llvm::zip_equal(node.output(), op.getOutputs()))
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

OwningOpRef<ModuleOp> finish(Expected<CheckedModel> model, StringRef file,
                             MLIRContext *context, bool withWeights = true) {
  Location loc = fileLoc(context, file);
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
    emitError(fileLoc(context, path))
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
