//===- OperatorsTransposed.cpp - Windows put back where they were ---------===//
//
// A convolution the other way around: what a window gives is added up where its
// elements lie.
//
//===----------------------------------------------------------------------===//

#include "Windows.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Numbers of an attribute, as many as are meant; all alike where they are not
/// given.
static SmallVector<int64_t> listOf(Call &c, StringRef name, size_t count,
                                   int64_t otherwise) {
  auto given = c.integers(name);
  return given && given->size() == count
             ? *given
             : SmallVector<int64_t>(count, otherwise);
}

/// The product of the weights of one place, [in, out], and a value.
static SymbolicTensor *channelProduct(Call &c, Compose &o,
                                      SymbolicTensor *weights,
                                      SymbolicTensor *value, size_t rank) {
  std::string space = std::string("pqrst").substr(0, rank);
  std::string equation = "io,ni" + space + "->no" + space;
  return o("Einsum", {weights, value},
           c.lowering.builder.getNamedAttr(
               "equation", c.lowering.builder.getStringAttr(equation)));
}

/// A ConvTranspose of several groups: one of each, beside each other.
static SymbolicTensor *transposedGroups(Call &c) {
  SymbolicTensor *q = c.input(0), *weights = c.input(1), *bias = c.input(2);
  const int64_t groups = c.integer("group", 1);
  auto in = weights->shape[0]->constant(), out = weights->shape[1]->constant();
  if (!in || !out || groups < 1 || *in < 1 || *in % groups ||
      q->shape[1] != weights->shape[0])
    return c.refuse("its channels do not fit its " + Twine(groups) + " groups");
  NamedAttrList attributes(c.attributes);
  attributes.erase("group");
  Compose o(c);
  const int64_t each = *in / groups;
  SmallVector<SymbolicTensor *> parts;
  for (int64_t i = 0; i < groups && !o.failed(); ++i) {
    SmallVector<SymbolicTensor *> operands{
        sliceAxis(c.lowering, q, 1, i * each, each),
        sliceAxis(c.lowering, weights, 0, i * each, each)};
    if (bias)
      operands.push_back(sliceAxis(c.lowering, bias, 0, i * *out, *out));
    parts.push_back(o("ConvTranspose", operands, attributes.getAttrs()));
  }
  return o("Concat", parts, {o.attribute("axis", 1)});
}

/// Every element of the result takes what lies under it for each place of the
/// kernel: nothing where the stride leaves a gap.
static Results lowerConvTranspose(Call &c) {
  SymbolicTensor *q = c.input(0), *weights = c.input(1), *bias = c.input(2);
  if (weights->rank() != q->rank() || weights->type != q->type ||
      q->rank() < 3 || q->rank() > 7 || !q->isFloat())
    return one(c.refuse("its weights do not fit the value"));
  if (c.integer("group", 1) != 1)
    return one(transposedGroups(c));
  const size_t rank = q->rank() - 2;
  SmallVector<int64_t> strides = listOf(c, "strides", rank, 1),
                       dilations = listOf(c, "dilations", rank, 1),
                       more = listOf(c, "output_padding", rank, 0),
                       pads = listOf(c, "pads", 2 * rank, 0),
                       wanted = listOf(c, "output_shape", rank, -1);
  StringRef automatic = c.text("auto_pad", "NOTSET");
  Windows w;
  for (size_t i = 0; i < rank; ++i) {
    auto size = q->shape[i + 2]->constant(),
         kernel = weights->shape[i + 2]->constant();
    if (!size || !kernel || strides[i] < 1 || dilations[i] < 1)
      return one(c.refuse("slides over the live length"));
    w.sizes.push_back(*size);
    w.kernel.push_back(*kernel);
    const int64_t full =
        strides[i] * (*size - 1) + more[i] + (*kernel - 1) * dilations[i] + 1;
    if (automatic.starts_with("SAME") && wanted[i] < 0)
      wanted[i] = *size * strides[i];
    if (wanted[i] >= 0) {
      const int64_t total = std::max<int64_t>(full - wanted[i], 0);
      const int64_t half = total / 2;
      pads[i] = automatic == "SAME_UPPER" ? half : total - half;
      pads[i + rank] = total - pads[i];
      w.out.push_back(wanted[i]);
    } else {
      w.out.push_back(full - pads[i] - pads[i + rank]);
    }
    if (w.out.back() < 1)
      return one(c.refuse("its result has no elements"));
  }
  Compose o(c);
  SymbolicTensor *sum = nullptr;
  for (int64_t k = 0; k < w.places() && !o.failed(); ++k) {
    SmallVector<int64_t> place = w.coordinates(k);
    SymbolicTensor *part = q;
    bool isEmpty = false;
    for (size_t i = 0; i < rank && part; ++i) {
      SmallVector<int64_t> places;
      for (int64_t at = 0; at < w.out[i]; ++at) {
        const int64_t from = at + pads[i] - place[i] * dilations[i];
        places.push_back(from % strides[i] == 0 ? from / strides[i] : -1);
      }
      isEmpty |= llvm::none_of(
          places, [&](int64_t at) { return at >= 0 && at < w.sizes[i]; });
      part = takenOr(c, o, part, static_cast<int64_t>(i) + 2, w.sizes[i],
                     places, o.constant(0));
    }
    if (isEmpty && sum)
      continue;
    SymbolicTensor *own = weightsAt(c, o, weights, place);
    SymbolicTensor *product =
        part ? channelProduct(c, o, own, part, rank) : nullptr;
    sum = sum ? o.add(sum, product) : product;
  }
  if (!sum || !bias)
    return one(sum);
  SmallVector<int64_t> added;
  for (size_t i = 0; i < rank; ++i)
    added.push_back(i + 1);
  return one(o.add(sum, o("Unsqueeze", {bias, o.ints(added)})));
}

/// Columns back to where windows had them, added up: a transposed convolution
/// whose weights give each element of a window its place.
static Results lowerCol2Im(Call &c) {
  auto image = c.lowering.constantsOf(c.input(1), "the shape of the image");
  auto block = image
                   ? c.lowering.constantsOf(c.input(2), "the shape of a block")
                   : std::nullopt;
  if (!block)
    return {};
  SymbolicTensor *q = c.input(0);
  const size_t rank = image->size();
  if (!q->isFloat() || q->rank() != 3 || block->size() != rank || rank < 1)
    return one(c.refuse("its columns do not fit its blocks"));
  SmallVector<int64_t> strides = listOf(c, "strides", rank, 1),
                       dilations = listOf(c, "dilations", rank, 1),
                       pads = listOf(c, "pads", 2 * rank, 0), more, windows;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t room = (*image)[i] + pads[i] + pads[i + rank] -
                         dilations[i] * ((*block)[i] - 1) - 1;
    if (strides[i] < 1 || dilations[i] < 1 || (*block)[i] < 1 || room < 0)
      return one(c.refuse("a block does not fit the image"));
    windows.push_back(room / strides[i] + 1);
    more.push_back(room % strides[i]);
  }
  constexpr int64_t most = 1 << 12;
  int64_t places = 1;
  for (int64_t size : *block)
    if (size > most || (places *= size) > most)
      return one(
          c.refuse("of blocks of more than " + Twine(most) + " elements"));
  auto batch = q->shape[0]->constant(), columns = q->shape[1]->constant();
  if (!batch || !columns || *columns < 1 || *columns % places ||
      q->shape[2]->constant() != llvm::product_of(windows))
    return one(c.refuse("its columns do not fit its blocks"));
  auto sizesOf = [&](ArrayRef<int64_t> sizes) {
    return llvm::map_to_vector(
        sizes, [&](int64_t size) { return c.math.constant(size); });
  };
  SmallVector<int64_t> given{*batch * (*columns / places), places},
      wide{places, 1}, whole{*batch, *columns / places};
  llvm::append_range(given, windows);
  llvm::append_range(wide, *block);
  llvm::append_range(whole, *image);
  std::vector<float> hot(static_cast<size_t>(places * places), 0);
  for (int64_t i = 0; i < places; ++i)
    hot[static_cast<size_t>(i * places + i)] = 1;
  Compose o(c);
  SymbolicTensor *weights = c.lowering.fromConstant(
      DenseElementsAttr::get(
          RankedTensorType::get(wide, c.lowering.builder.getF32Type()),
          ArrayRef<float>(hot)),
      "");
  if (weights && q->type != weights->type)
    weights = converted(c, weights, q->type);
  SymbolicTensor *all =
      o("ConvTranspose", {reshaped(c, q, sizesOf(given)), weights},
        {o.attribute("strides", strides), o.attribute("dilations", dilations),
         o.attribute("pads", pads), o.attribute("output_padding", more)});
  return one(all ? reshaped(c, all, sizesOf(whole)) : nullptr);
}

ArrayRef<OperatorEntry> import::transposedOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Col2Im", 3, 3, lowerCol2Im},
      {"", "ConvTranspose", 2, 3, lowerConvTranspose},
  };
  return table;
}
