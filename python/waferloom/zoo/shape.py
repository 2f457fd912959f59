"""The sizes of a Llama, and weights drawn for them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama. `heads` must be a multiple of `kv_heads`, `head_dim` even.
    With `tied`, the head is the embedding table, transposed."""

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

    def check(self):
        """Raises ValueError for sizes that make no model."""
        for name in ("layers", "width", "heads", "kv_heads", "head_dim", "hidden", "vocabulary", "positions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is below 1")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads do not divide into {self.kv_heads} KV heads")
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd; rotary embedding needs pairs")

    def tables(self):
        """Cosines and sines of rotary embedding, float64 [positions, head_dim / 2]."""
        rates = self.theta ** (-np.arange(0, self.head_dim, 2) / self.head_dim)
        angles = np.outer(np.arange(self.positions), rates)
        return np.cos(angles), np.sin(angles)


def products(shape):
    """Name and (in, out) of every product of a layer, in the order of the data."""
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return {"self_attn.q_proj": (shape.width, q), "self_attn.k_proj": (shape.width, kv),
            "self_attn.v_proj": (shape.width, kv), "self_attn.o_proj": (q, shape.width),
            "mlp.gate_proj": (shape.width, shape.hidden), "mlp.up_proj": (shape.width, shape.hidden),
            "mlp.down_proj": (shape.hidden, shape.width)}


def weights(shape, seed=0):
    """Draws all weights of a model: float32 arrays by name, (in, out) for products."""
    random = np.random.default_rng(seed)

    def draw(rows, columns):
        return (random.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)

    def gain():
        return (1 + 0.1 * random.standard_normal(shape.width)).astype(np.float32)

    out = _named(shape, draw, gain)
    out["model.embed_tokens.weight"] *= np.float32(4)
    return out


def no_weights(shape, dtype=np.float32):
    """The same arrays without their bytes: zeros that take no memory, for graph.NoFile."""
    return _named(shape, lambda *sizes: np.broadcast_to(np.zeros((), dtype), sizes),
                  lambda: np.broadcast_to(np.zeros((), dtype), shape.width))


def _named(shape, draw, gain):
    shape.check()
    out = {"model.embed_tokens.weight": draw(shape.vocabulary, shape.width)}
    for i in range(shape.layers):
        layer = f"model.layers.{i}."
        out[layer + "input_layernorm.weight"] = gain()
        for name, (rows, columns) in products(shape).items():
            if name == "mlp.gate_proj":
                out[layer + "post_attention_layernorm.weight"] = gain()
            out[f"{layer}{name}.weight"] = draw(rows, columns)
    out["model.norm.weight"] = gain()
    if not shape.tied:
        out["lm_head.weight"] = draw(shape.width, shape.vocabulary)
    return out
