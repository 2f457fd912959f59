//===- TensorUses.cpp - Which tensors of a file are weights ---------------===//

#include "TensorUses.h"

#include "onnx/onnx_pb.h"

using namespace mlir;
using namespace waferloom::import;

/// Whether a DequantizeLinear of tensors of a file is a weight whose codes stay
/// there: bytes, floats and integers of few bits, with scales that one
/// description says. Others are expanded by import.
static bool
isInFile(const ::onnx::NodeProto &node,
         const llvm::StringMap<const ::onnx::TensorProto *> &given) {
  using ::onnx::TensorProto;
  const TensorProto *codes = given.lookup(node.input(0)),
                    *scales = given.lookup(node.input(1));
  int64_t axis = 1, block = 0;
  for (const ::onnx::AttributeProto &a : node.attribute())
    if (a.name() == "axis")
      axis = a.i();
    else if (a.name() == "block_size")
      block = a.i();
  const int type = codes->data_type();
  if (block == 0 && (type == TensorProto::INT8 || type == TensorProto::UINT8))
    return true; // who refuses them says so
  const int known[] = {TensorProto::INT8,         TensorProto::UINT8,
                       TensorProto::INT4,         TensorProto::UINT4,
                       TensorProto::INT2,         TensorProto::UINT2,
                       TensorProto::FLOAT8E4M3FN, TensorProto::FLOAT8E5M2,
                       TensorProto::FLOAT4E2M1};
  auto isRaw = [](const TensorProto *tensor) {
    return tensor && (tensor->has_raw_data() ||
                      tensor->data_location() == TensorProto::EXTERNAL);
  };
  const TensorProto *zeros =
      node.input_size() > 2 ? given.lookup(node.input(2)) : nullptr;
  if (!llvm::is_contained(known, type) || !isRaw(codes) || !isRaw(scales) ||
      (node.input_size() > 2 && !node.input(2).empty() && !isRaw(zeros)))
    return false;
  if (block <= 0)
    return true;
  // Blocks do not go on in the next of several matrices.
  const int rank = codes->dims_size();
  axis = axis < 0 ? axis + rank : axis;
  if (axis < 0 || axis >= rank)
    return false;
  int64_t before = 1, behind = 1;
  for (int i = 0; i < rank; ++i)
    (i < axis ? before : behind) *= i == axis ? 1 : codes->dims(i);
  return behind == 1 || before == 1 || codes->dims(axis) % block == 0;
}

TensorUses::TensorUses(const ::onnx::GraphProto &graph) {
  llvm::StringMap<const ::onnx::TensorProto *> given;
  for (const ::onnx::TensorProto &tensor : graph.initializer())
    given[tensor.name()] = &tensor;
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
        given[node.output(0)] = &attribute.t();
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
      const int type = given[node.input(0)]->data_type();
      const bool areFloats = type == ::onnx::TensorProto::FLOAT8E4M3FN ||
                             type == ::onnx::TensorProto::FLOAT8E5M2 ||
                             type == ::onnx::TensorProto::FLOAT4E2M1;
      const bool staysThere = node.input_size() > 1 && isInFile(node, given);
      insert(staysThere ? packed : deciding, 0, 2);
      // Of floats, zero points are read: they are 0.
      insert(staysThere && !areFloats ? packed : deciding, 2, 1);
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
  if (isa<FloatType>(element) && element.getIntOrFloatBitWidth() <= 8)
    return packed.contains(name);
  if (isa<FloatType>(element))
    return !deciding.contains(name) &&
           (element.isF32() || element.isF16() || element.isBF16());
  return packed.contains(name) && type.getElementTypeBitWidth() <= 8;
}
