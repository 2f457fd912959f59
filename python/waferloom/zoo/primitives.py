"""A decoder in the primitive operators that exporters write: grouped-query attention
with a KV cache by Concat, rotary embedding from tables, RMSNorm, SwiGLU, dynamic
batch and sequence. In f16, sums of squares and softmax are f32 between Casts, as
the exporters of half-precision models have it."""

import numpy as np
from onnx import TensorProto, helper

from .form import GATE_LIMIT, GATE_STEEPNESS, Form

OPSET, IR_VERSION = 17, 8


class Primitives(Form):
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

        def tables(theta):
            label = "" if theta == self.shape.theta else "local_"
            return [table(label + name, values) for name, values in zip(("cos", "sin"), self.shape.tables(theta))]

        self.batch, self.new = dim("input_ids", 0), dim("input_ids", 1)
        past = dim("past_key_values.0.key", 2)
        self.total = g.node("Add", past, self.new)
        layers = range(self.shape.layers)
        self.tables = {theta: tables(theta) for theta in dict.fromkeys(map(self.shape.theta_of, layers))}
        start, end = (g.node("Squeeze", value, g.ints(0)) for value in (past, self.total))
        zero, one = g.number(0, np.int64), g.number(1, np.int64)
        rows = g.node("Unsqueeze", g.node("Range", start, end, one), g.ints(1))
        columns = g.node("Unsqueeze", g.node("Range", zero, end, one), g.ints(0))
        seen = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.ints(1, 2)), to=TensorProto.BOOL)
        visible = g.node("And", g.node("LessOrEqual", columns, rows), seen)
        self.bias = {}
        for window in dict.fromkeys(map(self.shape.window_of, layers)):
            near = visible
            if window:
                first = g.node("Sub", rows, g.number(window, np.int64))
                near = g.node("And", visible, g.node("Greater", columns, first))
            self.bias[window] = g.node("Where", near, self.number(0.0), self.number(-np.inf))

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

    def rotate(self, i, x):
        """Rotary embedding of pairs (j, j + d/2) of the first d of a head."""
        g, whole = self.g, self.shape.rotary or self.shape.head_dim
        cos, sin = self.tables[self.shape.theta_of(i)]
        low = g.node("Slice", x, g.ints(0), g.ints(whole // 2), g.ints(3))
        high = g.node("Slice", x, g.ints(whole // 2), g.ints(whole), g.ints(3))
        first = g.node("Sub", g.node("Mul", low, cos), g.node("Mul", high, sin))
        second = g.node("Add", g.node("Mul", high, cos), g.node("Mul", low, sin))
        rest = [g.node("Slice", x, g.ints(whole), g.ints(self.shape.head_dim), g.ints(3))] if self.shape.rotary else []
        return g.node("Concat", first, second, *rest, axis=3)

    def heads(self, i, h, part):
        """Queries or keys: [batch, heads, new, d], normalized and rotated."""
        layer, count = f"model.layers.{i}.self_attn.", self.shape.heads if part == "q" else self.shape.kv_heads
        x = self.split(self.product(h, f"{layer}{part}_proj", f"layer{i}/attn/{part}"), count)
        if self.shape.head_norm:
            x = self.norm(x, f"{layer}{part}_norm.weight", f"layer{i}/attn/{part}_norm")
        return self.rotate(i, x)

    def shares(self, i, scores):
        """Softmax; of a layer with sinks, a column of them takes its share and is dropped."""
        g, exact = self.g, self.exact(scores)
        label = f"layer{i}/attn/softmax"
        if not self.shape.sinks:
            return self.model_type(g.node("Softmax", exact, axis=-1, name=label))
        one = g.node("Concat", self.batch, g.ints(self.shape.heads), self.new, g.ints(1), axis=0)
        sinks = g.node("Expand", self.exact(f"model.layers.{i}.self_attn.sinks"), one)
        both = g.node("Concat", exact, sinks, axis=-1)
        both = g.node("Sub", both, g.node("ReduceMax", both, axes=[-1], keepdims=1))
        both = g.node("Softmax", both, axis=-1, name=label)
        return self.model_type(g.node("Slice", both, g.ints(0), g.ints(-1), g.ints(-1)))

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
        q, k = self.heads(i, h, "q"), self.heads(i, h, "k")
        v = self.split(self.product(h, f"{layer}v_proj", f"layer{i}/attn/v"), shape.kv_heads)
        k = g.node("Concat", f"past_key_values.{i}.key", k, output=f"present.{i}.key", axis=2)
        v = g.node("Concat", f"past_key_values.{i}.value", v, output=f"present.{i}.value", axis=2)
        scores = g.node("MatMul", q, g.node("Transpose", self.grouped(k), perm=[0, 1, 3, 2]),
                        name=f"layer{i}/attn/scores")
        scores = g.node("Mul", scores, self.number(shape.head_dim ** -0.5))
        scores = g.node("Add", scores, self.bias[shape.window_of(i)])
        mixed = g.node("MatMul", self.shares(i, scores), self.grouped(v), name=f"layer{i}/attn/mix")
        flat = g.node("Concat", self.batch, self.new, g.ints(shape.heads * shape.head_dim), axis=0)
        mixed = g.node("Reshape", g.node("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        return self.product(mixed, layer + "o_proj", f"layer{i}/attn/out")

    def activation(self, x):
        if not self.shape.gelu:
            return super().activation(x)
        g = self.g
        cube = g.node("Mul", self.number(0.044715), g.node("Pow", x, g.number(3.0)))
        inner = g.node("Mul", self.number((2 / np.pi) ** 0.5), g.node("Add", x, cube))
        both = g.node("Add", g.node("Tanh", inner), self.number(1.0))
        return g.node("Mul", g.node("Mul", self.number(0.5), x), both)

    def gated(self, both):
        """Gates and values by turns in the last of two dimensions."""
        g, last = self.g, 2**31 - 1
        gate = g.node("Slice", both, g.ints(0), g.ints(last), g.ints(1), g.ints(2))
        value = g.node("Slice", both, g.ints(1), g.ints(last), g.ints(1), g.ints(2))
        if not self.shape.sinks:
            return g.node("Mul", self.activation(gate), value)
        limit = self.number(GATE_LIMIT)
        gate = g.node("Clip", gate, "", limit)
        value = g.node("Add", g.node("Clip", value, self.number(-GATE_LIMIT), limit), self.number(1.0))
        steep = g.node("Sigmoid", g.node("Mul", gate, self.number(GATE_STEEPNESS)))
        return g.node("Mul", value, g.node("Mul", gate, steep))

    def mixture(self, i, h):
        """The matrices of the chosen experts, taken by GatherND, in batched products."""
        g, shape, layer = self.g, self.shape, f"model.layers.{i}.mlp."
        x = g.node("Reshape", h, g.ints(-1, shape.width))
        best, ids = g.node("TopK", self.exact(self.product(x, layer + "router", f"layer{i}/mlp/router")),
                           g.ints(shape.chosen), outputs=[f"layer{i}/mlp/best", f"layer{i}/mlp/ids"], axis=-1)
        gates = self.model_type(g.node("Softmax", best, axis=-1))
        at = g.node("Unsqueeze", g.node("Reshape", ids, g.ints(-1)), g.ints(-1))
        x = g.node("Expand", g.node("Unsqueeze", x, g.ints(1)), g.ints(1, shape.chosen, 1))
        x = g.node("Reshape", x, g.ints(-1, shape.width))

        def product(x, name):
            weight = g.node("GatherND", f"{layer}experts.{name}.weight", at)
            y = g.node("MatMul", weight, g.node("Unsqueeze", x, g.ints(-1)), name=f"layer{i}/mlp/{name}")
            y = g.node("Squeeze", y, g.ints(-1))
            if not shape.sinks:
                return y
            return g.node("Add", y, g.node("GatherND", f"{layer}experts.{name}.bias", at))

        y = product(self.gated(product(x, "gate_up")), "down")
        y = g.node("Mul", y, g.node("Reshape", gates, g.ints(-1, 1)))
        y = g.node("ReduceSum", g.node("Reshape", y, g.ints(-1, shape.chosen, shape.width)), g.ints(1), keepdims=0)
        return g.node("Reshape", y, g.node("Shape", h))

    def layer(self, i, x):
        g, layer = self.g, f"model.layers.{i}."
        h = self.attention(i, self.norm(x, layer + "input_layernorm.weight", f"layer{i}/norm"))
        x = g.node("Add", x, self.behind(i, h, "attention"))
        h = self.norm(x, layer + "post_attention_layernorm.weight", f"layer{i}/mlp/norm")
        return g.node("Add", x, self.behind(i, self.feed_forward(i, h), "feedforward"))

    def decoder(self):
        """The whole graph, from input_ids to logits."""
        g = self.g
        self.frame()
        x = self.embeddings()
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
