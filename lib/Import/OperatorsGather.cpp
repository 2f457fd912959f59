//===- OperatorsGather.cpp - Elements at computed indices -----------------===//
//
// In an index function a gather is substitution. At run time it is a lookup of
// rows, and its indices must provably lie in the table: those of an input are
// checked by the host before the step (`limit`), those of the position are
// checked here for every p up to the capacity.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"
#include "Evaluate.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Negative indices count from the end, which is the live length.
static Expr wrapNegative(Arithmetic &math, Expr index, Expr size) {
  if (math.provablyNonNegative(index))
    return index;
  return math.where(math.lessEqualZero(math.add(index, 1)),
                    math.add(index, size), index);
}

/// The same, refused where it is known to lie outside.
static Expr insideOf(Lowering &lowering, Expr index, Expr size) {
  Arithmetic &math = lowering.math;
  Expr wrapped = wrapNegative(math, index, size);
  auto [low, high] = math.bounds(wrapped);
  if ((high && math.highest(high) < 0) ||
      (low && math.lowest(math.sub(low, size)) >= 0))
    return lowering.refuse("the index " + math.print(index) +
                           " lies outside of the " + math.print(size) +
                           " elements of its dimension");
  return wrapped;
}

void import::limitInput(Lowering &lowering, Expr index, int64_t rows) {
  const Term *read = nullptr;
  int64_t offset = 0;
  for (const Term &term : index->terms) {
    if (term.atoms.empty())
      offset = term.coefficient;
    else if (!read && term.coefficient == 1 && term.atoms.size() == 1 &&
             term.atoms[0]->kind == ExprKind::IntRead)
      read = &term;
    else
      return;
  }
  if (!read || offset < 0 || offset >= rows)
    return;
  unsigned source = read->atoms[0]->payload;
  auto input = lowering.inputs.find(source);
  if (input == lowering.inputs.end())
    return;
  int64_t limit = rows - offset;
  if (int64_t known = input->second.getLimit())
    limit = std::min(limit, known);
  input->second.setLimit(limit);
  input->second.removeLeastAttr();
  lowering.math.reads[source].low = 0;
  lowering.math.reads[source].high = limit - 1;
  lowering.math.forgetBounds();
}

/// If the index is an input, lets the host check that it counts from either
/// end.
static void limitInputAround(Lowering &lowering, Expr index, int64_t rows) {
  if (index->terms.size() != 1 || index->terms[0].coefficient != 1 ||
      index->terms[0].atoms.size() != 1 ||
      index->terms[0].atoms[0]->kind != ExprKind::IntRead)
    return;
  unsigned source = index->terms[0].atoms[0]->payload;
  auto input = lowering.inputs.find(source);
  if (input == lowering.inputs.end())
    return;
  wafer::InputOp op = input->second;
  auto &read = lowering.math.reads[source];
  int64_t least = -rows, limit = rows;
  if (int64_t known = op.getLimit()) {
    limit = std::min(limit, known);
    least = std::max(least, static_cast<int64_t>(op.getLeast().value_or(0)));
  }
  op.setLimit(limit);
  op.setLeast(least);
  read.low = least;
  read.high = limit - 1;
  lowering.math.forgetBounds();
}

/// The index as the table can take it; null after a refusal.
static Expr checkedIndex(Lowering &lowering, Expr index, Expr size,
                         bool isBounded) {
  Arithmetic &math = lowering.math;
  int64_t rows = lowering.capacity(size);
  if (!lowering.isBounded(size))
    limitInput(lowering, index, rows);
  auto [low, high] = math.bounds(index);
  if (low && !isBounded && math.lowest(math.add(low, size)) < 0)
    return lowering.refuse("the index " + math.print(index) + " reaches " +
                           Twine(math.lowest(low)) + ", the table has " +
                           Twine(rows) + " rows");
  if (high && math.highest(math.add(high, -rows)) >= 0 && !isBounded)
    return lowering.refuse("the index " + math.print(index) + " reaches " +
                           Twine(math.highest(high)) + ", the table has " +
                           Twine(rows) + " rows; lower --context");
  if (!isBounded && (!low || !high))
    return lowering.refuse("the index " + math.print(index) +
                           " depends on data and cannot be checked against "
                           "the table's " +
                           Twine(rows) + " rows");
  index = wrapNegative(math, index, size);
  // Beyond the live length the index means nothing, but must stay inside.
  if (isBounded)
    index =
        math.max(math.min(index, math.constant(rows - 1)), math.constant(0));
  return index;
}

/// Indices that no bound is known of but that depend on nothing: a table of
/// their values. Otherwise `indices` themselves.
static SymbolicTensor *tabulated(Lowering &lowering, SymbolicTensor *indices,
                                 Expr index) {
  auto [low, high] = lowering.math.bounds(index);
  SmallVector<int64_t> sizes;
  for (Expr size : indices->shape)
    if (auto fixed = size->constant())
      sizes.push_back(*fixed);
  if ((low && high) || sizes.size() != indices->rank())
    return indices;
  auto values = valuesOf(index, sizes);
  if (!values)
    return indices;
  auto type = RankedTensorType::get(sizes, lowering.builder.getI64Type());
  return lowering.fromConstant(
      DenseElementsAttr::get(type, ArrayRef<int64_t>(*values)), "indices");
}

/// Rows in an order that every program knows, as another view of the table:
/// each of them several times, all of them several times, or as a matrix of
/// rows is turned. Null, and no refusal, where there is no such view.
static SymbolicTensor *takenInOrder(Lowering &lowering, SymbolicTensor *q,
                                    int64_t axis, SymbolicTensor *indices,
                                    Expr index) {
  auto rows = q->shape[axis]->constant();
  auto count = indices->rank() == 1 ? indices->shape[0]->constant()
                                    : std::optional<int64_t>();
  if (!rows || !count || q->past >= 0)
    return nullptr;
  auto order = valuesOf(index, {*count});
  if (!order)
    return nullptr;
  auto isOrder = [&](int64_t minor, int64_t major, int64_t ofMinor) {
    return llvm::all_of(llvm::enumerate(*order), [&](auto at) {
      const auto i = static_cast<int64_t>(at.index());
      return at.value() == i / minor * major + i % minor * ofMinor;
    });
  };
  const int64_t times = *count % *rows == 0 ? *count / *rows : 0;
  const View *view = times ? lowering.viewOf(q) : nullptr;
  if (!view)
    return nullptr;
  View result = *view;
  auto &parts = result.dims[axis];
  llvm::erase_if(parts, [](const Factor &part) { return part.size == 1; });
  if (isOrder(*rows, 0, 1)) {
    parts.insert(parts.begin(), Factor{times, -1});
  } else if (isOrder(times, 1, 0)) {
    parts.push_back(Factor{times, -1});
  } else {
    // Where the second place lies is the length of what is turned.
    const int64_t minor = *count > 1 && times == 1 ? (*order)[1] : 0;
    if (minor < 2 || *rows % minor || !isOrder(*rows / minor, 1, minor) ||
        parts.size() != 1 || parts[0].base < 0)
      return nullptr;
    lowering.splitBase(result, parts[0].base, {*rows / minor, minor});
    std::swap(result.dims[axis][0], result.dims[axis][1]);
  }
  Sizes shape = q->shape;
  shape[axis] = indices->shape[0];
  return lowering.fromView(shape, q->type, std::move(result));
}

/// Whether element i of a row is i.
static bool isOrdinal(Arithmetic &math, Expr index) {
  auto [low, high] = math.bounds(math.sub(index, math.dim(0)));
  return low && high && low == high && low == math.constant(0);
}

SymbolicTensor *import::takeAlong(Lowering &lowering, SymbolicTensor *q,
                                  int64_t axis, SymbolicTensor *indices) {
  Arithmetic &math = lowering.math;
  Expr index = lowering.functionOf(indices);
  if (!index || !index->isInt())
    return lowering.refuse("the indices are computed at run time");
  bool bounded = llvm::any_of(
      indices->shape, [&](Expr size) { return lowering.isBounded(size); });
  math.dims = indices->shape;
  indices = tabulated(lowering, indices, index);
  index = lowering.functionOf(indices);
  index = checkedIndex(lowering, index, q->shape[axis], bounded);
  if (!index)
    return nullptr;
  if (q->past >= 0 && axis == 0 && indices->rank() == 1 &&
      indices->shape[0] == q->shape[0] && isOrdinal(math, index))
    return q; // the host has moved them
  if (SymbolicTensor *view = takenInOrder(lowering, q, axis, indices, index))
    return view;
  if (!lowering.refusal.empty())
    return nullptr;
  SymbolicTensor *checked =
      lowering.fromFunction(indices->shape, indices->type, index);

  // Rows are dimension 0: bring the axis there, and back afterwards.
  SymbolicTensor *table = lowering.clone(*q);
  const View *view = lowering.viewOf(q);
  if (!view)
    return nullptr;
  table->view = *view;
  std::rotate(table->shape.begin(), table->shape.begin() + axis,
              table->shape.begin() + axis + 1);
  std::rotate(table->view->dims.begin(), table->view->dims.begin() + axis,
              table->view->dims.begin() + axis + 1);
  table->function = nullptr;
  table->given = nullptr;
  SymbolicTensor *rows = lowering.lookup(table, checked);
  if (!rows || axis == 0)
    return rows;
  size_t count = indices->rank();
  View moved = *rows->view;
  Sizes shape = rows->shape;
  std::rotate(shape.begin(), shape.begin() + count,
              shape.begin() + count + axis);
  std::rotate(moved.dims.begin(), moved.dims.begin() + count,
              moved.dims.begin() + count + axis);
  return lowering.fromView(shape, q->type, std::move(moved));
}

static Results lowerGather(Call &c) {
  Lowering &lowering = c.lowering;
  Arithmetic &math = c.math;
  SymbolicTensor *q = c.input(0), *indices = c.input(1);
  auto axis = normalizeAxis(lowering, c.integer("axis", 0), q->rank());
  if (!axis)
    return {};
  Expr at = lowering.functionOf(indices);
  if (!at || !indices->isInt())
    return one(c.refuse("the indices are computed at run time"));

  // Fixed places count from the front at once, each by itself.
  auto rows = q->shape[*axis]->constant();
  if (const Sizes *places = lowering.elementsOf(indices); places && rows) {
    Sizes wrapped;
    for (Expr place : *places) {
      auto i = place->constant();
      if (i && (*i < -*rows || *i >= *rows))
        return one(c.refuse("the index " + Twine(*i) + " lies outside of the " +
                            Twine(*rows) + " elements of its dimension"));
      wrapped.push_back(i && *i < 0 ? math.add(place, *rows) : place);
    }
    indices =
        lowering.fromElements(wrapped, indices->shape.empty(), indices->type);
    at = lowering.functionOf(indices);
  }

  // A shape vector at fixed places: the commonest Gather of all.
  if (const Sizes *places = lowering.elementsOf(indices))
    if (const Sizes *elements =
            q->rank() == 1 ? lowering.elementsOf(q) : nullptr) {
      Sizes taken;
      int64_t count = elements->size();
      for (Expr place : *places)
        if (auto i = place->constant(); i && *i >= -count && *i < count)
          taken.push_back((*elements)[*i < 0 ? *i + count : *i]);
      if (taken.size() == places->size())
        return one(
            lowering.fromElements(taken, indices->shape.empty(), q->type));
    }

  Sizes shape(q->shape.begin(), q->shape.begin() + *axis);
  llvm::append_range(shape, indices->shape);
  shape.append(q->shape.begin() + *axis + 1, q->shape.end());
  if (Expr function = lowering.functionOf(q)) {
    Sizes there, from;
    for (size_t i = 0; i < indices->rank(); ++i)
      there.push_back(math.dim(*axis + i));
    math.dims = shape;
    Expr index =
        insideOf(lowering, math.substitute(at, there), q->shape[*axis]);
    if (!index)
      return {};
    for (size_t i = 0; i < q->rank(); ++i) {
      int64_t k = i;
      from.push_back(k < *axis    ? math.dim(i)
                     : k == *axis ? index
                                  : math.dim(i + indices->rank() - 1));
    }
    return one(
        lowering.fromFunction(shape, q->type, math.substitute(function, from)));
  }
  // One fixed place is a slice.
  auto fixed = at->constant();
  auto size = q->shape[*axis]->constant();
  if (fixed && indices->shape.empty() && size && *fixed >= -*size &&
      *fixed < *size) {
    Expr start = math.constant(*fixed < 0 ? *fixed + *size : *fixed);
    SymbolicTensor *slice =
        sliceAxis(lowering, q, *axis, start, math.constant(1), 1);
    if (!slice)
      return {};
    Sizes dropped, from;
    for (size_t i = 0; i < q->rank(); ++i)
      if (static_cast<int64_t>(i) != *axis)
        dropped.push_back(slice->shape[i]);
    return one(moved(lowering, slice, dropped, from, [&](View &view) {
      view.dims.erase(view.dims.begin() + *axis);
    }));
  }
  return one(takeAlong(lowering, q, *axis, indices));
}

static Results lowerGatherElements(Call &c) {
  Lowering &lowering = c.lowering;
  Arithmetic &math = c.math;
  SymbolicTensor *q = c.input(0), *indices = c.input(1);
  auto axis = normalizeAxis(lowering, c.integer("axis", 0), q->rank());
  if (!axis)
    return {};
  if (!indices->isInt() || indices->rank() != q->rank())
    return one(c.refuse("the indices do not fit the value"));
  for (auto [i, size, most] : llvm::enumerate(indices->shape, q->shape))
    if (static_cast<int64_t>(i) != *axis &&
        math.highest(math.sub(size, most)) > 0)
      return one(c.refuse("takes " + math.print(size) + " of dimension " +
                          Twine(i) + ", which has " + math.print(most)));
  Expr function = lowering.functionOf(q), at = lowering.functionOf(indices);
  if (!at)
    return one(c.refuse("the indices are computed at run time"));
  math.dims = indices->shape;
  Sizes from;
  for (size_t i = 0; i < q->rank(); ++i)
    from.push_back(math.dim(i));
  from[*axis] = insideOf(lowering, at, q->shape[*axis]);
  if (!from[*axis])
    return {};
  if (!function) {
    if (auto rows = q->shape[*axis]->constant())
      limitInputAround(lowering, at, *rows);
    indices = lowering.fromFunction(indices->shape, indices->type, from[*axis]);
    return one(takenElements(c, q, indices, *axis));
  }
  return one(lowering.fromFunction(indices->shape, q->type,
                                   math.substitute(function, from)));
}

/// Parts of `q` at indices of its first dimensions, which are functions of the
/// dims of `places`: rows of a table. What lies outside is 0, as nobody checks
/// several indices of one input.
static SymbolicTensor *takeParts(Call &c, SymbolicTensor *q, Sizes places,
                                 ArrayRef<Expr> indices) {
  Arithmetic &math = c.math;
  math.dims = places;
  Expr flat = math.constant(0), inside = math.boolean(true);
  int64_t rows = 1;
  Sizes shape;
  for (auto [i, index] : llvm::enumerate(indices)) {
    auto size = q->shape[i]->constant();
    if (!size)
      return c.refuse("takes elements of the live length");
    Expr last = math.constant(*size - 1);
    flat = math.add(math.mul(flat, q->shape[i]),
                    math.max(math.min(index, last), math.constant(0)));
    inside = math.logicalAnd(
        inside, math.logicalAnd(math.lessEqualZero(math.neg(index)),
                                math.lessEqualZero(math.sub(index, last))));
    rows *= *size;
  }
  shape.push_back(math.constant(rows));
  shape.append(q->shape.begin() + indices.size(), q->shape.end());
  Type type = c.lowering.builder.getI64Type();
  SymbolicTensor *table = reshaped(c, q, shape);
  SymbolicTensor *found =
      table ? takeAlong(c.lowering, table, 0,
                        c.lowering.fromFunction(places, type, flat))
            : nullptr;
  if (!found || inside->isTrue())
    return found;
  Sizes over = places;
  over.append(q->rank() - indices.size(), math.constant(1));
  SymbolicTensor *known =
      c.lowering.fromFunction(over, c.lowering.builder.getI1Type(), inside);
  Compose o(c);
  return o.where(known, found, o.constant(0));
}

static Results lowerGatherND(Call &c) {
  Lowering &lowering = c.lowering;
  Arithmetic &math = c.math;
  SymbolicTensor *q = c.input(0), *indices = c.input(1);
  int64_t batch = c.integer("batch_dims", 0), rank = q->rank();
  auto count = indices->rank() ? indices->shape.back()->constant()
                               : std::optional<int64_t>();
  if (!count || *count < 1 || batch < 0 || *count > rank ||
      batch > rank - *count || batch >= static_cast<int64_t>(indices->rank()) ||
      !indices->isInt())
    return one(c.refuse("the last dimension of the indices does not fit"));
  Expr at = lowering.functionOf(indices);
  if (!at)
    return one(c.refuse("the indices are computed at run time"));
  size_t places = indices->rank() - 1;
  for (int64_t i = 0; i < batch; ++i)
    if (indices->shape[i] != q->shape[i])
      return one(c.refuse("batch sizes " + math.print(indices->shape[i]) +
                          " and " + math.print(q->shape[i]) + " differ"));
  Sizes shape(indices->shape.begin(), indices->shape.end() - 1);
  shape.append(q->shape.begin() + batch + *count, q->shape.end());

  math.dims = shape;
  Sizes from;
  for (int64_t i = 0; i < batch; ++i)
    from.push_back(math.dim(i));
  for (int64_t i = 0; i < *count; ++i) {
    Sizes there;
    for (size_t k = 0; k < places; ++k)
      there.push_back(math.dim(k));
    there.push_back(math.constant(i));
    from.push_back(
        insideOf(lowering, math.substitute(at, there), q->shape[batch + i]));
    if (!from.back())
      return {};
  }
  for (int64_t i = batch + *count; i < rank; ++i)
    from.push_back(math.dim(places + i - batch - *count));
  if (Expr function = lowering.functionOf(q))
    return one(
        lowering.fromFunction(shape, q->type, math.substitute(function, from)));
  Sizes there(shape.begin(), shape.begin() + places);
  if (batch == 0 && *count == 1) {
    math.dims = there;
    SymbolicTensor *rows = reshaped(
        c, lowering.fromFunction(indices->shape, indices->type, at), there);
    return one(rows ? takeAlong(lowering, q, 0, rows) : nullptr);
  }
  return one(
      takeParts(c, q, there, ArrayRef<Expr>(from).take_front(batch + *count)));
}

/// The first elements of each sequence from their end on.
static Results lowerReverseSequence(Call &c) {
  SymbolicTensor *q = c.input(0), *lengths = c.input(1);
  const int64_t time = c.integer("time_axis", 0),
                batch = c.integer("batch_axis", 1);
  if (time + batch != 1 || time < 0 || time > 1 || q->rank() < 2 ||
      lengths->rank() != 1)
    return one(
        c.refuse("along dimensions " + Twine(time) + " and " + Twine(batch)));
  Compose o(c);
  SymbolicTensor *places =
      o("Unsqueeze", {o.iota(q->shape[time]), o.ints({batch})});
  SymbolicTensor *ends = o("Unsqueeze", {lengths, o.ints({time})});
  SymbolicTensor *last = o.sub(ends, o.ints({1}));
  SymbolicTensor *from =
      o.where(o.less(places, ends), o.sub(last, places), places);
  SmallVector<int64_t> added;
  for (size_t i = 2; i < q->rank(); ++i)
    added.push_back(static_cast<int64_t>(i));
  from = o("Unsqueeze", {from, o.ints(added)});
  from = o("Expand",
           {from, c.lowering.fromElements(q->shape, false,
                                          c.lowering.builder.getI64Type())});
  return one(o("GatherElements", {q, from}, {o.attribute("axis", time)}));
}

ArrayRef<OperatorEntry> import::gatherOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Gather", 2, 2, lowerGather},
      {"", "GatherElements", 2, 2, lowerGatherElements},
      {"", "GatherND", 2, 2, lowerGatherND},
      {"", "ReverseSequence", 2, 2, lowerReverseSequence},
  };
  return table;
}
