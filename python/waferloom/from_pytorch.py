"""Exports small decoders with a cache from PyTorch and Hugging Face, compiles them and compares every token with ONNX
Runtime. What a model of yours needs is in `Decoder`, `export` and `Flat` (docs/from-pytorch.md)."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import waferloom as wl
from waferloom import zoo

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ModuleNotFoundError as error:
    sys.exit(f"waferloom.from_pytorch: {error}; pip install 'waferloom[torch]' brings it")

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_DIM, HIDDEN, VOCABULARY = 2, 36, 6, 2, 6, 50, 97
PROMPT, TOKENS = [3, 14, 15, 92, 65], 4


class Block(nn.Module):
    """Attention over the cache and the new tokens, then a feed-forward."""

    def __init__(self):
        super().__init__()
        self.norm, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, (HEADS + 2 * KV_HEADS) * HEAD_DIM)
        self.out = nn.Linear(HEADS * HEAD_DIM, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x, mask, past_key, past_value):
        packed = self.qkv(self.norm(x))
        packed = packed.unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)
        query, key, value = packed.split([HEADS, KV_HEADS, KV_HEADS], 1)
        key, value = torch.cat([past_key, key], 2), torch.cat([past_value, value], 2)
        scores = query @ key.repeat_interleave(HEADS // KV_HEADS, 1).transpose(2, 3) / HEAD_DIM**0.5
        weights = torch.softmax(scores.masked_fill(mask, -1e9), -1)
        heads = weights @ value.repeat_interleave(HEADS // KV_HEADS, 1)
        x = x + self.out(heads.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.norm_2(x)))), key, value


class Decoder(nn.Module):
    """A decoder as one writes it oneself: the cache goes in and comes out, positions are counted from its length."""

    def __init__(self):
        super().__init__()
        self.embed, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(64, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, input_ids, past):
        length = past[0][0].shape[2]
        total = length + input_ids.shape[1]
        positions = torch.arange(total)[length:]
        mask = torch.arange(total) > positions[:, None]  # hides what comes later
        x, present = self.embed(input_ids) + self.places(positions), []
        for block, (key, value) in zip(self.blocks, past):
            x, key, value = block(x, mask, key, value)
            present.append((key, value))
        return self.head(x), present


class Flat(nn.Module):
    """A model of transformers whose cache is a list of tensors."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, past):
        from transformers import DynamicCache
        found = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                           past_key_values=DynamicCache(past), use_cache=True)
        return found.logits, [(layer.keys, layer.values) for layer in found.past_key_values.layers]


def llama():
    """A Llama of transformers, of random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                         num_key_value_heads=KV_HEADS, head_dim=HEAD_DIM, intermediate_size=HIDDEN,
                         vocab_size=VOCABULARY, max_position_embeddings=64)
    return Flat(LlamaForCausalLM(config))


def export(model, path, inputs, dynamo):
    """Writes `model` as ONNX. Its inputs are those named, [1, tokens] each, and `past`, a list of (key, value); names
    pair what comes out of a cache with what goes in, and every length is free."""
    lengths = {"input_ids": "tokens", "position_ids": "tokens", "attention_mask": "total"}
    sizes = {"tokens": 3, "total": 5}
    given = [torch.ones(1, sizes[lengths[name]], dtype=torch.int64) for name in inputs]
    past = [(torch.zeros(1, KV_HEADS, 2, HEAD_DIM), torch.zeros(1, KV_HEADS, 2, HEAD_DIM)) for _ in range(LAYERS)]
    caches = [f"{i}.{part}" for i in range(LAYERS) for part in ("key", "value")]
    names = [*inputs, *(f"past_key_values.{cache}" for cache in caches)]
    presents = [f"present.{cache}" for cache in caches]
    options = {"input_names": names, "output_names": ["logits", *presents], "dynamo": dynamo}
    if dynamo:
        free = torch.export.Dim.DYNAMIC
        options["dynamic_shapes"] = (*({1: free} for _ in inputs), [({2: free}, {2: free}) for _ in past])
        options |= {"external_data": False, "verbose": False}
    else:
        options["dynamic_axes"] = {**{name: {1: lengths[name]} for name in inputs}, "logits": {1: "tokens"},
                                   **{name: {2: "past"} for name in names[len(inputs):]},
                                   **{name: {2: "total"} for name in presents}}
    torch.onnx.export(model.eval(), (*given, past), str(path), **options)


FORMS = {"dynamo": (Decoder, ["input_ids"], True), "torchscript": (Decoder, ["input_ids"], False),
         "transformers": (llama, ["input_ids", "attention_mask", "position_ids"], True)}


def write(form, folder):
    """Writes FOLDER/FORM.onnx and returns its path."""
    torch.manual_seed(7)
    build, inputs, dynamo = FORMS[form]
    path = Path(folder) / f"{form}.onnx"
    with torch.no_grad():
        export(build(), path, inputs, dynamo)
    return path


def compare(path, target):
    """(tokens, largest difference of logits relative to the largest logit): a prompt, then the likeliest tokens, each
    fed back, on the wafer and in ONNX Runtime."""
    program = wl.compile(path, target=target, context=len(PROMPT) + TOKENS)
    session, reference = program.session(), zoo.Reference(path)
    ids, worst = list(PROMPT), 0.0
    for place in range(len(PROMPT) + TOKENS - 1):
        ours = session.run({"input_ids": [ids[place:place + 1]]}).outputs["logits"]
        theirs = reference.run([ids[place:place + 1]])
        worst = max(worst, float(np.abs(ours - theirs).max() / np.abs(theirs).max()))
        if place + 1 == len(ids):
            ids.append(int(theirs[0, -1].argmax()))
    return ids, worst


def main():
    parser = argparse.ArgumentParser(prog="python -m waferloom.from_pytorch", description=__doc__)
    parser.add_argument("forms", nargs="*", metavar="FORM", help=f"of {', '.join(FORMS)} (default: all)")
    parser.add_argument("-o", "--output", metavar="DIR", help="keeps the models there")
    parser.add_argument("--target", default="grid-7x5,sram=256KiB")
    options = parser.parse_args()
    if unknown := set(options.forms) - set(FORMS):
        parser.error(f"there is no form {sorted(unknown)[0]}; forms are {', '.join(FORMS)}")
    with tempfile.TemporaryDirectory() as scratch:
        for form in options.forms or FORMS:
            ids, worst = compare(write(form, options.output or scratch), options.target)
            print(f"{form}: tokens {' '.join(map(str, ids))}; logits differ by {worst:.1e} of the largest")
            if worst > 1e-4:
                sys.exit(f"{form}: the wafer and ONNX Runtime differ")


if __name__ == "__main__":
    main()
