//===- OperatorsMovement.cpp - The same elements in other places ----------===//
//
// Index functions substitute their indices; tensors keep their elements and
// are seen another way. Neither makes an operation.
//
//===----------------------------------------------------------------------===//

#include "HostInputs.h"
#include "Operators.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

SymbolicTensor *import::moved(Lowering &lowering, SymbolicTensor *q,
                              Sizes shape, Sizes indices,
                              function_ref<void(View &)> change) {
  for (Expr size : shape)
    if (lowering.math.lowest(size) < 0)
      return lowering.refuse("the size " + lowering.math.print(size) +
                             " may be negative");
  if (Expr function = lowering.functionOf(q)) {
    lowering.math.dims = shape;
    Expr there = lowering.math.substitute(function, indices);
    return lowering.fromFunction(std::move(shape), q->type, there);
  }
  if (q->elements)
    return lowering.fromElements({}, shape.empty(), q->type);
  for (Expr size : shape)
    if (lowering.capacity(size) < 1)
      return lowering.refuse("a value of shape " + lowering.print(shape) +
                             " has no elements at run time");
  const View *view = lowering.viewOf(q);
  if (!view)
    return nullptr;
  SymbolicTensor *result = lowering.clone(*q);
  result->weight = nullptr;
  result->constant = result->given = nullptr;
  result->appended = -1;
  result->shape = std::move(shape);
  change(*result->view);
  return lowering.refusal.empty() ? result : nullptr;
}

static Results lowerIdentity(Call &c) { return one(c.input(0)); }

static Results lowerShape(Call &c) {
  SymbolicTensor *q = c.input(0);
  int64_t rank = q->rank();
  int64_t start = c.integer("start", 0), end = c.integer("end", rank);
  auto clamp = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  Sizes sizes;
  for (int64_t i = clamp(start); i < clamp(end); ++i)
    sizes.push_back(c.lowering.options.mistakeShapeIsCapacity
                        ? c.math.constant(c.lowering.capacity(q->shape[i]))
                        : q->shape[i]);
  return one(
      c.lowering.fromElements(sizes, false, c.lowering.builder.getI64Type()));
}

static Results lowerSize(Call &c) {
  return one(c.lowering.fromElements({c.math.product(c.input(0)->shape)}, true,
                                     c.lowering.builder.getI64Type()));
}

/// Axes from the second input (opset 13 on) or the attribute (before).
static std::optional<SmallVector<int64_t>> axesOf(Call &c) {
  if (c.input(1))
    return c.lowering.constantsOf(c.input(1), "an axis");
  auto axes = c.integers("axes");
  return axes ? *axes : SmallVector<int64_t>();
}

static Results lowerUnsqueeze(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto axes = axesOf(c);
  if (!axes)
    return {};
  int64_t rank = q->rank() + axes->size();
  for (int64_t &axis : *axes) {
    auto normal = normalizeAxis(c.lowering, axis, rank);
    if (!normal)
      return {};
    axis = *normal;
  }
  Sizes shape, indices;
  SmallVector<bool> added;
  for (int64_t i = 0; i < rank; ++i) {
    added.push_back(llvm::is_contained(*axes, i));
    if (added.back()) {
      shape.push_back(c.math.constant(1));
      continue;
    }
    if (indices.size() == q->rank())
      return one(c.refuse("an axis occurs twice"));
    shape.push_back(q->shape[indices.size()]);
    indices.push_back(c.math.dim(i));
  }
  return one(moved(c.lowering, q, shape, indices, [&](View &view) {
    decltype(view.dims) dims;
    size_t next = 0;
    for (bool unit : added)
      if (unit)
        dims.push_back({Factor{1, -1}});
      else
        dims.push_back(view.dims[next++]);
    view.dims = std::move(dims);
  }));
}

static Results lowerSqueeze(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto axes = axesOf(c);
  if (!axes)
    return {};
  Expr unit = c.math.constant(1);
  SmallVector<bool> dropped(q->rank(), false);
  for (int64_t axis : *axes) {
    auto normal = normalizeAxis(c.lowering, axis, q->rank());
    if (!normal)
      return {};
    dropped[*normal] = true;
  }
  if (axes->empty())
    for (auto [i, size] : llvm::enumerate(q->shape))
      dropped[i] = size == unit;
  Sizes shape, indices;
  for (auto [i, size] : llvm::enumerate(q->shape)) {
    if (dropped[i] && size != unit)
      return one(c.refuse("dimension " + Twine(i) + " has size " +
                          c.math.print(size) + ", not 1"));
    indices.push_back(dropped[i] ? c.math.constant(0)
                                 : c.math.dim(shape.size()));
    if (!dropped[i])
      shape.push_back(size);
  }
  return one(moved(c.lowering, q, shape, indices, [&](View &view) {
    decltype(view.dims) dims;
    for (auto [i, dim] : llvm::enumerate(view.dims))
      if (!dropped[i])
        dims.push_back(dim);
    view.dims = std::move(dims);
  }));
}

SymbolicTensor *import::transposed(Call &c, SymbolicTensor *q,
                                   ArrayRef<int64_t> order) {
  Sizes shape, indices(q->rank(), nullptr);
  for (auto [to, from] : llvm::enumerate(order)) {
    if (from < 0 || from >= static_cast<int64_t>(q->rank()) || indices[from])
      return c.refuse("perm is not a permutation");
    shape.push_back(q->shape[from]);
    indices[from] = c.math.dim(to);
  }
  if (order.size() != q->rank())
    return c.refuse("perm has " + Twine(order.size()) + " entries for rank " +
                    Twine(q->rank()));
  if (q->past >= 0)
    return transposedPast(c.lowering, q, order);
  return moved(c.lowering, q, shape, indices, [&](View &view) {
    decltype(view.dims) dims;
    for (int64_t from : order)
      dims.push_back(view.dims[from]);
    view.dims = std::move(dims);
  });
}

static Results lowerTranspose(Call &c) {
  SmallVector<int64_t> order;
  if (auto perm = c.integers("perm"))
    order = *perm;
  else
    for (size_t i = c.input(0)->rank(); i-- > 0;)
      order.push_back(i);
  return one(transposed(c, c.input(0), order));
}

static Results lowerExpand(Call &c) {
  SymbolicTensor *q = c.input(0);
  const Sizes *target = c.lowering.sizesOf(c.input(1), "the target shape");
  if (!target)
    return {};
  auto shape = c.lowering.broadcast(ArrayRef<Expr>(q->shape), *target);
  if (!shape)
    return {};
  size_t offset = shape->size() - q->rank();
  Sizes indices;
  Expr unit = c.math.constant(1);
  for (auto [i, size] : llvm::enumerate(q->shape))
    indices.push_back(size == unit ? c.math.constant(0)
                                   : c.math.dim(i + offset));
  return one(moved(c.lowering, q, *shape, indices, [&](View &view) {
    decltype(view.dims) dims;
    for (auto [i, size] : llvm::enumerate(*shape)) {
      bool own = i >= offset && q->shape[i - offset] == size;
      if (own)
        dims.push_back(view.dims[i - offset]);
      else
        dims.push_back({Factor{c.lowering.capacity(size), -1}});
    }
    view.dims = std::move(dims);
  }));
}

static Results lowerTile(Call &c) {
  SymbolicTensor *q = c.input(0);
  const Sizes *repeats = c.lowering.sizesOf(c.input(1), "the repeats");
  if (!repeats)
    return {};
  if (repeats->size() != q->rank())
    return one(c.refuse("has " + Twine(repeats->size()) + " repeats for rank " +
                        Twine(q->rank())));
  Expr unit = c.math.constant(1);
  Sizes shape, indices;
  for (auto [i, size, times] : llvm::enumerate(q->shape, *repeats)) {
    if (times != unit && c.lowering.isBounded(size))
      return one(c.refuse("repeats the live length"));
    if (times != unit && size != unit && !times->constant())
      return one(c.refuse("repeats by a size that changes"));
    shape.push_back(c.math.mul(size, times));
    indices.push_back(nullptr);
  }
  c.math.dims = shape;
  for (auto [i, size, times] : llvm::enumerate(q->shape, *repeats))
    indices[i] = times == unit  ? c.math.dim(i)
                 : size == unit ? c.math.constant(0)
                                : c.math.floorMod(c.math.dim(i), size);
  return one(moved(c.lowering, q, shape, indices, [&](View &view) {
    for (auto [i, times] : llvm::enumerate(*repeats))
      if (times != unit)
        view.dims[i].insert(view.dims[i].begin(),
                            Factor{c.lowering.capacity(times), -1});
  }));
}

ArrayRef<OperatorEntry> import::movementOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Expand", 2, 2, lowerExpand},
      {"", "Identity", 1, 1, lowerIdentity},
      {"", "Shape", 1, 1, lowerShape},
      {"", "Size", 1, 1, lowerSize},
      {"", "Squeeze", 1, 2, lowerSqueeze},
      {"", "Tile", 2, 2, lowerTile},
      {"", "Transpose", 1, 1, lowerTranspose},
      {"", "Unsqueeze", 1, 2, lowerUnsqueeze},
  };
  return table;
}
