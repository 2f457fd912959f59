//===- Operators.cpp - The table of operators -----------------------------===//

#include "Operators.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

ArrayRef<OperatorEntry> import::operatorTable() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Abs", 1, 1, lowerUnary},
      {"", "Add", 2, 2, lowerArithmetic},
      {"", "And", 2, 2, lowerLogic},
      {"", "Cast", 1, 1, lowerCast},
      {"", "CastLike", 2, 2, lowerCastLike},
      {"", "Ceil", 1, 1, lowerUnary},
      {"", "Clip", 1, 3, lowerClip},
      {"", "Concat", 1, OperatorEntry::anyNumber, lowerConcat},
      {"", "ConstantOfShape", 1, 1, lowerConstantOfShape},
      {"", "Cos", 1, 1, lowerUnary},
      {"", "CumSum", 2, 2, lowerCumSum},
      {"", "Div", 2, 2, lowerArithmetic},
      {"", "Equal", 2, 2, lowerComparison},
      {"", "Erf", 1, 1, lowerUnary},
      {"", "Exp", 1, 1, lowerUnary},
      {"", "Expand", 2, 2, lowerExpand},
      {"", "Flatten", 1, 1, lowerFlatten},
      {"", "Floor", 1, 1, lowerUnary},
      {"", "Gather", 2, 2, lowerGather},
      {"", "GatherElements", 2, 2, lowerGatherElements},
      {"", "GatherND", 2, 2, lowerGatherND},
      {"", "Gelu", 1, 1, lowerGelu},
      {"", "Gemm", 2, 3, lowerGemm},
      {"", "Greater", 2, 2, lowerComparison},
      {"", "GreaterOrEqual", 2, 2, lowerComparison},
      {"", "Identity", 1, 1, lowerIdentity},
      {"", "IsNaN", 1, 1, lowerIsNaN},
      {"", "LayerNormalization", 2, 3, lowerLayerNormalization},
      {"", "Less", 2, 2, lowerComparison},
      {"", "LessOrEqual", 2, 2, lowerComparison},
      {"", "Log", 1, 1, lowerUnary},
      {"", "MatMul", 2, 2, lowerMatMul},
      {"", "Max", 1, OperatorEntry::anyNumber, lowerArithmetic},
      {"", "Min", 1, OperatorEntry::anyNumber, lowerArithmetic},
      {"", "Mod", 2, 2, lowerArithmetic},
      {"", "Mul", 2, 2, lowerArithmetic},
      {"", "Neg", 1, 1, lowerUnary},
      {"", "Not", 1, 1, lowerLogic},
      {"", "Or", 2, 2, lowerLogic},
      {"", "Pow", 2, 2, lowerPow},
      {"", "RMSNormalization", 2, 2, lowerRMSNormalization},
      {"", "Range", 3, 3, lowerRange},
      {"", "Reciprocal", 1, 1, lowerUnary},
      {"", "ReduceMax", 1, 2, lowerReduce},
      {"", "ReduceMean", 1, 2, lowerReduce},
      {"", "ReduceMin", 1, 2, lowerReduce},
      {"", "ReduceSum", 1, 2, lowerReduce},
      {"", "Relu", 1, 1, lowerUnary},
      {"", "Reshape", 2, 2, lowerReshape},
      {"", "Shape", 1, 1, lowerShape},
      {"", "Sigmoid", 1, 1, lowerUnary},
      {"", "SimplifiedLayerNormalization", 2, 2, lowerRMSNormalization},
      {"", "Sin", 1, 1, lowerUnary},
      {"", "Size", 1, 1, lowerSize},
      {"", "Slice", 1, 5, lowerSlice},
      {"", "Softmax", 1, 1, lowerSoftmax},
      {"", "Split", 1, 2, lowerSplit},
      {"", "Sqrt", 1, 1, lowerUnary},
      {"", "Squeeze", 1, 2, lowerSqueeze},
      {"", "Sub", 2, 2, lowerArithmetic},
      {"", "Tanh", 1, 1, lowerUnary},
      {"", "Tile", 2, 2, lowerTile},
      {"", "Transpose", 1, 1, lowerTranspose},
      {"", "Trilu", 1, 2, lowerTrilu},
      {"", "Unsqueeze", 1, 2, lowerUnsqueeze},
      {"", "Where", 3, 3, lowerWhere},
      {"", "Xor", 2, 2, lowerLogic},

      {"com.microsoft", "GroupQueryAttention", 1, 16, lowerGroupQueryAttention},
      {"com.microsoft", "MatMulNBits", 3, 6, lowerMatMulNBits},
      {"com.microsoft", "RotaryEmbedding", 4, 4, lowerRotaryEmbedding},
      {"com.microsoft", "SkipLayerNormalization", 3, 5, lowerSkipNormalization},
      {"com.microsoft", "SkipSimplifiedLayerNormalization", 3, 4,
       lowerSkipNormalization},
  };
  return table;
}

const OperatorEntry *import::findOperator(StringRef domain, StringRef name) {
  for (const OperatorEntry &entry : operatorTable())
    if (entry.domain == domain && entry.name == name)
      return &entry;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

int64_t Call::integer(StringRef name, int64_t otherwise) const {
  auto value = attributes.getAs<IntegerAttr>(name);
  return value ? value.getInt() : otherwise;
}

double Call::real(StringRef name, double otherwise) const {
  auto value = attributes.getAs<FloatAttr>(name);
  return value ? value.getValueAsDouble() : otherwise;
}

StringRef Call::text(StringRef name, StringRef otherwise) const {
  auto value = attributes.getAs<StringAttr>(name);
  return value ? value.getValue() : otherwise;
}

std::optional<SmallVector<int64_t>> Call::integers(StringRef name) const {
  auto values = attributes.getAs<ArrayAttr>(name);
  if (!values)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (Attribute value : values)
    if (auto integer = dyn_cast<IntegerAttr>(value))
      result.push_back(integer.getInt());
  return result;
}

std::optional<int64_t> import::normalizeAxis(Lowering &lowering, int64_t axis,
                                             int64_t rank) {
  if (axis < -rank || axis >= rank) {
    lowering.refuse("axis " + Twine(axis) + " of a value of rank " +
                    Twine(rank));
    return std::nullopt;
  }
  return axis < 0 ? axis + rank : axis;
}
