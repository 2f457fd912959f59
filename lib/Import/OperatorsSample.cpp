//===- OperatorsSample.cpp - Images read at computed places ---------------===//
//
// Each sample is a sum over the whole image, a product: its weights are those
// of an axis times those of the others, and along an axis they are numbers at a
// few places that depend on data, and 0 elsewhere.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {

/// A place along an axis, and what it counts in a sample.
struct Tap {
  SymbolicTensor *place, *weight;
};

class GridSample {
public:
  explicit GridSample(Call &call)
      : o(call), c(call), type(call.input(1)->type),
        mode(call.text("mode", call.version < 20 ? "bilinear" : "linear")),
        padding(call.text("padding_mode", "zeros")),
        isAligned(call.integer("align_corners", 0) != 0) {}
  SymbolicTensor *lower();

private:
  bool check();
  SymbolicTensor *number(double value) { return o.constant(value, type); }
  double first() const { return isAligned ? 0 : -0.5; }
  double extent(int64_t size) const {
    return static_cast<double>(isAligned ? size - 1 : size);
  }
  bool isNearest() const { return mode == "nearest"; }
  bool isCubic() const { return mode.ends_with("cubic"); }

  SymbolicTensor *coordinate(size_t axis);
  SymbolicTensor *inside(SymbolicTensor *at, int64_t size);
  SmallVector<Tap> taps(SymbolicTensor *at);
  SymbolicTensor *weights(SymbolicTensor *at, int64_t size);

  Compose o;
  Call &c;
  Type type;
  StringRef mode, padding;
  bool isAligned;
  SmallVector<int64_t> sizes; // of the axes
  int64_t batch = 0, samples = 1;
};

} // namespace

bool GridSample::check() {
  SymbolicTensor *q = c.input(0), *grid = c.input(1);
  const size_t rank = q->rank();
  auto refuse = [&](const Twine &what) { return c.refuse(what), false; };
  if (!q->isFloat() || !grid->isFloat() || rank < 3 || grid->rank() != rank)
    return refuse("its grid does not fit the value");
  for (size_t i = 0; i < rank; ++i)
    if (q->shape[i]->constant().value_or(0) < 1 ||
        grid->shape[i]->constant().value_or(0) < 1)
      return refuse("of a shape that changes with the position, or is empty");
  batch = *q->shape[0]->constant();
  for (size_t i = 2; i < rank; ++i)
    sizes.push_back(*q->shape[i]->constant());
  for (size_t i = 1; i + 1 < rank; ++i)
    samples *= *grid->shape[i]->constant();
  if (grid->shape[0] != q->shape[0] ||
      grid->shape.back() != c.math.constant(sizes.size()))
    return refuse("its grid does not fit the value");
  if (!isNearest() && !isCubic() && !mode.ends_with("linear"))
    return refuse("of the mode '" + mode + "'");
  if (padding != "zeros" && padding != "border" && padding != "reflection")
    return refuse("of the padding '" + padding + "'");
  return true;
}

/// Where each sample lies along an axis, [batch, samples, 1]: the grid has the
/// last axis first, and -1 to 1 for the whole of it.
SymbolicTensor *GridSample::coordinate(size_t axis) {
  SymbolicTensor *grid = c.input(1);
  SymbolicTensor *part =
      sliceAxis(c.lowering, grid, grid->rank() - 1, sizes.size() - 1 - axis, 1);
  if (!part)
    return nullptr;
  part = reshaped(
      c, part,
      {c.math.constant(batch), c.math.constant(samples), c.math.constant(1)});
  const auto size = static_cast<double>(sizes[axis]);
  SymbolicTensor *at = o.add(part, number(1));
  at = isAligned
           ? o.mul(o.mul(at, number(0.5)), number(size - 1))
           : o.mul(o.sub(o.mul(at, number(size)), number(1)), number(0.5));
  return isNearest() ? o("Round", {at}) : at;
}

/// A place brought into the image, as the padding says.
SymbolicTensor *GridSample::inside(SymbolicTensor *at, int64_t size) {
  if (padding == "zeros")
    return at;
  if (padding == "border")
    return o("Clip", {at, number(0), number(static_cast<double>(size - 1))});
  const double low = first(), range = extent(size);
  if (range == 0)
    return o.mul(at, number(0));
  // Back and forth between the ends.
  SymbolicTensor *far = o("Abs", {o.sub(at, number(low))});
  SymbolicTensor *rounds = o("Floor", {o.mul(far, number(0.5 / range))});
  SymbolicTensor *rest = o.sub(far, o.mul(rounds, number(2 * range)));
  return o.sub(number(low + range), o("Abs", {o.sub(rest, number(range))}));
}

SmallVector<Tap> GridSample::taps(SymbolicTensor *at) {
  if (isNearest())
    return {{at, number(1)}};
  SymbolicTensor *floor = o("Floor", {at}), *one = number(1);
  SymbolicTensor *behind = o.sub(at, floor), *before = o.sub(one, behind);
  SymbolicTensor *next = o.add(floor, one);
  if (!isCubic())
    return {{floor, before}, {next, behind}};
  constexpr double a = -0.75;
  auto near = [&](SymbolicTensor *distance) {
    return o.polynomial(distance, {1, 0, -(a + 3), a + 2});
  };
  auto far = [&](SymbolicTensor *distance) {
    return o.polynomial(distance, {-4 * a, 8 * a, -5 * a, a});
  };
  return {{o.sub(floor, one), far(o.add(behind, one))},
          {floor, near(behind)},
          {next, near(before)},
          {o.add(next, one), far(o.add(before, one))}};
}

/// What each place of an axis counts, [batch, samples, size].
SymbolicTensor *GridSample::weights(SymbolicTensor *at, int64_t size) {
  SymbolicTensor *places = converted(c, o.iota(c.math.constant(size)), type);
  SymbolicTensor *sum = nullptr;
  for (const Tap &tap : taps(at)) {
    SymbolicTensor *distance =
        o("Abs", {o.sub(inside(tap.place, size), places)});
    SymbolicTensor *part =
        o.where(o.less(distance, number(0.5)), tap.weight, number(0));
    sum = sum ? o.add(sum, part) : part;
  }
  return sum;
}

SymbolicTensor *GridSample::lower() {
  if (!check())
    return nullptr;
  SymbolicTensor *all = nullptr;
  int64_t places = 1;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    SymbolicTensor *part = weights(coordinate(i), size);
    places *= size;
    all = all ? o.mul(o("Unsqueeze", {all, o.ints({3})}),
                      o("Unsqueeze", {part, o.ints({2})}))
              : part;
    if (!all)
      return nullptr;
    all = reshaped(c, all,
                   {c.math.constant(batch), c.math.constant(samples),
                    c.math.constant(places)});
  }
  SymbolicTensor *q = c.input(0), *grid = c.input(1);
  if (all && type != q->type)
    all = converted(c, all, q->type);
  SymbolicTensor *flat =
      reshaped(c, q, {q->shape[0], q->shape[1], c.math.constant(places)});
  SymbolicTensor *y =
      o("Einsum", {all, flat},
        c.lowering.builder.getNamedAttr(
            "equation", c.lowering.builder.getStringAttr("nop,ncp->nco")));
  Sizes to{q->shape[0], q->shape[1]};
  to.append(grid->shape.begin() + 1, grid->shape.end() - 1);
  return y ? reshaped(c, y, to) : nullptr;
}

static Results lowerGridSample(Call &c) { return one(GridSample(c).lower()); }

ArrayRef<OperatorEntry> import::sampleOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "GridSample", 2, 2, lowerGridSample},
  };
  return table;
}
