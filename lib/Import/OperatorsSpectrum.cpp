//===- OperatorsSpectrum.cpp - Fourier transforms, and scales of tones ----===//
//
// A transform is a product with a matrix of cosines and sines, which is known
// when the file is read. Complex numbers are a last dimension of 2.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

static SymbolicTensor *matrixOf(Call &c, ArrayRef<float> numbers, int64_t rows,
                                int64_t columns, Type type) {
  SymbolicTensor *matrix = c.lowering.fromConstant(
      DenseElementsAttr::get(
          RankedTensorType::get({rows, columns},
                                c.lowering.builder.getF32Type()),
          numbers),
      "");
  return matrix && matrix->type != type ? converted(c, matrix, type) : matrix;
}

namespace {

/// A transform of `in` elements, of which as many count as it is long.
struct Transform {
  int64_t in, parts; // of a number: real, imaginary
  int64_t length;
  bool isInverse, isOneSided;

  /// From one side of a spectrum back to real numbers.
  bool givesReals() const { return isInverse && isOneSided; }
  int64_t sided() const { return length / 2 + 1; }
  int64_t out() const { return isOneSided && !isInverse ? sided() : length; }
  int64_t outParts() const { return givesReals() ? 1 : 2; }
  std::vector<float> matrix() const;
};

} // namespace

/// Rows: elements and their parts; columns: those of the result.
std::vector<float> Transform::matrix() const {
  const int64_t columns = out() * outParts();
  const int64_t taken = std::min(in, givesReals() ? sided() : length);
  std::vector<float> numbers(static_cast<size_t>(in * parts * columns), 0);
  for (int64_t from = 0; from < taken; ++from) {
    // The side that is not there mirrors this one, but for what mirrors itself.
    const bool isTwice = givesReals() && from > 0 && 2 * from != length;
    const double factor =
        (isInverse ? 1.0 / static_cast<double>(length) : 1.0) *
        (isTwice ? 2 : 1);
    for (int64_t to = 0; to < out(); ++to) {
      const double angle = 2 * llvm::numbers::pi *
                           static_cast<double>(from * to % length) /
                           static_cast<double>(length);
      const double cosine = factor * std::cos(angle);
      const double sine = (isInverse ? factor : -factor) * std::sin(angle);
      float *real = &numbers[static_cast<size_t>(from * parts * columns +
                                                 to * outParts())];
      real[0] = static_cast<float>(cosine);
      if (!givesReals())
        real[1] = static_cast<float>(sine);
      if (parts == 1)
        continue;
      float *imaginary = real + columns;
      imaginary[0] = static_cast<float>(-sine);
      if (!givesReals())
        imaginary[1] = static_cast<float>(cosine);
    }
  }
  return numbers;
}

/// Over the last dimension but one of `q`.
static SymbolicTensor *transformed(Call &c, SymbolicTensor *q,
                                   const Transform &transform) {
  constexpr int64_t most = 1 << 24;
  int64_t elements = 4;
  if (llvm::MulOverflow(elements, transform.in, elements) ||
      llvm::MulOverflow(elements, transform.out(), elements) || elements > most)
    return c.refuse("from " + Twine(transform.in) + " to " +
                    Twine(transform.out()) + " numbers; its matrix has at " +
                    "most " + Twine(most) + " elements");
  Compose o(c);
  Sizes flat(ArrayRef<Expr>(q->shape).drop_back(2)), to = flat;
  flat.push_back(c.math.constant(transform.in * transform.parts));
  to.push_back(c.math.constant(transform.out()));
  to.push_back(c.math.constant(transform.outParts()));
  SymbolicTensor *y = o(
      "MatMul", {reshaped(c, q, flat),
                 matrixOf(c, transform.matrix(), transform.in * transform.parts,
                          transform.out() * transform.outParts(), q->type)});
  return y ? reshaped(c, y, to) : nullptr;
}

/// A number that the file gives, or `otherwise` where it leaves the input out.
static std::optional<int64_t> numberOf(Call &c, unsigned operand,
                                       StringRef what, int64_t otherwise) {
  SymbolicTensor *q = c.input(operand);
  if (!q)
    return otherwise;
  auto given = c.lowering.constantsOf(q, what);
  if (!given || given->size() != 1)
    return std::nullopt;
  return given->front();
}

/// Parts of a number, which the last dimension of a signal has; 0: refused.
static int64_t partsOf(Call &c, SymbolicTensor *q) {
  const int64_t parts = q->rank() < 2 || !q->isFloat()
                            ? 0
                            : q->shape.back()->constant().value_or(0);
  if (parts == 1 || parts == 2)
    return parts;
  c.refuse("of a signal that is no float whose last dimension is 1 or 2");
  return 0;
}

static Results lowerDFT(Call &c) {
  SymbolicTensor *q = c.input(0);
  const int64_t parts = partsOf(c, q);
  auto given =
      numberOf(c, 2, "the axis", c.version < 20 ? c.integer("axis", 1) : -2);
  auto axis = parts && given ? normalizeAxis(c.lowering, *given, q->rank())
                             : std::nullopt;
  if (!axis)
    return {};
  auto size = q->shape[*axis]->constant();
  const int64_t last = static_cast<int64_t>(q->rank()) - 2;
  if (!size || *size < 1 || *axis > last)
    return one(c.refuse("over the live length, parts of a number, or nothing"));
  Transform transform{*size, parts, *size, c.integer("inverse", 0) != 0,
                      c.integer("onesided", 0) != 0};
  auto length = numberOf(c, 1, "the length",
                         transform.givesReals() ? 2 * (*size - 1) : *size);
  if (!length)
    return {};
  transform.length = *length;
  if (*length < 1 || (transform.givesReals() && parts == 1))
    return one(c.refuse("of " + Twine(*length) + " numbers of " + Twine(parts) +
                        " parts"));
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, last + 2));
  std::swap(order[*axis], order[last]);
  SymbolicTensor *turned = transposed(c, q, order);
  SymbolicTensor *y = turned ? transformed(c, turned, transform) : nullptr;
  return one(y ? transposed(c, y, order) : nullptr);
}

/// A transform of each frame, the signal under a window.
static Results lowerSTFT(Call &c) {
  SymbolicTensor *q = c.input(0), *window = c.input(2);
  const int64_t parts = partsOf(c, q);
  auto step = parts ? numberOf(c, 1, "the step of frames", 1) : std::nullopt;
  const int64_t wide = window && window->rank() == 1
                           ? window->shape[0]->constant().value_or(0)
                           : 0;
  auto length =
      step ? numberOf(c, 3, "the length of a frame", wide) : std::nullopt;
  if (!length)
    return {};
  auto size = q->shape[1]->constant();
  if (q->rank() != 3 || !size || *step < 1 || *length < 1 || *length > *size ||
      (window && (wide != *length || window->type != q->type)))
    return one(c.refuse("its frames do not fit the signal"));
  constexpr int64_t most = 1 << 24;
  const int64_t frames = (*size - *length) / *step + 1;
  if (frames > most / *length)
    return one(c.refuse("of " + Twine(frames) + " frames of " + Twine(*length) +
                        "; at most " + Twine(most) + " elements"));
  SmallVector<int64_t> places;
  for (int64_t frame = 0; frame < frames; ++frame)
    for (int64_t at = 0; at < *length; ++at)
      places.push_back(frame * *step + at);
  Compose o(c);
  SymbolicTensor *framed =
      o("Gather", {q, o.ints(places)}, {o.attribute("axis", 1)});
  if (!framed)
    return {};
  framed = reshaped(c, framed,
                    {q->shape[0], c.math.constant(frames),
                     c.math.constant(*length), q->shape[2]});
  if (window)
    framed = o.mul(framed, o("Unsqueeze", {window, o.ints({1})}));
  if (!framed)
    return {};
  const bool isOneSided = c.integer("onesided", 1) != 0 && parts == 1;
  return one(
      transformed(c, framed, {*length, parts, *length, false, isOneSided}));
}

/// A float that the file gives; none, and a refusal, of others.
static std::optional<double> realOf(Call &c, unsigned operand) {
  Expr value = c.lowering.functionOf(c.input(operand));
  if (value && value->kind == ExprKind::FloatConstant)
    return value->floatValue();
  return c.refuse("its frequencies are computed at run time"), std::nullopt;
}

/// Triangles over the bins of a spectrum, evenly apart on the scale of mels.
static Results lowerMelWeightMatrix(Call &c) {
  auto bands = numberOf(c, 0, "the number of bands", 0);
  auto length =
      bands ? numberOf(c, 1, "the length of a transform", 0) : std::nullopt;
  auto rate = length ? numberOf(c, 2, "the sample rate", 0) : std::nullopt;
  auto low = rate ? realOf(c, 3) : std::nullopt,
       high = low ? realOf(c, 4) : std::nullopt;
  if (!high)
    return {};
  constexpr int64_t most = 1 << 16;
  if (*bands < 1 || *bands > most || *length < 1 || *length > most ||
      *rate < 1 || *low < 0 || *high < *low || *high * 2 > *rate ||
      c.integer("output_datatype", 1) != 1)
    return one(c.refuse("of numbers or a type that give no such matrix"));
  auto melOf = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double step =
      (melOf(*high) - melOf(*low)) / static_cast<double>(*bands + 2);
  auto binOf = [&](int64_t band) {
    const double mel = melOf(*low) + static_cast<double>(band) * step;
    const double hertz = 700 * (std::pow(10, mel / 2595) - 1);
    return static_cast<int64_t>(std::floor(static_cast<double>(*length + 1) *
                                           hertz / static_cast<double>(*rate)));
  };
  const int64_t bins = *length / 2 + 1;
  std::vector<float> numbers(static_cast<size_t>(bins * *bands), 0);
  for (int64_t band = 0; band < *bands; ++band) {
    const int64_t first = binOf(band), centre = binOf(band + 1),
                  end = binOf(band + 2);
    auto put = [&](int64_t bin, int64_t part, int64_t whole) {
      if (bin >= 0 && bin < bins)
        numbers[static_cast<size_t>(bin * *bands + band)] =
            whole ? static_cast<float>(part) / static_cast<float>(whole) : 1;
    };
    for (int64_t bin = first; bin <= centre; ++bin)
      put(bin, bin - first, centre - first);
    for (int64_t bin = centre; bin < end; ++bin)
      put(bin, end - bin, end - centre);
  }
  return one(
      matrixOf(c, numbers, bins, *bands, c.lowering.builder.getF32Type()));
}

ArrayRef<OperatorEntry> import::spectrumOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "DFT", 1, 3, lowerDFT},
      {"", "MelWeightMatrix", 5, 5, lowerMelWeightMatrix},
      {"", "STFT", 2, 4, lowerSTFT},
  };
  return table;
}
