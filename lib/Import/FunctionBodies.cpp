//===- FunctionBodies.cpp - Operators as graphs of others -----------------===//
//
// The inliner of the ONNX library takes neither nodes that leave out an input
// nor functions of another operator set than the model's, and it forgets whose
// nodes it writes. Bodies are bound with its parts here, and every node is
// remembered with the version of its own function and the node of the user
// that it belongs to.
//
// A body that depends on the types of its inputs waits until all others are
// expanded. Types are then inferred once for the whole model, and again only if
// such a body holds another.
//
//===----------------------------------------------------------------------===//

#include "FunctionBodies.h"
#include "KnownOperators.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include "onnx/defs/function.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"
#include "onnx/onnx_pb.h"
#include "onnx/shape_inference/attribute_binder.h"
#include "onnx/shape_inference/implementation.h"

#include <deque>
#include <limits>
#include <optional>

using namespace waferloom::import;
using llvm::StringRef;

namespace {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

std::string normalized(const std::string &domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

std::string firstOutput(const onnx::NodeProto &node) {
  for (const std::string &output : node.output())
    if (!output.empty())
      return output;
  return {};
}

class BodyExpander {
public:
  BodyExpander(onnx::ModelProto &model, IsNative isNative)
      : model(model), isNative(isNative) {}

  llvm::StringMap<NodeOrigin> run();

private:
  /// What holds for the nodes of one body.
  struct Scope {
    llvm::StringMap<int64_t> versions; // by domain
    std::string name;                  // of the user's node
    std::string bodyOf;                // its operator
  };
  using ScopePtr = const Scope *;

  template <typename Opsets>
  Scope *makeScope(const Opsets &opsets) {
    scopes.emplace_back();
    for (const onnx::OperatorSetIdProto &opset : opsets)
      scopes.back().versions[normalized(opset.domain())] = opset.version();
    return &scopes.back();
  }
  int64_t versionOf(ScopePtr scope, const std::string &domain) const {
    auto found = scope->versions.find(domain);
    return found != scope->versions.end() ? found->second
                                          : outermost->versions.lookup(domain);
  }

  void chooseMarker();
  void collectNames(const onnx::GraphProto &graph,
                    llvm::function_ref<void(const std::string &)> seen);
  void inferTypes();
  void collectTypes(const onnx::GraphProto &graph);
  /// Its nodes are of `scope` where no other is known of them.
  void expandGraph(onnx::GraphProto &graph, ScopePtr scope);
  void expand(onnx::NodeProto &node, ScopePtr scope, Nodes &into);
  std::optional<onnx::FunctionProto> bodyOf(const onnx::NodeProto &node,
                                            ScopePtr scope);
  std::optional<onnx::FunctionProto> schemaBody(onnx::NodeProto node,
                                                int64_t version);
  void bind(const onnx::NodeProto &node, onnx::FunctionProto &body);
  void collectOrigins(const onnx::GraphProto &graph,
                      llvm::StringMap<NodeOrigin> &origins);

  onnx::ModelProto &model;
  IsNative isNative;
  std::deque<Scope> scopes; // never move
  ScopePtr outermost = nullptr;
  llvm::StringMap<const onnx::FunctionProto *> functions;
  llvm::StringMap<ScopePtr> scopeOf; // of a node, by its first output
  llvm::StringMap<onnx::TypeProto> types;
  std::string marker = "body";
  unsigned expansions = 0;
  /// Types are known; bodies that need them are built.
  bool typesKnown = false;
  bool waits = false, expanded = false;
};

std::string functionKey(const std::string &domain, const std::string &name,
                        const std::string &overload) {
  return normalized(domain) + "/" + name + "/" + overload;
}

void BodyExpander::collectNames(
    const onnx::GraphProto &graph,
    llvm::function_ref<void(const std::string &)> seen) {
  for (const auto &value : graph.input())
    seen(value.name());
  for (const auto &tensor : graph.initializer())
    seen(tensor.name());
  for (const onnx::NodeProto &node : graph.node()) {
    for (const std::string &name : node.output())
      seen(name);
    for (const onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        collectNames(attribute.g(), seen);
  }
}

/// Names that end in "__" + marker + number are new.
void BodyExpander::chooseMarker() {
  bool taken = true;
  while (taken) {
    taken = false;
    marker += '.';
    collectNames(model.graph(), [&](const std::string &name) {
      taken |= StringRef(name).contains("__" + marker);
    });
  }
}

/// What the library can say about the types of values. It may refuse a model
/// that its checker takes; then only the declared ones are known.
void BodyExpander::inferTypes() {
  auto outputs = model.graph().output();
  try {
    onnx::shape_inference::InferShapes(model);
  } catch (const std::exception &) {
    // What needs a type is refused later, by node.
  }
  *model.mutable_graph()->mutable_output() = outputs;
  types.clear();
  collectTypes(model.graph());
}

void BodyExpander::collectTypes(const onnx::GraphProto &graph) {
  for (const auto *values :
       {&graph.input(), &graph.value_info(), &graph.output()})
    for (const onnx::ValueInfoProto &value : *values)
      if (value.has_type())
        types[value.name()] = value.type();
  for (const onnx::TensorProto &tensor : graph.initializer()) {
    onnx::TypeProto &type = types[tensor.name()];
    type.mutable_tensor_type()->set_elem_type(tensor.data_type());
    type.mutable_tensor_type()->mutable_shape()->clear_dim();
    for (int64_t size : tensor.dims())
      type.mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(
          size);
  }
  for (const onnx::NodeProto &node : graph.node())
    for (const onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        collectTypes(attribute.g());
}

/// What a mask hides is the least number of the type, as ONNX Runtime has it:
/// of a row that is hidden whole, as in front of a padded text, an infinity
/// would make NaN, which a cache keeps. Scores that are an output have
/// infinities.
static void maskByNumbers(onnx::FunctionProto &body, int type) {
  const float least = type == onnx::TensorProto::FLOAT16
                          ? -65504.0f
                          : std::numeric_limits<float>::lowest();
  for (onnx::NodeProto &node : *body.mutable_node())
    if (node.op_type() == "Constant")
      for (onnx::AttributeProto &attribute : *node.mutable_attribute())
        if (attribute.has_t())
          for (float &number : *attribute.mutable_t()->mutable_float_data())
            if (number == -std::numeric_limits<float>::infinity())
              number = least;
}

/// The queries of a causal attention over a static cache are its last rows that
/// count, as ONNX Runtime and later versions of the body have it; this version
/// takes them for the first.
static void endAtLength(onnx::FunctionProto &body) {
  Nodes nodes;
  nodes.Swap(body.mutable_node());
  onnx::FunctionBuilder builder(body);
  for (onnx::NodeProto &node : nodes) {
    if (node.output(0) == "RangeRow2DPast") {
      builder.Const("FirstRowShape", std::vector<int64_t>{-1, 1, 1, 1})
          .Add("FirstRow = Sub(nonpad_kv_seqlen, QSeqLen)")
          .Add("FirstRow4D = Reshape(FirstRow, FirstRowShape)");
      node.set_input(1, "FirstRow4D");
    }
    *body.add_node() = std::move(node);
  }
}

/// The body of an operator of the library; its formal attributes are bound to
/// the node's, or to what the schema says of those that are left out.
std::optional<onnx::FunctionProto>
BodyExpander::schemaBody(onnx::NodeProto node, int64_t version) {
  const onnx::OpSchema *schema = onnx::OpSchemaRegistry::Schema(
      node.op_type(), static_cast<int>(version), normalized(node.domain()));
  if (!schema || isNative(normalized(node.domain()), node.op_type()))
    return std::nullopt;
  const auto opset = static_cast<int>(version);
  onnx::FunctionProto body;
  if (const onnx::FunctionProto *plain = schema->GetFunction(opset)) {
    body = *plain;
  } else if (schema->HasContextDependentFunction()) {
    if (!typesKnown) {
      waits = true;
      return std::nullopt;
    }
    std::vector<onnx::TypeProto> inputs;
    for (const std::string &name : node.input())
      inputs.push_back(types.lookup(name));
    onnx::FunctionBodyBuildContextImpl context(node, inputs);
    try {
      if (!schema->BuildContextDependentFunction(context, body, opset))
        return std::nullopt;
    } catch (const std::exception &) {
      return std::nullopt; // the node stays, and is refused by name
    }
  } else {
    return std::nullopt;
  }
  for (const auto &[name, formal] : schema->attributes()) {
    bool given = llvm::any_of(node.attribute(), [&, &wanted = name](auto &a) {
      return a.name() == wanted;
    });
    if (!given &&
        formal.default_value.type() != onnx::AttributeProto::UNDEFINED)
      *node.add_attribute() = formal.default_value;
  }
  onnx::internal::AttributeBinder::BindAttributes(node, body);
  const bool showsScores = node.output_size() > 3 && !node.output(3).empty();
  if (node.op_type() == "Attention" && node.input_size() != 0 && !showsScores)
    maskByNumbers(body, types.lookup(node.input(0)).tensor_type().elem_type());
  if (node.op_type() == "Attention" && node.input_size() > 6 &&
      !node.input(6).empty())
    endAtLength(body);
  return body;
}

std::optional<onnx::FunctionProto>
BodyExpander::bodyOf(const onnx::NodeProto &node, ScopePtr scope) {
  auto found = functions.find(
      functionKey(node.domain(), node.op_type(), node.overload()));
  if (found == functions.end())
    return schemaBody(node, versionOf(scope, normalized(node.domain())));
  onnx::FunctionProto body = *found->second;
  onnx::NodeProto call = node;
  for (const onnx::AttributeProto &formal : body.attribute_proto())
    if (llvm::none_of(node.attribute(),
                      [&](auto &a) { return a.name() == formal.name(); }))
      *call.add_attribute() = formal;
  onnx::internal::AttributeBinder::BindAttributes(call, body);
  return body;
}

/// The library's renamer leaves the graphs of a node as they are.
static void renameGraphs(onnx::inliner::Renamer &renamer,
                         onnx::NodeProto &node) {
  for (onnx::AttributeProto &attribute : *node.mutable_attribute()) {
    if (!attribute.has_g())
      continue;
    onnx::GraphProto &graph = *attribute.mutable_g();
    for (onnx::ValueInfoProto &input : *graph.mutable_input())
      input.set_name(renamer.BindToUniqueName(input.name()));
    for (onnx::TensorProto &tensor : *graph.mutable_initializer())
      tensor.set_name(renamer.BindToUniqueName(tensor.name()));
    for (onnx::NodeProto &inner : *graph.mutable_node()) {
      renamer.RenameNode(inner);
      renameGraphs(renamer, inner);
    }
    for (onnx::ValueInfoProto &output : *graph.mutable_output()) {
      onnx::NodeProto reader; // its input gets the name that is bound
      reader.add_input(output.name());
      renamer.RenameNode(reader);
      output.set_name(reader.input(0));
    }
  }
}

/// Gives the values of a body names of this call.
void BodyExpander::bind(const onnx::NodeProto &node,
                        onnx::FunctionProto &body) {
  onnx::inliner::Renamer renamer(marker + std::to_string(++expansions),
                                 onnx::GraphProto());
  auto actual = [](const auto &names, int i) {
    return i < names.size() ? names.Get(i) : std::string();
  };
  llvm::StringMap<std::string> passed;
  for (int i = 0; i < body.input_size(); ++i) {
    passed[body.input(i)] = actual(node.input(), i);
    renamer.BindName(body.input(i), passed[body.input(i)]);
  }
  Nodes copies;
  for (int i = 0; i < body.output_size(); ++i) {
    std::string to = actual(node.output(), i);
    auto input = passed.find(body.output(i));
    if (input == passed.end()) {
      if (to.empty())
        renamer.BindToUniqueName(body.output(i));
      else
        renamer.BindName(body.output(i), to);
    } else if (!to.empty()) { // an operand that is handed through
      onnx::NodeProto *copy = copies.Add();
      copy->set_op_type("Identity");
      copy->add_input(input->second);
      copy->add_output(to);
    }
  }
  for (onnx::NodeProto &each : *body.mutable_node()) {
    renamer.RenameNode(each);
    renameGraphs(renamer, each);
  }
  for (onnx::NodeProto &copy : copies)
    *body.add_node() = copy;
}

void BodyExpander::expand(onnx::NodeProto &node, ScopePtr scope, Nodes &into) {
  std::optional<onnx::FunctionProto> body = bodyOf(node, scope);
  if (!body) {
    for (onnx::AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        expandGraph(*attribute.mutable_g(), scope);
    if (scope != outermost)
      scopeOf[firstOutput(node)] = scope;
    *into.Add() = std::move(node);
    return;
  }
  expanded = true;
  const std::string name =
      node.name().empty() ? firstOutput(node) : node.name();
  Scope *inner = makeScope(body->opset_import());
  inner->name = scope->name.empty() ? name : scope->name;
  inner->bodyOf = scope->bodyOf.empty() ? node.op_type() : scope->bodyOf;
  bind(node, *body);
  for (onnx::NodeProto &each : *body->mutable_node()) {
    each.set_name(inner->name);
    expand(each, inner, into);
  }
}

void BodyExpander::expandGraph(onnx::GraphProto &graph, ScopePtr around) {
  Nodes nodes;
  nodes.Swap(graph.mutable_node());
  for (onnx::NodeProto &node : nodes) {
    auto scope = scopeOf.find(firstOutput(node));
    expand(node, scope == scopeOf.end() ? around : scope->second,
           *graph.mutable_node());
  }
}

void BodyExpander::collectOrigins(const onnx::GraphProto &graph,
                                  llvm::StringMap<NodeOrigin> &origins) {
  for (const onnx::NodeProto &node : graph.node()) {
    auto scope = scopeOf.find(firstOutput(node));
    if (scope != scopeOf.end())
      origins[firstOutput(node)] = {
          versionOf(scope->second, normalized(node.domain())),
          scope->second->bodyOf};
    for (const onnx::AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        collectOrigins(attribute.g(), origins);
  }
}

llvm::StringMap<NodeOrigin> BodyExpander::run() {
  outermost = makeScope(model.opset_import());
  google::protobuf::RepeatedPtrField<onnx::FunctionProto> own;
  own.Swap(model.mutable_functions());
  for (const onnx::FunctionProto &function : own)
    functions[functionKey(function.domain(), function.name(),
                          function.overload())] = &function;
  chooseMarker();
  expandGraph(*model.mutable_graph(), outermost);
  // No body of the library holds others of that kind deeper than this.
  for (int round = 0; round < 8 && waits; ++round) {
    inferTypes();
    typesKnown = true;
    waits = expanded = false;
    expandGraph(*model.mutable_graph(), outermost);
    waits = expanded;
  }
  llvm::StringMap<NodeOrigin> origins;
  collectOrigins(model.graph(), origins);
  return origins;
}

} // namespace

llvm::StringMap<NodeOrigin>
waferloom::import::expandBodies(onnx::ModelProto &model, IsNative isNative) {
  return BodyExpander(model, isNative).run();
}

std::vector<KnownOperator> waferloom::import::knownOperators() {
  const int newest = onnx::OpSchemaRegistry::DomainToVersionRange::Instance()
                         .Map()
                         .at(onnx::ONNX_DOMAIN)
                         .second;
  std::vector<KnownOperator> known;
  for (const onnx::OpSchema &schema :
       onnx::OpSchemaRegistry::get_all_schemas_with_history())
    if (schema.domain() == onnx::ONNX_DOMAIN &&
        schema.since_version() <= newest)
      known.push_back(
          {schema.Name(), schema.since_version(),
           schema.HasFunction() || schema.HasContextDependentFunction()});
  llvm::sort(known, [](const KnownOperator &a, const KnownOperator &b) {
    return std::tie(a.name, a.version) < std::tie(b.name, b.version);
  });
  return known;
}
