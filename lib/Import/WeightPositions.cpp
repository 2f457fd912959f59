//===- WeightPositions.cpp - Where in the file the weights lie ------------===//
//
// A protobuf message is a row of fields, each a tag (field number and wire
// type) and a value; messages inside messages are length-delimited. The walk
// descends model.graph.{initializer, node.attribute.t}.raw_data and skips the
// rest. Anything that does not fit ends the walk: the parser will say why.
//
//===----------------------------------------------------------------------===//

#include "ReadModel.h"

#include "llvm/ADT/STLFunctionalExtras.h"

using namespace waferloom::import;
using llvm::StringRef;

namespace {
/// Field numbers of onnx.proto.
enum Field : uint64_t {
  ModelGraph = 7,
  GraphNode = 1,
  GraphInitializer = 5,
  NodeOutput = 2,
  NodeAttribute = 5,
  AttributeTensor = 5,
  TensorRawData = 9,
};

/// Calls `visit(field number, content)` for the length-delimited fields.
void walkFields(StringRef message,
                llvm::function_ref<void(uint64_t, StringRef)> visit) {
  size_t at = 0;
  auto varint = [&](uint64_t &value) {
    value = 0;
    for (unsigned shift = 0; at < message.size() && shift < 64; shift += 7) {
      uint8_t byte = message[at++];
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128)
        return true;
    }
    return false;
  };
  while (at < message.size()) {
    uint64_t tag, length = 0;
    if (!varint(tag))
      return;
    switch (tag & 7) {
    case 0:
      if (!varint(length))
        return;
      break;
    case 1:
      at += 8;
      break;
    case 2:
      if (!varint(length) || length > message.size() - at)
        return;
      visit(tag >> 3, message.substr(at, length));
      at += length;
      break;
    case 5:
      at += 4;
      break;
    default:
      return;
    }
  }
}

/// The last raw_data of a tensor, as protobuf keeps the last of many.
const char *rawData(StringRef tensor) {
  const char *found = nullptr;
  walkFields(tensor, [&](uint64_t field, StringRef content) {
    if (field == TensorRawData)
      found = content.data();
  });
  return found;
}
} // namespace

WeightPositions waferloom::import::findWeightPositions(StringRef bytes) {
  WeightPositions positions;
  auto offset = [&](const char *at) { return at ? at - bytes.data() : -1; };

  auto visitNode = [&](StringRef node) {
    StringRef output;
    const char *data = nullptr;
    walkFields(node, [&](uint64_t field, StringRef content) {
      if (field == NodeOutput && output.empty())
        output = content;
      if (field == NodeAttribute)
        walkFields(content, [&](uint64_t field, StringRef tensor) {
          if (field == AttributeTensor)
            data = rawData(tensor);
        });
    });
    if (data)
      positions.constants[output] = offset(data);
  };
  walkFields(bytes, [&](uint64_t field, StringRef graph) {
    if (field != ModelGraph)
      return;
    walkFields(graph, [&](uint64_t field, StringRef content) {
      if (field == GraphInitializer)
        positions.initializers.push_back(offset(rawData(content)));
      if (field == GraphNode)
        visitNode(content);
    });
  });
  return positions;
}
