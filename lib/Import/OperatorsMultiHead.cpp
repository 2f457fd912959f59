//===- OperatorsMultiHead.cpp - Fused attention of as many keys as queries ===//
//
// MultiHeadAttention and Attention of com.microsoft in primitives: bias, append
// to the past, softmax(scale * Q K^T + masks) V. A mask adds
// `mask_filter_value` where it is zero, as the runtime does.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {
/// One attention on its way to primitives.
class MultiHead {
public:
  explicit MultiHead(Call &c)
      : c(c), lowering(c.lowering), math(c.math),
        heads(c.integer("num_heads", 0)) {}
  /// MultiHeadAttention.
  Results lowerSeparate();
  /// Attention, whose product is its own.
  Results lowerPacked();

private:
  bool refuse(const Twine &reason) { return c.refuse(reason), false; }
  bool splitOperands();
  bool unpack(SymbolicTensor *packed, ArrayRef<SymbolicTensor **> parts);
  bool addBias();
  SymbolicTensor *headsOf(SymbolicTensor *q);
  bool haveHeads();
  SymbolicTensor *extend(SymbolicTensor *past, SymbolicTensor *rows,
                         int64_t axis) {
    return extendPast(c, "its past", past, rows, axis,
                      math.add(math.position(), rows->shape[axis]));
  }
  SymbolicTensor *masked(SymbolicTensor *scores, SymbolicTensor *mask);
  SymbolicTensor *attend(SymbolicTensor *mask, SymbolicTensor *bias);

  Call &c;
  Lowering &lowering;
  Arithmetic &math;
  int64_t heads;
  /// [b, n, h * d] or [b, h, n, d].
  SymbolicTensor *query = nullptr, *key = nullptr, *value = nullptr;
};
} // namespace

/// [b, n, h, parts, d] -> its parts, each [b, n, h * d].
bool MultiHead::unpack(SymbolicTensor *packed,
                       ArrayRef<SymbolicTensor **> parts) {
  if (packed->rank() != 5 ||
      packed->shape[3] != math.constant(static_cast<int64_t>(parts.size())))
    return refuse("its packed operand has the shape " +
                  lowering.print(packed->shape));
  Sizes shape{packed->shape[0], packed->shape[1],
              math.mul(packed->shape[2], packed->shape[4])};
  for (auto [i, part] : llvm::enumerate(parts)) {
    *part = sliceAxis(lowering, packed, 3, static_cast<int64_t>(i), 1);
    *part = *part ? reshaped(c, *part, shape) : nullptr;
    if (!*part)
      return false;
  }
  return true;
}

bool MultiHead::splitOperands() {
  query = c.input(0), key = c.input(1), value = c.input(2);
  if (heads < 1)
    return refuse("num_heads " + Twine(heads) + " is not positive");
  if (!query->isFloat())
    return refuse("its query is no float value");
  if (query->rank() == 5)
    return unpack(query, {&query, &key, &value});
  if (key && key->rank() == 5)
    return unpack(key, {&key, &value});
  if (query->rank() != 3 || !key || !value)
    return refuse("its query is not of rank 3, or its key or value is left "
                  "out");
  return true;
}

/// The bias of query, key and value, one behind the other.
bool MultiHead::addBias() {
  SymbolicTensor *bias = c.input(3);
  if (!bias)
    return true;
  int64_t start = 0;
  for (SymbolicTensor **rows : {&query, &key, &value}) {
    if ((*rows)->rank() != 3 || bias->rank() != 1)
      return refuse("a bias of heads that are split already");
    auto width = (*rows)->shape[2]->constant();
    if (!width)
      return refuse("a bias over the live length");
    SymbolicTensor *part = sliceAxis(lowering, bias, 0, start, *width);
    *rows = part ? lowering.binary(ScalarOp::Add, *rows, part) : nullptr;
    if (!*rows)
      return false;
    start += *width;
  }
  return true;
}

/// [b, n, h * d] -> [b, h, n, d].
SymbolicTensor *MultiHead::headsOf(SymbolicTensor *q) {
  return q->rank() == 4 ? q : splitHeads(c, q, heads);
}

/// Whether keys and values, which an encoder may have given split, have the
/// heads of the query: this operator shares none.
bool MultiHead::haveHeads() {
  const std::pair<StringRef, SymbolicTensor *> operands[] = {{"key", key},
                                                             {"value", value}};
  for (auto [name, q] : operands)
    if (q->rank() == 4 ? q->shape[1] != math.constant(heads)
                       : name == "key" && q->shape[2] != query->shape[2])
      return refuse("its " + name + " has the shape " +
                    lowering.print(q->shape) + ", not the " + Twine(heads) +
                    " heads of its query " + lowering.print(query->shape) +
                    "; where queries share heads (MQA, GQA), repeat them by "
                    "Expand, or export with GroupQueryAttention or Attention "
                    "of ai.onnx");
  return true;
}

/// Scores [b, h, n, L] and what the padding mask adds.
SymbolicTensor *MultiHead::masked(SymbolicTensor *scores,
                                  SymbolicTensor *mask) {
  if (!mask)
    return scores;
  Expr function = lowering.functionOf(mask), one = math.constant(1);
  Expr batch = scores->shape[0], live = scores->shape[3];
  if (!function || !mask->isInt())
    return c.refuse("its mask is no integer value that can be followed");
  Sizes shape{batch, one, one, live}, at;
  if (mask->rank() == 2 && mask->shape[1] == live)
    at = {math.dim(0), math.dim(3)};
  else if (mask->rank() == 3 && mask->shape[2] == live)
    shape[2] = mask->shape[1], at = {math.dim(0), math.dim(2), math.dim(3)};
  else if (mask->rank() == 1 && mask->shape[0] == batch)
    at = {math.dim(0)};
  else
    return c.refuse("a mask of shape " + lowering.print(mask->shape) +
                    " is not supported for scores of shape " +
                    lowering.print(scores->shape));
  math.dims = shape;
  Expr seen = math.substitute(function, at);
  Expr hidden = mask->rank() == 1
                    ? math.lessEqual(seen, math.dim(3)) // how many are seen
                    : math.equalZero(seen);
  Type type = scores->type;
  double filter = c.real("mask_filter_value", -10000);
  SymbolicTensor *added = lowering.fromFunction(
      shape, type,
      math.where(hidden, lowering.constantOf(filter, type),
                 lowering.constantOf(0, type)));
  return lowering.binary(ScalarOp::Add, scores, added);
}

/// [b, n, h * d] of query, key and value [b, h, .., d].
SymbolicTensor *MultiHead::attend(SymbolicTensor *mask, SymbolicTensor *bias) {
  Type type = query->type;
  Expr tokens = query->shape[2], live = key->shape[2];
  auto size = query->shape[3]->constant();
  double scale = c.real("scale", 0);
  if (scale == 0 && size)
    scale = 1 / std::sqrt(static_cast<double>(*size));
  SymbolicTensor *factor =
      lowering.fromFunction({}, type, lowering.constantOf(scale, type));
  SymbolicTensor *rows = lowering.binary(ScalarOp::Mul, query, factor);
  SymbolicTensor *columns = rows ? transposed(c, key, {0, 1, 3, 2}) : nullptr;
  SymbolicTensor *scores = columns ? product(c, rows, columns) : nullptr;
  if (scores && bias)
    scores = lowering.binary(ScalarOp::Add, scores, bias);
  scores = scores ? masked(scores, mask) : nullptr;
  if (!scores)
    return nullptr;
  bool excluded = c.integer("unidirectional", 0) != 0;
  if (excluded) {
    math.dims = {tokens, math.constant(lowering.capacity(live))};
    Expr inside = math.lessEqual(math.dim(1),
                                 math.add(math.dim(0), math.sub(live, tokens)));
    if (!inside->isTrue())
      scores = lowering.keepWhere(scores, inside, {2, 3},
                                  -std::numeric_limits<double>::infinity());
    excluded = !inside->isTrue();
  }
  SymbolicTensor *weights =
      scores ? softmax(c, scores, {3}, /*paddingIsExcluded=*/excluded)
             : nullptr;
  SymbolicTensor *result = weights ? product(c, weights, value) : nullptr;
  return result ? joinHeads(c, result) : nullptr;
}

Results MultiHead::lowerSeparate() {
  for (unsigned i : {8, 9})
    if (c.input(i))
      return one(c.refuse("its input 'past_sequence_length' or "
                          "'cache_indirection' is not supported"));
  if (c.wants(3))
    return one(c.refuse("its output 'qk' is not supported"));
  if (!splitOperands() || !haveHeads() || !addBias())
    return {};
  for (SymbolicTensor **rows : {&query, &key, &value})
    if (!(*rows = headsOf(*rows)))
      return {};
  if (!c.input(6) != !c.input(7))
    return one(c.refuse("has one of past_key and past_value"));
  if (c.input(6)) {
    key = extend(c.input(6), key, 2);
    value = key ? extend(c.input(7), value, 2) : nullptr;
    if (!value)
      return {};
  }
  SymbolicTensor *result = attend(c.input(4), c.input(5));
  return result ? Results{result, key, value} : Results{};
}

Results MultiHead::lowerPacked() {
  SymbolicTensor *x = c.input(0), *weights = c.input(1), *bias = c.input(2);
  if (heads < 1 || x->rank() != 3 || weights->rank() != 2)
    return one(c.refuse("its input is not of rank 3 or has no heads"));
  if (c.input(6) || c.integer("do_rotary", 0))
    return one(
        c.refuse("do_rotary and past_sequence_length are not supported"));
  auto width = weights->shape[1]->constant();
  SmallVector<int64_t> sizes;
  if (auto given = c.integers("qkv_hidden_sizes"))
    sizes = *given;
  else if (width && *width % 3 == 0)
    sizes.assign(3, *width / 3);
  if (sizes.size() != 3 || sizes[0] + sizes[1] + sizes[2] != width)
    return one(c.refuse("weights of shape " + lowering.print(weights->shape) +
                        " are not those of query, key and value"));
  SymbolicTensor *all = product(c, x, weights);
  if (all && bias)
    all = lowering.binary(ScalarOp::Add, all, bias);
  int64_t start = 0;
  SymbolicTensor **parts[] = {&query, &key, &value};
  for (auto [part, size] : llvm::zip(parts, sizes)) {
    *part = all ? sliceAxis(lowering, all, 2, start, size) : nullptr;
    *part = *part ? headsOf(*part) : nullptr;
    if (!*part)
      return {};
    start += size;
  }
  SymbolicTensor *held = nullptr;
  if (SymbolicTensor *past = c.input(4)) {
    // Keys and values are one state [2, b, h, p, d].
    Sizes single{math.constant(1)};
    llvm::append_range(single, key->shape);
    Sizes pair = single;
    pair[0] = math.constant(2);
    SymbolicTensor *k = reshaped(c, key, single);
    SymbolicTensor *v = k ? reshaped(c, value, single) : nullptr;
    SymbolicTensor *rows = v ? joined(c, {k, v}, 0, pair) : nullptr;
    held = rows ? extend(past, rows, 3) : nullptr;
    if (!held)
      return {};
    Sizes shape(held->shape.begin() + 1, held->shape.end());
    SymbolicTensor **both[] = {&key, &value};
    for (auto [i, part] : llvm::enumerate(both)) {
      *part = sliceAxis(lowering, held, 0, static_cast<int64_t>(i), 1);
      *part = *part ? reshaped(c, *part, shape) : nullptr;
      if (!*part)
        return {};
    }
  }
  SymbolicTensor *result = attend(c.input(3), c.input(5));
  return result ? Results{result, held} : Results{};
}

static Results lowerMultiHeadAttention(Call &c) {
  return MultiHead(c).lowerSeparate();
}

static Results lowerAttention(Call &c) { return MultiHead(c).lowerPacked(); }

ArrayRef<OperatorEntry> import::multiHeadOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"com.microsoft", "Attention", 2, 7, lowerAttention},
      {"com.microsoft", "MultiHeadAttention", 1, 10, lowerMultiHeadAttention},
  };
  return table;
}
