//===- TensorUses.cpp - Which tensors of a file are weights ---------------===//

#include "TensorUses.h"

#include "onnx/onnx_pb.h"

using namespace mlir;
using namespace waferloom::import;

TensorUses::TensorUses(const ::onnx::GraphProto &graph) {
  llvm::StringSet<> given;
  for (const ::onnx::TensorProto &tensor : graph.initializer())
    given.insert(tensor.name());
  for (const ::onnx::NodeProto &node : graph.node()) {
    llvm::StringRef op = node.op_type();
    auto insert = [&](llvm::StringSet<> &into, int first, int count) {
      for (int i = first; i < std::min(first + count, node.input_size()); ++i)
        into.insert(node.input(i));
    };
    if (op == "Constant" && node.output_size() > 0)
      given.insert(node.output(0));
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
    // Integers of the step are no weights, nor is what goes with them.
    if (op == "DequantizeLinear" && node.input_size() > 0 &&
        given.contains(node.input(0)))
      insert(packed, 0, 3);
  }
}

bool TensorUses::isWeight(RankedTensorType type, llvm::StringRef name) const {
  // Doubles are read, too: the wafer has them as singles.
  if (isa<FloatType>(type.getElementType()))
    return !deciding.contains(name) && !type.getElementType().isF64();
  return packed.contains(name) && type.getElementTypeBitWidth() == 8;
}
