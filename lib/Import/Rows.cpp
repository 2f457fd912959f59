//===- Rows.cpp - Rows of which data decides the number -------------------===//
//
// NonZero gives as many indices as there are elements other than zero.
// Exporters write the experts of a mixture with it: the rows of the tokens that
// chose an expert are gathered, computed, and added where they came from; or
// rows are sorted by expert, and a Range takes the window of each. No program
// has tensors of such a size. Instead there are all rows that there may
// be, and a predicate that says which of them there are. Operators that compute
// each row by itself go on as usual; what puts rows somewhere leaves out the
// absent ones; everything else would see them, and is refused. So is arithmetic
// with their number, which may only be a size that rows have already.
//
//===----------------------------------------------------------------------===//

#include "Rows.h"
#include "Compose.h"
#include "Evaluate.h"
#include "Operators.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static bool hasRows(SymbolicTensor *q) { return q && q->rows; }

/// Whether the same rows are there: as many of other places are others.
static bool areSame(const ChosenRows &a, const ChosenRows &b) {
  return a.count == b.count && a.begin == b.begin;
}

//===----------------------------------------------------------------------===//
// NonZero
//===----------------------------------------------------------------------===//

/// The index of dimension `axis` of element d1 of a shape, in row-major order.
static Expr indexOf(Arithmetic &math, ArrayRef<int64_t> sizes, unsigned axis,
                    Expr flat) {
  int64_t behind = 1;
  for (int64_t size : sizes.drop_front(axis + 1))
    behind *= size;
  Expr index = math.floorDivMod(flat, math.constant(behind))->first;
  return axis == 0
             ? index
             : math.floorDivMod(index, math.constant(sizes[axis]))->second;
}

/// Indices of what is known not to be zero, as a constant.
static SymbolicTensor *knownPlaces(Call &c, ArrayRef<int64_t> sizes,
                                   ArrayRef<int64_t> values) {
  const auto rank = static_cast<int64_t>(sizes.size());
  std::vector<int64_t> places;
  int64_t count = 0;
  for (int64_t value : values)
    count += value != 0;
  for (int64_t axis = 0, behind = values.size(); axis < rank; ++axis) {
    behind /= sizes[axis];
    for (auto [flat, value] : llvm::enumerate(values))
      if (value != 0)
        places.push_back(static_cast<int64_t>(flat) / behind % sizes[axis]);
  }
  auto type =
      RankedTensorType::get({rank, count}, c.lowering.builder.getI64Type());
  return c.lowering.fromConstant(
      DenseElementsAttr::get(type, ArrayRef<int64_t>(places)), "places");
}

static Results lowerNonZero(Call &c) {
  Arithmetic &math = c.math;
  SymbolicTensor *q = converted(c, c.input(0), c.lowering.builder.getI1Type());
  Expr function = q ? c.lowering.functionOf(q) : nullptr;
  if (!function || q->rank() == 0)
    return one(c.refuse("of a value that cannot be followed"));
  SmallVector<int64_t> sizes;
  Expr all = math.constant(1);
  for (Expr size : q->shape) {
    all = math.mul(all, size);
    if (auto fixed = size->constant())
      sizes.push_back(*fixed);
  }
  const bool isFixed = sizes.size() == q->rank();
  if (!isFixed && q->rank() > 1)
    return one(c.refuse("searches dimensions of a live length"));
  auto rank = static_cast<int64_t>(q->rank());
  Sizes shape{math.constant(rank), all};
  Type type = c.lowering.builder.getI64Type();
  math.dims = q->shape;
  if (isFixed) {
    Expr number = math.where(function, math.constant(1), math.constant(0));
    if (auto values = valuesOf(number, sizes))
      return one(knownPlaces(c, sizes, *values));
  } else if (!function->isTrue()) {
    return one(c.refuse("searches a live length"));
  } else {
    math.dims = shape;
    return one(c.lowering.fromFunction(shape, type, math.dim(1)));
  }
  math.dims = shape;
  Expr place = math.constant(0);
  for (int64_t axis = rank; axis-- > 0;)
    place = math.where(math.lessEqual(math.dim(0), math.constant(axis)),
                       indexOf(math, sizes, axis, math.dim(1)), place);
  SymbolicTensor *places = c.lowering.fromFunction(shape, type, place);
  // Whether row d0 is there, and how many are.
  math.dims.assign(1, all);
  Sizes at;
  for (int64_t axis = 0; axis < rank; ++axis)
    at.push_back(indexOf(math, sizes, axis, math.dim(0)));
  Expr present = math.substitute(function, at);
  ReadTensor number;
  number.name = "a number of rows";
  math.reads.push_back(number);
  c.lowering.readSymbolic.resize(math.reads.size());
  Expr count = math.read(math.reads.size() - 1, {}, Arithmetic::Sort::Int);
  places->rows = ChosenRows{1, present, count};
  return one(places);
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

Results import::lowerWindow(Call &c, Expr begin, Expr end) {
  // How many rows there may be is known when they are gathered.
  Sizes shape{c.math.constant(1)};
  c.math.dims = shape;
  SymbolicTensor *places = c.lowering.fromFunction(
      shape, c.input(0)->type, c.math.add(begin, c.math.dim(0)));
  places->rows = ChosenRows{0, nullptr, c.math.sub(end, begin), begin};
  return one(places);
}

static bool isWindow(SymbolicTensor *q) {
  return hasRows(q) && !q->rows->present;
}

/// The rows of a window: where all are, with those of no window.
static Results rowsOfWindow(Call &c, SymbolicTensor *q, int64_t axis,
                            const ChosenRows &window) {
  Arithmetic &math = c.math;
  SymbolicTensor *rows = c.lowering.clone(*q);
  math.dims.assign(1, q->shape[axis]);
  Expr end = math.add(window.begin, window.count);
  Expr present = math.logicalAnd(math.lessEqual(window.begin, math.dim(0)),
                                 math.lessEqual(math.add(math.dim(0), 1), end));
  rows->rows = ChosenRows{static_cast<unsigned>(axis), present, window.count,
                          window.begin};
  return one(rows);
}

/// Windows that begin where the one before ends are all rows, each computed as
/// the one says that it lies in. Null, and no refusal, if they are none.
static SymbolicTensor *joinedWindows(Call &c, int64_t axis) {
  Arithmetic &math = c.math;
  Expr end = math.constant(0);
  const Sizes shape = c.input(0)->shape;
  SmallVector<Expr> ends;
  for (SymbolicTensor *part : c.inputs) {
    if (!hasRows(part) || part->rows->axis != axis || !part->rows->begin ||
        part->rows->begin != end || Sizes(part->shape) != shape)
      return nullptr;
    end = math.add(end, part->rows->count);
    ends.push_back(end);
  }
  auto whole = [&](SymbolicTensor *part) {
    SymbolicTensor *all = c.lowering.clone(*part);
    all->rows.reset();
    return all;
  };
  Compose o(c);
  SymbolicTensor *result = whole(c.inputs.back());
  for (size_t i = c.inputs.size() - 1; i-- > 0 && result;) {
    math.dims = shape;
    Expr before = math.lessEqual(math.add(math.dim(axis), 1), ends[i]);
    result = o.where(
        c.lowering.fromFunction(shape, c.lowering.builder.getI1Type(), before),
        whole(c.inputs[i]), result);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Row by row
//===----------------------------------------------------------------------===//

static Results withRows(Results results, const ChosenRows &rows,
                        unsigned axis) {
  for (SymbolicTensor *&result : results)
    if (result) {
      result->rows = rows;
      result->rows->axis = axis;
    }
  return results;
}

static Results refuseRows(Call &c) {
  return one(c.refuse("takes rows of which data decides the number other than "
                      "each by itself"));
}

/// Pointwise operators: rows meet the same rows, or what has none.
static Results pointwiseRows(Call &c, const OperatorEntry &entry) {
  SymbolicTensor *first = *llvm::find_if(c.inputs, hasRows);
  const ChosenRows rows = *first->rows;
  const unsigned fromEnd = first->rank() - rows.axis;
  for (SymbolicTensor *q : c.inputs) {
    if (!q || q->rank() < fromEnd)
      continue;
    const bool meets = hasRows(q) && areSame(*q->rows, rows) &&
                       q->rank() - q->rows->axis == fromEnd;
    const bool isOne =
        !hasRows(q) && q->shape[q->rank() - fromEnd] == c.math.constant(1);
    if (!meets && !isOne)
      return refuseRows(c);
  }
  Results results = entry.lower(c);
  return results.empty()
             ? results
             : withRows(results, rows, results[0]->rank() - fromEnd);
}

/// Operators that give dimensions other places or bounds.
static Results movedRows(Call &c, const OperatorEntry &entry) {
  SymbolicTensor *q = c.input(0);
  if (!hasRows(q) || llvm::any_of(ArrayRef(c.inputs).drop_front(), hasRows))
    return refuseRows(c);
  const ChosenRows rows = *q->rows;
  Expr number = q->shape[rows.axis];
  // Their number in a target shape stands for all that there may be.
  if (c.op == "Reshape" || c.op == "Expand") {
    const Sizes *target = c.lowering.elementsOf(c.input(1));
    if (!target)
      return refuseRows(c);
    Sizes sizes = *target;
    llvm::replace(sizes, rows.count, number);
    c.inputs[1] =
        c.lowering.fromElements(sizes, false, c.lowering.builder.getI64Type());
  }
  Results results = entry.lower(c);
  if (results.empty() || !results[0])
    return results;
  SymbolicTensor *result = results[0];
  // The same elements lie before the rows as did, and each row is as it was.
  if (c.op == "Transpose") {
    auto order = c.integers("perm");
    if (!order)
      return withRows(results, rows, q->rank() - 1 - rows.axis);
    return withRows(results, rows,
                    llvm::find(*order, rows.axis) - order->begin());
  }
  if (c.op == "Expand")
    return withRows(results, rows, rows.axis + result->rank() - q->rank());
  Expr before = c.math.product(ArrayRef(q->shape).take_front(rows.axis));
  Expr now = c.math.constant(1);
  for (auto [axis, size] : llvm::enumerate(result->shape)) {
    if (now == before && size == number)
      return withRows(results, rows, axis);
    now = c.math.mul(now, size);
  }
  return refuseRows(c);
}

/// Gather of rows, or along another dimension of them.
static Results gatheredRows(Call &c, const OperatorEntry &entry) {
  SymbolicTensor *q = c.input(0), *indices = c.input(1);
  auto axis = normalizeAxis(c.lowering, c.integer("axis", 0), q->rank());
  if (!axis || (hasRows(q) && (hasRows(indices) || *axis == q->rows->axis)))
    return axis ? refuseRows(c) : Results();
  if (isWindow(indices))
    return rowsOfWindow(c, q, *axis, *indices->rows);
  ChosenRows rows = hasRows(q) ? *q->rows : *indices->rows;
  if (!hasRows(q))
    rows.axis += *axis;
  else if (*axis < rows.axis)
    rows.axis += indices->rank() - 1;
  return withRows(entry.lower(c), rows, rows.axis);
}

/// Rows of matrices, times one matrix.
static Results multipliedRows(Call &c, const OperatorEntry &entry) {
  SymbolicTensor *a = c.input(0);
  const bool isInner =
      hasRows(a) && (a->rows->axis + 1 == a->rank() || c.integer("transA", 0));
  if (!hasRows(a) || isInner || hasRows(c.input(1)) || hasRows(c.input(2)) ||
      a->rows->axis + 2 != a->rank())
    return refuseRows(c);
  Results results = entry.lower(c);
  return results.empty() ? results
                         : withRows(results, *a->rows, results[0]->rank() - 2);
}

/// Parts of rows, side by side or apart.
static Results partsOfRows(Call &c, const OperatorEntry &entry) {
  SymbolicTensor *q = c.input(0);
  if (!hasRows(q))
    return refuseRows(c);
  auto axis = normalizeAxis(c.lowering, c.integer("axis", 0), q->rank());
  if (!axis)
    return {};
  const bool isJoin = c.op == "Concat";
  if (isJoin && *axis == q->rows->axis)
    if (SymbolicTensor *result = joinedWindows(c, *axis))
      return one(result);
  for (SymbolicTensor *other : ArrayRef(c.inputs).drop_front())
    if (isJoin ? !hasRows(other) || other->rows->axis != q->rows->axis ||
                     !areSame(*other->rows, *q->rows)
               : hasRows(other))
      return refuseRows(c);
  if (*axis == q->rows->axis)
    return refuseRows(c);
  return withRows(entry.lower(c), *q->rows, q->rows->axis);
}

/// Rows that go to all places in turn, perhaps several times: each time is one
/// selection over all places. Null, and no refusal, if rows go elsewhere.
static SymbolicTensor *putInTurn(Call &c) {
  Arithmetic &math = c.math;
  SymbolicTensor *data = c.input(0), *indices = c.input(1),
                 *updates = c.input(2);
  const bool isND = c.op == "ScatterND";
  const unsigned row = indices->rows->axis;
  auto axis =
      normalizeAxis(c.lowering, isND ? 0 : c.integer("axis", 0), data->rank());
  StringRef reduction = c.text("reduction", "none");
  if (!axis || row != *axis || updates->rank() != data->rank() ||
      data->type != updates->type ||
      (reduction != "none" && reduction != "add"))
    return nullptr;
  auto places = data->shape[row]->constant();
  auto count = updates->shape[row]->constant();
  if (!places || !count || *count % *places ||
      (isND && indices->shape.back() != math.constant(1)))
    return nullptr;
  // One index per row.
  Sizes at(indices->rank(), math.constant(0));
  at[row] = math.dim(0);
  math.dims.assign(1, math.constant(*count));
  Expr place = c.lowering.functionOf(indices);
  math.dims = indices->shape;
  llvm::SmallBitVector used = math.dimsOf(place);
  used.resize(indices->rank());
  used.reset(row);
  math.dims.assign(1, math.constant(*count));
  auto order = valuesOf(math.substitute(place, at), {*count});
  if (used.any() || !order ||
      !llvm::all_of(llvm::enumerate(*order), [&](auto i) {
        return i.value() == static_cast<int64_t>(i.index()) % *places;
      }))
    return nullptr;
  const int64_t times = *count / *places;
  Sizes turns(updates->shape), shape = data->shape;
  turns[row] = data->shape[row];
  if (turns != shape)
    return nullptr;
  turns.insert(turns.begin() + row, math.constant(times));
  updates = reshaped(c, updates, turns);
  Compose o(c);
  for (int64_t turn = 0; turn < times && data && updates; ++turn) {
    SymbolicTensor *put = sliceAxis(c.lowering, updates, row, turn, 1);
    put = put ? reshaped(c, put, shape) : nullptr;
    math.dims = shape;
    Expr present = math.substitute(indices->rows->present,
                                   {math.add(math.dim(row), turn * *places)});
    SymbolicTensor *there =
        c.lowering.fromFunction(shape, c.lowering.builder.getI1Type(), present);
    data = o.where(there, reduction == "add" ? o.add(data, put) : put, data);
  }
  return data;
}

/// Puts rows somewhere: those that are absent go nowhere.
static Results putRows(Call &c, const OperatorEntry &entry) {
  Arithmetic &math = c.math;
  SymbolicTensor *indices = c.input(1), *updates = c.input(2);
  if (hasRows(c.input(0)) || !hasRows(indices) || !hasRows(updates) ||
      !areSame(*indices->rows, *updates->rows) ||
      indices->rows->axis != updates->rows->axis)
    return refuseRows(c);
  Expr function = c.lowering.functionOf(indices);
  if (!function)
    return refuseRows(c);
  if (SymbolicTensor *result = putInTurn(c))
    return one(result);
  if (!c.lowering.refusal.empty())
    return {};
  math.dims = indices->shape;
  Expr present =
      math.substitute(indices->rows->present, {math.dim(indices->rows->axis)});
  // Behind every dimension that there may be.
  Expr nowhere = math.constant(std::numeric_limits<int32_t>::max());
  c.inputs[1] = c.lowering.fromFunction(indices->shape, indices->type,
                                        math.where(present, function, nowhere));
  c.inputs[2] = c.lowering.clone(*updates);
  c.inputs[2]->rows.reset();
  return entry.lower(c);
}

/// Sizes; that of the rows is a number that nothing is known of.
static Results shapeOfRows(Call &c, const OperatorEntry &entry) {
  const ChosenRows &rows = *c.input(0)->rows;
  const auto rank = static_cast<int64_t>(c.input(0)->rank());
  Results results = entry.lower(c);
  if (results.empty())
    return results;
  int64_t start = c.integer("start", 0);
  start = std::clamp<int64_t>(start < 0 ? start + rank : start, 0, rank);
  Sizes &sizes = *results[0]->elements;
  const int64_t at = static_cast<int64_t>(rows.axis) - start;
  if (at >= 0 && at < static_cast<int64_t>(sizes.size()))
    sizes[at] = rows.count;
  return results;
}

Results import::lowerOnRows(Call &c, const OperatorEntry &entry) {
  using RowsFn = Results (*)(Call &, const OperatorEntry &);
  static const struct {
    RowsFn lower;
    llvm::StringSet<> ops;
  } families[] = {
      {pointwiseRows, {"Abs",         "Add",         "And",
                       "Cast",        "Clip",        "Cos",
                       "Div",         "Equal",       "Erf",
                       "Exp",         "Gelu",        "Greater",
                       "Identity",    "Less",        "Log",
                       "Max",         "Min",         "Mul",
                       "Neg",         "Not",         "Or",
                       "Pow",         "Relu",        "Sigmoid",
                       "Sin",         "Sqrt",        "Sub",
                       "Tanh",        "Where",       "Reciprocal",
                       "Dropout",     "HardSigmoid", "HardSwish",
                       "LeakyRelu",   "Elu",         "Softplus",
                       "Swish",       "Mish",        "GreaterOrEqual",
                       "LessOrEqual", "QuickGelu"}},
      {movedRows,
       {"Expand", "Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}},
      {gatheredRows, {"Gather"}},
      {multipliedRows, {"MatMul", "Gemm"}},
      {partsOfRows, {"Concat", "Split"}},
      {putRows, {"Scatter", "ScatterElements", "ScatterND"}},
      {shapeOfRows, {"Shape"}},
  };
  const bool isPlaceOnly = c.op == "Gather" && !isWindow(c.input(0));
  if (!isPlaceOnly && llvm::any_of(c.inputs, isWindow))
    return refuseRows(c);
  for (const auto &[lower, ops] : families)
    if (ops.contains(c.op))
      return lower(c, entry);
  return refuseRows(c);
}

ArrayRef<OperatorEntry> import::rowsOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "NonZero", 1, 1, lowerNonZero},
  };
  return table;
}
