"""A Llama as ONNX Runtime's own builder writes it: few large operators, most of
them of com.microsoft. Position follows from the mask; the head has a table of its
own even where the model ties it to the embedding."""

import numpy as np
from onnx import TensorProto, helper

from .form import Form

OPSET, IR_VERSION = 21, 10
MICROSOFT = "com.microsoft"


class GenAi(Form):
    def frame(self):
        """What all layers share: the length of the sequence, rotary tables."""
        g = self.g
        seen = g.node("ReduceSum", "attention_mask", g.ints(1), keepdims=0)
        last = g.node("Sub", seen, g.ints(1))
        self.last = g.node("Cast", last, to=TensorProto.INT32, name="seqlens_k")
        total = g.node("Gather", g.node("Shape", "attention_mask"), g.number(1, np.int64), axis=0)
        self.total = g.node("Cast", total, to=TensorProto.INT32, name="total_sequence_length")
        cos, sin = self.shape.tables()
        self.cos = g.weight("cos_cache", cos.astype(self.dtype))
        self.sin = g.weight("sin_cache", sin.astype(self.dtype))

    def attention(self, i, h):
        g, shape, layer = self.g, self.shape, f"model.layers.{i}.self_attn."
        q, k, v = (g.node("MatMul", h, f"{layer}{p}_proj.weight", name=f"layer{i}/attn/{p}") for p in "qkv")
        caches = [f"{i}.{part}" for part in ("key", "value")]
        mixed, *_ = g.node("GroupQueryAttention", q, k, v, *(f"past_key_values.{c}" for c in caches), self.last,
                           self.total, self.cos, self.sin, domain=MICROSOFT, name=f"layer{i}/attn/attention",
                           outputs=[f"layer{i}/attn/mixed", *(f"present.{c}" for c in caches)],
                           num_heads=shape.heads, kv_num_heads=shape.kv_heads, scale=shape.head_dim ** -0.5,
                           do_rotary=1, rotary_interleaved=0)
        return g.node("MatMul", mixed, layer + "o_proj.weight", name=f"layer{i}/attn/out")

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
        x = g.node("Gather", "model.embed_tokens.weight", "input_ids", name="embed", axis=0)
        h = g.node("SimplifiedLayerNormalization", x, "model.layers.0.input_layernorm.weight", name="layer0/norm",
                   axis=-1, epsilon=shape.epsilon, stash_type=1)
        for i in range(shape.layers):
            last = i + 1 == shape.layers
            after = "model.norm.weight" if last else f"model.layers.{i + 1}.input_layernorm.weight"
            x, h = self.add_norm(x, self.attention(i, h), f"model.layers.{i}.post_attention_layernorm.weight",
                                 f"layer{i}/mlp/norm")
            x, h = self.add_norm(x, self.feed_forward(i, h), after, "norm" if last else f"layer{i + 1}/norm")
        g.node("MatMul", h, "lm_head.weight", name="head", output="logits")


def build(g, shape, dtype):
    """Adds the nodes to a Graph that has the weights; returns inputs beside the
    caches, and opsets."""
    GenAi(g, shape, dtype).decoder()
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return (("input_ids", "batch", "sequence"), ("attention_mask", "batch", "total")), opsets, IR_VERSION
