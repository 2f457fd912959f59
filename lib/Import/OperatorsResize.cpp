//===- OperatorsResize.cpp - Other sizes of images ------------------------===//
//
// An axis after the other: an element of the result is a sum of a few elements
// along the axis, whose places and weights follow from the sizes.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Floats that the file holds; none, and a refusal, of others.
static std::optional<SmallVector<double>> realsOf(Call &c, SymbolicTensor *q,
                                                  StringRef what) {
  SmallVector<double> values;
  if (q->constant && q->isFloat()) {
    for (APFloat value : q->constant.getValues<APFloat>()) {
      bool lost;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
      values.push_back(value.convertToDouble());
    }
    return values;
  }
  if (q->rank() == 1 && q->shape[0] == c.math.constant(0))
    return values;
  return c.refuse(what + " are computed at run time"), std::nullopt;
}

namespace {

/// One axis: from `in` elements to `out`.
struct Axis {
  int64_t in, out;
  double scale;
  double begin = 0, end = 1; // the part that a crop takes
};

/// Elements that make up one of the result.
struct Taps {
  SmallVector<int64_t> places;
  SmallVector<double> weights;
};

class Resize {
public:
  explicit Resize(Call &call)
      : c(call), mode(call.text("mode", "nearest")),
        coordinates(call.text("coordinate_transformation_mode",
                              call.version < 11 ? "asymmetric" : "half_pixel")),
        rounding(call.text("nearest_mode", call.version < 11
                                               ? "floor"
                                               : "round_prefer_floor")) {}
  SymbolicTensor *lower();

private:
  std::optional<SmallVector<Axis>> axes(SmallVectorImpl<int64_t> &which);
  double source(const Axis &axis, int64_t at) const;
  Taps taps(const Axis &axis, double at) const;
  SmallVector<double> weights(double ratio, double scale, int64_t &first) const;
  SymbolicTensor *along(SymbolicTensor *q, int64_t which, const Axis &axis);

  Call &c;
  StringRef mode, coordinates, rounding;
};

} // namespace

/// Where in the operand an element of the result lies.
double Resize::source(const Axis &axis, int64_t at) const {
  const auto x = static_cast<double>(at), in = static_cast<double>(axis.in);
  const double out = axis.scale * in; // not rounded
  if (coordinates == "asymmetric")
    return x / axis.scale;
  if (coordinates == "align_corners")
    return out == 1 ? 0 : x * (in - 1) / (out - 1);
  if (coordinates == "tf_crop_and_resize") {
    const double part = axis.end - axis.begin;
    return axis.begin * (in - 1) +
           (out == 1 ? part * (in - 1) / 2 : x * part * (in - 1) / (out - 1));
  }
  if (coordinates == "pytorch_half_pixel" && axis.out == 1)
    return 0;
  double offset = 0;
  if (coordinates == "half_pixel_symmetric")
    offset = in / 2 * (1 - static_cast<double>(axis.out) / out);
  return offset + (x + 0.5) / axis.scale - 0.5;
}

/// Weights of the elements from `first` on, counted from the one below.
SmallVector<double> Resize::weights(double ratio, double scale,
                                    int64_t &first) const {
  const bool isCubic = mode == "cubic";
  const double a = c.real("cubic_coeff_a", -0.75), reach = isCubic ? 2 : 1;
  const double shrunk = c.integer("antialias", 0) ? std::min(scale, 1.0) : 1;
  first = static_cast<int64_t>(std::floor(-reach / shrunk)) + 1;
  SmallVector<double> result;
  double sum = 0;
  for (int64_t i = first; i <= 1 - first; ++i) {
    const double x = std::abs((static_cast<double>(i) - ratio) * shrunk);
    double weight = 0;
    if (!isCubic)
      weight = std::max(1 - x, 0.0);
    else if (x <= 1)
      weight = ((a + 2) * x - (a + 3)) * x * x + 1;
    else if (x < 2)
      weight = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    result.push_back(weight);
    sum += weight;
  }
  for (double &weight : result)
    weight /= sum;
  return result;
}

Taps Resize::taps(const Axis &axis, double at) const {
  Taps taps;
  const double below = std::floor(at);
  if (mode == "nearest") {
    double place = below;
    const double ratio = at - below;
    if ((rounding == "ceil" && ratio > 0) ||
        (rounding == "round_prefer_floor" && ratio > 0.5) ||
        (rounding == "round_prefer_ceil" && ratio >= 0.5))
      ++place;
    taps.places.push_back(static_cast<int64_t>(place));
    taps.weights.push_back(1);
  } else {
    int64_t first;
    taps.weights = weights(at - below, axis.scale, first);
    double kept = 0;
    for (auto [i, weight] : llvm::enumerate(taps.weights)) {
      taps.places.push_back(static_cast<int64_t>(below) + first +
                            static_cast<int64_t>(i));
      const bool isOutside =
          taps.places.back() < 0 || taps.places.back() >= axis.in;
      if (isOutside && c.integer("exclude_outside", 0))
        weight = 0;
      kept += weight;
    }
    for (double &weight : taps.weights)
      weight /= kept;
  }
  for (int64_t &place : taps.places)
    place = std::clamp<int64_t>(place, 0, axis.in - 1);
  return taps;
}

SymbolicTensor *Resize::along(SymbolicTensor *q, int64_t which,
                              const Axis &axis) {
  Compose o(c);
  SmallVector<Taps> all;
  SmallVector<bool> outside;
  for (int64_t at = 0; at < axis.out; ++at) {
    const double x = source(axis, at);
    all.push_back(taps(axis, x));
    outside.push_back(coordinates == "tf_crop_and_resize" &&
                      (x < 0 || x > static_cast<double>(axis.in - 1)));
  }
  Sizes column{c.math.constant(axis.out)};
  column.append(q->rank() - which - 1, c.math.constant(1));
  // A list of numbers, as selections along the axis.
  auto list = [&](function_ref<double(int64_t)> value) {
    c.math.dims = column;
    Format format = c.lowering.formatOf(q->type);
    Expr result = c.math.floatConstant(value(axis.out - 1), format);
    for (int64_t i = axis.out - 1; i-- > 0;)
      result = c.math.where(c.math.lessEqual(c.math.dim(0), c.math.constant(i)),
                            c.math.floatConstant(value(i), format), result);
    return c.lowering.fromFunction(column, q->type, result);
  };
  SymbolicTensor *sum = nullptr;
  for (size_t tap = 0; tap < all[0].places.size() && !o.failed(); ++tap) {
    SmallVector<int64_t> places;
    for (const Taps &each : all)
      places.push_back(each.places[tap]);
    SymbolicTensor *part =
        o("Gather", {q, o.ints(places)}, o.attribute("axis", which));
    if (mode != "nearest")
      part = o.mul(part, list([&](int64_t i) { return all[i].weights[tap]; }));
    sum = sum ? o.add(sum, part) : part;
  }
  if (!llvm::is_contained(outside, true))
    return sum;
  SymbolicTensor *inside =
      list([&](int64_t i) { return outside[i] ? 0.0 : 1.0; });
  return o.where(o.less(inside, o.constant(0.5)),
                 o.constant(c.real("extrapolation_value", 0)), sum);
}

std::optional<SmallVector<Axis>> Resize::axes(SmallVectorImpl<int64_t> &which) {
  SymbolicTensor *q = c.input(0);
  const bool isNew = c.op == "Resize" && c.version >= 11;
  SymbolicTensor *scales = c.input(isNew ? 2 : 1), *sizes = c.input(3),
                 *roi = isNew ? c.input(1) : nullptr;
  if (auto given = c.integers("axes"))
    which = *given;
  else
    which = llvm::to_vector(llvm::seq<int64_t>(0, q->rank()));
  SmallVector<double> factors, parts;
  SmallVector<int64_t> wanted;
  if (scales) {
    auto given = realsOf(c, scales, "its scales");
    if (!given)
      return std::nullopt;
    factors = *given;
  } else if (auto given = c.attributes.getAs<ArrayAttr>("scales")) {
    for (auto value : given.getAsRange<FloatAttr>())
      factors.push_back(value.getValueAsDouble());
  }
  if (factors.empty() && sizes) {
    auto given = c.lowering.constantsOf(sizes, "a size");
    if (!given)
      return std::nullopt;
    wanted = *given;
  }
  if (roi && coordinates == "tf_crop_and_resize") {
    auto given = realsOf(c, roi, "the bounds of its crop");
    if (!given)
      return std::nullopt;
    parts = *given;
    if (parts.size() != 2 * which.size())
      return c.refuse("the bounds of its crop do not fit"), std::nullopt;
  }
  if ((factors.empty() ? wanted.size() : factors.size()) != which.size())
    return c.refuse("its scales or sizes do not fit the value"), std::nullopt;
  SmallVector<Axis> result;
  for (auto [i, each] : llvm::enumerate(which)) {
    auto normal = normalizeAxis(c.lowering, each, q->rank());
    auto in = normal ? q->shape[*normal]->constant() : std::nullopt;
    if (!in)
      return normal ? c.refuse("resizes the live length") : nullptr,
             std::nullopt;
    each = *normal;
    Axis axis{*in, 0, 1};
    const auto size = static_cast<double>(*in);
    if (factors.empty()) {
      axis.out = wanted[i];
      axis.scale = static_cast<double>(axis.out) / size;
    } else {
      axis.scale = factors[i];
      axis.out = static_cast<int64_t>(std::floor(size * axis.scale));
    }
    if (!parts.empty()) {
      axis.begin = parts[i];
      axis.end = parts[i + which.size()];
    }
    result.push_back(axis);
  }
  StringRef policy = c.text("keep_aspect_ratio_policy", "stretch");
  if (policy != "stretch" && factors.empty()) {
    double scale = result[0].scale;
    for (const Axis &axis : result)
      scale = policy == "not_larger" ? std::min(scale, axis.scale)
                                     : std::max(scale, axis.scale);
    for (Axis &axis : result) {
      axis.scale = scale;
      axis.out = static_cast<int64_t>(
          std::floor(scale * static_cast<double>(axis.in) + 0.5));
    }
  }
  for (const Axis &axis : result)
    if (!(axis.scale > 0) || axis.out < 1 || axis.out > (1 << 12))
      return c.refuse("resizes a dimension to " + Twine(axis.out)),
             std::nullopt;
  return result;
}

SymbolicTensor *Resize::lower() {
  SymbolicTensor *q = c.input(0);
  if (mode == "bilinear")
    mode = "linear";
  if (!q->isFloat() && mode != "nearest")
    return c.refuse("of a value that is not a float");
  SmallVector<int64_t> which;
  auto all = axes(which);
  if (!all)
    return nullptr;
  for (auto [axis, at] : llvm::zip_equal(*all, which)) {
    const bool isCrop = coordinates == "tf_crop_and_resize";
    if (axis.out == axis.in && axis.scale == 1 && !isCrop)
      continue;
    if (q && !(q = along(q, at, axis)))
      return nullptr;
  }
  return q;
}

static Results lowerResize(Call &c) { return one(Resize(c).lower()); }

ArrayRef<OperatorEntry> import::resizeOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Resize", 1, 4, lowerResize},
      {"", "Upsample", 1, 2, lowerResize},
  };
  return table;
}
