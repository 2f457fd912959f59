"""Loops over the slots of a cache end with the live ones (docs/codegen.md): the same values as with whole caches and as
ONNX Runtime, at every position of a context; cycles that a count foretells. Rewriting descriptors is free here, so that
small models end with the live slots, too."""

import subprocess

import numpy as np
import pytest
from conftest import BIN, BothEngines
from test_attention_kinds import grouped
from test_static_caches import FORMS, HEADS, ROOM, SIZE, static_decoder, steps_of

import waferloom as wl
from waferloom import zoo
from kinds import expected_of

FREE = ",sram=1MiB,rewrite=0"
SHAPE = zoo.Shape(layers=3, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=64)
CONTEXT = 19


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=3)).SerializeToString()


def pair(data, grid, **options):
    """The program, and the one whose loops go over whole caches."""
    return [wl.compile(data, target=grid + FREE, disable_rewrites=off, **options) for off in ([], ["live-lengths"])]


def compare_everywhere(live, whole, steps):
    """Both engines, step by step, beside whole caches; the outputs, and cycles by position."""
    session, other = BothEngines(live), whole.session()
    cycles = []
    for step in steps:
        position = session.length
        result, expected = session.run(step), other.run(step)
        for name, array in expected.outputs.items():
            np.testing.assert_array_equal(result.outputs[name], array, err_msg=f"{name} at {position}")
        tokens = session.length - position
        assert live.count(position=position)[tokens] == result.cycles, position
        assert whole.count()[tokens] == expected.cycles, position
        cycles.append((result.cycles, expected.cycles))
        yield result.outputs
    assert cycles[0][0] < cycles[-1][0] or len(cycles) == 1, "nothing ends with the live slots"
    assert all(ours <= theirs for ours, theirs in cycles)


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("grid", ["grid-7x5", "grid-1x7", "grid-7x1", "grid-2x3", "grid-1x1"])
def test_every_position(model, grid):
    live, whole = pair(model, grid, context=CONTEXT)
    ids = np.random.default_rng(4).integers(0, SHAPE.vocabulary, (1, CONTEXT))
    reference = zoo.Reference(model).run(ids)
    steps = [{"input_ids": ids[:, i:i + 1]} for i in range(CONTEXT)]
    for i, outputs in enumerate(compare_everywhere(live, whole, steps)):
        close(outputs["logits"][:, 0], reference[:, i])


@pytest.mark.parametrize("grid", ["grid-7x5", "grid-1x3", "grid-1x1"])
def test_chunks(model, grid):
    """Blocks of tokens, and single ones between them."""
    live, whole = pair(model, grid, context=CONTEXT, chunks=[4], logits="all")
    ids = np.random.default_rng(5).integers(0, SHAPE.vocabulary, (1, CONTEXT))
    reference = zoo.Reference(model).run(ids)
    cuts = np.cumsum([0, 4, 1, 4, 4, 1, 1, 4])
    steps = [{"input_ids": ids[:, a:b]} for a, b in zip(cuts, cuts[1:])]
    session, other = BothEngines(live), whole.session()
    for a, b, step in zip(cuts, cuts[1:], steps):
        outputs = session.run(step).outputs["logits"]
        np.testing.assert_array_equal(outputs, other.run(step).outputs["logits"], err_msg=f"{a}:{b}")
        close(outputs, reference[:, a:b])
    assert live.count(position=0)[1] < live.count()[1] and live.count(position=0)[4] < live.count()[4]


@pytest.mark.parametrize("grid, options", [
    ("grid-12x8", dict(stages=2, region=(6, 4), context=CONTEXT)), ("grid-12x8", dict(region=(3, 8), context=CONTEXT)),
    ("grid-2x3", dict(precision="f16", context=47))], ids=str)
def test_forms_of_programs(model, grid, options):
    live, whole = pair(model, grid, **options)
    ids = np.random.default_rng(6).integers(0, SHAPE.vocabulary, (1, options["context"]))
    steps = [{"input_ids": ids[:, i:i + 1]} for i in range(options["context"])]
    for _ in compare_everywhere(live, whole, steps):
        pass


@pytest.mark.parametrize("variant", [
    dict(heads=6, kv=2, packed=False, sink=True, batch=2), dict(heads=6, kv=2, smooth_softmax=1),
    dict(heads=6, kv=3, softcap=2.0, local_window_size=3), dict(heads=6, kv=2, bias=True),
    dict(heads=3, kv=1, local_window_size=4, sliding_window_cache=1)], ids=str)
@pytest.mark.parametrize("grid", ["grid-5x4", "grid-1x3"])
def test_kinds_of_attention(variant, grid):
    model, steps, caches, options = grouped(**variant)
    data = model.SerializeToString()
    options = {name: value for name, value in options.items() if name != "chunks"}
    expected = list(expected_of(data, steps, caches))
    live, whole = pair(data, grid, **options)
    session, other = BothEngines(live), whole.session()
    for i, (step, theirs) in enumerate(zip(steps, expected)):
        ours = session.run(step).outputs["logits"]
        np.testing.assert_array_equal(ours, other.run(step).outputs["logits"], err_msg=f"step {i}")
        close(ours, theirs["logits"])


@pytest.mark.parametrize("batch", [1, 2])
def test_static_caches(batch):
    g = static_decoder(FORMS[0])
    data = g.model(opset=24).SerializeToString()
    steps = list(steps_of(FORMS[0], [1] * ROOM, batch, g.random))
    caches = {f"past.{n}": (f"present.{n}", (batch, HEADS, ROOM, SIZE)) for n in "kv"}
    expected = list(expected_of(data, steps, caches))
    live, whole = pair(data, "grid-1x3", dims={"batch": batch})
    for outputs, theirs in zip(compare_everywhere(live, whole, steps), expected):
        np.testing.assert_allclose(outputs["logits"], theirs["logits"], atol=1e-5)


def test_rows_of_a_mask(model):
    """What a mask hides of the live slots stays hidden: rows padded on the left."""
    live, whole = pair(model, "grid-5x3", context=CONTEXT)
    session, other = BothEngines(live), whole.session()
    ids = np.random.default_rng(7).integers(0, SHAPE.vocabulary, (1, CONTEXT))
    for i in range(CONTEXT):
        mask = np.ones((1, i + 1), np.int64)
        mask[:, :min(i, 2)] = 0
        step = {"input_ids": ids[:, i:i + 1], "attention_mask": mask, "position_ids": [[max(i - 2, 0)]]}
        np.testing.assert_array_equal(session.run(step).outputs["logits"], other.run(step).outputs["logits"])


def test_the_position_of_a_count(model, tmp_path):
    """The last one, unless another is given; a session that was reset is at the first again."""
    live, whole = pair(model, "grid-1x3", context=CONTEXT)
    by_position = [live.count(position=i)[1] for i in range(CONTEXT)]
    assert by_position == sorted(by_position) and by_position[0] < by_position[-1] == live.count()[1]
    assert live.critical_path(position=0).cycles == by_position[0]
    with pytest.raises(wl.ExecutionError, match="cannot begin at position 19; the last that the caches have room for is 18"):
        live.count(position=CONTEXT)
    session = live.session()
    for _ in range(2):
        assert [session.run({"input_ids": [[1]]}).cycles for _ in range(CONTEXT)] == by_position
        session.reset()
    live.save(tmp_path / "live.wafer")
    whole.save(tmp_path / "whole.wafer")

    def run(name, *options):
        done = subprocess.run([BIN / "waferloom", "run", tmp_path / name, *options], capture_output=True, text=True)
        return done.stdout + done.stderr

    assert f"{by_position[-1]} cycles" in run("live.wafer", "--cycles")
    assert "at position 18 (caches end full)" in run("live.wafer", "--cycles")
    text = run("live.wafer", "--cycles", "--position", "3")
    assert f"{by_position[3]} cycles" in text and "at position 3 (caches end with the live length)" in text
    assert "at position" not in run("whole.wafer", "--cycles")
    assert "takes --position with --cycles or --critical only" in run("live.wafer", "--position", "3")
