//===- Padding.cpp - What lies beyond the live length ---------------------===//
//
// The tensor of a bounded dimension has more elements than are live. A value
// takes part where a predicate over some of its dimensions holds, and is
// replaced by a neutral element elsewhere. The predicate is over the whole
// tensor, at capacity: under the live sizes it would fold to what is always
// true.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

SymbolicTensor *Lowering::keepWhere(SymbolicTensor *q, Expr inside,
                                    ArrayRef<int64_t> axes, double neutral) {
  Sizes sizes;
  for (int64_t axis : axes)
    sizes.push_back(math.constant(capacity(q->shape[axis])));
  // One mask serves every value of these sizes.
  std::vector<unsigned> key{inside->id};
  for (Expr size : sizes)
    key.push_back(size->id);
  SymbolicTensor *&kept = keptMasks[key];
  if (!kept)
    kept = fromFunction(sizes, builder.getI1Type(), inside);
  const View *mask = viewOf(kept);
  if (!mask)
    return nullptr;
  SymbolicTensor *where = clone(*kept);
  where->function = nullptr;
  where->shape.assign(q->rank(), math.constant(1));
  where->view->dims.assign(q->rank(), {Factor{1, -1}});
  SymbolicTensor *whole = clone(*q);
  for (auto [i, axis] : llvm::enumerate(axes)) {
    where->shape[axis] = whole->shape[axis] = sizes[i];
    where->view->dims[axis] = mask->dims[i];
  }
  SymbolicTensor *otherwise =
      fromFunction({}, q->type, constantOf(neutral, q->type));
  SymbolicTensor *result = pointwise(
      {where, whole, otherwise}, q->type,
      [](OpBuilder &b, Location at, ValueRange args) -> Value {
        return arith::SelectOp::create(b, at, args[0], args[1], args[2]);
      });
  if (!result)
    return nullptr;
  result->shape = q->shape;
  result->paddingIsZero = neutral == 0;
  result->paddingIsFinite = std::isfinite(neutral);
  return result;
}

SymbolicTensor *Lowering::maskPadding(SymbolicTensor *q, int64_t axis,
                                      double neutral) {
  if (options.mistakePaddingIsKept)
    return q;
  math.dims.assign(1, math.constant(capacity(q->shape[axis])));
  Expr inside = math.lessEqual(math.add(math.dim(0), 1), q->shape[axis]);
  return keepWhere(q, inside, axis, neutral);
}
