//===- ReadModel.cpp - The wall around the ONNX library -------------------===//
//
// The ONNX library reports by exception. This file is compiled with them and
// lets none out. What the library would not survive is checked before it is
// asked: functions that call themselves, and functions that unfold into more
// nodes than memory has room for.
//
//===----------------------------------------------------------------------===//

#include "ReadModel.h"
#include "FunctionBodies.h"
#include "Repairs.h"

#include "llvm/ADT/StringSet.h"

#include "onnx/checker.h"
#include "onnx/defs/parser.h"
#include "onnx/defs/schema.h"
#include "onnx/onnx_pb.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

using namespace waferloom::import;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

CheckedModel::CheckedModel() : proto(std::make_unique<onnx::ModelProto>()) {}
CheckedModel::CheckedModel(CheckedModel &&) = default;
CheckedModel::~CheckedModel() = default;

const NodeOrigin *CheckedModel::originOf(const onnx::NodeProto &node) const {
  for (const std::string &output : node.output())
    if (auto found = origins.find(output);
        !output.empty() && found != origins.end())
      return &found->second;
  return nullptr;
}

namespace {

/// Nodes that a model may unfold into when its functions are expanded.
constexpr uint64_t maxInlinedNodes = 1'000'000;

Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// Counts what a function unfolds into; refuses cycles and explosions.
class InlineBudget {
public:
  explicit InlineBudget(const onnx::ModelProto &model) {
    for (const onnx::FunctionProto &function : model.functions())
      functions[key(function.domain(), function.name(), function.overload())] =
          &function;
  }

  Expected<uint64_t>
  count(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes) {
    uint64_t total = 0;
    for (const onnx::NodeProto &node : nodes) {
      auto each = countNode(node);
      if (!each)
        return each;
      total += *each;
      if (total > maxInlinedNodes)
        return makeError("the functions of the model unfold into more than " +
                         llvm::Twine(maxInlinedNodes) + " nodes");
    }
    return total;
  }

private:
  struct State {
    bool open = false;
    uint64_t nodes = 0;
  };

  static std::string key(const std::string &domain, const std::string &name,
                         const std::string &overload) {
    return (domain == "ai.onnx" ? "" : domain) + "/" + name + "/" + overload;
  }

  Expected<uint64_t> countNode(const onnx::NodeProto &node) {
    uint64_t total = 1;
    for (const onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g()) {
        if (++depth > 64)
          return makeError("graphs are nested more than 64 deep");
        auto inner = count(attribute.g().node());
        --depth;
        if (!inner)
          return inner;
        total += *inner;
      }
    std::string name = key(node.domain(), node.op_type(), node.overload());
    auto function = functions.find(name);
    if (function == functions.end())
      return total;
    State &state = states[name];
    if (state.open)
      return makeError("function '" + node.op_type() + "' calls itself");
    if (state.nodes == 0) {
      if (++depth > 64)
        return makeError("functions are nested more than 64 deep");
      state.open = true;
      auto body = count(function->second->node());
      if (!body)
        return body;
      State &done = states[name];
      done.open = false;
      done.nodes = *body + 1;
      --depth;
    }
    return total + states[name].nodes;
  }

  llvm::StringMap<const onnx::FunctionProto *> functions;
  llvm::StringMap<State> states;
  unsigned depth = 0;
};

/// The checker looks for the bytes of external weights. Models that consist of
/// shapes have none, so it sees such weights as inputs.
class ExternalWeightsAside {
public:
  explicit ExternalWeightsAside(onnx::GraphProto &graph) : graph(graph) {
    inputs = graph.input_size();
    llvm::StringSet<> known;
    for (const onnx::ValueInfoProto &input : graph.input())
      known.insert(input.name());
    google::protobuf::RepeatedPtrField<onnx::TensorProto> kept;
    all.Swap(graph.mutable_initializer());
    for (onnx::TensorProto &tensor : all) {
      if (tensor.data_location() != onnx::TensorProto::EXTERNAL) {
        kept.Add()->Swap(&tensor);
        continue;
      }
      if (!known.insert(tensor.name()).second)
        continue;
      onnx::ValueInfoProto *input = graph.add_input();
      input->set_name(tensor.name());
      auto *type = input->mutable_type()->mutable_tensor_type();
      type->set_elem_type(tensor.data_type());
      type->mutable_shape();
      for (int64_t size : tensor.dims())
        type->mutable_shape()->add_dim()->set_dim_value(size);
    }
    graph.mutable_initializer()->Swap(&kept);
  }

  ~ExternalWeightsAside() {
    graph.mutable_input()->DeleteSubrange(inputs, graph.input_size() - inputs);
    int next = 0;
    for (onnx::TensorProto &tensor : all)
      if (tensor.data_location() != onnx::TensorProto::EXTERNAL)
        tensor.Swap(graph.mutable_initializer(next++));
    graph.mutable_initializer()->Swap(&all);
  }

private:
  onnx::GraphProto &graph;
  google::protobuf::RepeatedPtrField<onnx::TensorProto> all;
  int inputs = 0;
};

/// First line of what the library says, without its stack of contexts.
std::string firstLine(const char *text) {
  return StringRef(text).trim().split("\n").first.trim().str();
}

/// Exporters put this operator into the domain of the standard, which does not
/// have it; without a schema the checker refuses every such model.
void registerSchemas() {
  using Schema = onnx::OpSchema;
  static const bool once = [] {
    Schema schema("SimplifiedLayerNormalization", __FILE__, __LINE__);
    schema.SetDomain(onnx::ONNX_DOMAIN).SinceVersion(1);
    schema.Attr("axis", "first dimension of the norm",
                onnx::AttributeProto::INT, int64_t(-1));
    schema.Attr("epsilon", "added to the mean square",
                onnx::AttributeProto::FLOAT, 1e-5f);
    schema.Attr("stash_type", "element type of the statistics",
                onnx::AttributeProto::INT, int64_t(1));
    schema.Input(0, "X", "value", "T").Input(1, "scale", "weight", "T");
    schema.Output(0, "Y", "norm", "T");
    schema.Output(1, "inv_std_var", "inverse deviation", "U", Schema::Optional);
    schema.TypeConstraint("T", Schema::all_float_types_ir4(), "floats");
    schema.TypeConstraint("U", {"tensor(float)"}, "statistics");
    onnx::RegisterSchema(std::move(schema), 0, /*fail_duplicate_schema=*/false);
    return true;
  }();
  (void)once;
}

/// What the library does not know has no meaning here. The set that it prepares
/// is the last released one, but for what is new in it.
Error checkOpset(const onnx::ModelProto &proto) {
  const auto &ranges = onnx::OpSchemaRegistry::DomainToVersionRange::Instance();
  const int newest = ranges.Map().at(onnx::ONNX_DOMAIN).second;
  for (const onnx::OperatorSetIdProto &opset : proto.opset_import())
    if ((opset.domain().empty() || opset.domain() == "ai.onnx") &&
        opset.version() > newest)
      return makeError("the model is of operator set " +
                       llvm::Twine(opset.version()) +
                       ", the newest that is known is " + llvm::Twine(newest) +
                       "; export it for that or an older one");
  return Error::success();
}

Error checkAndExpand(CheckedModel &model, IsNative isNative) {
  try {
    registerSchemas();
    onnx::ModelProto &proto = *model.proto;
    if (!proto.has_graph())
      return makeError("the file holds no graph; it may not be an ONNX model");
    if (Error error = checkOpset(proto))
      return error;
    if (auto nodes = InlineBudget(proto).count(proto.graph().node()); !nodes)
      return nodes.takeError();
    repair(proto);
    {
      ExternalWeightsAside aside(*proto.mutable_graph());
      onnx::checker::check_model(proto);
    }
    model.origins = expandBodies(proto, isNative);
  } catch (const std::exception &e) {
    return makeError("the model is not valid: " + firstLine(e.what()));
  } catch (...) {
    return makeError("the model is not valid");
  }
  return Error::success();
}

} // namespace

Expected<CheckedModel> waferloom::import::readModel(StringRef bytes,
                                                    IsNative isNative) {
  if (bytes.size() > INT32_MAX)
    return makeError("the file has " + llvm::Twine(bytes.size()) +
                     " bytes, the format ends at 2147483647; keep the weights "
                     "in an external data file");
  CheckedModel model;
  try {
    google::protobuf::LogSilencer silence;
    google::protobuf::io::CodedInputStream stream(
        reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
    stream.SetTotalBytesLimit(INT32_MAX);
    if (!model.proto->ParseFromCodedStream(&stream) ||
        !stream.ConsumedEntireMessage())
      return makeError("the file is cut short or not an ONNX model");
  } catch (...) {
    return makeError("the file is not an ONNX model");
  }
  model.positions = findWeightPositions(bytes);
  if (Error error = checkAndExpand(model, isNative))
    return error;
  return model;
}

Expected<CheckedModel> waferloom::import::readModelText(StringRef text,
                                                        IsNative isNative) {
  CheckedModel model;
  try {
    auto status = onnx::OnnxParser::Parse(*model.proto, text.str().c_str());
    if (!status.IsOK())
      return makeError(status.ErrorMessage());
  } catch (const std::exception &e) {
    return makeError(firstLine(e.what()));
  }
  if (Error error = checkAndExpand(model, isNative))
    return error;
  return model;
}
