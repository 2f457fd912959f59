//===- OperatorsReshape.cpp - Other boundaries between dimensions ---------===//
//
// Old and new dimensions are paired into the smallest groups with equal
// products. Inside a group a function takes its position apart again; a view
// hands its parts to the new dimensions, cutting one only where a boundary
// falls inside it.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {
/// Dimensions of the old and the new shape with equal products.
struct Group {
  SmallVector<size_t> from, to;
};
} // namespace

/// Smallest groups of equal products, left to right; units excepted.
static std::optional<SmallVector<Group>> groupDims(Call &c, ArrayRef<Expr> from,
                                                   ArrayRef<Expr> to) {
  Arithmetic &math = c.math;
  Expr unit = math.constant(1);
  SmallVector<Group> groups;
  size_t a = 0, b = 0;
  auto skipUnits = [&] {
    while (a < from.size() && from[a] == unit)
      ++a;
    while (b < to.size() && to[b] == unit)
      ++b;
  };
  for (skipUnits(); a < from.size() || b < to.size(); skipUnits()) {
    Group group;
    Expr x = unit, y = unit;
    do {
      bool growTo = b < to.size() && (a >= from.size() || group.to.empty() ||
                                      math.highest(math.sub(x, y)) > 0);
      if (growTo && !(group.from.empty() && a < from.size())) {
        y = math.mul(y, to[b]);
        group.to.push_back(b++);
      } else if (a < from.size()) {
        x = math.mul(x, from[a]);
        group.from.push_back(a++);
      } else {
        c.refuse("shape " + c.lowering.print(from) + " does not fit " +
                 c.lowering.print(to));
        return std::nullopt;
      }
    } while (x != y);
    groups.push_back(group);
  }
  return groups;
}

/// Hands the parts of the old dimensions to the new ones.
static bool regroup(Call &c, View &view, ArrayRef<Expr> to,
                    ArrayRef<Group> groups) {
  Lowering &lowering = c.lowering;
  decltype(view.dims) dims(to.size(), SmallVector<Factor, 1>{Factor{1, -1}});
  // Cut first: cutting renumbers the tensor's dimensions in the old view.
  for (const Group &group : groups) {
    size_t part = 0, old = 0;
    for (size_t i : group.to) {
      int64_t left = lowering.capacity(to[i]);
      while (left > 1 && old < group.from.size()) {
        auto &parts = view.dims[group.from[old]];
        if (part == parts.size()) {
          ++old;
          part = 0;
          continue;
        }
        Factor factor = parts[part];
        if (left % factor.size == 0) {
          left /= factor.size;
        } else if (factor.size % left == 0) {
          int64_t factors[] = {left, factor.size / left};
          if (factor.base >= 0) {
            lowering.splitBase(view, factor.base, factors);
          } else {
            parts[part].size = factors[0];
            parts.insert(parts.begin() + part + 1, Factor{factors[1], -1});
          }
          left = 1;
        } else {
          return c.refuse("parts of size " + Twine(factor.size) + " and " +
                          Twine(left) + " do not nest"),
                 false;
        }
        ++part;
      }
    }
  }
  for (const Group &group : groups) {
    size_t part = 0, old = 0;
    for (size_t i : group.to) {
      dims[i].clear();
      for (int64_t left = lowering.capacity(to[i]); left > 1;) {
        auto &parts = view.dims[group.from[old]];
        if (part == parts.size()) {
          ++old;
          part = 0;
          continue;
        }
        Factor factor = parts[part++];
        if (factor.size == 1)
          continue;
        dims[i].push_back(factor);
        left /= factor.size;
      }
    }
  }
  view.dims = std::move(dims);
  return true;
}

SymbolicTensor *import::reshaped(Call &c, SymbolicTensor *q, Sizes to) {
  // Bytes of packed numbers, which who unpacks them finds by the weight.
  if (q->weight && !q->isFloat()) {
    SymbolicTensor *bytes = c.lowering.clone(*q);
    bytes->shape = std::move(to);
    return bytes;
  }
  Arithmetic &math = c.math;
  Lowering &lowering = c.lowering;
  math.dims = to;
  if (llvm::is_contained(to, math.constant(0)) ||
      llvm::is_contained(q->shape, math.constant(0)))
    return c.refuse("reshapes " + lowering.print(q->shape) + " to " +
                    lowering.print(to) + ", which has no elements");
  auto groups = groupDims(c, q->shape, to);
  if (!groups)
    return nullptr;

  // Old indices: the position inside the group, taken apart again.
  Sizes indices(q->rank(), math.constant(0));
  const Group *mixed = nullptr;
  for (const Group &group : *groups) {
    if (group.from.size() == 1 && group.to.size() == 1) {
      indices[group.from[0]] = math.dim(group.to[0]);
      continue;
    }
    for (size_t i : group.from)
      mixed = lowering.isBounded(q->shape[i]) ? &group : mixed;
    for (size_t i : group.to)
      mixed = lowering.isBounded(to[i]) ? &group : mixed;
    Expr linear = math.constant(0);
    for (size_t i : group.to)
      linear = math.add(math.mul(linear, to[i]), math.dim(i));
    for (size_t i : llvm::reverse(ArrayRef(group.from).drop_front())) {
      auto both = math.floorDivMod(linear, q->shape[i]);
      if (!both)
        return c.refuse("size " + math.print(q->shape[i]) +
                        " may be zero or negative");
      linear = both->first;
      indices[i] = both->second;
    }
    indices[group.from[0]] = linear;
  }
  if (mixed && !lowering.functionOf(q))
    return c.refuse(lowering.print(q->shape) + " -> " + lowering.print(to) +
                    " merges or splits the live length");
  return moved(lowering, q, to, indices, [&](View &view) {
    if (regroup(c, view, to, *groups))
      return;
    // Boundaries that do not nest: through the tensor in file order.
    lowering.refusal.clear();
    Value tensor = lowering.plain(q);
    SmallVector<int64_t> sizes;
    for (Expr size : to)
      sizes.push_back(lowering.capacity(size));
    if (tensor && (tensor = lowering.reshape(tensor, sizes)))
      view =
          *lowering.fromTensor(to, lowering.builder.getF32Type(), tensor)->view;
  });
}

static Results lowerReshape(Call &c) {
  SymbolicTensor *q = c.input(0);
  Arithmetic &math = c.math;
  const Sizes *target = c.lowering.sizesOf(c.input(1), "the target shape");
  if (!target)
    return {};
  Sizes to;
  std::optional<size_t> inferred;
  for (auto [i, size] : llvm::enumerate(*target)) {
    auto value = size->constant();
    if (value && *value == 0 && !c.integer("allowzero", 0)) {
      if (i >= q->rank())
        return one(c.refuse("copies dimension " + Twine(i) +
                            " of a value of rank " + Twine(q->rank())));
      to.push_back(q->shape[i]);
    } else if (value && *value == -1) {
      if (inferred)
        return one(c.refuse("-1 occurs twice in the target shape"));
      inferred = i;
      to.push_back(math.constant(1));
    } else if (math.lowest(size) <= 0) {
      return one(c.refuse("the target size " + math.print(size) +
                          " may be zero or negative"));
    } else {
      to.push_back(size);
    }
  }
  if (inferred) {
    Expr all = math.product(q->shape), known = math.product(to);
    auto [quotient, rest] = math.polynomialDivMod(all, known);
    if (rest != math.constant(0))
      return one(c.refuse("-1 stands for " + math.print(all) + " / " +
                          math.print(known) + ", which does not divide"));
    to[*inferred] = quotient;
  }
  return one(reshaped(c, q, to));
}

static Results lowerFlatten(Call &c) {
  SymbolicTensor *q = c.input(0);
  int64_t rank = q->rank(), axis = c.integer("axis", 1);
  if (axis < -rank || axis > rank)
    return one(
        c.refuse("axis " + Twine(axis) + " of a value of rank " + Twine(rank)));
  axis = axis < 0 ? axis + rank : axis;
  ArrayRef<Expr> shape(q->shape);
  return one(reshaped(c, q,
                      {c.math.product(shape.take_front(axis)),
                       c.math.product(shape.drop_front(axis))}));
}

/// Blocks of size b x b: between channels and places.
static Results lowerBlocks(Call &c) {
  SymbolicTensor *q = c.input(0);
  const bool isToSpace = c.op == "DepthToSpace";
  const int64_t b = c.integer("blocksize", 0);
  SmallVector<int64_t> n;
  for (Expr size : q->shape)
    n.push_back(size->constant().value_or(0));
  if (n.size() != 4 || b < 1 || llvm::is_contained(n, 0) ||
      (isToSpace ? n[1] % (b * b) : n[2] % b + n[3] % b))
    return one(c.refuse("its blocks do not fit the value"));
  auto sizes = [&](ArrayRef<int64_t> values) {
    Sizes result;
    for (int64_t value : values)
      result.push_back(c.math.constant(value));
    return result;
  };
  if (!isToSpace) {
    q = reshaped(c, q, sizes({n[0], n[1], n[2] / b, b, n[3] / b, b}));
    q = q ? transposed(c, q, {0, 3, 5, 1, 2, 4}) : nullptr;
    return one(
        q ? reshaped(c, q, sizes({n[0], n[1] * b * b, n[2] / b, n[3] / b}))
          : nullptr);
  }
  const int64_t depth = n[1] / (b * b);
  if (c.text("mode", "DCR") == "CRD") {
    q = reshaped(c, q, sizes({n[0], depth, b, b, n[2], n[3]}));
    q = q ? transposed(c, q, {0, 1, 4, 2, 5, 3}) : nullptr;
  } else {
    q = reshaped(c, q, sizes({n[0], b, b, depth, n[2], n[3]}));
    q = q ? transposed(c, q, {0, 3, 4, 1, 5, 2}) : nullptr;
  }
  return one(q ? reshaped(c, q, sizes({n[0], depth, n[2] * b, n[3] * b}))
               : nullptr);
}

ArrayRef<OperatorEntry> import::reshapeOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "DepthToSpace", 1, 1, lowerBlocks},
      {"", "Flatten", 1, 1, lowerFlatten},
      {"", "Reshape", 2, 2, lowerReshape},
      {"", "SpaceToDepth", 1, 1, lowerBlocks},
  };
  return table;
}
