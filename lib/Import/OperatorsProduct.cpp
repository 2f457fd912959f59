//===- OperatorsProduct.cpp - Matrix products -----------------------------===//
//
// One generic that multiplies and adds. Transposes, repeated heads and merged
// dimensions are in its maps.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

#include <algorithm>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Masks the padding of a product over a bounded dimension: of both operands,
/// unless padding of exact zeros meets padding of finite numbers.
static bool maskBoth(Lowering &lowering, SymbolicTensor *&a, int64_t axisA,
                     SymbolicTensor *&b, int64_t axisB) {
  if (!lowering.isBounded(a->shape[axisA]))
    return true;
  if (!a->paddingIsZero && !(b->paddingIsZero && a->paddingIsFinite))
    a = lowering.maskPadding(a, axisA, 0);
  if (!a)
    return false;
  if (!b->paddingIsZero && !(a->paddingIsZero && b->paddingIsFinite))
    b = lowering.maskPadding(b, axisB, 0);
  return b != nullptr;
}

SymbolicTensor *import::product(Call &c, SymbolicTensor *a, SymbolicTensor *b) {
  Lowering &lowering = c.lowering;
  Arithmetic &math = c.math;
  if (!a->isFloat() || a->type != b->type)
    return c.refuse("multiplies values that are not floats of one type");
  if (a->rank() == 0 || b->rank() == 0)
    return c.refuse("multiplies a scalar");
  bool isRow = a->rank() == 1, isColumn = b->rank() == 1;
  int64_t innerA = a->rank() - 1, innerB = isColumn ? 0 : b->rank() - 2;
  if (a->shape[innerA] != b->shape[innerB])
    return c.refuse("inner sizes " + math.print(a->shape[innerA]) + " and " +
                    math.print(b->shape[innerB]) + " differ");
  if (!maskBoth(lowering, a, innerA, b, innerB))
    return nullptr;

  auto batch =
      lowering.broadcast(ArrayRef<Expr>(a->shape).drop_back(isRow ? 1 : 2),
                         ArrayRef<Expr>(b->shape).drop_back(isColumn ? 1 : 2));
  const View *viewA = batch ? lowering.viewOf(a) : nullptr;
  const View *viewB = viewA ? lowering.viewOf(b) : nullptr;
  if (!viewB)
    return nullptr;

  // The space: batch dims, rows, columns, and what is summed.
  Sizes shape = *batch;
  int rows = isRow ? -1 : static_cast<int>(shape.size());
  if (!isRow)
    shape.push_back(a->shape[a->rank() - 2]);
  int columns = isColumn ? -1 : static_cast<int>(shape.size());
  if (!isColumn)
    shape.push_back(b->shape.back());
  int inner = shape.size();
  SmallVector<int64_t> sizes;
  for (Expr size : shape)
    sizes.push_back(lowering.capacity(size));
  sizes.push_back(lowering.capacity(a->shape[innerA]));
  SmallVector<bool> reduced(inner, false);
  reduced.push_back(true);

  Operand left{*viewA, {}}, right{*viewB, {}};
  size_t batchA = a->rank() - (isRow ? 1 : 2);
  for (size_t i = 0; i < batchA; ++i)
    left.to.push_back(i + batch->size() - batchA);
  if (!isRow)
    left.to.push_back(rows);
  left.to.push_back(inner);
  size_t batchB = b->rank() - (isColumn ? 1 : 2);
  for (size_t i = 0; i < batchB; ++i)
    right.to.push_back(i + batch->size() - batchB);
  right.to.push_back(inner);
  if (!isColumn)
    right.to.push_back(columns);
  auto result = lowering.contract(std::move(left), std::move(right), sizes,
                                  reduced, a->type);
  if (!result)
    return nullptr;
  return lowering.fromView(shape, a->type, std::move(*result));
}

static Results lowerMatMul(Call &c) {
  return one(product(c, c.input(0), c.input(1)));
}

static Results lowerGemm(Call &c) {
  SymbolicTensor *a = c.input(0), *b = c.input(1), *bias = c.input(2);
  Lowering &lowering = c.lowering;
  if (a->rank() != 2 || b->rank() != 2)
    return one(c.refuse("operands are not matrices"));
  if (c.integer("transA", 0))
    a = transposed(c, a, {1, 0});
  if (c.integer("transB", 0))
    b = transposed(c, b, {1, 0});
  SymbolicTensor *result = a && b ? product(c, a, b) : nullptr;
  double alpha = c.real("alpha", 1), beta = c.real("beta", 1);
  auto scale = [&](SymbolicTensor *q, double factor) -> SymbolicTensor * {
    if (!q || factor == 1)
      return q;
    return lowering.binary(
        ScalarOp::Mul, q,
        lowering.fromFunction({}, q->type,
                              lowering.constantOf(factor, q->type)));
  };
  result = scale(result, alpha);
  if (result && bias && beta != 0) {
    bias = scale(bias, beta);
    result = bias ? lowering.binary(ScalarOp::Add, result, bias) : nullptr;
  }
  return one(result);
}

/// A product of matrices that may be transposed, each in its last two
/// dimensions or with its first of them brought behind the batches.
static Results lowerFusedMatMul(Call &c) {
  SymbolicTensor *operands[] = {c.input(0), c.input(1)};
  for (unsigned i : {0, 1}) {
    SymbolicTensor *&q = operands[i];
    StringRef side = i == 0 ? "A" : "B";
    const auto rank = static_cast<int64_t>(q->rank());
    const bool isSwapped = c.integer(("trans" + side).str(), 0) && rank > 1;
    const bool isBatch = c.integer(("transBatch" + side).str(), 0) && rank > 2;
    auto order = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    if (isBatch) // [rows, batch.., columns] -> [batch.., rows, columns]
      std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
    if (isSwapped)
      std::swap(order[rank - 2], order[rank - 1]);
    q = transposed(c, q, order);
    if (!q)
      return {};
  }
  SymbolicTensor *result = product(c, operands[0], operands[1]);
  const double alpha = c.real("alpha", 1);
  if (!result || alpha == 1)
    return one(result);
  return one(c.lowering.binary(
      ScalarOp::Mul, result,
      c.lowering.fromFunction({}, result->type,
                              c.lowering.constantOf(alpha, result->type))));
}

ArrayRef<OperatorEntry> import::productOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Gemm", 2, 3, lowerGemm},
      {"", "MatMul", 2, 2, lowerMatMul},
      {"com.microsoft", "FusedMatMul", 2, 2, lowerFusedMatMul},
      {"com.microsoft", "TransposeMatMul", 2, 2, lowerFusedMatMul},
  };
  return table;
}
