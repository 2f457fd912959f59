"""The tokenizer in a GGUF file's metadata as the files that come with models:
tokenizer.json (of the `tokenizers` package), tokenizer_config.json, and
chat_template.jinja."""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONTROL = 3  # GGUF's type of tokens that no text makes

# How text is cut before merging, by GGUF's name for it. A converter that misses the
# rule gives other tokens for other texts only: never guess.
CUTS = {"smollm": lambda: [pre_tokenizers.Digits(individual_digits=True),
                           pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]}


def from_metadata(metadata):
    """A `tokenizers.Tokenizer`.

    Raises:
        ValueError: a kind of tokenizer that is not known here.
    """
    kind, cut = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != "gpt2" or cut not in CUTS:
        raise ValueError(f"tokenizer {kind!r} with pre-tokenizer {cut!r} is not known; known: 'gpt2' with "
                         f"{', '.join(map(repr, CUTS))}")
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(CUTS[cut]())
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, metadata["tokenizer.ggml.token_type"])
                                  if kind == CONTROL])
    return tokenizer


def write(metadata, folder):
    """Writes the files into a folder that exists."""
    folder = Path(folder)
    tokens = metadata["tokenizer.ggml.tokens"]
    names = {"bos_token": "bos_token_id", "eos_token": "eos_token_id", "unk_token": "unknown_token_id",
             "pad_token": "padding_token_id"}
    config = {ours: tokens[metadata[f"tokenizer.ggml.{theirs}"]] for ours, theirs in names.items()
              if f"tokenizer.ggml.{theirs}" in metadata}
    from_metadata(metadata).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    if "tokenizer.chat_template" in metadata:
        (folder / "chat_template.jinja").write_text(metadata["tokenizer.chat_template"])
