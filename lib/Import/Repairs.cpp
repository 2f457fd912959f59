//===- Repairs.cpp - What runtimes take and the checker does not ----------===//
//
// Tools leave out what a runtime can do without: the order of nodes, the name
// of a graph, shapes of outputs, the kinds of attributes. None of it means
// anything, so it is filled in instead of refused.
//
//===----------------------------------------------------------------------===//

#include "Repairs.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include "onnx/onnx_pb.h"

#include <set>
#include <vector>

using namespace waferloom;

namespace {
using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
constexpr unsigned deepest = 64; // graphs inside of each other
} // namespace

/// Names that a node reads, those inside of its branches included.
static void addReads(const onnx::NodeProto &node, llvm::StringSet<> &names,
                     unsigned depth) {
  for (const std::string &name : node.input())
    if (!name.empty())
      names.insert(name);
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (!attribute.has_g() || depth == deepest)
      continue;
    for (const onnx::NodeProto &inner : attribute.g().node())
      addReads(inner, names, depth + 1);
    for (const onnx::ValueInfoProto &output : attribute.g().output())
      names.insert(output.name());
  }
}

/// Every node behind those it reads, otherwise in the order of the file. Nodes
/// in a cycle stay last: the checker refuses them.
static void sortNodes(Nodes &nodes) {
  llvm::StringMap<int> writer;
  for (int i = 0; i < nodes.size(); ++i)
    for (const std::string &name : nodes.Get(i).output())
      writer.try_emplace(name, i);
  std::vector<std::vector<int>> readers(nodes.size());
  std::vector<int> missing(nodes.size(), 0);
  bool sorted = true;
  for (int i = 0; i < nodes.size(); ++i) {
    llvm::StringSet<> names;
    addReads(nodes.Get(i), names, 0);
    for (const auto &name : names) {
      auto from = writer.find(name.getKey());
      if (from == writer.end() || from->second == i)
        continue;
      sorted &= from->second < i;
      readers[from->second].push_back(i);
      ++missing[i];
    }
  }
  if (sorted)
    return;
  std::set<int> ready;
  for (int i = 0; i < nodes.size(); ++i)
    if (missing[i] == 0)
      ready.insert(i);
  std::vector<int> order;
  std::vector<bool> placed(nodes.size(), false);
  while (!ready.empty()) {
    int next = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(next);
    placed[next] = true;
    for (int reader : readers[next])
      if (--missing[reader] == 0)
        ready.insert(reader);
  }
  for (int i = 0; i < nodes.size(); ++i)
    if (!placed[i])
      order.push_back(i);
  Nodes all;
  all.Swap(&nodes);
  for (int i : order)
    nodes.Add()->Swap(all.Mutable(i));
}

/// The kind of an attribute of old files, by the field that it has.
static void setKind(onnx::AttributeProto &attribute) {
  using Proto = onnx::AttributeProto;
  if (attribute.has_type() || !attribute.ref_attr_name().empty())
    return;
  if (attribute.has_f())
    attribute.set_type(Proto::FLOAT);
  else if (attribute.has_i())
    attribute.set_type(Proto::INT);
  else if (attribute.has_s())
    attribute.set_type(Proto::STRING);
  else if (attribute.has_t())
    attribute.set_type(Proto::TENSOR);
  else if (attribute.has_g())
    attribute.set_type(Proto::GRAPH);
  else if (attribute.floats_size())
    attribute.set_type(Proto::FLOATS);
  else if (attribute.strings_size())
    attribute.set_type(Proto::STRINGS);
  else
    attribute.set_type(Proto::INTS);
}

static bool hasShape(const onnx::ValueInfoProto &value) {
  return value.has_type() && value.type().has_tensor_type() &&
         value.type().tensor_type().has_shape();
}

static void repairGraph(onnx::GraphProto &graph, unsigned depth) {
  if (graph.name().empty())
    graph.set_name("main");
  sortNodes(*graph.mutable_node());
  for (onnx::NodeProto &node : *graph.mutable_node())
    for (onnx::AttributeProto &attribute : *node.mutable_attribute()) {
      setKind(attribute);
      if (attribute.has_g() && depth < deepest)
        repairGraph(*attribute.mutable_g(), depth + 1);
    }
  // A shape that is left out is one without dimensions: nobody relies on it.
  for (onnx::ValueInfoProto &output : *graph.mutable_output())
    if (!hasShape(output) &&
        (!output.has_type() || output.type().has_tensor_type()) &&
        output.type().tensor_type().elem_type() != 0)
      output.mutable_type()->mutable_tensor_type()->mutable_shape();
  auto *infos = graph.mutable_value_info();
  for (int i = infos->size(); i-- > 0;)
    if (!hasShape(infos->Get(i)))
      infos->DeleteSubrange(i, 1);
}

void import::repair(onnx::ModelProto &model) {
  repairGraph(*model.mutable_graph(), 0);
}
