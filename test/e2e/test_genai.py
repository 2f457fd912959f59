"""Models of fused operators (GroupQueryAttention and its kin), as runtimes' own
builders write them, on the wafer: every token of a trained model, odd sizes, what
the mask may say."""

import numpy as np
import pytest
from kinds import in_blocks
from test_stories import check

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=2, width=28, heads=6, kv_heads=2, head_dim=16, hidden=37, vocabulary=41, positions=32)


@pytest.fixture(scope="module")
def golden(models):
    return np.load(models / "stories260k" / "golden.npz")


@pytest.mark.parametrize("grid", ["grid-8x8,sram=64KiB", "grid-7x5,sram=96KiB"])
def test_a_trained_model(models, golden, grid):
    program = wl.compile(models / "stories260k/stories260k-genai-opset21.onnx", target=grid, context=208)
    check(program.session(), golden)


@pytest.mark.parametrize("grid", ["grid-4x4,sram=128KiB", "grid-5x3,sram=128KiB", "grid-1x1,sram=2MiB"])
def test_odd_sizes_in_chunks(grid):
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=4), "genai").SerializeToString()
    session = wl.compile(model, target=grid, context=13, chunks=[4], logits="all").session()
    reference = zoo.Reference(model)
    ids = np.random.default_rng(3).integers(0, SHAPE.vocabulary, (1, 13))
    for begin, end in [(0, 4), (4, 5), (5, 12), (12, 13)]:
        ours = session.run({"input_ids": ids[:, begin:end]}).outputs["logits"]
        theirs = reference.run(ids[:, begin:end])
        assert np.abs(ours - theirs[:, -ours.shape[1]:]).max() < 1e-4 * np.abs(theirs).max(), f"tokens {begin} to {end}"


def test_caches_whose_head_size_the_file_leaves_open():
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=4), "genai")
    for info in [*model.graph.input, *model.graph.output]:
        if "past" in info.name or "present" in info.name:
            info.type.tensor_type.shape.dim[3].dim_param = "kv_cache_dim"
    program = wl.compile(model.SerializeToString(), target="grid-4x4,sram=128KiB", context=8)
    logits = program.session().run({"input_ids": np.array([[7]])}).outputs["logits"]
    theirs = zoo.Reference(zoo.build(SHAPE, zoo.weights(SHAPE, seed=4), "genai").SerializeToString()).run([[7]])
    np.testing.assert_allclose(logits, theirs, atol=1e-4 * np.abs(theirs).max(), rtol=0)


def test_padding_is_refused_before_the_step():
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=4), "genai").SerializeToString()
    session = wl.compile(model, target="grid-4x4,sram=128KiB", context=8, dims={"batch": 2}).session()
    ids = np.ones((2, 1), np.int64)
    session.run({"input_ids": ids, "attention_mask": np.ones((2, 1), np.int64)})
    with pytest.raises(wl.ExecutionError, match="'attention_mask' has 0 at element 2, but all must be 1: .* every row of a batch"):
        session.run({"input_ids": ids, "attention_mask": np.array([[1, 1], [0, 1]])})
    assert session.length == 1


@pytest.mark.parametrize("precision, limit", [("model", 1e-4), ("f16", 1e-2)])
def test_weights_of_four_bits(precision, limit):
    model, numbers = in_blocks(zoo.build(SHAPE, zoo.weights(SHAPE, seed=4), "genai"), 4, 32, "scaled")
    ids = np.random.default_rng(3).integers(0, SHAPE.vocabulary, (1, 6))
    ours, same = (wl.compile(each, target="grid-5x3,sram=128KiB", context=8, precision=precision).session().run(
        {"input_ids": ids}).outputs["logits"] for each in (model, numbers))
    theirs = zoo.Reference(model).run(ids)[:, -ours.shape[1]:]
    np.testing.assert_array_equal(ours, same)
    np.testing.assert_allclose(ours, theirs, atol=limit * np.abs(theirs).max(), rtol=0)
