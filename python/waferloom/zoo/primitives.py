"""A Llama in the primitive operators that exporters write: grouped-query attention
with a KV cache by Concat, rotary embedding from tables, RMSNorm, SwiGLU, dynamic
batch and sequence. In f16, sums of squares and softmax are f32 between Casts, as
the exporters of half-precision models have it."""

import numpy as np
from onnx import TensorProto, helper

from .form import Form

OPSET, IR_VERSION = 17, 8


class Primitives(Form):
    def number(self, value):
        return self.g.number(value, self.dtype)

    def exact(self, x):
        """x in f32."""
        return x if self.dtype == np.float32 else self.g.node("Cast", x, to=TensorProto.FLOAT)

    def model_type(self, x):
        """x, which is f32, in the type of the model."""
        return x if self.dtype == np.float32 else self.g.node("Cast", x, to=TensorProto.FLOAT16)

    def frame(self):
        """What all layers share: sizes, rotary tables, the mask."""
        g = self.g

        def dim(value, axis):
            return g.node("Gather", g.node("Shape", value), g.ints(axis), axis=0)

        def table(name, values):
            rows = g.node("Gather", g.weight(name, values.astype(self.dtype)), "position_ids", axis=0)
            return g.node("Unsqueeze", rows, g.ints(1))

        self.batch, self.new = dim("input_ids", 0), dim("input_ids", 1)
        past = dim("past_key_values.0.key", 2)
        self.total = g.node("Add", past, self.new)
        cos, sin = self.shape.tables()
        self.cos, self.sin = table("cos", cos), table("sin", sin)
        start, end = (g.node("Squeeze", value, g.ints(0)) for value in (past, self.total))
        zero, one = g.number(0, np.int64), g.number(1, np.int64)
        rows = g.node("Unsqueeze", g.node("Range", start, end, one), g.ints(1))
        columns = g.node("Unsqueeze", g.node("Range", zero, end, one), g.ints(0))
        seen = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.ints(1, 2)), to=TensorProto.BOOL)
        visible = g.node("And", g.node("LessOrEqual", columns, rows), seen)
        self.bias = g.node("Where", visible, self.number(0.0), self.number(-np.inf))

    def norm(self, x, gain, name):
        """RMSNorm."""
        g, exact = self.g, self.exact(x)
        mean = g.node("ReduceMean", g.node("Pow", exact, g.number(2.0)), axes=[-1], keepdims=1)
        root = g.node("Sqrt", g.node("Add", mean, g.number(self.shape.epsilon)))
        scaled = g.node("Mul", exact, g.node("Div", g.number(1.0), root))
        return g.node("Mul", self.model_type(scaled), gain, name=name)

    def split(self, x, heads):
        """[batch, new, heads * d] to [batch, heads, new, d]."""
        g = self.g
        target = g.node("Concat", self.batch, self.new, g.ints(heads), g.ints(self.shape.head_dim), axis=0)
        return g.node("Transpose", g.node("Reshape", x, target), perm=[0, 2, 1, 3])

    def rotate(self, x):
        """Rotary embedding of pairs (i, i + d/2)."""
        g, half, whole = self.g, self.shape.head_dim // 2, self.shape.head_dim
        low = g.node("Slice", x, g.ints(0), g.ints(half), g.ints(3))
        high = g.node("Slice", x, g.ints(half), g.ints(whole), g.ints(3))
        first = g.node("Sub", g.node("Mul", low, self.cos), g.node("Mul", high, self.sin))
        second = g.node("Add", g.node("Mul", high, self.cos), g.node("Mul", low, self.sin))
        return g.node("Concat", first, second, axis=3)

    def grouped(self, x):
        """KV heads repeated for the query heads that share them."""
        g, shape = self.g, self.shape
        d = g.ints(shape.head_dim)
        wide = g.node("Concat", self.batch, g.ints(shape.kv_heads), g.ints(shape.heads // shape.kv_heads),
                      self.total, d, axis=0)
        flat = g.node("Concat", self.batch, g.ints(shape.heads), self.total, d, axis=0)
        return g.node("Reshape", g.node("Expand", g.node("Unsqueeze", x, g.ints(2)), wide), flat)

    def attention(self, i, h):
        g, shape, layer = self.g, self.shape, f"model.layers.{i}.self_attn."
        q, k, v = (g.node("MatMul", h, f"{layer}{p}_proj.weight", name=f"layer{i}/attn/{p}") for p in "qkv")
        k = g.node("Concat", f"past_key_values.{i}.key", self.rotate(self.split(k, shape.kv_heads)),
                   output=f"present.{i}.key", axis=2)
        v = g.node("Concat", f"past_key_values.{i}.value", self.split(v, shape.kv_heads),
                   output=f"present.{i}.value", axis=2)
        scores = g.node("MatMul", self.rotate(self.split(q, shape.heads)),
                        g.node("Transpose", self.grouped(k), perm=[0, 1, 3, 2]), name=f"layer{i}/attn/scores")
        scores = g.node("Add", g.node("Mul", scores, self.number(shape.head_dim ** -0.5)), self.bias)
        weights = self.model_type(g.node("Softmax", self.exact(scores), axis=-1, name=f"layer{i}/attn/softmax"))
        mixed = g.node("MatMul", weights, self.grouped(v), name=f"layer{i}/attn/mix")
        flat = g.node("Concat", self.batch, self.new, g.ints(shape.heads * shape.head_dim), axis=0)
        mixed = g.node("Reshape", g.node("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        return g.node("MatMul", mixed, layer + "o_proj.weight", name=f"layer{i}/attn/out")

    def layer(self, i, x):
        g, layer = self.g, f"model.layers.{i}."
        x = g.node("Add", x, self.attention(i, self.norm(x, layer + "input_layernorm.weight", f"layer{i}/norm")))
        h = self.norm(x, layer + "post_attention_layernorm.weight", f"layer{i}/mlp/norm")
        return g.node("Add", x, self.feed_forward(i, h))

    def decoder(self):
        """The whole graph, from input_ids to logits."""
        g = self.g
        self.frame()
        x = g.node("Gather", "model.embed_tokens.weight", "input_ids", name="embed", axis=0)
        for i in range(self.shape.layers):
            x = self.layer(i, x)
        head = "lm_head.weight"
        if self.shape.tied:  # one table: the head reads it transposed
            head = g.node("Transpose", "model.embed_tokens.weight", perm=[1, 0], name="head/transpose")
        g.node("MatMul", self.norm(x, "model.norm.weight", "norm"), head, name="head", output="logits")


def build(g, shape, dtype):
    """Adds the nodes to a Graph that has the weights; returns inputs beside the
    caches, and opsets."""
    Primitives(g, shape, dtype).decoder()
    return (("input_ids", "batch", "sequence"), ("attention_mask", "batch", "total"),
            ("position_ids", "batch", "sequence")), [helper.make_opsetid("", OPSET)], IR_VERSION
