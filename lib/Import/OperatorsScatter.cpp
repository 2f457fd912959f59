//===- OperatorsScatter.cpp - Elements put in other places ----------------===//
//
// A few updates are put in one after the other, so that of several to one place
// the last counts. Many are compared with every place at once.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"
#include "HostInputs.h"

#include "llvm/ADT/STLExtras.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static constexpr int64_t fewUpdates = 32;

/// What an update makes of an element.
static SymbolicTensor *combined(Compose &o, StringRef reduction,
                                SymbolicTensor *old, SymbolicTensor *update) {
  if (reduction == "none")
    return update;
  return o(reduction == "add"   ? "Add"
           : reduction == "mul" ? "Mul"
           : reduction == "max" ? "Max"
                                : "Min",
           {old, update});
}

/// All updates at once: `hit` over [.., place, update, ..], its updates along
/// `axis`, a dimension that the result has not.
static SymbolicTensor *scatteredAtOnce(Call &c, Compose &o, StringRef reduction,
                                       SymbolicTensor *data,
                                       SymbolicTensor *hit,
                                       SymbolicTensor *updates, int64_t axis) {
  if (!data->isFloat() || reduction == "mul")
    return c.refuse("puts more than " + Twine(fewUpdates) +
                    " updates into integers, or multiplies by so many");
  const double infinity = std::numeric_limits<double>::infinity();
  double neutral = reduction == "add"   ? 0
                   : reduction == "min" ? infinity
                                        : -infinity;
  auto drop = o.attribute("keepdims", 0);
  SymbolicTensor *best = o(
      reduction == "add"   ? "ReduceSum"
      : reduction == "min" ? "ReduceMin"
                           : "ReduceMax",
      {o.where(hit, updates, o.constant(neutral, data->type)), o.ints({axis})},
      drop);
  if (reduction != "none")
    return combined(o, reduction, data, best);
  SymbolicTensor *any =
      o("ReduceMax",
        {o.where(hit, o.constant(1, data->type), o.constant(0, data->type)),
         o.ints({axis})},
        drop);
  return o.where(o.less(o.constant(0.5, data->type), any), best, data);
}

/// The indices of places, those that count from the end brought to the front.
static SymbolicTensor *fromFront(Call &c, Compose &o, SymbolicTensor *indices,
                                 Expr size) {
  SymbolicTensor *length = c.lowering.fromFunction({}, indices->type, size);
  return o.where(o.less(indices, o.constant(0, indices->type)),
                 o.add(indices, length), indices);
}

static std::optional<StringRef> reductionOf(Call &c, SymbolicTensor *data,
                                            SymbolicTensor *updates) {
  StringRef reduction = c.text("reduction", "none");
  if (!c.input(1)->isInt() || data->type != updates->type)
    return c.refuse("its operands do not fit each other"), std::nullopt;
  for (Expr size : data->shape)
    if (c.lowering.isBounded(size))
      return c.refuse("puts values into the live length"), std::nullopt;
  return reduction;
}

/// `whole` with its front in every dimension, which is `front`, put in place.
static SymbolicTensor *withRest(Call &c, Compose &o, SymbolicTensor *whole,
                                SymbolicTensor *front) {
  for (int64_t i = static_cast<int64_t>(whole->rank()); i-- > 0 && front;) {
    auto size = whole->shape[i]->constant(),
         written = front->shape[i]->constant();
    if (size == written)
      continue;
    if (!size || !written)
      return c.refuse("writes a part of dimension " + Twine(i));
    // What lies beside it, as far as the dimensions before it go.
    SymbolicTensor *rest =
        sliceAxis(c.lowering, whole, i, *written, *size - *written);
    for (int64_t k = 0; k < i && rest; ++k)
      if (rest->shape[k] != front->shape[k])
        rest = sliceAxis(c.lowering, rest, k, c.math.constant(0),
                         front->shape[k], 1);
    front = rest ? o("Concat", {front, rest}, o.attribute("axis", i)) : nullptr;
  }
  return front;
}

/// `rows` put into a static cache, by its own dimensions where they were
/// transposed: from `place` on, a function of the position that must be the
/// number of rows there are.
static SymbolicTensor *intoStatic(Call &c, SymbolicTensor *past,
                                  SymbolicTensor *rows, int64_t axis,
                                  Expr place) {
  Lowering &lowering = c.lowering;
  State state = lowering.states[past->past];
  const StringRef name = state.past.getName();
  if (c.math.sub(place, c.math.position()) != c.math.constant(0))
    return c.refuse("puts rows into the cache '" + name + "' from " +
                    c.math.print(place) +
                    " on; only those behind the rows of the steps before (p) "
                    "are states");
  Sizes shape = past->shape;
  shape[axis] = rows->shape[axis];
  if (Sizes(rows->shape) != shape || c.text("reduction", "none") != "none")
    return c.refuse("puts values of shape " + lowering.print(rows->shape) +
                    " into the cache '" + name + "' of shape " +
                    lowering.print(past->shape) +
                    "; whole rows, which replace others, are states");
  SmallVector<int64_t> order = orderOf(past), back(order.size());
  if (order.empty())
    return append(c, past, rows, axis, past->shape);
  shape = past->shape;
  for (auto [i, dim] : llvm::enumerate(order)) {
    back[dim] = static_cast<int64_t>(i);
    shape[dim] = past->shape[i];
  }
  SymbolicTensor *inOrder = lowering.clone(*past);
  inOrder->shape = shape;
  inOrder->view.reset();
  rows = transposed(c, rows, back);
  SymbolicTensor *now =
      rows ? append(c, inOrder, rows, order[axis], shape) : nullptr;
  return now ? transposed(c, now, order) : nullptr;
}

/// Indices that count up along `axis` alone: where they begin. Null, and no
/// refusal, where they do something else.
static Expr beginOf(Call &c, SymbolicTensor *indices, int64_t axis) {
  Expr function = c.lowering.functionOf(indices);
  if (!function)
    return nullptr;
  c.math.dims = indices->shape;
  Expr at = indices->shape[axis] == c.math.constant(1) ? c.math.constant(0)
                                                       : c.math.dim(axis);
  Expr begin = c.math.sub(function, at);
  return c.math.dependsOnPositionOnly(begin) ? begin : nullptr;
}

static Results lowerScatterElements(Call &c) {
  SymbolicTensor *data = c.input(0), *indices = c.input(1),
                 *updates = c.input(2);
  if (data->past >= 0) {
    auto axis = normalizeAxis(c.lowering, c.integer("axis", 0), data->rank());
    if (!axis)
      return {};
    Expr begin = Sizes(indices->shape) == Sizes(updates->shape)
                     ? beginOf(c, indices, *axis)
                     : nullptr;
    return one(begin ? intoStatic(c, data, updates, *axis, begin)
                     : c.refuse("puts elements into a cache at indices that "
                                "do not count up along dimension " +
                                Twine(*axis)));
  }
  auto axis = normalizeAxis(c.lowering, c.integer("axis", 0), data->rank());
  auto reduction = reductionOf(c, data, updates);
  if (!axis || !reduction)
    return {};
  auto count = indices->rank() == data->rank()
                   ? indices->shape[*axis]->constant()
                   : std::nullopt;
  if (!count)
    return one(c.refuse("its indices do not fit the value"));
  Compose o(c);
  const auto rank = static_cast<int64_t>(data->rank());
  indices = fromFront(c, o, indices, data->shape[*axis]);
  Sizes along{data->shape[*axis]};
  along.append(rank - *axis - 1, c.math.constant(1));
  c.math.dims = along;
  SymbolicTensor *place =
      indices ? c.lowering.fromFunction(along, indices->type, c.math.dim(0))
              : nullptr;
  if (!place)
    return {};
  // Of some dimensions only the front is written.
  SymbolicTensor *whole = data;
  for (int64_t i = 0; i < rank && data; ++i)
    if (i != *axis && data->shape[i] != updates->shape[i])
      data = sliceAxis(c.lowering, data, i, c.math.constant(0),
                       updates->shape[i], 1);
  if (!data)
    return {};
  if (*count > fewUpdates) {
    SymbolicTensor *hit =
        o("Equal", {o("Unsqueeze", {indices, o.ints({*axis})}),
                    o("Unsqueeze", {place, o.ints({1})})});
    data =
        scatteredAtOnce(c, o, *reduction, data, hit,
                        o("Unsqueeze", {updates, o.ints({*axis})}), *axis + 1);
    return one(data ? withRest(c, o, whole, data) : nullptr);
  }
  for (int64_t i = 0; i < *count && data && indices; ++i) {
    auto part = [&](SymbolicTensor *q) {
      return sliceAxis(c.lowering, q, *axis, i, 1);
    };
    SymbolicTensor *hit = o("Equal", {part(indices), place});
    data = o.where(hit, combined(o, *reduction, data, part(updates)), data);
  }
  return one(data && !o.failed() ? withRest(c, o, whole, data) : nullptr);
}

/// Of updates whose indices count up along their own dimensions, a box, where
/// it begins. Nothing where they do something else or depend on data.
static std::optional<Sizes> beginOfBox(Call &c) {
  Arithmetic &math = c.math;
  SymbolicTensor *data = c.input(0), *indices = c.input(1),
                 *updates = c.input(2);
  auto width = indices->rank() ? indices->shape.back()->constant()
                               : std::optional<int64_t>();
  Expr function = c.lowering.functionOf(indices);
  if (!width || !function || c.text("reduction", "none") != "none" ||
      static_cast<int64_t>(indices->rank()) != *width + 1 ||
      updates->rank() != data->rank())
    return std::nullopt;
  Sizes starts;
  for (int64_t i = 0; i < *width; ++i) {
    Sizes at;
    for (int64_t k = 0; k < *width; ++k)
      at.push_back(indices->shape[k] == math.constant(1) ? math.constant(0)
                                                         : math.dim(k));
    at.push_back(math.constant(i));
    math.dims = indices->shape;
    starts.push_back(math.sub(math.substitute(function, at), at[i]));
    if (!math.dependsOnPositionOnly(starts.back()) ||
        math.lowest(starts.back()) < 0)
      return std::nullopt;
  }
  return starts;
}

/// Updates of a box: a mask that is written in parts. Null, and no refusal,
/// where they are none.
static SymbolicTensor *scatteredBox(Call &c) {
  Arithmetic &math = c.math;
  SymbolicTensor *data = c.input(0), *updates = c.input(2);
  auto found = beginOfBox(c);
  if (!found)
    return nullptr;
  const Sizes &starts = *found;
  const auto width = static_cast<int64_t>(starts.size());
  if (Sizes(updates->shape) == Sizes(data->shape) &&
      llvm::all_of(starts, [&](Expr e) { return e == math.constant(0); }))
    return updates;
  Expr old = c.lowering.functionOf(data),
       fresh = c.lowering.functionOf(updates);
  if (!old || !fresh)
    return nullptr;
  math.dims = data->shape;
  Expr inside = math.boolean(true);
  Sizes from;
  for (size_t i = 0; i < data->rank(); ++i) {
    from.push_back(math.dim(i));
    if (static_cast<int64_t>(i) >= width)
      continue;
    from[i] = math.sub(from[i], starts[i]);
    inside = math.logicalAnd(
        inside, math.logicalAnd(
                    math.lessEqual(starts[i], math.dim(i)),
                    math.lessEqual(math.add(from[i], 1), updates->shape[i])));
  }
  return c.lowering.fromFunction(
      data->shape, data->type,
      math.where(inside, math.substitute(fresh, from), old));
}

/// A box that is whole but for the last dimension that its indices name.
static SymbolicTensor *boxIntoStatic(Call &c) {
  auto starts = beginOfBox(c);
  bool isRows = starts.has_value();
  for (Expr start :
       isRows ? ArrayRef<Expr>(*starts).drop_back() : ArrayRef<Expr>())
    isRows &= start == c.math.constant(0);
  if (!isRows)
    return c.refuse("puts values into a cache at indices that do not count up "
                    "along its dimensions");
  return intoStatic(c, c.input(0), c.input(2),
                    static_cast<int64_t>(starts->size()) - 1, starts->back());
}

static Results lowerScatterND(Call &c) {
  SymbolicTensor *data = c.input(0), *indices = c.input(1),
                 *updates = c.input(2);
  if (data->past >= 0)
    return one(boxIntoStatic(c));
  if (SymbolicTensor *box = scatteredBox(c))
    return one(box);
  auto reduction = reductionOf(c, data, updates);
  if (!reduction)
    return {};
  auto width = indices->rank() ? indices->shape.back()->constant()
                               : std::optional<int64_t>();
  Expr total = c.math.constant(1);
  for (Expr size : ArrayRef<Expr>(indices->shape).drop_back(1))
    total = c.math.mul(total, size);
  auto count = total->constant();
  const auto rank = static_cast<int64_t>(data->rank());
  if (!width || !count || *width < 1 || *width > rank)
    return one(c.refuse("its indices do not fit the value"));
  Compose o(c);
  const size_t rest = rank - *width;
  Sizes rows{total};
  rows.append(data->shape.begin() + *width, data->shape.end());
  SymbolicTensor *wide = reshaped(c, indices, {total, c.math.constant(*width)});
  updates = wide ? reshaped(c, updates, rows) : nullptr;
  // Whether an update is for a place, by coordinate: [places.., update, rest].
  auto hits = [&](SymbolicTensor *at) {
    SymbolicTensor *all = nullptr;
    for (int64_t i = 0; i < *width; ++i) {
      SymbolicTensor *coordinate =
          o("Slice", {at, o.ints({i}), o.ints({i + 1}), o.ints({1})});
      coordinate = fromFront(c, o, coordinate, data->shape[i]);
      if (!coordinate)
        return coordinate;
      Sizes flat{coordinate->shape[0]};
      flat.append(rest, c.math.constant(1));
      coordinate = reshaped(c, coordinate, flat);
      Sizes along{data->shape[i]};
      along.append(*width - i - 1 + 1 + rest, c.math.constant(1));
      c.math.dims = along;
      SymbolicTensor *place = c.lowering.fromFunction(
          along, c.lowering.builder.getI64Type(), c.math.dim(0));
      coordinate = converted(c, coordinate, place->type);
      SymbolicTensor *hit = o("Equal", {coordinate, place});
      all = all ? o("And", {all, hit}) : hit;
    }
    return all;
  };
  if (*count > fewUpdates)
    return one(
        scatteredAtOnce(c, o, *reduction, data, hits(wide), updates, *width));
  for (int64_t i = 0; i < *count && data && updates; ++i) {
    auto part = [&](SymbolicTensor *q) {
      return sliceAxis(c.lowering, q, 0, i, 1);
    };
    SymbolicTensor *hit = hits(part(wide));
    hit = o("Squeeze", {hit, o.ints({*width})});
    SymbolicTensor *update = o("Squeeze", {part(updates), o.ints({0})});
    data = o.where(hit, combined(o, *reduction, data, update), data);
  }
  return one(data);
}

/// Rows put into a cache from an index on that each batch has for itself.
static Results lowerTensorScatter(Call &c) {
  SymbolicTensor *past = c.input(0), *update = c.input(1), *begin = c.input(2);
  Arithmetic &math = c.math;
  auto axis = normalizeAxis(c.lowering, c.integer("axis", -2), past->rank());
  if (!axis)
    return {};
  if (!past->isFloat() || past->type != update->type ||
      past->rank() != update->rank() || *axis == 0 ||
      (begin && (!begin->isInt() || begin->rank() != 1)))
    return one(c.refuse("its operands do not fit each other"));
  if (past->past >= 0) {
    // Of a circular one, no step leaves the first round.
    Expr place = begin ? c.lowering.functionOf(begin) : math.constant(0);
    return one(place && math.dependsOnPositionOnly(place)
                   ? intoStatic(c, past, update, *axis, place)
                   : c.refuse("puts rows into a cache at places that depend on "
                              "data"));
  }
  for (Expr size : past->shape)
    if (c.lowering.isBounded(size))
      return one(c.refuse("puts rows into the live length"));
  Compose o(c);
  // [batch, .., place, row of the update, ..]
  Sizes shape(past->rank() + 1, math.constant(1));
  shape[0] = past->shape[0];
  shape[*axis] = past->shape[*axis];
  shape[*axis + 1] = update->shape[*axis];
  math.dims = shape;
  Expr first = math.constant(0);
  if (begin) {
    first = c.lowering.functionOf(begin);
    math.dims = shape;
    first = math.substitute(first, {math.dim(0)});
  }
  Expr to = math.add(first, math.dim(*axis + 1));
  if (c.text("mode", "linear") == "circular")
    to = math.floorMod(to, shape[*axis]);
  SymbolicTensor *hit =
      c.lowering.fromFunction(shape, c.lowering.builder.getI1Type(),
                              math.equalZero(math.sub(to, math.dim(*axis))));
  return one(scatteredAtOnce(c, o, "none", past, hit,
                             o("Unsqueeze", {update, o.ints({*axis})}),
                             *axis + 1));
}

ArrayRef<OperatorEntry> import::scatterOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Scatter", 3, 3, lowerScatterElements},
      {"", "ScatterElements", 3, 3, lowerScatterElements},
      {"", "ScatterND", 3, 3, lowerScatterND},
      {"", "TensorScatter", 2, 3, lowerTensorScatter},
  };
  return table;
}
