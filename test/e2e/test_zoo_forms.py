"""The zoo's models by ONNX Runtime: all forms and precisions of the same weights
say the same, whether weights are in the file or beside it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from waferloom import zoo

# GroupQueryAttention of ONNX Runtime wants heads whose size is a multiple of 16.
SHAPE = zoo.Shape(layers=2, width=40, heads=6, kv_heads=2, head_dim=16, hidden=52, vocabulary=70, positions=64)
IDS = np.random.default_rng(5).integers(0, SHAPE.vocabulary, (1, 9))


def logits(model, steps=(4, 1, 1, 3)):
    """Of IDS, fed in steps of so many tokens."""
    reference = zoo.Reference(model)
    ends = np.cumsum(steps)
    return np.concatenate([reference.run(IDS[:, end - n:end]) for n, end in zip(steps, ends)], axis=1)


def error(ours, theirs):
    return np.abs(ours.astype(np.float64) - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("form, precision, limit", [("primitives", "f16", 1e-2), ("genai", "f32", 1e-5),
                                                    ("genai", "f16", 1e-2)])
def test_forms_agree(form, precision, limit, tied):
    shape = replace(SHAPE, tied=tied)
    arrays = zoo.weights(shape, seed=6)
    expected = logits(zoo.build(shape, arrays).SerializeToString())
    model = zoo.build(shape, arrays, form, precision)
    assert model.graph.output[0].type.tensor_type.elem_type == {
        "f32": onnx.TensorProto.FLOAT, "f16": onnx.TensorProto.FLOAT16}[precision]
    assert error(logits(model.SerializeToString()), expected) < limit


def test_a_tied_table_is_there_once():
    names = {form: [tensor.name for tensor in zoo.build(replace(SHAPE, tied=True), zoo.weights(
        replace(SHAPE, tied=True)), form).graph.initializer] for form in ("primitives", "genai")}
    assert "lm_head.weight" not in names["primitives"]
    assert "lm_head.weight" in names["genai"], "ONNX Runtime's builder writes two tables"


@pytest.mark.parametrize("form", ["primitives", "genai"])
def test_weights_beside_the_model(form, tmp_path):
    arrays = zoo.weights(SHAPE, seed=7)
    path = zoo.write(SHAPE, arrays, tmp_path, form)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    model = onnx.load(path, load_external_data=False)
    large = [tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    assert len(large) >= 2 + 7 * SHAPE.layers
    for tensor in large:
        facts = {entry.key: entry.value for entry in tensor.external_data}
        assert facts["location"] == "model.onnx.data" and int(facts["offset"]) % 4096 == 0
    inside = zoo.build(SHAPE, arrays, form).SerializeToString()
    np.testing.assert_array_equal(logits(path), logits(inside))


def zoo_tool(*args):
    return subprocess.run([sys.executable, "-m", "waferloom.zoo", *map(str, args)], capture_output=True, text=True)


def test_command_line(tmp_path):
    done = zoo_tool("llama", "-o", tmp_path, "--layers", 1, "--head-dim", 16, "--form", "genai", "--precision", "f16",
                    "--tied", "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "model.onnx")
    assert np.isfinite(zoo.Reference(tmp_path / "model.onnx").run([[1, 2, 3]])).all()


@pytest.mark.parametrize("args, message", [
    (["--heads", "5"], "5 heads do not divide into 2 KV heads"),
    (["--head-dim", "7"], "head_dim 7 is odd"),
    (["--layers", "0"], "layers 0 is below 1")])
def test_sizes_that_make_no_model(args, message, tmp_path):
    done = zoo_tool("llama", "-o", tmp_path, *args)
    assert done.returncode == 2 and message in done.stderr
    assert not list(tmp_path.iterdir())


# What relatives of a Llama have, each by itself and as they come: name -> what differs from SHAPE.
RELATIVES = {
    "qwen2.5": dict(bias=True, tied=True), "qwen3": dict(head_norm=True, tied=True), "phi-4": dict(head_dim=32, rotary=16),
    "phi-4 in three quarters": dict(head_dim=64, rotary=48),
    "gemma3": dict(head_norm=True, sandwich=True, scaled=True, gelu=True, window=3, full_every=2, local_theta=100.0,
                   layers=3, tied=True),
    "gpt-oss": dict(sinks=True, window=3, full_every=2, experts=5, chosen=2, hidden=12),
    "mixtral": dict(experts=5, chosen=2, hidden=12)}


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_agree(name):
    """The primitive form is the definition that the other one is held to, by ONNX Runtime's own operators."""
    shape = replace(SHAPE, **RELATIVES[name])
    arrays = zoo.weights(shape, seed=8)
    expected = logits(zoo.build(shape, arrays).SerializeToString())
    assert error(logits(zoo.build(shape, arrays, "genai").SerializeToString()), expected) < 1e-5
    plain = replace(shape, **{field: getattr(zoo.Shape(), field) for field in RELATIVES[name] if field != "layers"})
    assert error(logits(zoo.build(plain, zoo.weights(plain, seed=8)).SerializeToString()), expected) > 1e-2
