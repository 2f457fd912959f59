//===- Compose.cpp - Operators in terms of others -------------------------===//

#include "Compose.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Newer than every version that a lowering asks for.
static constexpr int64_t newestVersion = 1 << 20;

SymbolicTensor *Compose::operator()(StringRef op, Operands operands,
                                    Attributes attributes) {
  Results results = all(op, operands, attributes, 1);
  return results.empty() ? nullptr : results[0];
}

Results Compose::all(StringRef op, Operands operands, Attributes attributes,
                     unsigned count) {
  if (failed())
    return {};
  const OperatorEntry *entry = findOperator("", op);
  assert(entry && "composed of an operator that the table has not");
  Call inner{call.lowering,
             call.math,
             op,
             "",
             newestVersion,
             SmallVector<SymbolicTensor *>(operands),
             builder.getDictionaryAttr(attributes),
             count,
             SmallVector<bool>(count, true)};
  call.math.dims.clear();
  Results results = entry->lower(inner);
  if (results.empty() && !failed())
    call.refuse("cannot be lowered");
  return results;
}

SymbolicTensor *Compose::polynomial(SymbolicTensor *x, ArrayRef<double> c) {
  const Type of = x ? x->type : type;
  SymbolicTensor *sum = constant(c.back(), of);
  for (double coefficient : llvm::reverse(c.drop_back()))
    sum = add(constant(coefficient, of), mul(x, sum));
  return sum;
}

SymbolicTensor *Compose::constant(double value, Type of) {
  return call.lowering.fromFunction({}, of,
                                    call.lowering.constantOf(value, of));
}

SymbolicTensor *Compose::iota(Expr size) {
  call.math.dims.assign(1, size);
  return call.lowering.fromFunction({size}, builder.getI64Type(),
                                    call.math.dim(0));
}

NamedAttribute Compose::attribute(StringRef name, int64_t value) {
  return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
}

NamedAttribute Compose::attribute(StringRef name, ArrayRef<int64_t> values) {
  return builder.getNamedAttr(name, builder.getI64ArrayAttr(values));
}
