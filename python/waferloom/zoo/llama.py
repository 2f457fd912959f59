"""A Llama-shaped decoder with seeded weights, in the primitive operators that
exporters write. The graph is the real thing: grouped-query attention with a KV
cache by Concat, rotary embedding from tables, RMSNorm, SwiGLU, dynamic batch
and sequence; only the weights are drawn."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama. `heads` must be a multiple of `kv_heads`, `head_dim` even."""

    layers: int = 2
    width: int = 32
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 8
    hidden: int = 44
    vocabulary: int = 64
    positions: int = 128
    epsilon: float = 1e-5
    theta: float = 10000.0

    def check(self):
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads do not divide into {self.kv_heads} KV heads")
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd; rotary embedding needs pairs")


class _Graph:
    """Nodes, initializers, and names for what they give."""

    def __init__(self):
        self.nodes, self.initializers, self.constants = [], [], {}

    def node(self, op, *inputs, name=None, output=None, **attributes):
        output = output or f"{name or op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name or output, **attributes))
        return output

    def weight(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def ints(self, *values):
        return self._constant(np.array(values, np.int64))

    def number(self, value, dtype=np.float32):
        return self._constant(np.array(value, dtype))

    def _constant(self, array):
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = self.weight(f"const_{len(self.constants)}", array)
        return self.constants[key]


def weights(shape, seed=0):
    """Draws all weights of a model: float32 arrays by name, (in, out) for products."""
    shape.check()
    random = np.random.default_rng(seed)

    def draw(rows, columns):
        return (random.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)

    def gain():
        return (1 + 0.1 * random.standard_normal(shape.width)).astype(np.float32)

    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    out = {"model.embed_tokens.weight": draw(shape.vocabulary, shape.width) * np.float32(4)}
    for i in range(shape.layers):
        layer = f"model.layers.{i}."
        out |= {
            layer + "input_layernorm.weight": gain(),
            layer + "self_attn.q_proj.weight": draw(shape.width, q),
            layer + "self_attn.k_proj.weight": draw(shape.width, kv),
            layer + "self_attn.v_proj.weight": draw(shape.width, kv),
            layer + "self_attn.o_proj.weight": draw(q, shape.width),
            layer + "post_attention_layernorm.weight": gain(),
            layer + "mlp.gate_proj.weight": draw(shape.width, shape.hidden),
            layer + "mlp.up_proj.weight": draw(shape.width, shape.hidden),
            layer + "mlp.down_proj.weight": draw(shape.hidden, shape.width),
        }
    out["model.norm.weight"] = gain()
    out["lm_head.weight"] = draw(shape.width, shape.vocabulary)
    return out


def build(shape, arrays):
    """Builds the ONNX model.

    Inputs: input_ids, position_ids int64 [batch, sequence]; attention_mask int64
    [batch, total]; past_key_values.N.key and .value float32 [batch, kv_heads,
    past, head_dim]. Outputs: logits float32 [batch, sequence, vocabulary] and
    present.N.key and .value.
    """
    shape.check()
    g = _Graph()
    for name, array in arrays.items():
        g.weight(name, array)
    angles = np.outer(np.arange(shape.positions), shape.theta ** (-np.arange(0, shape.head_dim, 2) / shape.head_dim))
    half = shape.head_dim // 2

    def dim(value, axis):
        return g.node("Gather", g.node("Shape", value), g.ints(axis), axis=0)

    def table(name, values):
        rows = g.node("Gather", g.weight(name, values.astype(np.float32)), "position_ids", axis=0)
        return g.node("Unsqueeze", rows, g.ints(1))

    batch, new = dim("input_ids", 0), dim("input_ids", 1)
    past = dim("past_key_values.0.key", 2)
    total = g.node("Add", past, new)
    cos, sin = table("cos", np.cos(angles)), table("sin", np.sin(angles))

    def squeeze(value):
        return g.node("Squeeze", value, g.ints(0))

    zero, one = g.number(0, np.int64), g.number(1, np.int64)
    rows = g.node("Unsqueeze", g.node("Range", squeeze(past), squeeze(total), one), g.ints(1))
    columns = g.node("Unsqueeze", g.node("Range", zero, squeeze(total), one), g.ints(0))
    seen = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.ints(1, 2)), to=TensorProto.BOOL)
    visible = g.node("And", g.node("LessOrEqual", columns, rows), seen)
    bias = g.node("Where", visible, g.number(0.0), g.number(-np.inf))

    def norm(x, gain, name):
        mean = g.node("ReduceMean", g.node("Pow", x, g.number(2.0)), axes=[-1], keepdims=1)
        root = g.node("Sqrt", g.node("Add", mean, g.number(shape.epsilon)))
        return g.node("Mul", g.node("Mul", x, g.node("Div", g.number(1.0), root)), gain, name=name)

    def split(x, heads):
        target = g.node("Concat", batch, new, g.ints(heads), g.ints(shape.head_dim), axis=0)
        return g.node("Transpose", g.node("Reshape", x, target), perm=[0, 2, 1, 3])

    def rotate(x):
        low = g.node("Slice", x, g.ints(0), g.ints(half), g.ints(3))
        high = g.node("Slice", x, g.ints(half), g.ints(shape.head_dim), g.ints(3))
        first = g.node("Sub", g.node("Mul", low, cos), g.node("Mul", high, sin))
        second = g.node("Add", g.node("Mul", high, cos), g.node("Mul", low, sin))
        return g.node("Concat", first, second, axis=3)

    def grouped(x):
        groups = shape.heads // shape.kv_heads
        wide = g.node("Concat", batch, g.ints(shape.kv_heads), g.ints(groups), total, g.ints(shape.head_dim), axis=0)
        flat = g.node("Concat", batch, g.ints(shape.heads), total, g.ints(shape.head_dim), axis=0)
        return g.node("Reshape", g.node("Expand", g.node("Unsqueeze", x, g.ints(2)), wide), flat)

    x = g.node("Gather", "model.embed_tokens.weight", "input_ids", name="embed", axis=0)
    for i in range(shape.layers):
        layer = f"model.layers.{i}."
        h = norm(x, layer + "input_layernorm.weight", f"layer{i}/norm")
        q, k, v = (g.node("MatMul", h, f"{layer}self_attn.{p}_proj.weight", name=f"layer{i}/attn/{p}") for p in "qkv")
        k = g.node("Concat", f"past_key_values.{i}.key", rotate(split(k, shape.kv_heads)),
                   output=f"present.{i}.key", axis=2)
        v = g.node("Concat", f"past_key_values.{i}.value", split(v, shape.kv_heads),
                   output=f"present.{i}.value", axis=2)
        scores = g.node("MatMul", rotate(split(q, shape.heads)),
                        g.node("Transpose", grouped(k), perm=[0, 1, 3, 2]), name=f"layer{i}/attn/scores")
        scores = g.node("Add", g.node("Mul", scores, g.number(shape.head_dim ** -0.5)), bias)
        mixed = g.node("MatMul", g.node("Softmax", scores, axis=-1, name=f"layer{i}/attn/softmax"),
                       grouped(v), name=f"layer{i}/attn/mix")
        flat = g.node("Concat", batch, new, g.ints(shape.heads * shape.head_dim), axis=0)
        mixed = g.node("Reshape", g.node("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        x = g.node("Add", x, g.node("MatMul", mixed, layer + "self_attn.o_proj.weight", name=f"layer{i}/attn/out"))
        h = norm(x, layer + "post_attention_layernorm.weight", f"layer{i}/mlp/norm")
        gate = g.node("MatMul", h, layer + "mlp.gate_proj.weight", name=f"layer{i}/mlp/gate")
        up = g.node("MatMul", h, layer + "mlp.up_proj.weight", name=f"layer{i}/mlp/up")
        act = g.node("Mul", g.node("Mul", gate, g.node("Sigmoid", gate)), up)
        x = g.node("Add", x, g.node("MatMul", act, layer + "mlp.down_proj.weight", name=f"layer{i}/mlp/down"))
    g.node("MatMul", norm(x, "model.norm.weight", "norm"), "lm_head.weight", name="head", output="logits")

    def value(name, kind, *dims):
        return helper.make_tensor_value_info(name, kind, dims)

    caches = [f"{i}.{part}" for i in range(shape.layers) for part in ("key", "value")]
    inputs = [value("input_ids", TensorProto.INT64, "batch", "sequence"),
              value("attention_mask", TensorProto.INT64, "batch", "total"),
              value("position_ids", TensorProto.INT64, "batch", "sequence")]
    inputs += [value(f"past_key_values.{c}", TensorProto.FLOAT, "batch", shape.kv_heads, "past", shape.head_dim)
               for c in caches]
    outputs = [value("logits", TensorProto.FLOAT, "batch", "sequence", shape.vocabulary)]
    outputs += [value(f"present.{c}", TensorProto.FLOAT, "batch", shape.kv_heads, "total", shape.head_dim)
                for c in caches]
    graph = helper.make_graph(g.nodes, "llama", inputs, outputs, g.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="waferloom.zoo")
    onnx.checker.check_model(model)
    return model
