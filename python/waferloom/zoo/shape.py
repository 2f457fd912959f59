"""The sizes of a decoder, and weights drawn for them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama, and in what its relatives differ from it. `heads` must be a
    multiple of `kv_heads`, `head_dim` even. With `tied`, the head is the embedding
    table, transposed.

    Attributes:
        bias: queries, keys and values have one.
        head_norm: queries and keys are normalized, each head by itself.
        rotary: how much of a head is rotated; 0: all of it.
        window: how many positions a layer sees; 0: all. Every `full_every`-th
            layer sees all in spite of it.
        local_theta: `theta` of the layers with a window; 0: the same.
        gelu: the gate's activation is a Gelu (by tanh) instead of a SiLU.
        sandwich: norms stand behind attention and feed-forward, too.
        scaled: embeddings are multiplied by the root of `width`.
        experts, chosen: so many feed-forwards, of which a router chooses.
        sinks: attention has a sink per head, every product a bias, and the gates
            of experts are clamped (gpt-oss).
    """

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
    tied: bool = False
    bias: bool = False
    head_norm: bool = False
    rotary: int = 0
    window: int = 0
    full_every: int = 0
    local_theta: float = 0.0
    gelu: bool = False
    sandwich: bool = False
    scaled: bool = False
    experts: int = 0
    chosen: int = 0
    sinks: bool = False

    def window_of(self, i):
        """How many positions layer `i` sees; 0: all."""
        return 0 if self.full_every and (i + 1) % self.full_every == 0 else self.window

    def theta_of(self, i):
        return self.local_theta if self.window_of(i) and self.local_theta else self.theta

    def check(self):
        """Raises ValueError for sizes that make no model."""
        for name in ("layers", "width", "heads", "kv_heads", "head_dim", "hidden", "vocabulary", "positions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is below 1")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads do not divide into {self.kv_heads} KV heads")
        for name in ("head_dim", "rotary"):
            if getattr(self, name) % 2:
                raise ValueError(f"{name} {getattr(self, name)} is odd; rotary embedding needs pairs")
        if not 0 <= self.rotary <= self.head_dim or not 0 <= self.chosen <= self.experts or (
                self.experts and not self.chosen):
            raise ValueError(f"rotates {self.rotary} of {self.head_dim}, chooses {self.chosen} of {self.experts}")

    def tables(self, theta=None):
        """Cosines and sines of rotary embedding, float64 [positions, rotated / 2]."""
        rotated = self.rotary or self.head_dim
        rates = (theta or self.theta) ** (-np.arange(0, rotated, 2) / rotated)
        angles = np.outer(np.arange(self.positions), rates)
        return np.cos(angles), np.sin(angles)


def products(shape):
    """Name and (in, out) of every product of a layer, in the order of the data; of
    experts (experts, out, in), gates and values by turns."""
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = {"self_attn.q_proj": (shape.width, q), "self_attn.k_proj": (shape.width, kv),
                 "self_attn.v_proj": (shape.width, kv), "self_attn.o_proj": (q, shape.width)}
    if shape.experts:
        return attention | {"mlp.router": (shape.width, shape.experts),
                            "mlp.experts.gate_up": (shape.experts, 2 * shape.hidden, shape.width),
                            "mlp.experts.down": (shape.experts, shape.width, shape.hidden)}
    return attention | {"mlp.gate_proj": (shape.width, shape.hidden), "mlp.up_proj": (shape.width, shape.hidden),
                        "mlp.down_proj": (shape.hidden, shape.width)}


def vectors(shape):
    """Name and shape of every bias, sink and gain of a layer beside its two norms."""
    found, sizes = {}, products(shape)
    biased = [*sizes] if shape.sinks else [f"self_attn.{p}_proj" for p in "qkv"] if shape.bias else []
    for name in biased:
        found[name + ".bias"] = sizes[name][:-1] if len(sizes[name]) == 3 else sizes[name][-1:]
    if shape.sinks:
        found["self_attn.sinks"] = (1, shape.heads, 1, 1)
    if shape.head_norm:
        found |= {f"self_attn.{p}_norm.weight": (shape.head_dim,) for p in "qk"}
    if shape.sandwich:
        found |= {f"{name}.weight": (shape.width,) for name in ("attention_output_norm", "feedforward_output_norm")}
    return found


def weights(shape, seed=0):
    """Draws all weights of a model: float32 arrays by name, (in, out) for products."""
    random = np.random.default_rng(seed)

    def draw(*sizes):
        inner = sizes[0] if len(sizes) == 2 else sizes[-1]
        return (random.standard_normal(sizes) / np.sqrt(inner)).astype(np.float32)

    def gain(*sizes):
        return (1 + 0.1 * random.standard_normal(sizes)).astype(np.float32)

    out = _named(shape, draw, gain)
    out["model.embed_tokens.weight"] *= np.float32(4)
    return out


def no_weights(shape, dtype=np.float32):
    """The same arrays without their bytes: zeros that take no memory, for graph.NoFile."""
    def zeros(*sizes):
        return np.broadcast_to(np.zeros((), dtype), sizes)

    return _named(shape, zeros, zeros)


def _named(shape, draw, gain):
    shape.check()
    out = {"model.embed_tokens.weight": draw(shape.vocabulary, shape.width)}
    for i in range(shape.layers):
        layer = f"model.layers.{i}."
        out[layer + "input_layernorm.weight"] = gain(shape.width)
        for name, sizes in products(shape).items():
            if name in ("mlp.gate_proj", "mlp.router"):
                out[layer + "post_attention_layernorm.weight"] = gain(shape.width)
            out[f"{layer}{name}.weight"] = draw(*sizes)
        for name, sizes in vectors(shape).items():
            out[layer + name] = gain(*sizes)
    out["model.norm.weight"] = gain(shape.width)
    if not shape.tied:
        out["lm_head.weight"] = draw(shape.width, shape.vocabulary)
    return out
