"""Tokenizers for models that speak in tests: one of bytes, and that of stories260k."""

import json
import struct

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

END = 258  # of text: a control token of the tokenizer of bytes
TEMPLATE = "{% for message in messages %}{{ message['role'] + ':' + message['content'] + '\\n' }}{% endfor %}assistant:"


def byte_tokenizer(folder, template=TEMPLATE):
    """Tokens are bytes; two control tokens and one that ends a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    for i, name in enumerate(["<pad>", "<user>", "<end>"]):
        assert tokenizer.token_to_id(name) is None
        tokenizer.add_special_tokens([AddedToken(name, special=True)])
        assert tokenizer.token_to_id(name) == 256 + i
    return written(tokenizer, folder, template)


def letter_tokenizer(folder):
    """Tokens are letters of ASCII and pairs of them: any tokens are a text, which need not become these again."""
    letters = ["\n", *map(chr, range(32, 127))]
    pairs = [(a, b) for a in "etaoinsrhldcu" for b in "etaoinsrhldcu "][:END - len(letters)]
    vocabulary = {name: i for i, name in enumerate([*letters, *map("".join, pairs)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in ("<end>", "<pad>")])
    assert tokenizer.token_to_id("<end>") == END
    return written(tokenizer, folder)


def written(tokenizer, folder, template=TEMPLATE):
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<end>"}}))
    (folder / "chat_template.jinja").write_text(template)
    return folder


def stories_tokenizer(models_folder, folder):
    """tok512.bin of llama2.c as tokenizer.json: pairs merge by their scores, what no token has is written in bytes."""
    data, at, tokens = (models_folder / "stories260k" / "tok512.bin").read_bytes(), 4, []
    while at < len(data):
        score, length = struct.unpack_from("<fi", data, at)
        tokens.append((data[at + 8:at + 8 + length].decode(), score))
        at += 8 + length
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)),
             *(name.replace(" ", "▁") for name, _ in tokens[259:])]
    vocabulary = {name: i for i, name in enumerate(names)}
    ranked = sorted(range(259, len(names)), key=lambda i: -tokens[i][1])
    merges = [(names[i][:n], names[i][n:]) for i in ranked for n in range(1, len(names[i]))
              if names[i][:n] in vocabulary and names[i][n:] in vocabulary]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    template = "<s>{% for message in messages %}{{ message['content'] + '\\n' }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    return folder
