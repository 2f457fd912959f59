//===- OperatorsWindow.cpp - Pads, and windows that slide -----------------===//
//
// A window is a gather per place in it, with a value of its own where that is a
// pad: their maximum or sum is a pool, and their sum after a product with the
// weights of that place is a convolution. No copy of the windows is made.
//
//===----------------------------------------------------------------------===//

#include "Windows.h"

#include "llvm/ADT/STLExtras.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static constexpr double infinity = std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

SymbolicTensor *import::takenOr(Call &c, Compose &o, SymbolicTensor *q,
                                int64_t axis, int64_t size,
                                ArrayRef<int64_t> places,
                                SymbolicTensor *fill) {
  Arithmetic &math = c.math;
  SmallVector<int64_t> from;
  bool isWhole = static_cast<int64_t>(places.size()) == size, isInside = true;
  for (auto [i, place] : llvm::enumerate(places)) {
    from.push_back(std::clamp<int64_t>(place, 0, size - 1));
    isInside &= from.back() == place;
    isWhole &= from.back() == static_cast<int64_t>(i);
  }
  const size_t rank = q->rank();
  if (!isWhole)
    q = o("Gather", {q, o.ints(from)}, o.attribute("axis", axis));
  if (isInside)
    return q;
  // The places that there are, as runs of the axis.
  Sizes column{math.constant(places.size())};
  column.append(rank - axis - 1, math.constant(1));
  math.dims = column;
  Expr inside = math.boolean(false);
  for (size_t i = 0; i < places.size();) {
    auto isPlace = [&](size_t at) {
      return at < places.size() && places[at] == from[at];
    };
    size_t end = i + 1;
    while (end < places.size() && isPlace(end) == isPlace(i))
      ++end;
    Expr run =
        math.logicalAnd(math.lessEqual(math.constant(i), math.dim(0)),
                        math.lessEqual(math.dim(0), math.constant(end - 1)));
    if (isPlace(i))
      inside = math.logicalOr(inside, run);
    i = end;
  }
  SymbolicTensor *known =
      c.lowering.fromFunction(column, c.lowering.builder.getI1Type(), inside);
  return o.where(known, q, fill);
}

/// Index `at` - `before` of a dimension of `size`, brought inside.
static int64_t inside(StringRef mode, int64_t at, int64_t size) {
  if (mode == "wrap")
    return ((at % size) + size) % size;
  if (mode == "edge" || size == 1)
    return std::clamp<int64_t>(at, 0, size - 1);
  const int64_t period = 2 * (size - 1);
  at = ((at % period) + period) % period;
  return at < size ? at : period - at;
}

static Results lowerPad(Call &c) {
  SymbolicTensor *q = c.input(0);
  Lowering &lowering = c.lowering;
  std::optional<SmallVector<int64_t>> pads, axes;
  if (c.input(1))
    pads = lowering.constantsOf(c.input(1), "a pad");
  else
    pads = c.integers("pads").value_or(SmallVector<int64_t>());
  if (c.input(3))
    axes = lowering.constantsOf(c.input(3), "an axis");
  else
    axes = llvm::to_vector(llvm::seq<int64_t>(0, q->rank()));
  if (!pads || !axes)
    return {};
  if (pads->size() != 2 * axes->size())
    return one(c.refuse("has " + Twine(pads->size()) + " pads for " +
                        Twine(axes->size()) + " dimensions"));
  Compose o(c);
  StringRef mode = c.text("mode", "constant");
  SymbolicTensor *value =
      c.input(2) ? c.input(2) : o.constant(c.real("value", 0));
  for (auto [i, given] : llvm::enumerate(*axes)) {
    auto axis = normalizeAxis(lowering, given, q->rank());
    const int64_t before = (*pads)[i], behind = (*pads)[i + axes->size()];
    if (!axis)
      return {};
    if (before == 0 && behind == 0)
      continue;
    auto size = q->shape[*axis]->constant();
    if (!size)
      return one(c.refuse("pads the live length"));
    SmallVector<int64_t> places;
    for (int64_t at = -before; at < *size + behind; ++at)
      places.push_back(mode == "constant" ? at : inside(mode, at, *size));
    if (places.empty())
      return one(c.refuse("cuts off all of dimension " + Twine(*axis)));
    q = takenOr(c, o, q, *axis, *size, places, value);
    if (!q)
      return {};
  }
  return one(q);
}

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

static std::optional<Windows> windowsOf(Call &c, SymbolicTensor *q,
                                        ArrayRef<int64_t> kernel) {
  Windows w;
  const size_t rank = q->rank() < 3 ? 0 : q->rank() - 2;
  auto list = [&](StringRef name, size_t count, int64_t otherwise) {
    auto given = c.integers(name);
    return given ? *given : SmallVector<int64_t>(count, otherwise);
  };
  w.kernel.assign(kernel.begin(), kernel.end());
  w.strides = list("strides", rank, 1);
  w.dilations = list("dilations", rank, 1);
  SmallVector<int64_t> pads = list("pads", 2 * rank, 0);
  if (!q->isFloat() || rank == 0 || kernel.size() != rank ||
      w.strides.size() != rank || w.dilations.size() != rank ||
      pads.size() != 2 * rank)
    return c.refuse("its kernel does not fit the value"), std::nullopt;
  StringRef automatic = c.text("auto_pad", "NOTSET");
  constexpr int64_t mostPlaces = 1024;
  for (size_t i = 0; i < rank; ++i) {
    auto size = q->shape[i + 2]->constant();
    if (!size)
      return c.refuse("slides over the live length"), std::nullopt;
    w.sizes.push_back(*size);
    if (w.kernel[i] < 1 || w.strides[i] < 1 || w.dilations[i] < 1)
      return c.refuse("has a kernel, stride or dilation below 1"), std::nullopt;
    int64_t before = pads[i], behind = pads[i + rank];
    if (automatic == "VALID") {
      before = behind = 0;
    } else if (automatic.starts_with("SAME")) {
      const int64_t wanted = (*size + w.strides[i] - 1) / w.strides[i];
      const int64_t total = std::max<int64_t>(
          (wanted - 1) * w.strides[i] + w.reach(i) - *size, 0);
      before = automatic == "SAME_LOWER" ? (total + 1) / 2 : total / 2;
      behind = total - before;
    }
    int64_t free = *size + before + behind - w.reach(i);
    if (free < 0)
      return c.refuse("its kernel is larger than the value"), std::nullopt;
    int64_t out = free / w.strides[i] + 1;
    // Rounded up, the last window may hang over, but must begin inside.
    if (c.integer("ceil_mode", 0) && free % w.strides[i] != 0 &&
        out * w.strides[i] < *size + before)
      ++out;
    w.before.push_back(before);
    w.behind.push_back(behind);
    w.out.push_back(out);
  }
  if (w.places() > mostPlaces)
    return c.refuse("its windows have " + Twine(w.places()) +
                    " places; at most " + Twine(mostPlaces) +
                    " are written out"),
           std::nullopt;
  return w;
}

/// The elements at one place of all windows; `fill` where that is a pad.
static SymbolicTensor *atPlace(Call &c, Compose &o, const Windows &w,
                               SymbolicTensor *q, ArrayRef<int64_t> place,
                               double fill) {
  for (size_t i = 0; i < w.rank() && q; ++i) {
    SmallVector<int64_t> places;
    for (int64_t at = 0; at < w.out[i]; ++at)
      places.push_back(at * w.strides[i] + place[i] * w.dilations[i] -
                       w.before[i]);
    q = takenOr(c, o, q, static_cast<int64_t>(i) + 2, w.sizes[i], places,
                o.constant(fill));
  }
  return q;
}

/// All places of the windows combined by `op`.
static SymbolicTensor *combined(Call &c, Compose &o, const Windows &w,
                                SymbolicTensor *q, StringRef op, double fill) {
  SymbolicTensor *all = nullptr;
  for (int64_t i = 0; i < w.places() && q && !o.failed(); ++i) {
    SymbolicTensor *part = atPlace(c, o, w, q, w.coordinates(i), fill);
    all = all ? o(op, {all, part}) : part;
  }
  return all;
}

/// How many elements of the value (and with `countsPads` of the pads) each
/// window holds, along one dimension.
static SymbolicTensor *heldAlong(Call &c, Compose &o, const Windows &w,
                                 size_t i, bool countsPads) {
  SmallVector<SymbolicTensor *> counts;
  Sizes elements;
  for (int64_t at = 0; at < w.out[i]; ++at) {
    int64_t held = 0;
    for (int64_t k = 0; k < w.kernel[i]; ++k) {
      const int64_t place =
          at * w.strides[i] + k * w.dilations[i] - w.before[i];
      held += countsPads ? place < w.sizes[i] + w.behind[i]
                         : place >= 0 && place < w.sizes[i];
    }
    elements.push_back(c.math.constant(std::max<int64_t>(held, 1)));
  }
  Type type = c.lowering.builder.getI64Type();
  SymbolicTensor *list = converted(
      c, c.lowering.fromElements(elements, false, type), c.input(0)->type);
  SmallVector<int64_t> added;
  for (size_t k = i + 1; k < w.rank(); ++k)
    added.push_back(k - i);
  return added.empty() ? list : o("Unsqueeze", {list, o.ints(added)});
}

static Results lowerPool(Call &c) {
  SymbolicTensor *q = c.input(0);
  auto kernel = c.integers("kernel_shape");
  if (!kernel)
    return one(c.refuse("has no kernel_shape"));
  auto w = windowsOf(c, q, *kernel);
  if (!w)
    return {};
  Compose o(c);
  if (c.op == "MaxPool") {
    if (c.resultCount > 1)
      return one(c.refuse("its output 'Indices' is not supported"));
    return one(combined(c, o, *w, q, "Max", -infinity));
  }
  if (c.op == "LpPool") {
    const auto p = static_cast<double>(c.integer("p", 2));
    if (p < 1)
      return one(c.refuse("p is not 1 or more"));
    SymbolicTensor *each = o("Pow", {o("Abs", {q}), o.constant(p)});
    if (!each)
      return {};
    SymbolicTensor *sum = combined(c, o, *w, each, "Add", 0);
    return one(o("Pow", {sum, o.constant(1 / p)}));
  }
  SymbolicTensor *sum = combined(c, o, *w, q, "Add", 0);
  for (size_t i = 0; i < w->rank(); ++i)
    sum = o.div(sum, heldAlong(c, o, *w, i, c.integer("count_include_pad", 0)));
  return one(sum);
}

SymbolicTensor *import::weightsAt(Call &c, Compose &o, SymbolicTensor *weights,
                                  ArrayRef<int64_t> place) {
  SmallVector<int64_t> axes;
  for (size_t i = 0; i < place.size() && weights; ++i) {
    axes.push_back(i + 2);
    weights = sliceAxis(c.lowering, weights, i + 2, place[i], 1);
  }
  return o("Squeeze", {weights, o.ints(axes)});
}

/// Whether windows lie side by side, as the patches of an image do.
static bool arePatches(const Windows &w) {
  for (size_t i = 0; i < w.rank(); ++i)
    if (w.strides[i] != w.kernel[i] || w.dilations[i] != 1 ||
        w.before[i] != 0 || w.out[i] * w.kernel[i] > w.sizes[i])
      return false;
  return w.places() > 1;
}

/// A convolution over patches is one product: of an image whose dimensions are
/// those of the patches and those in a patch.
static SymbolicTensor *patchProduct(Call &c, Compose &o, const Windows &w,
                                    SymbolicTensor *q,
                                    SymbolicTensor *weights) {
  // n batch, o and i channels, p.. the patches, u.. the places in one.
  std::string image = "ni", kernel = "oi", result = "no";
  Sizes shape{q->shape[0], q->shape[1]};
  for (size_t i = 0; i < w.rank() && q; ++i) {
    if (w.out[i] * w.kernel[i] < w.sizes[i])
      q = sliceAxis(c.lowering, q, static_cast<int64_t>(i) + 2, 0,
                    w.out[i] * w.kernel[i]);
    shape.push_back(c.math.constant(w.out[i]));
    shape.push_back(c.math.constant(w.kernel[i]));
    image += {"pqrst"[i], "uvwxy"[i]};
    kernel += "uvwxy"[i];
    result += "pqrst"[i];
  }
  if (!q)
    return nullptr;
  auto equation =
      c.lowering.builder.getStringAttr(image + "," + kernel + "->" + result);
  return o("Einsum", {reshaped(c, q, shape), weights},
           c.lowering.builder.getNamedAttr("equation", equation));
}

/// The same place by place of the windows.
static SymbolicTensor *convProduct(Call &c, Compose &o, const Windows &w,
                                   SymbolicTensor *q, SymbolicTensor *weights,
                                   int64_t groups) {
  const int64_t in = *weights->shape[1]->constant(),
                out = *weights->shape[0]->constant();
  // n batch, g group, o and i channels of a group, p.. the windows.
  std::string space = std::string("pqrst").substr(0, w.rank());
  std::string equation = groups == 1 ? "oi,ni" + space + "->no" + space
                                     : "goi,ngi" + space + "->ngo" + space;
  auto attribute = c.lowering.builder.getNamedAttr(
      "equation", c.lowering.builder.getStringAttr(equation));
  SymbolicTensor *sum = nullptr;
  for (int64_t i = 0; i < w.places() && q && !o.failed(); ++i) {
    SmallVector<int64_t> place = w.coordinates(i);
    SymbolicTensor *part = atPlace(c, o, w, q, place, 0);
    SymbolicTensor *own = weightsAt(c, o, weights, place);
    if (part && own && groups > 1) {
      Sizes shape = part->shape;
      shape[1] = c.math.constant(in);
      shape.insert(shape.begin() + 1, c.math.constant(groups));
      part = reshaped(c, part, shape);
      own = reshaped(c, own,
                     {c.math.constant(groups), c.math.constant(out / groups),
                      c.math.constant(in)});
    }
    SymbolicTensor *product = o("Einsum", {own, part}, attribute);
    sum = sum ? o.add(sum, product) : product;
  }
  if (sum && groups > 1) {
    Sizes shape = sum->shape;
    shape.erase(shape.begin() + 1);
    shape[1] = c.math.constant(out);
    sum = reshaped(c, sum, shape);
  }
  return sum;
}

static Results lowerConv(Call &c) {
  SymbolicTensor *q = c.input(0), *weights = c.input(1), *bias = c.input(2);
  if (weights->rank() != q->rank() || weights->type != q->type)
    return one(c.refuse("its weights do not fit the value"));
  SmallVector<int64_t> kernel;
  for (Expr size : ArrayRef<Expr>(weights->shape).drop_front(2))
    kernel.push_back(size->constant().value_or(0));
  auto w = windowsOf(c, q, kernel);
  if (!w)
    return {};
  const int64_t groups = c.integer("group", 1);
  auto in = weights->shape[1]->constant(), out = weights->shape[0]->constant();
  if (!in || !out || groups < 1 || *out % groups ||
      q->shape[1]->constant() != *in * groups)
    return one(
        c.refuse("its channels do not fit its " + Twine(groups) + " groups"));
  Compose o(c);
  SymbolicTensor *sum = groups == 1 && arePatches(*w)
                            ? patchProduct(c, o, *w, q, weights)
                            : convProduct(c, o, *w, q, weights, groups);
  if (!sum || !bias)
    return one(sum);
  SmallVector<int64_t> added;
  for (size_t i = 0; i < w->rank(); ++i)
    added.push_back(i + 1);
  return one(o.add(sum, o("Unsqueeze", {bias, o.ints(added)})));
}

ArrayRef<OperatorEntry> import::windowOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "AveragePool", 1, 1, lowerPool}, {"", "Conv", 2, 3, lowerConv},
      {"", "LpPool", 1, 1, lowerPool},      {"", "MaxPool", 1, 1, lowerPool},
      {"", "Pad", 1, 4, lowerPad},
  };
  return table;
}
