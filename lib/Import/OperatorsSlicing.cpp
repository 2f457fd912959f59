//===- OperatorsSlicing.cpp - Parts of values, and parts put together -----===//
//
// Bounds are polynomials in p. They count from the live length, are clamped to
// it, and every test on the way is decided for all positions or refused.
//
//===----------------------------------------------------------------------===//

#include "Joins.h"
#include "Operators.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

//===----------------------------------------------------------------------===//
// Slice, Split
//===----------------------------------------------------------------------===//

static Value extract(Lowering &lowering, Value tensor, int64_t dim,
                     int64_t start, int64_t length, int64_t step) {
  OpBuilder &b = lowering.builder;
  SmallVector<OpFoldResult> offsets, sizes, strides;
  for (auto [i, size] :
       llvm::enumerate(cast<RankedTensorType>(tensor.getType()).getShape())) {
    bool own = static_cast<int64_t>(i) == dim;
    offsets.push_back(b.getIndexAttr(own ? start : 0));
    sizes.push_back(b.getIndexAttr(own ? length : size));
    strides.push_back(b.getIndexAttr(own ? step : 1));
  }
  return tensor::ExtractSliceOp::create(b, lowering.loc, tensor, offsets, sizes,
                                        strides);
}

SymbolicTensor *import::sliceAxis(Lowering &lowering, SymbolicTensor *q,
                                  int64_t axis, Expr start, Expr length,
                                  int64_t step) {
  Arithmetic &math = lowering.math;
  Sizes shape = q->shape, indices;
  shape[axis] = length;
  for (size_t i = 0; i < q->rank(); ++i)
    indices.push_back(math.dim(i));
  Expr zero = math.constant(0);
  if (start == zero && length == q->shape[axis] && step == 1)
    return q;
  if (!q->parts.empty())
    return slicedParts(lowering, q, axis, start, length, step);
  indices[axis] =
      math.add(start, math.mul(math.dim(axis), math.constant(step)));
  if (lowering.functionOf(q) || q->elements) {
    // Elements stay elements: shape vectors are sliced all the time.
    auto first = start->constant(), count = length->constant();
    if (const Sizes *elements =
            q->rank() == 1 ? lowering.elementsOf(q) : nullptr;
        elements && first && count) {
      Sizes kept;
      for (int64_t i = 0; i < *count; ++i)
        kept.push_back((*elements)[*first + i * step]);
      return lowering.fromElements(kept, false, q->type);
    }
    return moved(lowering, q, shape, indices, [](View &) {});
  }
  // Nothing of nothing: a Concat leaves it out, and others refuse it.
  if (llvm::is_contained(shape, zero))
    return lowering.fromFunction(shape, q->type,
                                 lowering.constantOf(0, q->type));
  auto first = start->constant();
  int64_t size = lowering.capacity(length);
  if (!first || step < 1) {
    // A start that moves: take the elements by index.
    math.dims.assign(1, length);
    Expr at = math.add(start, math.mul(math.dim(0), math.constant(step)));
    if (lowering.isBounded(length))
      return lowering.refuse("the slice starts at " + math.print(start) +
                             " and its length " + math.print(length) +
                             " changes too");
    SymbolicTensor *rows =
        lowering.fromFunction({length}, lowering.builder.getI64Type(), at);
    return takeAlong(lowering, q, axis, rows);
  }
  const View *view = lowering.viewOf(q);
  if (!view)
    return nullptr;
  View result = *view;
  auto &parts = result.dims[axis];
  llvm::erase_if(parts, [](const Factor &part) { return part.size == 1; });
  if (parts.size() > 1 ||
      (parts.size() == 1 && parts[0].base < 0 && step > 1)) {
    Value tensor = lowering.plain(q);
    if (!tensor)
      return nullptr;
    result =
        *lowering.fromTensor(q->shape, lowering.builder.getF32Type(), tensor)
             ->view;
  }
  auto &part = result.dims[axis];
  if (part.empty() || part[0].base < 0) {
    part.assign(1, Factor{size, -1});
  } else {
    int base = part[0].base;
    if (part[0].size != size || step != 1)
      result.tensor =
          extract(lowering, result.tensor, base, *first, size, step);
    part.assign(1, Factor{size, base});
  }
  SymbolicTensor *slice = lowering.fromView(shape, q->type, std::move(result));
  slice->paddingIsZero = q->paddingIsZero && *first == 0;
  slice->paddingIsFinite = q->paddingIsFinite;
  return slice;
}

SymbolicTensor *import::sliceAxis(Lowering &lowering, SymbolicTensor *q,
                                  int64_t axis, int64_t start, int64_t length) {
  return sliceAxis(lowering, q, axis, lowering.math.constant(start),
                   lowering.math.constant(length), 1);
}

namespace {
/// One bound of a slice, clamped to [low, high]; decided for all positions.
struct Clamp {
  Call &c;
  Expr size;

  Expr operator()(Expr bound, Expr low, Expr high, StringRef what) {
    Arithmetic &math = c.math;
    if (math.highest(bound) < 0)
      bound = math.add(bound, size);
    else if (math.lowest(bound) < 0)
      return c.refuse("the " + what + " " + math.print(bound) +
                      " changes sign for 0 <= p <= " + Twine(math.maxPosition));
    if (math.highest(math.sub(bound, low)) <= 0)
      return low;
    if (math.lowest(math.sub(bound, high)) >= 0)
      return high;
    if (math.lowest(math.sub(bound, low)) < 0 ||
        math.highest(math.sub(bound, high)) > 0)
      return c.refuse("the " + what + " " + math.print(bound) +
                      " passes an end of the dimension (size " +
                      math.print(size) + ") for some 0 <= p <= " +
                      Twine(math.maxPosition) + "; lower --context");
    return bound;
  }
};
} // namespace

/// Start and length of a slice with the given step; none after a refusal.
static std::optional<std::pair<Expr, Expr>>
resolveSlice(Call &c, Expr size, Expr start, Expr end, int64_t step) {
  Arithmetic &math = c.math;
  Clamp clamp{c, size};
  Expr zero = math.constant(0), last = math.add(size, -1);
  // INT64_MIN and its like stand for "to the start" when counting down.
  auto endValue = end->constant();
  bool toStart = step < 0 && endValue && *endValue < -(int64_t(1) << 30);
  start = step < 0 ? clamp(start, zero, last, "start")
                   : clamp(start, zero, size, "start");
  end = toStart    ? math.constant(-1)
        : step < 0 ? clamp(end, math.constant(-1), last, "end")
                   : clamp(end, zero, size, "end");
  if (!start || !end)
    return std::nullopt;
  Expr distance = step < 0 ? math.sub(start, end) : math.sub(end, start);
  if (math.highest(distance) <= 0)
    return std::pair(start, zero);
  if (math.lowest(distance) < 0) {
    c.refuse("the length " + math.print(distance) + " may be negative");
    return std::nullopt;
  }
  if (step == 1 || step == -1)
    return std::pair(start, distance);
  auto count = distance->constant();
  if (!count) {
    c.refuse("strides over the live length");
    return std::nullopt;
  }
  int64_t stride = step < 0 ? -step : step;
  return std::pair(start, math.constant((*count - 1) / stride + 1));
}

/// Values of one list of Slice: an input, or an attribute before opset 10.
static std::optional<Sizes> sliceList(Call &c, unsigned input, StringRef name) {
  if (SymbolicTensor *q = c.input(input)) {
    const Sizes *values = c.lowering.sizesOf(q, "a bound");
    return values ? std::optional(*values) : std::nullopt;
  }
  Sizes values;
  if (auto attribute = c.integers(name))
    for (int64_t value : *attribute)
      values.push_back(c.math.constant(value));
  return values;
}

static Results lowerSlice(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto starts = sliceList(c, 1, "starts"), ends = sliceList(c, 2, "ends");
  auto axes = sliceList(c, 3, "axes"), steps = sliceList(c, 4, "steps");
  if (!starts || !ends || !axes || !steps)
    return {};
  if (starts->size() != ends->size() ||
      (!axes->empty() && axes->size() != starts->size()) ||
      (!steps->empty() && steps->size() != starts->size()))
    return one(c.refuse("has lists of different lengths"));
  for (size_t i = 0; i < starts->size(); ++i) {
    auto axis = axes->empty() ? int64_t(i) : (*axes)[i]->constant();
    auto step = steps->empty() ? int64_t(1) : (*steps)[i]->constant();
    if (!axis || !step || *step == 0 ||
        *step == std::numeric_limits<int64_t>::min())
      return one(c.refuse("an axis or a step is no constant"));
    auto normal = normalizeAxis(c.lowering, *axis, q->rank());
    if (!normal)
      return {};
    auto range =
        resolveSlice(c, q->shape[*normal], (*starts)[i], (*ends)[i], *step);
    if (!range)
      return {};
    q = sliceAxis(c.lowering, q, *normal, range->first, range->second, *step);
    if (!q)
      return {};
  }
  return one(q);
}

static Results lowerSplit(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto axis = normalizeAxis(c.lowering, c.integer("axis", 0), q->rank());
  if (!axis)
    return {};
  auto size = q->shape[*axis]->constant();
  if (!size)
    return one(c.refuse("splits the live length"));
  SmallVector<int64_t> lengths;
  if (c.input(1)) {
    auto given = c.lowering.constantsOf(c.input(1), "a length");
    if (!given)
      return {};
    lengths = *given;
  } else if (auto given = c.integers("split")) {
    lengths = *given;
  } else {
    int64_t parts = c.resultCount, each = (*size + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i)
      lengths.push_back(std::min(each, std::max<int64_t>(*size - i * each, 0)));
  }
  int64_t start = 0;
  Results results;
  if (lengths.size() != c.resultCount)
    return one(c.refuse("has " + Twine(lengths.size()) + " lengths for " +
                        Twine(c.resultCount) + " outputs"));
  for (int64_t length : lengths) {
    if (length < 0 || length > *size - start)
      return one(c.refuse("a part of " + Twine(length) + " at " + Twine(start) +
                          " leaves the dimension of " + Twine(*size)));
    SymbolicTensor *part = sliceAxis(c.lowering, q, *axis, start, length);
    if (!part)
      return {};
    results.push_back(part);
    start += length;
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Concat
//===----------------------------------------------------------------------===//

SymbolicTensor *import::append(Call &c, SymbolicTensor *past,
                               SymbolicTensor *rows, int64_t axis,
                               Sizes shape) {
  Lowering &lowering = c.lowering;
  State state = lowering.states[past->past];
  if (past->view || axis != state.axis)
    return c.refuse("appends to the state '" + state.past.getName() +
                    "' along dimension " + Twine(axis) + " and along " +
                    Twine(state.axis));
  if (lowering.stateAppended[past->past])
    return c.refuse("appends to the state '" + state.past.getName() +
                    "' a second time");
  if (rows->type != past->type)
    return c.refuse("appends values of another type to the state '" +
                    state.past.getName() + "'");
  lowering.stateAppended[past->past] = true;
  Value update = lowering.plain(rows);
  if (!update)
    return nullptr;
  Value &target = lowering.stateTensors[past->past];
  if (!target) {
    // The file leaves a size open; what is appended says it.
    SmallVector<int64_t> sizes(
        cast<RankedTensorType>(update.getType()).getShape());
    sizes[axis] = lowering.context;
    target = lowering.makeState(state.past, sizes);
  }
  Value now = wafer::AppendOp::create(
      lowering.builder, lowering.loc, target.getType(), update, target,
      lowering.position(), axis, wafer::LayoutAttr());
  SymbolicTensor *result =
      lowering.fromTensor(std::move(shape), past->type, now);
  result->appended = past->past;
  result->paddingIsFinite = true;
  return result;
}

SymbolicTensor *import::extendPast(Call &c, StringRef name,
                                   SymbolicTensor *past, SymbolicTensor *rows,
                                   int64_t axis, Expr live) {
  if (past->past < 0)
    return c.refuse(name +
                    " is no input whose present is an output of the model");
  Sizes shape = rows->shape, known = past->shape;
  shape[axis] = live;
  const bool isOpen = !c.lowering.stateTensors[past->past];
  if (known.size() == shape.size())
    known[axis] = live;
  if (known != shape && !isOpen)
    return c.refuse("a past of shape " + c.lowering.print(past->shape) +
                    " does not fit rows of shape " +
                    c.lowering.print(rows->shape));
  return append(c, past, rows, axis, std::move(shape));
}

/// Elements of each operand where its part of the axis begins.
static SymbolicTensor *concatFunctions(Call &c,
                                       ArrayRef<SymbolicTensor *> parts,
                                       int64_t axis, Sizes shape) {
  Arithmetic &math = c.math;
  Expr result = nullptr, end = shape[axis];
  for (SymbolicTensor *part : llvm::reverse(parts)) {
    Expr start = math.sub(end, part->shape[axis]);
    Sizes indices;
    for (size_t i = 0; i < shape.size(); ++i)
      indices.push_back(math.dim(i));
    indices[axis] = math.sub(math.dim(axis), start);
    Expr function = c.lowering.functionOf(part);
    math.dims = shape;
    Expr here = math.substitute(function, indices);
    Expr before = math.lessEqual(math.add(math.dim(axis), 1), end);
    result = result ? math.where(before, here, result) : here;
    end = start;
  }
  return c.lowering.fromFunction(std::move(shape), parts[0]->type, result);
}

SymbolicTensor *import::joined(Call &c, ArrayRef<SymbolicTensor *> parts,
                               int64_t axis, Sizes shape) {
  Lowering &lowering = c.lowering;
  SmallVector<Value> tensors;
  for (SymbolicTensor *part : parts) {
    if (lowering.isBounded(part->shape[axis]))
      return keptApart(lowering, parts, axis, std::move(shape));
    Value tensor = lowering.plain(part);
    if (!tensor)
      return nullptr;
    tensors.push_back(tensor);
  }
  Value all =
      tensor::ConcatOp::create(lowering.builder, lowering.loc, axis, tensors);
  return lowering.fromTensor(std::move(shape), parts[0]->type, all);
}

static Results lowerConcat(Call &c) {
  Lowering &lowering = c.lowering;
  Arithmetic &math = c.math;
  if (c.inputs.size() == 1)
    return one(c.input(0));
  int64_t rank = c.input(0)->rank();
  auto axis = normalizeAxis(lowering, c.integer("axis", 0), rank);
  if (!axis || !sameTypes(c, c.inputs))
    return {};
  for (SymbolicTensor *q : c.inputs)
    if (static_cast<int64_t>(q->rank()) != rank)
      return one(c.refuse("joins values of different ranks"));
  if (rank == 1 && llvm::all_of(c.inputs, [&](SymbolicTensor *q) {
        return lowering.elementsOf(q) != nullptr;
      })) {
    Sizes all;
    for (SymbolicTensor *q : c.inputs)
      llvm::append_range(all, *q->elements);
    constexpr size_t most = 1 << 16;
    if (all.size() > most)
      return one(c.refuse("joins " + Twine(all.size()) +
                          " integers that are known one by one; import follows "
                          "at most " +
                          Twine(most)));
    return one(lowering.fromElements(all, false, c.input(0)->type));
  }
  SmallVector<SymbolicTensor *> parts;
  for (SymbolicTensor *q : c.inputs)
    if (q->past >= 0 || q->shape[*axis] != math.constant(0))
      parts.push_back(q);
  if (parts.empty())
    return one(c.input(0));
  Sizes shape = parts[0]->shape;
  shape[*axis] = math.constant(0);
  for (SymbolicTensor *part : parts) {
    for (int64_t i = 0; i < rank; ++i)
      if (i != *axis && part->shape[i] != shape[i])
        return one(c.refuse("sizes " + math.print(shape[i]) + " and " +
                            math.print(part->shape[i]) + " differ"));
    shape[*axis] = math.add(shape[*axis], part->shape[*axis]);
  }
  if (parts.size() == 1 && parts[0]->past < 0)
    return one(parts[0]);
  if (parts.size() == 2 && parts[0]->past >= 0)
    return one(append(c, parts[0], parts[1], *axis, shape));
  if (llvm::all_of(parts,
                   [&](SymbolicTensor *q) { return lowering.functionOf(q); }))
    return one(concatFunctions(c, parts, *axis, shape));
  return one(joined(c, parts, *axis, shape));
}

ArrayRef<OperatorEntry> import::slicingOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Concat", 1, OperatorEntry::anyNumber, lowerConcat},
      {"", "Slice", 1, 5, lowerSlice},
      {"", "Split", 1, 2, lowerSplit},
  };
  return table;
}
