"""Models nobody designed for: odd sizes of the zoo's Llama, one row, one core,
against ONNX Runtime at every token."""

from dataclasses import replace

import numpy as np
import pytest

import waferloom as wl
from conftest import BothEngines
from waferloom import zoo

SHAPES = {
    "odd": zoo.Shape(layers=3, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=32),
    "one-layer": zoo.Shape(layers=1, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31,
                           positions=32),
    "no-groups": zoo.Shape(layers=2, width=24, heads=3, kv_heads=3, head_dim=8, hidden=40, vocabulary=50,
                           positions=32),
}
GRIDS = ["grid-4x4", "grid-1x1,sram=1MiB", "grid-1x5,sram=256KiB", "grid-5x1,sram=256KiB", "grid-6x3"]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("form", ["primitives", "genai"])
def test_every_token(form, name, grid):
    shape = replace(SHAPES[name], tied=name == "one-layer")
    arrays = zoo.weights(shape, seed=1)
    program = wl.compile(zoo.build(shape, arrays, form).SerializeToString(), target=grid, context=12)
    # Of the same weights; ONNX Runtime's GroupQueryAttention refuses heads of such sizes.
    session, reference = BothEngines(program), zoo.Reference(zoo.build(shape, arrays).SerializeToString())
    ids = np.random.default_rng(2).integers(0, shape.vocabulary, 12)
    for i, token in enumerate(ids):
        ours = session.run({"input_ids": np.array([[token]])}).outputs["logits"]
        theirs = reference.run([[token]])
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max(), rtol=0, err_msg=f"step {i}")


def test_chunks_and_single_tokens_agree():
    shape = SHAPES["odd"]
    model = zoo.build(shape, zoo.weights(shape, seed=3)).SerializeToString()
    program = wl.compile(model, target="grid-4x4,sram=128KiB", context=16, chunks=[4], logits="all")
    assert program.entries == [1, 4]
    ids = np.random.default_rng(4).integers(0, shape.vocabulary, (1, 11))
    whole = BothEngines(program).run({"input_ids": ids}).outputs["logits"]
    single = BothEngines(program)
    for i in range(ids.shape[1]):
        step = single.run({"input_ids": ids[:, i:i + 1]}).outputs["logits"]
        np.testing.assert_allclose(whole[:, i:i + 1], step, atol=1e-4 * np.abs(step).max(), rtol=0)
