//===- TensorBytes.cpp - Tensors of the file as attributes ----------------===//
//
// A TensorProto keeps its elements as raw little-endian bytes or in one of a
// few typed lists. Either way their number must be what the dimensions say.
//
//===----------------------------------------------------------------------===//

#include "TensorBytes.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include "onnx/onnx_pb.h"

using namespace mlir;
using namespace waferloom;
using llvm::Error;
using llvm::Expected;
using onnx::TensorProto;

static Error makeError(const TensorProto &tensor, const Twine &message) {
  return llvm::createStringError("tensor '" + tensor.name() +
                                 "': " + message.str());
}

Type import::elementType(int32_t onnxType, MLIRContext *context) {
  Builder b(context);
  auto unsignedInt = [&](unsigned width) {
    return IntegerType::get(context, width, IntegerType::Unsigned);
  };
  switch (onnxType) {
  case TensorProto::FLOAT:
    return b.getF32Type();
  case TensorProto::FLOAT16:
    return b.getF16Type();
  case TensorProto::BFLOAT16:
    return b.getBF16Type();
  case TensorProto::DOUBLE:
    return b.getF64Type();
  case TensorProto::INT8:
    return b.getI8Type();
  case TensorProto::INT16:
    return b.getI16Type();
  case TensorProto::INT32:
    return b.getI32Type();
  case TensorProto::INT64:
    return b.getI64Type();
  case TensorProto::UINT8:
    return unsignedInt(8);
  case TensorProto::UINT16:
    return unsignedInt(16);
  case TensorProto::UINT32:
    return unsignedInt(32);
  case TensorProto::UINT64:
    return unsignedInt(64);
  case TensorProto::BOOL:
    return b.getI1Type();
  case TensorProto::INT4:
    return b.getIntegerType(4);
  case TensorProto::UINT4:
    return unsignedInt(4);
  case TensorProto::INT2:
    return b.getIntegerType(2);
  case TensorProto::UINT2:
    return unsignedInt(2);
  case TensorProto::FLOAT8E4M3FN:
    return Float8E4M3FNType::get(context);
  case TensorProto::FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case TensorProto::FLOAT8E5M2:
    return Float8E5M2Type::get(context);
  case TensorProto::FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  case TensorProto::FLOAT8E8M0:
    return Float8E8M0FNUType::get(context);
  case TensorProto::FLOAT4E2M1:
    return Float4E2M1FNType::get(context);
  default:
    return nullptr;
  }
}

Expected<RankedTensorType> import::tensorType(const TensorProto &tensor,
                                              MLIRContext *context) {
  constexpr int64_t maxElements = int64_t(1) << 40;
  if (tensor.has_segment())
    return makeError(tensor, "segments are not supported");
  Type element = elementType(tensor.data_type(), context);
  if (!element)
    return makeError(tensor, "element type " + Twine(tensor.data_type()) +
                                 " is not supported");
  if (tensor.dims_size() > 16)
    return makeError(tensor, "has " + Twine(tensor.dims_size()) +
                                 " dimensions, more than 16");
  int64_t elements = 1;
  for (int64_t size : tensor.dims()) {
    if (size < 0)
      return makeError(tensor, "dimension of size " + Twine(size));
    if (llvm::MulOverflow(elements, size, elements) || elements > maxElements)
      return makeError(tensor, "has more than 2^40 elements");
  }
  return RankedTensorType::get(
      SmallVector<int64_t>(tensor.dims().begin(), tensor.dims().end()),
      element);
}

/// Elements of 2 and 4 bits share bytes; booleans have one each.
static unsigned bitsOf(Type element) {
  return element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
}

int64_t import::byteSize(RankedTensorType type) {
  return llvm::divideCeil(type.getNumElements() * bitsOf(type.getElementType()),
                          8);
}

/// Elements that share bytes, the first in the lowest bits.
static Expected<DenseElementsAttr>
fromPacked(const TensorProto &tensor, RankedTensorType type, StringRef bytes) {
  if (static_cast<int64_t>(bytes.size()) != import::byteSize(type))
    return makeError(tensor, "has " + Twine(bytes.size()) +
                                 " bytes but its dimensions say " +
                                 Twine(import::byteSize(type)));
  const unsigned bits = bitsOf(type.getElementType()), each = 8 / bits;
  auto real = dyn_cast<FloatType>(type.getElementType());
  SmallVector<APInt> integers;
  SmallVector<APFloat> reals;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    const APInt value(bits, (uint8_t(bytes[i / each]) >> (i % each * bits)) &
                                ((1u << bits) - 1));
    if (real)
      reals.emplace_back(real.getFloatSemantics(), value);
    else
      integers.push_back(value);
  }
  return real ? DenseElementsAttr::get(type, ArrayRef<APFloat>(reals))
              : DenseElementsAttr::get(type, ArrayRef<APInt>(integers));
}

/// Elements that a typed list keeps, each widened to its field's type.
template <typename Stored, typename Field>
static Expected<DenseElementsAttr> fromField(const TensorProto &tensor,
                                             RankedTensorType type,
                                             const Field &field) {
  if (field.size() != type.getNumElements())
    return makeError(tensor, "has " + Twine(field.size()) +
                                 " elements but its dimensions say " +
                                 Twine(type.getNumElements()));
  std::vector<Stored> values;
  values.reserve(field.size());
  for (auto value : field)
    values.push_back(static_cast<Stored>(value));
  const char *data = reinterpret_cast<const char *>(values.data());
  return DenseElementsAttr::getFromRawBuffer(
      type, ArrayRef<char>(data, values.size() * sizeof(Stored)));
}

static Expected<DenseElementsAttr> fromBools(RankedTensorType type,
                                             ArrayRef<bool> values) {
  return DenseElementsAttr::get(type, values);
}

Expected<DenseElementsAttr> import::tensorElements(const TensorProto &tensor,
                                                   MLIRContext *context) {
  auto checked = tensorType(tensor, context);
  if (!checked)
    return checked.takeError();
  RankedTensorType type = *checked;
  if (type.getNumElements() > (int64_t(1) << 28))
    return makeError(tensor, "has " + Twine(type.getNumElements()) +
                                 " elements in the text of the model");
  if (tensor.data_location() == TensorProto::EXTERNAL)
    return makeError(tensor, "its elements are needed but lie in another file");

  if (bitsOf(type.getElementType()) < 8) {
    std::string bytes = tensor.raw_data();
    for (int32_t byte : tensor.int32_data())
      bytes.push_back(static_cast<char>(byte));
    return fromPacked(tensor, type, bytes);
  }
  if (tensor.has_raw_data()) {
    const std::string &raw = tensor.raw_data();
    if (static_cast<int64_t>(raw.size()) != byteSize(type))
      return makeError(tensor, "has " + Twine(raw.size()) +
                                   " bytes but its dimensions say " +
                                   Twine(byteSize(type)));
    if (type.getElementType().isInteger(1)) {
      SmallVector<bool> values(
          llvm::map_range(raw, [](char c) { return c != 0; }));
      return fromBools(type, values);
    }
    return DenseElementsAttr::getFromRawBuffer(
        type, ArrayRef<char>(raw.data(), raw.size()));
  }

  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    return fromField<float>(tensor, type, tensor.float_data());
  case TensorProto::DOUBLE:
    return fromField<double>(tensor, type, tensor.double_data());
  case TensorProto::INT64:
    return fromField<int64_t>(tensor, type, tensor.int64_data());
  case TensorProto::UINT64:
    return fromField<uint64_t>(tensor, type, tensor.uint64_data());
  case TensorProto::UINT32:
    return fromField<uint32_t>(tensor, type, tensor.uint64_data());
  case TensorProto::INT32:
    return fromField<int32_t>(tensor, type, tensor.int32_data());
  case TensorProto::INT16:
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return fromField<uint16_t>(tensor, type, tensor.int32_data());
  case TensorProto::INT8:
  case TensorProto::UINT8:
  case TensorProto::FLOAT8E4M3FN:
  case TensorProto::FLOAT8E4M3FNUZ:
  case TensorProto::FLOAT8E5M2:
  case TensorProto::FLOAT8E5M2FNUZ:
  case TensorProto::FLOAT8E8M0:
    return fromField<uint8_t>(tensor, type, tensor.int32_data());
  default: { // BOOL
    if (tensor.int32_data_size() != type.getNumElements())
      return makeError(tensor, "has " + Twine(tensor.int32_data_size()) +
                                   " elements but its dimensions say " +
                                   Twine(type.getNumElements()));
    SmallVector<bool> values(
        llvm::map_range(tensor.int32_data(), [](int32_t v) { return v != 0; }));
    return fromBools(type, values);
  }
  }
}
