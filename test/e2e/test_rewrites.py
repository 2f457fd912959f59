"""Every rewrite can be left out, and the outputs stay: with all, with none, and
without each, against ONNX Runtime and each other."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import waferloom as wl
from waferloom import zoo

TOP = Path(__file__).resolve().parents[2]
REWRITES = ["deferred-norm", "deferred-softmax", "reciprocal-root", "packed-messages", "middle-root"]
CHOICES = [[], *([name] for name in REWRITES), REWRITES]
SHAPES = {
    "groups": zoo.Shape(layers=2, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=32),
    "no-groups": zoo.Shape(layers=1, width=24, heads=3, kv_heads=3, head_dim=8, hidden=40, vocabulary=50,
                           positions=32),
}
GRIDS = ["grid-8x8", "grid-5x3", "grid-1x12,sram=128KiB"]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", SHAPES)
def test_outputs_stay(name, grid):
    shape = SHAPES[name]
    model = zoo.build(shape, zoo.weights(shape, seed=5))
    ids = np.random.default_rng(6).integers(0, shape.vocabulary, 9)
    reference = zoo.Reference(model.SerializeToString())
    expected = [reference.run([[token]]) for token in ids]
    images = set()
    for disabled in CHOICES:
        program = wl.compile(model.SerializeToString(), target=grid, context=12, disable_rewrites=disabled)
        session = program.session()
        cycles = set()
        for token, logits in zip(ids, expected):
            result = session.run({"input_ids": np.array([[token]])})
            np.testing.assert_allclose(result.outputs["logits"], logits, atol=1e-3 * np.abs(logits).max(), rtol=0,
                                       err_msg=f"without {disabled}")
            cycles.add(result.cycles)
        images.add(tuple(sorted(cycles)))
    assert len(images) > 1, "no rewrite changed anything"


def test_large_and_small_activations():
    """The sums that wait for their scale neither overflow nor vanish."""
    shape = SHAPES["no-groups"]
    for factor in (1e-15, 1e-6, 1e6, 1e15):
        weights = zoo.weights(shape, seed=7)
        table = next(key for key in weights if "embed" in key)
        weights[table] = (weights[table] * factor).astype(np.float32)
        model = zoo.build(shape, weights)
        session = wl.compile(model.SerializeToString(), target="grid-5x3", context=12).session()
        reference = zoo.Reference(model.SerializeToString())
        for token in (3, 1, 4, 1, 5):
            ours = session.run({"input_ids": np.array([[token]])}).outputs["logits"]
            theirs = reference.run([[token]])
            assert np.isfinite(theirs).all()
            np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max(), rtol=0, err_msg=f"{factor}")


def test_a_wrong_name_lists_the_names(tmp_path):
    shape = SHAPES["no-groups"]
    model = zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()
    names = ", ".join(REWRITES)
    with pytest.raises(wl.CompileError, match=f"no rewrite 'norms'; rewrites are {names}"):
        wl.compile(model, target="grid-8x8", disable_rewrites=["norms"])
    tool = TOP / "build/bin/waferloom"
    if tool.exists():
        (tmp_path / "m.onnx").write_bytes(model)
        run = subprocess.run([tool, "compile", tmp_path / "m.onnx", "--target=grid-8x8", "--disable-rewrite=deferred-norm",
                              "--disable-rewrite=norms", "-o", tmp_path / "m.wafer"], capture_output=True, text=True)
        assert run.returncode == 1 and "rewrites are " + names in run.stderr
        assert not (tmp_path / "m.wafer").exists()
