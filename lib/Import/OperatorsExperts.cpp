//===- OperatorsExperts.cpp - Mixtures of experts -------------------------===//
//
// A router gives every token a score per expert; the best k of them compute it,
// and what they give is added up by their gates. Their matrices are stacked in
// one weight per product. Few tokens take the matrices of their experts, each
// PE its shard of them, at addresses that the router says (`wafer.lookup`): no
// other expert computes. Where more matrices would be taken than there are, all
// experts compute all tokens, and the gates of those that were not chosen are
// 0.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {
/// One product of every expert: [experts, out, in] and perhaps [experts, out].
struct Matrices {
  SymbolicTensor *weight = nullptr, *bias = nullptr;
};

/// The experts of one node. Tokens are rows of two dimensions, [tokens, k] if
/// each has its own experts and [experts, tokens] if all compute all.
struct Mixture {
  Call &c;
  Compose o{c};
  int64_t tokens = 0, experts = 0, chosen = 0;
  Matrices up = {}, down = {}, beside = {};

  bool read();
  Matrices matrices(unsigned weight, unsigned bias, unsigned scales,
                    unsigned zeros, StringRef bits);
  SymbolicTensor *route(SymbolicTensor *&ids);
  SymbolicTensor *activate(SymbolicTensor *x, SymbolicTensor *other);
  SymbolicTensor *gated(SymbolicTensor *gate, SymbolicTensor *linear);
  SymbolicTensor *computeChosen(SymbolicTensor *x, SymbolicTensor *ids,
                                SymbolicTensor *gates);
  SymbolicTensor *computeAll(SymbolicTensor *x, SymbolicTensor *ids,
                             SymbolicTensor *gates);
  SymbolicTensor *
  expert(SymbolicTensor *x,
         function_ref<SymbolicTensor *(SymbolicTensor *, const Matrices &)>
             multiply);
};
} // namespace

Matrices Mixture::matrices(unsigned weight, unsigned bias, unsigned scales,
                           unsigned zeros, StringRef bits) {
  Matrices result;
  SymbolicTensor *given = c.input(weight);
  result.weight = given;
  result.bias = c.input(bias);
  if (!given || c.op != "QMoE")
    return result;
  const int64_t width = c.integer(bits, c.integer("expert_weight_bits", 4));
  SmallVector<int64_t> shape;
  for (Expr size : given->shape)
    shape.push_back(size->constant().value_or(0));
  if (!given->type.isUnsignedInteger(8) || shape.size() != 3) {
    c.refuse("has experts that are no matrices of packed uint8");
    return {};
  }
  shape.back() *= 8 / std::max<int64_t>(width, 1);
  result.weight = packedWeight(c, shape, width, c.integer("block_size", 0),
                               weight, scales, zeros);
  return result;
}

/// The operands, of which the shapes must fit; false after a refusal.
bool Mixture::read() {
  auto refuse = [&](const Twine &reason) { return c.refuse(reason), false; };
  if (c.text("quant_type", "int") != "int")
    return refuse("quant_type '" + c.text("quant_type", "") +
                  "' is not supported");
  if (c.integer("use_sparse_mixer", 0))
    return refuse("use_sparse_mixer is not supported");
  if (c.op == "QMoE") {
    if (c.integer("weights_prepacked", -1) == 1)
      return refuse("weights_prepacked is not supported");
    for (unsigned i = 15; i < c.inputs.size(); ++i)
      if (c.input(i))
        return refuse("its input " + Twine(i) + " is not supported");
    up = matrices(2, 4, 3, 11, "fc1_expert_weight_bits");
    down = matrices(5, 7, 6, 12, "fc2_expert_weight_bits");
    beside = matrices(8, 10, 9, 13, "fc3_expert_weight_bits");
  } else {
    up = matrices(2, 3, 0, 0, "");
    down = matrices(4, 5, 0, 0, "");
    beside = matrices(6, 7, 0, 0, "");
  }
  if (o.failed())
    return false;
  SymbolicTensor *scores = c.input(1);
  auto rows = scores->rank() == 2 ? scores->shape[0]->constant()
                                  : std::optional<int64_t>();
  if (!rows || !scores->shape[1]->constant() || !up.weight || !down.weight ||
      up.weight->rank() != 3 || down.weight->rank() != 3 ||
      up.weight->shape[0] != scores->shape[1] ||
      down.weight->shape[0] != scores->shape[1])
    return refuse("its operands do not fit each other");
  tokens = *rows;
  experts = *scores->shape[1]->constant();
  chosen = c.integer("k", 1);
  if (chosen < 1 || chosen > experts)
    return refuse("chooses " + Twine(chosen) + " of " + Twine(experts) +
                  " experts");
  return true;
}

/// The gates [tokens, k] of the chosen ones, and who they are.
SymbolicTensor *Mixture::route(SymbolicTensor *&ids) {
  SymbolicTensor *shares = o("Softmax", {c.input(1)});
  SymbolicTensor *order = shares;
  SymbolicTensor *weights = c.op == "QMoE" ? c.input(14) : nullptr;
  if (weights)
    order = c.input(1);
  Results best = o.all("TopK", {order, o.ints({chosen})}, {}, 2);
  if (best.empty())
    return nullptr;
  ids = best[1];
  SymbolicTensor *gates = best[0];
  if (weights && ids)
    gates = takenElements(c, weights, ids, 1);
  if (c.integer("normalize_routing_weights", 0))
    gates = o.div(gates, o("ReduceSum", {gates, o.ints({-1})}));
  return gates;
}

/// g * sigmoid(alpha * g) * (l + beta), both within the limit.
SymbolicTensor *Mixture::gated(SymbolicTensor *gate, SymbolicTensor *linear) {
  if (c.has("swiglu_limit")) {
    const double limit = c.real("swiglu_limit", 0);
    gate = o("Min", {gate, o.constant(limit)});
    linear =
        o("Max", {o("Min", {linear, o.constant(limit)}), o.constant(-limit)});
  }
  SymbolicTensor *steep =
      o.mul(gate, o.constant(c.real("activation_alpha", 1)));
  SymbolicTensor *swish = o.mul(gate, o("Sigmoid", {steep}));
  return o.mul(swish, o.add(linear, o.constant(c.real("activation_beta", 0))));
}

SymbolicTensor *Mixture::activate(SymbolicTensor *x, SymbolicTensor *other) {
  if (!x)
    return nullptr;
  StringRef type = c.text("activation_type", "relu");
  if (type == "swiglu") {
    const int64_t fusion = c.integer("swiglu_fusion", 0);
    if (fusion == 0)
      return other ? gated(x, other)
                   : c.refuse("has no third matrix beside the first");
    const auto last = static_cast<int64_t>(x->rank()) - 1;
    auto width = x->shape[last]->constant();
    if (!width || *width % 2 || fusion > 2)
      return c.refuse("its gates and values are fused in an unknown way");
    const int64_t half = *width / 2, step = fusion == 1 ? 2 : 1;
    auto part = [&](int64_t start) {
      return sliceAxis(c.lowering, x, last, c.math.constant(start),
                       c.math.constant(half), step);
    };
    SymbolicTensor *gate = part(0), *linear = part(fusion == 1 ? 1 : half);
    return gate && linear ? gated(gate, linear) : nullptr;
  }
  OpBuilder &b = c.lowering.builder;
  if (type == "relu")
    x = o("Relu", {x});
  else if (type == "gelu")
    x = o("Gelu", {x}, b.getNamedAttr("approximate", b.getStringAttr("tanh")));
  else if (type == "silu")
    x = o.mul(x, o("Sigmoid", {x}));
  else if (type != "identity")
    return c.refuse("its activation '" + type + "' is not supported");
  return other ? o.mul(x, other) : x;
}

SymbolicTensor *Mixture::expert(
    SymbolicTensor *x,
    function_ref<SymbolicTensor *(SymbolicTensor *, const Matrices &)>
        multiply) {
  SymbolicTensor *first = multiply(x, up);
  SymbolicTensor *other = beside.weight ? multiply(x, beside) : nullptr;
  SymbolicTensor *active = activate(first, other);
  return active ? multiply(active, down) : nullptr;
}

/// [tokens, h] through the experts of each token.
SymbolicTensor *Mixture::computeChosen(SymbolicTensor *x, SymbolicTensor *ids,
                                       SymbolicTensor *gates) {
  auto multiply = [&](SymbolicTensor *q,
                      const Matrices &m) -> SymbolicTensor * {
    // [tokens, k, out, in] x [tokens, k, in, 1]
    SymbolicTensor *taken = o("Gather", {m.weight, ids});
    SymbolicTensor *result =
        o("MatMul", {taken, o("Unsqueeze", {q, o.ints({3})})});
    result = o("Squeeze", {result, o.ints({3})});
    return m.bias ? o.add(result, o("Gather", {m.bias, ids})) : result;
  };
  SymbolicTensor *out = expert(o("Unsqueeze", {x, o.ints({1})}), multiply);
  out = o.mul(out, o("Unsqueeze", {gates, o.ints({2})}));
  return o("ReduceSum", {out, o.ints({1})}, o.attribute("keepdims", 0));
}

/// [tokens, h] through all experts, by gates that are mostly 0.
SymbolicTensor *Mixture::computeAll(SymbolicTensor *x, SymbolicTensor *ids,
                                    SymbolicTensor *gates) {
  auto multiply = [&](SymbolicTensor *q,
                      const Matrices &m) -> SymbolicTensor * {
    // [experts, tokens, in] x [experts, in, out]
    SymbolicTensor *turned = transposed(c, m.weight, {0, 2, 1});
    SymbolicTensor *result = o("MatMul", {q, turned});
    return m.bias ? o.add(result, o("Unsqueeze", {m.bias, o.ints({1})}))
                  : result;
  };
  SymbolicTensor *out = expert(o("Unsqueeze", {x, o.ints({0})}), multiply);
  // [experts, tokens, k]: whether an expert is the token's j-th.
  SymbolicTensor *each =
      o("Unsqueeze", {o.iota(c.math.constant(experts)), o.ints({1, 2})});
  SymbolicTensor *hit = o("Equal", {o("Unsqueeze", {ids, o.ints({0})}), each});
  SymbolicTensor *own =
      o("ReduceSum", {o.where(hit, gates, o.constant(0)), o.ints({2})});
  return o("ReduceSum", {o.mul(out, own), o.ints({0})},
           o.attribute("keepdims", 0));
}

static Results lowerExperts(Call &c) {
  Mixture mixture{c};
  if (!mixture.read())
    return {};
  SymbolicTensor *x = c.input(0), *ids = nullptr;
  Sizes shape = x->shape;
  x = reshaped(c, x, {c.math.constant(mixture.tokens), shape.back()});
  SymbolicTensor *gates = x ? mixture.route(ids) : nullptr;
  if (!gates)
    return {};
  const Experts which = c.lowering.options.experts;
  const bool fewer = mixture.tokens * mixture.chosen <= mixture.experts;
  SymbolicTensor *result =
      which == Experts::Chosen || (which == Experts::ByCost && fewer)
          ? mixture.computeChosen(x, ids, gates)
          : mixture.computeAll(x, ids, gates);
  return one(result ? reshaped(c, result, shape) : nullptr);
}

ArrayRef<OperatorEntry> import::expertOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"com.microsoft", "MoE", 3, 8, lowerExperts},
      {"com.microsoft", "QMoE", 3, 21, lowerExperts},
  };
  return table;
}
