"""A Llama in a GGUF file as Shape and arrays. Weights are dequantized when they
are asked for; nothing is kept."""

from collections.abc import Mapping

import gguf
import numpy as np

from .shape import Shape, products

# Our names and GGUF's, of one layer and of the whole.
LAYER = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}


def half_split(rows, heads):
    """Rows of Q or K [heads * d, in] as models have them, where rotary embedding
    pairs (i, i + d/2) of a head. GGUF stores them for pairs (2i, 2i + 1). Whole
    rows move: exact."""
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, rows.shape[1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


class Checkpoint(Mapping):
    """Weights by the names of `shape.weights`, float32, (in, out) for products.
    `shape` has the sizes, `metadata` everything else that the file says.

    Raises:
        ValueError: the file holds no Llama, or lacks something.
    """

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.path = path
        self.metadata = {name: field.contents() for name, field in reader.fields.items()}
        if self.get_fact("general.architecture") != "llama":
            raise ValueError(f"{path}: architecture is {self.metadata['general.architecture']!r}, not 'llama'")
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.names = self.name_tensors()
        self.shape = self.read_shape()

    def get_fact(self, name):
        if name not in self.metadata:
            raise ValueError(f"{self.path}: no metadata {name!r}")
        return self.metadata[name]

    def name_tensors(self):
        """Our name of every tensor, mapped to GGUF's; raises for what is not there."""
        layers = self.get_fact("llama.block_count")
        names = {f"model.layers.{i}.{ours}.weight": f"blk.{i}.{theirs}.weight"
                 for i in range(layers) for ours, theirs in LAYER.items()}
        names = {"model.embed_tokens.weight": WHOLE["model.embed_tokens.weight"]} | names | WHOLE
        if names["lm_head.weight"] not in self.tensors:
            del names["lm_head.weight"]  # tied
        missing = [theirs for theirs in names.values() if theirs not in self.tensors]
        unknown = sorted(set(self.tensors) - set(names.values()))
        if missing or unknown:
            raise ValueError(f"{self.path}: tensors missing: {missing[:4]}, unknown: {unknown[:4]}")
        return names

    def read_shape(self):
        fact, heads = self.get_fact, self.get_fact("llama.attention.head_count")
        # GGUF has figures like 1e-5 in float32; the decimal that was meant is the shortest.
        shape = Shape(layers=fact("llama.block_count"), width=fact("llama.embedding_length"), heads=heads,
                      kv_heads=fact("llama.attention.head_count_kv"), head_dim=fact("llama.rope.dimension_count"),
                      hidden=fact("llama.feed_forward_length"), vocabulary=fact("llama.vocab_size"),
                      positions=fact("llama.context_length"), tied="lm_head.weight" not in self.names,
                      epsilon=float(str(np.float32(fact("llama.attention.layer_norm_rms_epsilon")))),
                      theta=float(str(np.float32(fact("llama.rope.freq_base")))))
        shape.check()
        expected = {f"model.layers.{i}.{name}.weight": size for i in range(shape.layers)
                    for name, size in products(shape).items()}
        expected["model.embed_tokens.weight"] = (shape.width, shape.vocabulary)
        for name, size in expected.items():
            found = tuple(int(extent) for extent in self.tensors[self.names[name]].shape)
            if found != size:
                raise ValueError(f"{self.path}: {self.names[name]} is {found}, its metadata say {size}")
        return shape

    def __getitem__(self, name):
        tensor = self.tensors[self.names[name]]
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        if name.endswith("q_proj.weight"):
            values = half_split(values, self.shape.heads)
        elif name.endswith("k_proj.weight"):
            values = half_split(values, self.shape.kv_heads)
        is_product = values.ndim == 2 and name != "model.embed_tokens.weight"
        return values.T if is_product else values  # GGUF has (out, in)

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)
