"""Decoders of encoder-decoders with both uses in one file, as optimum merges them: `--set` takes one."""

import numpy as np
import pytest
from kinds import GRIDS, Graph, expected_of
from onnx import TensorProto, helper
from test_exporters import GRIDS as WHOLE, TWO_STAGES, compare, steps_of
from test_model_kinds import HEADS, HIDDEN, SIZE, VOCABULARY, heads_of, with_cache

import waferloom as wl
from conftest import BothEngines

SOURCE = 6  # tokens of the encoder
CROSS = {f"cross.{n}": f"new.cross.{n}" for n in "kv"}


def attend(g, q, k, v):
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    y = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return g.op("Reshape", y, g.integers(0, 0, HEADS * SIZE))


def merged_decoder():
    """Without a cache, keys and values of the encoder are computed and given out; with one they are taken, and
    what is given out in their place holds nothing."""
    g = with_cache()
    g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    g.input("encoded", ["batch", "source", HIDDEN])
    g.input("use_cache", [1], TensorProto.BOOL)
    for past in CROSS:
        g.input(past, ["batch", HEADS, "kept", SIZE])
    table, to_cross = g.weight(VOCABULARY, HIDDEN), [g.weight(HIDDEN, HEADS * SIZE) for _ in range(2)]
    empty = g.constant(np.zeros((0, HEADS, 1, SIZE), np.float32))
    branches = []
    for cached in (True, False):
        outside, g.nodes = g.nodes, []
        start = len(outside) + 100 * (2 - cached)
        g.nodes = [None] * start  # names of their own
        q, k, v = (heads_of(g, g.op("MatMul", g.op("Gather", table, "input_ids"), w)) for w in g.attention)
        cross = [*CROSS] if cached else [heads_of(g, g.op("MatMul", "encoded", w)) for w in to_cross]
        if cached:
            k, v = (g.op("Concat", f"past.{n}", new, axis=2) for n, new in (("k", k), ("v", v)))
        logits = g.op("MatMul", g.op("Add", attend(g, q, k, v), attend(g, q, *cross)), g.head)
        given = [g.op("Identity", empty) for _ in CROSS] if cached else cross
        results = [logits, k, v, *given]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results]
        branches.append(helper.make_graph(g.nodes[start:], f"branch{int(cached)}", [], outputs))
        g.nodes = outside
    g.op("If", g.op("Squeeze", "use_cache"), names=["logits", "present.k", "present.v", *CROSS.values()],
         then_branch=branches[0], else_branch=branches[1])
    g.output("logits", ["batch", "seq", VOCABULARY])
    for present in CROSS.values():
        g.output(present, None)
    return g


@pytest.mark.parametrize("grid", GRIDS)
def test_both_uses(grid):
    g = merged_decoder()
    data = g.model().SerializeToString()
    random = np.random.default_rng(3)
    encoded = random.standard_normal((1, SOURCE, HIDDEN)).astype(np.float32)
    nothing = {past: np.zeros((1, HEADS, 0, SIZE), np.float32) for past in ("past.k", "past.v", *CROSS)}
    first = {"input_ids": random.integers(0, VOCABULARY, (1, 1)), "encoded": encoded,
             "use_cache": np.array([False])} | nothing
    expected = next(expected_of(data, [first], {}))
    # Without a cache: inputs that only the other branch reads need no size, and are not asked for.
    begin = wl.compile(data, target=grid, sets={"use_cache": 0}, dims={"seq": 1, "source": SOURCE})
    assert {info.name for info in begin.inputs} == {"input_ids", "encoded"}
    ours = BothEngines(begin).run({name: first[name] for name in ("input_ids", "encoded")}).outputs
    for name in ("logits", *CROSS.values()):
        np.testing.assert_allclose(ours[name], expected[name], atol=1e-5)
    # With one, from the first token on: the encoder's keys and values are inputs.
    go_on = wl.compile(data, target=grid, sets={"use_cache": 1}, dims={"kept": SOURCE}, context=5)
    assert [info.name for info in go_on.outputs] == ["logits"]
    cross = {past: ours[given] for past, given in CROSS.items()}
    steps = [first | cross | {"use_cache": np.array([True])}]
    steps += [steps[0] | {"input_ids": random.integers(0, VOCABULARY, (1, 1))} for _ in range(2)]
    caches = {f"past.{n}": (f"present.{n}", (1, HEADS, 0, SIZE)) for n in "kv"}
    session = BothEngines(go_on)
    steps = [{name: value for name, value in step.items() if name not in caches} for step in steps]
    for step, wanted in zip(steps, expected_of(data, steps, caches)):
        outputs = session.run({name: step[name] for name in ("input_ids", *CROSS)}).outputs
        np.testing.assert_allclose(outputs["logits"], wanted["logits"], atol=1e-5)


@pytest.mark.parametrize("start, size", [((0, 0), (4, 6)), ((1, 2), (2, 3)), ((0, 5), (4, 1))], ids=str)
def test_a_box_of_updates(start, size):
    """A mask written in parts: indices that count up are no search."""
    g = Graph()
    mesh = np.stack(np.meshgrid(*(np.arange(s, s + n) for s, n in zip(start, size)), indexing="ij"), axis=-1)
    row = g.op("Range", g.constant(np.array(0)), g.constant(np.array(size[1])), g.constant(np.array(1)))
    updates = g.op("Expand", g.op("Cast", row, to=TensorProto.FLOAT), g.integers(*size))
    box = g.op("ScatterND", g.constant(np.full((4, 6), -1, np.float32)), g.constant(mesh.astype(np.int64)), updates)
    g.op("Add", g.input("x", [4, 6]), box, names=[g.output("y", [4, 6])])
    data = g.model().SerializeToString()
    step = {"x": g.random.standard_normal((4, 6)).astype(np.float32)}
    program = wl.compile(data, target="grid-2x2,sram=256KiB")
    expected = next(expected_of(data, [step], {}))["y"]
    np.testing.assert_allclose(program.session().run(step).outputs["y"], expected, atol=1e-6)


@pytest.mark.parametrize("place", [*({"target": grid} for grid in WHOLE[:2]), TWO_STAGES], ids=str)
def test_the_file_of_an_exporter(models, place):
    """t5 as optimum merges it: the first use gives the encoder's keys and values, which leave every layer, so it has one
    stage; the second takes them in every step."""
    path = next(models.glob("exporters*/t5-optimum-op18-decoder-merged.onnx"))
    recorded = np.load(path.with_suffix(".npz"))
    steps = list(steps_of({key: recorded[key] for key in recorded.files}, "greedy"))
    source = steps[0][0]["encoder_hidden_states"].shape[1]
    dims = {"batch_size": 1, "encoder_sequence_length": source}

    def run(session, program, inputs):
        known = {info.name for info in program.inputs}
        return session.run({name: value for name, value in inputs.items() if name in known}).outputs

    first = wl.compile(path, dims=dims | {"decoder_sequence_length": steps[0][0]["input_ids"].shape[1]},
                       sets={"use_cache_branch": 0}, target=place["target"], region=place.get("region"))
    found = run(BothEngines(first), first, steps[0][0])
    compare(found["logits"], steps[0][1]["logits"], ..., "without a cache")
    kept = {name.replace("present", "past_key_values"): value for name, value in found.items() if ".encoder." in name}
    assert len(kept) == 4
    second = wl.compile(path, dims=dims, sets={"use_cache_branch": 1}, context=16, **place)
    session = BothEngines(second)
    for step, (inputs, outputs) in enumerate(steps):
        compare(run(session, second, inputs | kept)["logits"], outputs["logits"], ..., f"step {step}")
