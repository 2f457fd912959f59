//===- Operators.cpp - The table of operators -----------------------------===//
//
// A family of operators is a file that ends with its part of the table: a new
// operator is a function and a line there (docs/add-an-operator.md).
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include "llvm/ADT/STLExtras.h"

#include <vector>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

ArrayRef<OperatorEntry> import::operatorTable() {
  static const std::vector<OperatorEntry> table = [] {
    std::vector<OperatorEntry> all;
    for (auto family :
         {activationOperators, attentionOperators,  castOperators,
          einsumOperators,     expertOperators,     gatherOperators,
          generatorOperators,  integerOperators,    movementOperators,
          multiHeadOperators,  normOperators,       pointwiseOperators,
          predicateOperators,  productOperators,    quantizedOperators,
          recurrentOperators,  reductionOperators,  reshapeOperators,
          resizeOperators,     rowsOperators,       sampleOperators,
          scatterOperators,    selectionOperators,  slicingOperators,
          spectrumOperators,   transposedOperators, windowOperators})
      llvm::append_range(all, family());
    return all;
  }();
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
