//===- OperatorsAttention.cpp - Fused attention in primitives -------------===//
//
// GroupQueryAttention of com.microsoft: rotation of queries and keys, append to
// the caches, softmax(scale * Q K^T) V with G query heads per head of the
// cache. Here, with n new tokens and live length L,
//
//   query [b, n, (kv g) d] -> [b, kv, g, n, d]     key, value -> [b, kv, n, d]
//   scores [b, kv, g, n, L], kept where k <= q + p and q + p - k < window
//
// The predicate is over the capacity of the cache, so it masks the padding as
// well. Every row of a batch is equally long: `seqlens_k` must fold to L - 1.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

//===----------------------------------------------------------------------===//
// Rotation
//===----------------------------------------------------------------------===//

/// Rotates pairs of elements of x [b, h, n, d] by the angles whose cosines and
/// sines [b or 1, n, r / 2] are given: the first r elements of each head, as
/// neighbours or as the two halves.
static SymbolicTensor *rotated(Call &c, SymbolicTensor *x,
                               SymbolicTensor *cosines, SymbolicTensor *sines,
                               bool isInterleaved) {
  Lowering &lowering = c.lowering;
  int64_t size = *x->shape[3]->constant();
  int64_t pairs = *cosines->shape[2]->constant(), turned = 2 * pairs;
  SymbolicTensor *rest = nullptr, *whole = x;
  if (turned < size) {
    rest = sliceAxis(c.lowering, x, 3, turned, size - turned);
    x = sliceAxis(c.lowering, x, 3, 0, turned);
    if (!rest || !x)
      return nullptr;
  }
  Sizes shape = x->shape, split(shape.begin(), shape.end() - 1), half = split;
  half.push_back(c.math.constant(pairs));
  int64_t two = isInterleaved ? 4 : 3;
  split.push_back(c.math.constant(isInterleaved ? pairs : 2));
  split.push_back(c.math.constant(isInterleaved ? 2 : pairs));
  auto perHead = [&](SymbolicTensor *q) {
    return reshaped(
        c, q, {q->shape[0], c.math.constant(1), q->shape[1], q->shape[2]});
  };
  cosines = perHead(cosines);
  sines = cosines ? perHead(sines) : nullptr;
  x = sines ? reshaped(c, x, split) : nullptr;
  if (!x)
    return nullptr;
  auto part = [&](int64_t which) -> SymbolicTensor * {
    SymbolicTensor *taken = sliceAxis(c.lowering, x, two, which, 1);
    return taken ? reshaped(c, taken, half) : nullptr;
  };
  auto mix = [&](SymbolicTensor *a, SymbolicTensor *b,
                 ScalarOp op) -> SymbolicTensor * {
    SymbolicTensor *left = lowering.binary(ScalarOp::Mul, a, cosines);
    SymbolicTensor *right =
        left ? lowering.binary(ScalarOp::Mul, b, sines) : nullptr;
    SymbolicTensor *both = right ? lowering.binary(op, left, right) : nullptr;
    Sizes unit = split;
    unit[two] = c.math.constant(1);
    return both ? reshaped(c, both, unit) : nullptr;
  };
  SymbolicTensor *first = part(0), *second = first ? part(1) : nullptr;
  SymbolicTensor *real = second ? mix(first, second, ScalarOp::Sub) : nullptr;
  SymbolicTensor *imaginary =
      real ? mix(second, first, ScalarOp::Add) : nullptr;
  SymbolicTensor *result =
      imaginary ? joined(c, {real, imaginary}, two, split) : nullptr;
  result = result ? reshaped(c, result, shape) : nullptr;
  if (!result || !rest)
    return result;
  return joined(c, {result, rest}, 3, whole->shape);
}

/// The rows of a table of cosines or sines at `positions` [b or 1, n].
static SymbolicTensor *anglesAt(Call &c, SymbolicTensor *table,
                                SymbolicTensor *positions, int64_t headSize) {
  auto width = table->rank() == 2 ? table->shape[1]->constant()
                                  : std::optional<int64_t>();
  if (!width || *width < 1 || 2 * *width > headSize)
    return c.refuse("a table of shape " + c.lowering.print(table->shape) +
                    " has no angles for heads of " + Twine(headSize));
  return takeAlong(c.lowering, table, 0, positions);
}

/// Tokens p, p + 1, .. as a value [1, n].
static SymbolicTensor *runningPositions(Call &c, Expr tokens) {
  c.math.dims = {c.math.constant(1), tokens};
  return c.lowering.fromFunction(c.math.dims, c.lowering.builder.getI64Type(),
                                 c.math.add(c.math.dim(1), c.math.position()));
}

SymbolicTensor *import::splitHeads(Call &c, SymbolicTensor *q, int64_t heads) {
  auto width = q->shape[2]->constant();
  if (!width || *width % heads)
    return c.refuse("a width of " + c.math.print(q->shape[2]) + " has no " +
                    Twine(heads) + " heads");
  q = reshaped(c, q,
               {q->shape[0], q->shape[1], c.math.constant(heads),
                c.math.constant(*width / heads)});
  return q ? transposed(c, q, {0, 2, 1, 3}) : nullptr;
}

SymbolicTensor *import::joinHeads(Call &c, SymbolicTensor *q) {
  q = transposed(c, q, {0, 2, 1, 3});
  return q ? reshaped(c, q,
                      {q->shape[0], q->shape[1],
                       c.math.mul(q->shape[2], q->shape[3])})
           : nullptr;
}

static Results lowerRotaryEmbedding(Call &c) {
  SymbolicTensor *x = c.input(0), *positions = c.input(1);
  Arithmetic &math = c.math;
  if (c.integer("is_packed_batching", 0))
    return one(c.refuse("is_packed_batching is not supported"));
  if (c.real("scale", 1) != 1)
    return one(c.refuse("scale " + std::to_string(c.real("scale", 1)) +
                        " is not supported"));
  bool isFlat = x->rank() == 3;
  if (!x->isFloat() || (!isFlat && x->rank() != 4) ||
      c.input(2)->type != x->type || c.input(3)->type != x->type)
    return one(c.refuse("its operands are not floats of one type and rank 3 or "
                        "4"));
  if (isFlat) {
    auto width = x->shape[2]->constant();
    auto half = c.input(2)->rank() == 2 ? c.input(2)->shape[1]->constant()
                                        : std::optional<int64_t>();
    int64_t heads = c.integer("num_heads", 0);
    if (heads == 0 && width && half && *half > 0)
      heads = *width / (2 * *half);
    if (heads < 1)
      return one(c.refuse("says no number of heads"));
    x = splitHeads(c, x, heads);
    if (!x)
      return {};
  }
  auto size = x->shape[3]->constant();
  if (!size)
    return one(c.refuse("rotates over the live length"));
  int64_t turned = c.integer("rotary_embedding_dim", 0);
  if (positions->rank() == 1 || positions->rank() == 0) {
    // One number: where the first token stands.
    Expr first = c.lowering.functionOf(positions);
    if (!first || !positions->isInt())
      return one(c.refuse("position_ids are computed at run time"));
    math.dims = {math.constant(1), x->shape[2]};
    Expr at = math.substitute(first, {math.constant(0)});
    positions = c.lowering.fromFunction(math.dims, positions->type,
                                        math.add(at, math.dim(1)));
  }
  SymbolicTensor *cosines = anglesAt(c, c.input(2), positions, *size);
  SymbolicTensor *sines =
      cosines ? anglesAt(c, c.input(3), positions, *size) : nullptr;
  if (!sines)
    return {};
  if (sines->shape[2] != cosines->shape[2] ||
      (turned && sines->shape[2] != math.constant(turned / 2)))
    return one(c.refuse("its tables are not of rotary_embedding_dim / 2 "
                        "angles"));
  x = rotated(c, x, cosines, sines, c.integer("interleaved", 0) != 0);
  return one(x && isFlat ? joinHeads(c, x) : x);
}

//===----------------------------------------------------------------------===//
// GroupQueryAttention
//===----------------------------------------------------------------------===//

namespace {
/// One GroupQueryAttention on its way to primitives.
class Attention {
public:
  explicit Attention(Call &c) : c(c), lowering(c.lowering), math(c.math) {}
  Results lower();

private:
  bool checkAttributes();
  bool splitOperands();
  bool normalize();
  bool rotate();
  bool checkLengths();
  bool findSink();
  SymbolicTensor *perHead(SymbolicTensor *q, Sizes batch, Expr size,
                          Sizes rest);
  SymbolicTensor *extend(unsigned input, SymbolicTensor *rows);
  SymbolicTensor *scores();

  Call &c;
  Lowering &lowering;
  Arithmetic &math;
  int64_t heads = 0, kvHeads = 0, headSize = 0, window = -1;
  SymbolicTensor *query = nullptr, *key = nullptr, *value = nullptr,
                 *sink = nullptr;
  Type type;
  Expr tokens = nullptr, live = nullptr;
};
} // namespace

bool Attention::checkAttributes() {
  heads = c.integer("num_heads", 0);
  kvHeads = c.integer("kv_num_heads", 0);
  window = c.integer("local_window_size", -1);
  auto refuse = [&](const Twine &reason) { return c.refuse(reason), false; };
  if (heads < 1 || kvHeads < 1 || heads % kvHeads)
    return refuse("num_heads " + Twine(heads) + " is no multiple of " +
                  "kv_num_heads " + Twine(kvHeads));
  // A cache of the window alone, in the file; here all of it is kept, and the
  // window masks the same rows.
  if (c.integer("sliding_window_cache", 0) > 0 && window < 1)
    return refuse("sliding_window_cache without a local_window_size");
  for (StringRef name : {"qk_output"})
    if (int64_t given = c.integer(name, 0); given > 0)
      return refuse(name + " = " + Twine(given) + " is not supported");
  if (c.integer("causal", 1) != 1)
    return refuse("causal = 0 is not supported");
  if (window != -1 && window < 1)
    return refuse("local_window_size " + Twine(window) + " is not positive");
  for (StringRef name : {"k_quant_type", "v_quant_type"})
    if (StringRef given = c.text(name, "NONE"); given != "NONE")
      return refuse(name + " = " + given + " is not supported");
  for (unsigned i : {12, 13})
    if (c.input(i))
      return refuse(Twine("its input '") + (i == 12 ? "k" : "v") +
                    "_scale' is not supported");
  if (!c.input(14) != !c.input(15))
    return refuse("has one of q_norm_weight and k_norm_weight");
  if (c.wants(3))
    return refuse("its output 'output_qk' is not supported");
  if (!c.input(5) || !c.input(6))
    return refuse("leaves out seqlens_k or total_sequence_length");
  if ((c.input(1) == nullptr) != (c.input(2) == nullptr))
    return refuse("has a key without a value, or a value without a key");
  if ((c.input(3) == nullptr) != (c.input(4) == nullptr))
    return refuse("has one of past_key and past_value");
  return true;
}

/// Sets query [b, heads, n, d], key and value [b, kv, n, d].
bool Attention::splitOperands() {
  query = c.input(0);
  type = query->type;
  if (query->rank() != 3 || !query->isFloat())
    return c.refuse("its query is not a float value of rank 3"), false;
  tokens = query->shape[1];
  int64_t parts = c.input(1) ? heads : heads + 2 * kvHeads;
  query = splitHeads(c, query, parts);
  if (!query)
    return false;
  headSize = *query->shape[3]->constant();
  if (!c.input(1)) {
    SymbolicTensor *packed = query;
    query = sliceAxis(c.lowering, packed, 1, 0, heads);
    key = query ? sliceAxis(c.lowering, packed, 1, heads, kvHeads) : nullptr;
    value = key ? sliceAxis(c.lowering, packed, 1, heads + kvHeads, kvHeads)
                : nullptr;
    return value != nullptr;
  }
  for (unsigned i : {1, 2})
    if (c.input(i)->rank() != 3 || c.input(i)->type != type ||
        c.input(i)->shape[1] != tokens)
      return c.refuse("its key and value do not fit its query"), false;
  key = splitHeads(c, c.input(1), kvHeads);
  value = key ? splitHeads(c, c.input(2), kvHeads) : nullptr;
  if (!value)
    return false;
  for (SymbolicTensor *rows : {key, value})
    if (*rows->shape[3]->constant() != headSize)
      return c.refuse("heads of " + Twine(headSize) + " and " +
                      Twine(*rows->shape[3]->constant()) + " elements differ"),
             false;
  return true;
}

/// Norms of queries and keys, each head by itself, with the rotation behind.
bool Attention::normalize() {
  if (!c.input(14))
    return true;
  double epsilon = c.real("qk_norm_epsilon", 1e-6);
  query = rmsNormalized(c, query, c.input(14), epsilon);
  key = query ? rmsNormalized(c, key, c.input(15), epsilon) : nullptr;
  return key != nullptr;
}

/// `q` with its dimension of heads, which has `size` of them or one for all, as
/// two: that of the caches and that of the queries of each.
SymbolicTensor *Attention::perHead(SymbolicTensor *q, Sizes batch, Expr size,
                                   Sizes rest) {
  Expr one = math.constant(1);
  bool shared = size == one;
  Sizes shape = std::move(batch);
  shape.push_back(shared ? one : math.constant(kvHeads));
  shape.push_back(shared ? one : math.constant(heads / kvHeads));
  llvm::append_range(shape, rest);
  return reshaped(c, q, std::move(shape));
}

/// The score that every head gives to nothing; null without one. False:
/// refused.
bool Attention::findSink() {
  SymbolicTensor *given = c.input(11);
  Expr one = math.constant(1);
  if (!given && c.integer("smooth_softmax", 0) > 0) {
    sink = lowering.fromFunction({}, type, lowering.constantOf(0, type));
    return true;
  }
  if (!given)
    return true;
  if (given->rank() != 1 || given->type != type ||
      given->shape[0] != math.constant(heads))
    return c.refuse("its head_sink of shape " + lowering.print(given->shape) +
                    " is not one " + "number per head"),
           false;
  sink = perHead(given, {one}, given->shape[0], {one, one});
  return sink != nullptr;
}

bool Attention::rotate() {
  if (!c.integer("do_rotary", 0))
    return true;
  if (!c.input(7) || !c.input(8))
    return c.refuse("do_rotary without cos_cache and sin_cache"), false;
  for (unsigned i : {7, 8})
    if (c.input(i)->type != type)
      return c.refuse("its tables and its query are not of one type"), false;
  SymbolicTensor *positions =
      c.input(9) ? c.input(9) : runningPositions(c, tokens);
  if (positions->rank() != 2)
    return c.refuse("its position_ids are not of rank 2"), false;
  SymbolicTensor *cosines = anglesAt(c, c.input(7), positions, headSize);
  SymbolicTensor *sines =
      cosines ? anglesAt(c, c.input(8), positions, headSize) : nullptr;
  if (!sines)
    return false;
  if (sines->shape[2] != cosines->shape[2])
    return c.refuse("cos_cache and sin_cache differ in shape"), false;
  bool isInterleaved = c.integer("rotary_interleaved", 0) != 0;
  query = rotated(c, query, cosines, sines, isInterleaved);
  key = query ? rotated(c, key, cosines, sines, isInterleaved) : nullptr;
  return key != nullptr;
}

/// Every row holds p tokens and takes n more.
bool Attention::checkLengths() {
  live = c.input(3) ? math.add(math.position(), tokens) : tokens;
  Expr lengths = lowering.functionOf(c.input(5));
  Expr total = lowering.functionOf(c.input(6));
  if (lengths != math.add(live, -1))
    return c.refuse("its seqlens_k is " +
                    (lengths ? math.print(lengths) : "computed at run time") +
                    " and must be " + math.print(math.add(live, -1)) +
                    ": all rows of a batch are equally long, and it follows "
                    "from the "
                    "sums of attention_mask"),
           false;
  if (total != live)
    return c.refuse("its total_sequence_length is " +
                    (total ? math.print(total) : "computed at run time") +
                    " and must be " + math.print(live)),
           false;
  return true;
}

/// The cache [b, kv, L, d] with the new rows.
SymbolicTensor *Attention::extend(unsigned input, SymbolicTensor *rows) {
  SymbolicTensor *past = c.input(input);
  if (!past)
    return rows;
  return extendPast(c, input == 3 ? "past_key" : "past_value", past, rows, 2,
                    live);
}

/// Probabilities [b, kv, g, n, L] of the queries over what `key` holds.
SymbolicTensor *Attention::scores() {
  Expr one = math.constant(1), group = math.constant(heads / kvHeads);
  Expr batch = key->shape[0], kv = key->shape[1], size = key->shape[3];
  double scale = c.real("scale", 0), cap = c.real("softcap", 0);
  if (scale == 0)
    scale = 1 / std::sqrt(static_cast<double>(headSize));
  auto constant = [&](double number) {
    return lowering.fromFunction({}, type, lowering.constantOf(number, type));
  };
  SymbolicTensor *rows = lowering.binary(ScalarOp::Mul, query, constant(scale));
  rows = rows ? reshaped(c, rows, {batch, kv, group, tokens, size}) : nullptr;
  SymbolicTensor *columns = rows ? transposed(c, key, {0, 1, 3, 2}) : nullptr;
  columns =
      columns ? reshaped(c, columns, {batch, kv, one, size, live}) : nullptr;
  SymbolicTensor *scores = columns ? product(c, rows, columns) : nullptr;
  if (scores && cap != 0) {
    scores = lowering.binary(ScalarOp::Mul, scores, constant(1 / cap));
    scores = scores ? lowering.unary(ScalarOp::Tanh, scores) : nullptr;
    scores = scores ? lowering.binary(ScalarOp::Mul, scores, constant(cap))
                    : nullptr;
  }
  if (!scores)
    return nullptr;
  // Over the capacity, so that it holds for no slot beyond the live length.
  bool isKept = lowering.options.mistakePaddingIsKept;
  math.dims = {tokens, isKept ? live : math.constant(lowering.capacity(live))};
  Expr at = math.add(math.dim(0), math.sub(live, tokens));
  Expr inside = math.lessEqual(math.dim(1), at);
  if (window > 0)
    inside = math.logicalAnd(
        inside, math.lessEqual(math.add(at, 1 - window), math.dim(1)));
  if (SymbolicTensor *bias = c.input(10)) {
    if (bias->rank() != 4 || bias->type != type)
      return c.refuse("its attention_bias is not of rank 4 and the type of the "
                      "query");
    bias = perHead(bias, {bias->shape[0]}, bias->shape[1],
                   {bias->shape[2], bias->shape[3]});
    scores = bias ? lowering.binary(ScalarOp::Add, scores, bias) : nullptr;
    if (!scores)
      return nullptr;
  }
  if (!inside->isTrue())
    scores = lowering.keepWhere(scores, inside, {3, 4},
                                -std::numeric_limits<double>::infinity());
  return scores && findSink()
             ? softmax(c, scores, {4}, /*paddingIsExcluded=*/true, sink)
             : nullptr;
}

Results Attention::lower() {
  if (!checkAttributes() || !splitOperands() || !normalize() || !rotate() ||
      !checkLengths())
    return {};
  key = extend(3, key);
  value = key ? extend(4, value) : nullptr;
  SymbolicTensor *weights = value ? scores() : nullptr;
  if (!weights)
    return {};
  SymbolicTensor *held = reshaped(c, value,
                                  {value->shape[0], value->shape[1],
                                   math.constant(1), live, value->shape[3]});
  SymbolicTensor *result = held ? product(c, weights, held) : nullptr;
  result = result ? reshaped(c, result,
                             {value->shape[0], math.constant(heads), tokens,
                              value->shape[3]})
                  : nullptr;
  result = result ? joinHeads(c, result) : nullptr;
  return result ? Results{result, key, value} : Results{};
}

static Results lowerGroupQueryAttention(Call &c) {
  return Attention(c).lower();
}

ArrayRef<OperatorEntry> import::attentionOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"com.microsoft", "GroupQueryAttention", 1, 16, lowerGroupQueryAttention},
      {"com.microsoft", "RotaryEmbedding", 4, 4, lowerRotaryEmbedding},
  };
  return table;
}
