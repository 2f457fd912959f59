//===- OperatorsSelection.cpp - Elements found by their values ------------===//
//
// Nothing selects by an address that data decides: every element is compared
// with every place that it could go to, and a maximum over them keeps what met.
// Padding is cut off by that reduction, and what is selected keeps its sign and
// its NaN.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static constexpr double infinity = std::numeric_limits<double>::infinity();

/// A predicate on the indices of some shape.
static SymbolicTensor *predicate(Call &c, Sizes shape,
                                 function_ref<Expr(Arithmetic &)> holds) {
  c.math.dims = shape;
  Expr function = holds(c.math);
  return c.lowering.fromFunction(std::move(shape),
                                 c.lowering.builder.getI1Type(), function);
}

/// The flat index over `axes` of each element, along these only.
static SymbolicTensor *places(Call &c, SymbolicTensor *q,
                              ArrayRef<int64_t> axes) {
  Sizes shape(q->rank(), c.math.constant(1));
  for (int64_t axis : axes)
    shape[axis] = q->shape[axis];
  c.math.dims = shape;
  Expr index = c.math.constant(0);
  for (int64_t axis : axes)
    index = c.math.add(c.math.mul(index, shape[axis]), c.math.dim(axis));
  return c.lowering.fromFunction(shape, c.lowering.builder.getI64Type(), index);
}

//===----------------------------------------------------------------------===//
// The largest
//===----------------------------------------------------------------------===//

/// Where along `axes` the first (or last) extreme lies, as a float, with sizes
/// of 1 in place of the axes. A NaN counts as an extreme, as NumPy has it.
static SymbolicTensor *extreme(Call &c, Compose &o, SymbolicTensor *q,
                               ArrayRef<int64_t> axes, bool isLargest,
                               bool isLast) {
  int64_t count = 1;
  for (int64_t axis : axes)
    count *= c.lowering.capacity(q->shape[axis]);
  if (count > (1 << 24))
    return c.refuse("searches " + Twine(count) +
                    " elements; places are counted in floats, to 2^24");
  Type wide = c.lowering.builder.getF32Type();
  SymbolicTensor *best =
      o(isLargest ? "ReduceMax" : "ReduceMin", {q, o.ints(axes)});
  SymbolicTensor *found = o("Equal", {q, best});
  if (q->isFloat())
    found = o("Or", {found, o("IsNaN", {q})});
  SymbolicTensor *at = converted(c, places(c, q, axes), wide);
  SymbolicTensor *none = o.constant(isLast ? -1 : count, wide);
  return o(isLast ? "ReduceMax" : "ReduceMin",
           {o.where(found, at, none), o.ints(axes)});
}

static Results lowerArgExtreme(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto axis = normalizeAxis(c.lowering, c.integer("axis", 0), q->rank());
  if (!axis)
    return {};
  if (q->isBool())
    return one(c.refuse("of booleans"));
  Compose o(c);
  SymbolicTensor *at = extreme(c, o, q, {*axis}, c.op == "ArgMax",
                               c.integer("select_last_index", 0) != 0);
  Type type = c.lowering.builder.getI64Type();
  SymbolicTensor *index = at ? converted(c, at, type) : nullptr;
  index =
      c.lowering.withRange(index, 0, c.lowering.capacity(q->shape[*axis]) - 1);
  if (index && !c.integer("keepdims", 1))
    index = o("Squeeze", {index, o.ints({*axis})});
  return one(index);
}

static Results lowerHardmax(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto axes = softmaxAxes(c);
  if (!axes)
    return {};
  Compose o(c);
  SymbolicTensor *at =
      extreme(c, o, q, *axes, /*isLargest=*/true, /*isLast=*/false);
  if (!at)
    return {};
  SymbolicTensor *own = converted(c, places(c, q, *axes), at->type);
  return one(o.where(o("Equal", {own, at}), o.constant(1), o.constant(0)));
}

/// What no value of the type is below, at run time.
static double leastOf(Type type) {
  if (isa<FloatType>(type))
    return -infinity;
  // Of 32 bits, indices have the numbers of which they have the negative, too.
  const unsigned bits = type.getIntOrFloatBitWidth();
  return type.isUnsignedInteger() ? 0
         : bits < 32              ? -std::ldexp(1.0, bits - 1)
                                  : 1 - 0x1p31;
}

/// An element has the rank of those before it: the larger ones, and of equal
/// ones those with a smaller index.
static Results lowerTopK(Call &c) {
  SymbolicTensor *q = c.input(0);
  Lowering &lowering = c.lowering;
  auto axis = normalizeAxis(lowering, c.integer("axis", -1), q->rank());
  if (!axis)
    return {};
  std::optional<SmallVector<int64_t>> given;
  if (c.input(1))
    given = lowering.constantsOf(c.input(1), "the number of elements");
  else
    given = SmallVector<int64_t>{c.integer("k", 1)};
  auto size = q->shape[*axis]->constant();
  if (!given)
    return {};
  if (q->isBool() || !size || given->size() != 1)
    return one(c.refuse("of booleans, or over the live length"));
  const int64_t kept = (*given)[0];
  if (kept < 1 || kept > *size)
    return one(c.refuse("takes " + Twine(kept) + " of " + Twine(*size)));
  Compose o(c);
  Arithmetic &math = c.math;
  const size_t behind = q->rank() - *axis - 1;
  // Dimensions from `axis` on: the element, the other one, the rest.
  SymbolicTensor *self = o("Unsqueeze", {q, o.ints({*axis + 1})});
  SymbolicTensor *other = o("Unsqueeze", {q, o.ints({*axis})});
  Sizes pair{q->shape[*axis], q->shape[*axis]};
  pair.append(behind, math.constant(1));
  SymbolicTensor *earlier = predicate(c, pair, [](Arithmetic &math) {
    return math.lessEqual(math.add(math.dim(1), 1), math.dim(0));
  });
  SymbolicTensor *beats =
      c.integer("largest", 1) ? o.less(self, other) : o.less(other, self);
  SymbolicTensor *before =
      o("Or", {beats, o("And", {o("Equal", {self, other}), earlier})});
  Type wide = lowering.builder.getF32Type();
  const Type counted = q->isFloat() ? q->type : wide;
  SymbolicTensor *rank =
      o("ReduceSum",
        {o.where(before, o.constant(1, counted), o.constant(0, counted)),
         o.ints({*axis + 1})});
  // The same dimensions: the element, the rank it may have, the rest.
  Sizes ranks{math.constant(kept)};
  ranks.append(behind, math.constant(1));
  math.dims = ranks;
  SymbolicTensor *wanted = lowering.fromFunction(
      ranks, counted, math.toFloat(math.dim(0), lowering.formatOf(counted)));
  SymbolicTensor *hit = o("Equal", {rank, wanted});
  SymbolicTensor *axes = o.ints({*axis});
  auto drop = o.attribute("keepdims", 0);
  SymbolicTensor *values =
      o("ReduceMax", {o.where(hit, self, o.constant(leastOf(q->type))), axes},
        drop);
  Sizes column{q->shape[*axis]};
  column.append(behind + 1, math.constant(1));
  math.dims = column;
  SymbolicTensor *at = lowering.fromFunction(
      column, wide, math.toFloat(math.dim(0), Format::F32));
  SymbolicTensor *indices =
      o("ReduceMax", {o.where(hit, at, o.constant(0, wide)), axes}, drop);
  if (o.failed())
    return {};
  indices = converted(c, indices, lowering.builder.getI64Type());
  return {values, lowering.withRange(indices, 0, *size - 1)};
}

//===----------------------------------------------------------------------===//
// By indices
//===----------------------------------------------------------------------===//

SymbolicTensor *import::takenElements(Call &c, SymbolicTensor *q,
                                      SymbolicTensor *indices, int64_t axis) {
  Compose o(c);
  for (int64_t i = 0; i < static_cast<int64_t>(q->rank()); ++i)
    if (i != axis && q && q->shape[i] != indices->shape[i])
      q = sliceAxis(c.lowering, q, i, c.math.constant(0), indices->shape[i], 1);
  if (!q)
    return nullptr;
  Sizes along{q->shape[axis]};
  along.append(q->rank() - axis - 1, c.math.constant(1));
  c.math.dims = along;
  SymbolicTensor *each =
      c.lowering.fromFunction(along, indices->type, c.math.dim(0));
  SymbolicTensor *hit =
      o("Equal", {o("Unsqueeze", {indices, o.ints({axis + 1})}), each});
  SymbolicTensor *value = o("Unsqueeze", {q, o.ints({axis})});
  return o(
      "ReduceMax",
      {o.where(hit, value, o.constant(-infinity, q->type)), o.ints({axis + 1})},
      o.attribute("keepdims", 0));
}

static Results lowerOneHot(Call &c) {
  SymbolicTensor *indices = c.input(0);
  Lowering &lowering = c.lowering;
  auto depth = lowering.constantsOf(
      c.input(1)->isFloat()
          ? converted(c, c.input(1), lowering.builder.getI64Type())
          : c.input(1),
      "the depth");
  auto axis =
      normalizeAxis(lowering, c.integer("axis", -1), indices->rank() + 1);
  if (!depth || !axis)
    return {};
  if (depth->size() != 1 || (*depth)[0] < 1)
    return one(c.refuse("its depth is not a positive number"));
  indices = converted(c, indices, lowering.builder.getI64Type());
  if (!indices)
    return {};
  Compose o(c);
  Sizes along{c.math.constant((*depth)[0])};
  along.append(indices->rank() - *axis, c.math.constant(1));
  c.math.dims = along;
  SymbolicTensor *each =
      lowering.fromFunction(along, indices->type, c.math.dim(0));
  SymbolicTensor *behind = o.sub(each, o.constant((*depth)[0], each->type));
  SymbolicTensor *wide = o("Unsqueeze", {indices, o.ints({*axis})});
  SymbolicTensor *hit =
      o("Or", {o("Equal", {wide, each}), o("Equal", {wide, behind})});
  auto value = [&](int64_t i) {
    return o("Gather", {c.input(2),
                        lowering.fromElements({c.math.constant(i)}, true,
                                              lowering.builder.getI64Type())});
  };
  return one(o.where(hit, value(1), value(0)));
}

//===----------------------------------------------------------------------===//
// Running sums
//===----------------------------------------------------------------------===//

/// Sums of values that depend on data: each over those that it is to hold.
SymbolicTensor *import::runningSum(Call &c, SymbolicTensor *q, int64_t axis) {
  Compose o(c);
  Sizes pair{q->shape[axis], q->shape[axis]};
  pair.append(q->rank() - axis - 1, c.math.constant(1));
  const bool reverse = c.integer("reverse", 0),
             exclusive = c.integer("exclusive", 0);
  SymbolicTensor *holds = predicate(c, pair, [&](Arithmetic &math) {
    Expr to = math.dim(0), from = math.dim(1);
    if (reverse)
      std::swap(to, from);
    return math.lessEqual(exclusive ? math.add(from, 1) : from, to);
  });
  SymbolicTensor *value = o("Unsqueeze", {q, o.ints({axis})});
  SymbolicTensor *kept = o.where(holds, value, o.constant(0, q->type));
  return o("ReduceSum", {kept, o.ints({axis + 1})}, o.attribute("keepdims", 0));
}

ArrayRef<OperatorEntry> import::selectionOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "ArgMax", 1, 1, lowerArgExtreme},
      {"", "ArgMin", 1, 1, lowerArgExtreme},
      {"", "Hardmax", 1, 1, lowerHardmax},
      {"", "OneHot", 3, 3, lowerOneHot},
      {"", "TopK", 1, 2, lowerTopK},
  };
  return table;
}
