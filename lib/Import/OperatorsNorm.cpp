//===- OperatorsNorm.cpp - Norms in terms of reductions -------------------===//

#include "Compose.h"

#include "llvm/ADT/STLExtras.h"

#include <limits>

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Dimensions from `first` to the last.
static SmallVector<int64_t> axesFrom(SymbolicTensor *q, int64_t first) {
  SmallVector<int64_t> axes;
  for (int64_t i = first; i < static_cast<int64_t>(q->rank()); ++i)
    axes.push_back(i);
  return axes;
}

static bool isImage(Call &c, SymbolicTensor *q) {
  if (q->isFloat() && q->rank() >= 2)
    return true;
  return c.refuse("of a value that is no float of rank 2 or more"), false;
}

/// One number per channel, dimension 1, over the others of `q`.
static SymbolicTensor *perChannel(Compose &o, SymbolicTensor *q,
                                  SymbolicTensor *values) {
  SmallVector<int64_t> added;
  for (int64_t i = 1; i + 1 < static_cast<int64_t>(q->rank()); ++i)
    added.push_back(i);
  return added.empty() ? values : o("Unsqueeze", {values, o.ints(added)});
}

static SymbolicTensor *inverseRoot(Compose &o, SymbolicTensor *variance,
                                   double epsilon) {
  return o("Reciprocal", {o("Sqrt", {o.add(variance, o.constant(epsilon))})});
}

static Results lowerInstanceNormalization(Call &c) {
  SymbolicTensor *q = c.input(0);
  if (!isImage(c, q))
    return {};
  Compose o(c);
  SymbolicTensor *axes = o.ints(axesFrom(q, 2));
  SymbolicTensor *centred = o.sub(q, o("ReduceMean", {q, axes}));
  SymbolicTensor *variance = o("ReduceMean", {o.mul(centred, centred), axes});
  SymbolicTensor *factor =
      o.mul(inverseRoot(o, variance, c.real("epsilon", 1e-5f)),
            perChannel(o, q, c.input(1)));
  return one(o.add(o.mul(centred, factor), perChannel(o, q, c.input(2))));
}

static Results lowerBatchNormalization(Call &c) {
  SymbolicTensor *q = c.input(0);
  if (!isImage(c, q))
    return {};
  if (c.integer("training_mode", 0) || c.resultCount > 1)
    return one(c.refuse("trains; export the model for inference"));
  Compose o(c);
  SymbolicTensor *factor =
      o.mul(inverseRoot(o, c.input(4), c.real("epsilon", 1e-5f)), c.input(1));
  SymbolicTensor *centred = o.sub(q, perChannel(o, q, c.input(3)));
  return one(o.add(o.mul(centred, perChannel(o, q, factor)),
                   perChannel(o, q, c.input(2))));
}

/// x / (bias + alpha / size * sum)^beta, of the squares of the channels around.
static Results lowerLRN(Call &c) {
  SymbolicTensor *q = c.input(0);
  if (!isImage(c, q))
    return {};
  auto channels = q->shape[1]->constant();
  const int64_t size = c.integer("size", 1);
  if (!channels || *channels < 1 || size < 1 || size > 64)
    return one(c.refuse("over " + Twine(size) + " channels; 1 to 64 are"));
  Compose o(c);
  SmallVector<int64_t> pads(2 * q->rank(), 0);
  pads[1] = (size - 1) / 2;
  pads[q->rank() + 1] = size - 1 - pads[1];
  SymbolicTensor *padded = o("Pad", {o.mul(q, q), o.ints(pads)});
  SymbolicTensor *sum = nullptr;
  for (int64_t i = 0; i < size && padded; ++i) {
    SymbolicTensor *part = sliceAxis(c.lowering, padded, 1, i, *channels);
    sum = sum ? o.add(sum, part) : part;
  }
  const double alpha = c.real("alpha", 1e-4f) / static_cast<double>(size);
  SymbolicTensor *base =
      o.add(o.mul(sum, o.constant(alpha)), o.constant(c.real("bias", 1)));
  return one(o.mul(q, o("Pow", {base, o.constant(-c.real("beta", 0.75f))})));
}

/// x / |x|, and 0 where that is 0.
static Results lowerLpNormalization(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto axis = normalizeAxis(c.lowering, c.integer("axis", -1), q->rank());
  if (!axis)
    return {};
  if (!q->isFloat())
    return one(c.refuse("of a value that is not a float"));
  Compose o(c);
  SymbolicTensor *axes = o.ints({*axis});
  // Of one element it is 1 or -1, exactly; of an infinity or NaN it is NaN.
  if (q->shape[*axis] == c.math.constant(1))
    return one(o.add(o("Sign", {q}), o.mul(q, o.constant(0))));
  SymbolicTensor *size = c.integer("p", 2) == 1
                             ? o("ReduceSum", {o("Abs", {q}), axes})
                             : o("Sqrt", {o("ReduceSum", {o.mul(q, q), axes})});
  SymbolicTensor *none = o("Equal", {size, o.constant(0)});
  return one(o.where(none, o.constant(0), o.div(q, size)));
}

static Results lowerGlobalPool(Call &c) {
  SymbolicTensor *q = c.input(0);
  if (!isImage(c, q))
    return {};
  Compose o(c);
  SymbolicTensor *axes = o.ints(axesFrom(q, 2));
  if (c.op != "GlobalLpPool")
    return one(
        o(c.op == "GlobalMaxPool" ? "ReduceMax" : "ReduceMean", {q, axes}));
  const int64_t p = c.integer("p", 2);
  if (p != 1 && p != 2)
    return one(c.refuse("of p = " + Twine(p) + "; 1 and 2 are"));
  return one(o(p == 1 ? "ReduceL1" : "ReduceL2", {q, axes}));
}

/// In inference everything stays, and the mask says so.
static Results lowerDropout(Call &c) {
  Lowering &lowering = c.lowering;
  SymbolicTensor *q = c.input(0);
  if (SymbolicTensor *training = c.input(2)) {
    Expr mode = lowering.functionOf(training);
    Expr ratio = c.input(1) ? lowering.functionOf(c.input(1)) : Expr();
    const bool keepsAll = ratio && ratio->kind == ExprKind::FloatConstant &&
                          ratio->floatValue() == 0;
    if (!(mode && mode->isFalse()) && !keepsAll)
      return one(c.refuse("trains; export the model for inference"));
  }
  // Before version 12 the mask of a model that does not train says nothing, and
  // runtimes leave zeros there.
  Type type = c.version < 10 ? q->type : lowering.builder.getI1Type();
  SymbolicTensor *mask = lowering.fromFunction(
      q->shape, type, lowering.constantOf(c.version >= 12, type));
  return {q, mask};
}

/// The product along an axis, element by element: nothing else keeps the signs
/// and zeros of the factors.
static Results lowerReduceProd(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto axes = reducedAxes(c);
  if (!axes)
    return {};
  if (c.lowering.refusal.empty() && q->isBool())
    return one(c.refuse("of booleans"));
  Compose o(c);
  for (int64_t axis : *axes) {
    auto size = q->shape[axis]->constant();
    constexpr int64_t most = 256;
    if (!size || *size > most)
      return one(c.refuse("multiplies " + c.math.print(q->shape[axis]) +
                          " factors; at most " + Twine(most) +
                          " are written out"));
    SymbolicTensor *product = nullptr;
    if (*size == 0) {
      Sizes shape = q->shape;
      shape[axis] = c.math.constant(1);
      product = c.lowering.fromFunction(shape, q->type,
                                        c.lowering.constantOf(1, q->type));
    }
    for (int64_t i = 0; i < *size && !o.failed(); ++i) {
      SymbolicTensor *factor = sliceAxis(c.lowering, q, axis, i, 1);
      product = product ? o.mul(product, factor) : factor;
    }
    if (!product || o.failed())
      return {};
    q = product;
  }
  return one(c.integer("keepdims", 1) ? q : o("Squeeze", {q, o.ints(*axes)}));
}

/// Reductions that are one of another value, and a function of that.
static Results lowerReduceOf(Call &c) {
  SymbolicTensor *q = c.input(0);
  if (!q->isFloat())
    return one(c.refuse("of a value that is not a float"));
  auto axes = reducedAxes(c);
  if (!axes)
    return {};
  Compose o(c);
  auto reduce = [&](StringRef op, SymbolicTensor *value) -> SymbolicTensor * {
    if (axes->empty() || !value) // nothing is reduced
      return value;
    return o(op, {value, o.ints(*axes)}, o.attribute("keepdims", 1));
  };
  SymbolicTensor *result;
  if (c.op == "ReduceL1") {
    result = reduce("ReduceSum", o("Abs", {q}));
  } else if (c.op == "ReduceLogSum") {
    result = o("Log", {reduce("ReduceSum", q)});
  } else if (c.op == "ReduceLogSumExp") {
    // Less the largest, no power overflows; an infinite one takes nothing off.
    SymbolicTensor *largest = reduce("ReduceMax", q);
    SymbolicTensor *finite =
        o.less(o("Abs", {largest}),
               o.constant(std::numeric_limits<double>::infinity()));
    largest = o.where(finite, largest, o.constant(0));
    SymbolicTensor *powers = o("Exp", {o.sub(q, largest)});
    result = o.add(o("Log", {reduce("ReduceSum", powers)}), largest);
  } else {
    result = reduce("ReduceSum", o.mul(q, q));
    if (c.op == "ReduceL2")
      result = o("Sqrt", {result});
  }
  if (!result || o.failed())
    return {};
  return one(c.integer("keepdims", 1) || axes->empty()
                 ? result
                 : o("Squeeze", {result, o.ints(*axes)}));
}

ArrayRef<OperatorEntry> import::normOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "BatchNormalization", 5, 5, lowerBatchNormalization},
      {"", "Dropout", 1, 3, lowerDropout},
      {"", "GlobalAveragePool", 1, 1, lowerGlobalPool},
      {"", "GlobalLpPool", 1, 1, lowerGlobalPool},
      {"", "GlobalMaxPool", 1, 1, lowerGlobalPool},
      {"", "InstanceNormalization", 3, 3, lowerInstanceNormalization},
      {"", "LRN", 1, 1, lowerLRN},
      {"", "LpNormalization", 1, 1, lowerLpNormalization},
      {"", "ReduceL1", 1, 2, lowerReduceOf},
      {"", "ReduceL2", 1, 2, lowerReduceOf},
      {"", "ReduceLogSum", 1, 2, lowerReduceOf},
      {"", "ReduceLogSumExp", 1, 2, lowerReduceOf},
      {"", "ReduceProd", 1, 2, lowerReduceProd},
      {"", "ReduceSumSquare", 1, 2, lowerReduceOf},
  };
  return table;
}
