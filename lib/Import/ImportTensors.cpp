//===- ImportTensors.cpp - Weights and constants of a file ----------------===//
//
// Weights stay in their files, as references to their bytes; what decides
// shapes is read.
//
//===----------------------------------------------------------------------===//

#include "ExternalData.h"
#include "GraphBuilder.h"
#include "TensorBytes.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;
namespace level1 = waferloom::onnx; // ::onnx is the library
using llvm::Error;
using llvm::Expected;

Error import::checkUtf8(StringRef what, StringRef name) {
  if (llvm::json::isUTF8(name))
    return Error::success();
  return makeError("the name of " + what + " '" + name + "' is not UTF-8");
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

Expected<Value> GraphBuilder::addConstantNode(const ::onnx::NodeProto &node,
                                              Location loc) {
  StringRef name = node.output(0);
  for (const ::onnx::AttributeProto &a : node.attribute()) {
    if (a.has_t()) {
      // Positions are those of nodes outside of branches.
      auto found = builder.getInsertionBlock() == top
                       ? positions.constants.find(name)
                       : positions.constants.end();
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
