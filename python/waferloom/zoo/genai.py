"""A decoder as ONNX Runtime's own builder writes it: few large operators, most of
them of com.microsoft. Position follows from the mask; the head has a table of its
own even where the model ties it to the embedding."""

import numpy as np
from onnx import TensorProto, helper

from .form import GATE_LIMIT, GATE_STEEPNESS, Form
from .shape import products

OPSET, IR_VERSION = 21, 10
MICROSOFT = "com.microsoft"


class GenAi(Form):
    def __init__(self, g, shape, dtype, packing=None):
        super().__init__(g, shape, dtype)
        self.packing = packing

    def multiply(self, h, weight, **names):
        packing, shape = self.packing, self.shape
        if not packing or not packing.packs(weight):
            return super().multiply(h, weight, **names)
        sizes = products(shape) | {"lm_head": (shape.width, shape.vocabulary)}
        inner, outer = sizes[weight.removesuffix(".weight").split(".", 3)[-1]]
        return self.g.node("MatMulNBits", h, weight, weight + ".scales", domain=MICROSOFT, **names, K=inner, N=outer,
                           bits=packing.bits, block_size=packing.block)

    def frame(self):
        """What all layers share: the length of the sequence, rotary tables."""
        g = self.g
        seen = g.node("ReduceSum", "attention_mask", g.ints(1), keepdims=0)
        last = g.node("Sub", seen, g.ints(1))
        self.last = g.node("Cast", last, to=TensorProto.INT32, name="seqlens_k")
        total = g.node("Gather", g.node("Shape", "attention_mask"), g.number(1, np.int64), axis=0)
        self.total = g.node("Cast", total, to=TensorProto.INT32, name="total_sequence_length")
        self.tables = {}
        for theta in dict.fromkeys(map(self.shape.theta_of, range(self.shape.layers))):
            label = "" if theta == self.shape.theta else "local_"
            self.tables[theta] = [g.weight(f"{label}{name}_cache", values.astype(self.dtype))
                                  for name, values in zip(("cos", "sin"), self.shape.tables(theta))]

    def attention(self, i, h):
        g, shape, layer = self.g, self.shape, f"model.layers.{i}.self_attn."
        q, k, v = (self.product(h, f"{layer}{p}_proj", f"layer{i}/attn/{p}") for p in "qkv")
        if shape.head_norm:
            q, k = self.head_norm(i, q, "q", shape.heads), self.head_norm(i, k, "k", shape.kv_heads)
        caches = [f"{i}.{part}" for part in ("key", "value")]
        extra = ["", "", f"{layer}flat_sinks"] if shape.sinks else []  # behind positions and a bias
        if shape.sinks:
            g.node("Reshape", layer + "sinks", g.ints(-1), output=extra[-1])
        options = {"local_window_size": shape.window_of(i)} if shape.window_of(i) else {}
        mixed, *_ = g.node("GroupQueryAttention", q, k, v, *(f"past_key_values.{c}" for c in caches), self.last,
                           self.total, *self.tables[shape.theta_of(i)], *extra, domain=MICROSOFT,
                           name=f"layer{i}/attn/attention",
                           outputs=[f"layer{i}/attn/mixed", *(f"present.{c}" for c in caches)],
                           num_heads=shape.heads, kv_num_heads=shape.kv_heads, scale=shape.head_dim ** -0.5,
                           do_rotary=1, rotary_interleaved=0, **options)
        return self.product(mixed, layer + "o_proj", f"layer{i}/attn/out")

    def norm(self, x, gain, name):
        return self.g.node("SimplifiedLayerNormalization", x, gain, name=name, axis=-1, epsilon=self.shape.epsilon,
                           stash_type=1)

    def head_norm(self, i, x, part, count):
        """Each head by itself, and flat again."""
        g, size = self.g, self.shape.head_dim
        x = g.node("Reshape", x, g.ints(0, 0, count, size))
        x = self.norm(x, f"model.layers.{i}.self_attn.{part}_norm.weight", f"layer{i}/attn/{part}_norm")
        return g.node("Reshape", x, g.ints(0, 0, count * size))

    def activation(self, x):
        return self.g.node("FastGelu", x, domain=MICROSOFT) if self.shape.gelu else super().activation(x)

    def mixture(self, i, h):
        """All experts in one operator, gates and values by turns."""
        g, shape, layer = self.g, self.shape, f"model.layers.{i}.mlp."
        flat = g.node("Reshape", h, g.ints(-1, shape.width))
        scores = self.product(flat, layer + "router", f"layer{i}/mlp/router")
        operands, packing = [], self.packing
        for name in ("gate_up", "down"):
            weight = f"{layer}experts.{name}.weight"
            operands += [weight, *([weight + ".scales"] if packing else []),
                         f"{layer}experts.{name}.bias" if shape.sinks else ""]
        gates = dict(activation_alpha=GATE_STEEPNESS, activation_beta=1.0, swiglu_limit=GATE_LIMIT) if shape.sinks \
            else dict(activation_alpha=1.0, activation_beta=0.0)
        if packing:
            gates |= dict(expert_weight_bits=packing.bits, block_size=packing.block)
        return g.node("QMoE" if packing else "MoE", h, scores, *operands, domain=MICROSOFT,
                      name=f"layer{i}/mlp/experts", k=shape.chosen, activation_type="swiglu", swiglu_fusion=1,
                      normalize_routing_weights=1, **gates)

    def add_norm(self, x, branch, gain, name):
        """x + branch, and its RMSNorm: (sum, normalized)."""
        normalized, total = f"{name}_normalized", f"{name}_sum"
        self.g.node("SkipSimplifiedLayerNormalization", x, branch, gain, domain=MICROSOFT, name=name,
                    outputs=[normalized, "", "", total], epsilon=self.shape.epsilon)
        return total, normalized

    def decoder(self):
        """The whole graph, from input_ids to logits."""
        g, shape = self.g, self.shape
        self.frame()
        x = self.embeddings()
        h = self.norm(x, "model.layers.0.input_layernorm.weight", "layer0/norm")
        for i in range(shape.layers):
            last = i + 1 == shape.layers
            after = "model.norm.weight" if last else f"model.layers.{i + 1}.input_layernorm.weight"
            x, h = self.add_norm(x, self.behind(i, self.attention(i, h), "attention"),
                                 f"model.layers.{i}.post_attention_layernorm.weight", f"layer{i}/mlp/norm")
            x, h = self.add_norm(x, self.behind(i, self.feed_forward(i, h), "feedforward"), after,
                                 "norm" if last else f"layer{i + 1}/norm")
        self.multiply(h, "lm_head.weight", name="head", output="logits")


def build(g, shape, dtype, packing=None):
    """Adds the nodes to a Graph that has the weights; returns inputs beside the
    caches, and opsets."""
    GenAi(g, shape, dtype, packing).decoder()
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return (("input_ids", "batch", "sequence"), ("attention_mask", "batch", "total")), opsets, IR_VERSION
