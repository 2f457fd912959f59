//===- TensorUses.cpp - Which tensors of a file are weights ---------------===//

#include "TensorUses.h"

#include "onnx/onnx_pb.h"

using namespace mlir;
using namespace waferloom::import;

TensorUses::TensorUses(const ::onnx::GraphProto &graph) {
  llvm::StringMap<int> given; // element types
  for (const ::onnx::TensorProto &tensor : graph.initializer())
    given[tensor.name()] = tensor.data_type();
  llvm::StringMap<int> reads;
  llvm::StringMap<std::vector<std::string>> unpacked; // operands, by integers
  for (const ::onnx::NodeProto &node : graph.node()) {
    llvm::StringRef op = node.op_type();
    for (const std::string &input : node.input())
      ++reads[input];
    auto insert = [&](llvm::StringSet<> &into, int first, int count) {
      for (int i = first; i < std::min(first + count, node.input_size()); ++i)
        into.insert(node.input(i));
    };
    if (op == "Constant" && node.output_size() > 0)
      for (const ::onnx::AttributeProto &attribute : node.attribute())
        given[node.output(0)] = attribute.t().data_type();
    if (op == "Resize" || op == "Upsample")
      insert(deciding, 1, node.input_size());
    if (node.domain() == "com.microsoft" && op == "MatMulNBits")
      insert(packed, 1, 3);
    if (node.domain() == "com.microsoft" && op == "QMoE")
      insert(packed, 2, 12);
    if (node.domain() == "com.microsoft" && op == "GatherBlockQuantized") {
      for (int i : {0, 2, 3})
        insert(packed, i, 1);
      // A table that is the head, too, has the head's shape.
      for (const ::onnx::NodeProto &reshape : graph.node())
        if (reshape.op_type() == "Reshape" && reshape.output_size() > 0 &&
            node.input_size() > 0 && reshape.output(0) == node.input(0))
          packed.insert(reshape.input(0));
    }
    // Integers of the step are no weights, nor is what goes with them. Of what
    // is given, the writer of the image expands bytes; others are expanded
    // here.
    if (op == "DequantizeLinear" && node.input_size() > 0 &&
        given.contains(node.input(0))) {
      const int type = given[node.input(0)];
      const bool isInBlocks = llvm::any_of(node.attribute(), [](auto &a) {
        return a.name() == "block_size" && a.i() != 0;
      });
      const bool areBytes = type == ::onnx::TensorProto::INT8 ||
                            type == ::onnx::TensorProto::UINT8;
      insert(areBytes && !isInBlocks ? packed : deciding, 0, 3);
      auto &operands = unpacked[node.input(0)];
      operands.insert(operands.end(), node.input().begin(), node.input().end());
    }
  }
  // Integers that anyone else reads are read, and what goes with them.
  for (const auto &[integers, operands] : unpacked)
    if (reads[integers] > llvm::count(operands, integers))
      for (const std::string &operand : operands) {
        packed.erase(operand);
        deciding.insert(operand);
      }
}

bool TensorUses::isWeight(RankedTensorType type, llvm::StringRef name) const {
  // Others are read: the wafer has doubles, and floats of a byte, as singles.
  Type element = type.getElementType();
  if (isa<FloatType>(element))
    return !deciding.contains(name) &&
           (element.isF32() || element.isF16() || element.isBF16());
  return packed.contains(name) && type.getElementTypeBitWidth() == 8;
}
