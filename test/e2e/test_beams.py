"""Beam search: an input says whose states each row of the batch goes on with; the host moves them between steps."""

import json
import subprocess

import numpy as np
import pytest
from conftest import BIN, BothEngines
from kinds import GRIDS, Graph, expected_of
from onnx import TensorProto, helper
from test_model_kinds import HEADS, HIDDEN, SIZE, VOCABULARY, decoder, name_presents, with_cache
from test_static_caches import ROOM, scatter_elements, static_decoder

import waferloom as wl
from waferloom import zoo

BEAMS = 3
ORDERS = [[0, 1, 2], [2, 0, 0], [1, 1, 2], [2, 1, 0]]


def gathered(g, kind=TensorProto.INT32):
    """Every past behind beams; `decoder` and the like name what they read `past.k` and `past.v`."""
    beams = g.input("beam_idx", ["batch"], kind)
    for node in g.nodes:
        for i, name in enumerate(node.input):
            if name.startswith("past."):
                node.input[i] = f"moved.{name}"
    moves = Graph()
    for past in ("past.k", "past.v"):
        moves.op("Gather", past, beams, names=[f"moved.{past}"], axis=0)
        moves.nodes[-1].name = f"move_{past}"
    g.nodes[:0] = moves.nodes
    return g


def growing():
    g = with_cache()
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], TensorProto.INT64))
    y, k, v = decoder(g, x)
    name_presents(g, k, v)
    g.op("MatMul", y, g.head, names=[g.output("logits", ["batch", "seq", VOCABULARY])])
    return gathered(g)


def static():
    return gathered(static_decoder(scatter_elements), TensorProto.INT64)


@pytest.mark.parametrize("build, size, precision", [(growing, 0, "model"), (static, ROOM, "model"), (growing, 0, "f16")],
                         ids=lambda value: getattr(value, "__name__", str(value)))
@pytest.mark.parametrize("grid", [*GRIDS, "grid-5x3,sram=512KiB"])
def test_rows_go_on_with_other_states(build, size, precision, grid):
    """Several steps with changing beams, among them one of several tokens and one that leaves them out."""
    g = build()
    data = g.model().SerializeToString()
    kind = np.int32 if build is growing else np.int64
    steps, done = [], 0
    for n, order in zip((2, 1, 3, 1), ORDERS):
        steps.append({"input_ids": g.random.integers(0, VOCABULARY, (BEAMS, n)), "beam_idx": np.array(order, kind),
                      "cache_position": np.arange(done, done + n)})
        done += n
    caches = {f"past.{n}": (f"present.{n}", (BEAMS, HEADS, size, SIZE)) for n in "kv"}
    program = wl.compile(data, target=grid, dims={"batch": BEAMS}, context=ROOM, chunks=[2], logits="all",
                         precision=precision)
    session = BothEngines(program)
    whole = sum(int(np.prod(state.shape)) * (2 if precision == "f16" else 4) for state in program.states)
    for i, (step, wanted) in enumerate(zip(steps, expected_of(data, steps, caches))):
        given = {name: value for name, value in step.items() if name != "cache_position" and (i or name != "beam_idx")}
        result = session.run(given)
        np.testing.assert_allclose(result.outputs["logits"], wanted["logits"], atol=1e-5 if precision == "model" else 0.02)
        assert result.bytes_moved == (2 * whole if i else 0)  # there and back; rows that stay cost nothing


@pytest.mark.parametrize("target, place", [("grid-8x5,sram=1MiB", {"region": (4, 4), "stages": 2}), ("grid-5x4,sram=1MiB", {})],
                         ids=("stages", "one region"))
def test_states_of_layers_that_stages_share(target, place):
    shape = zoo.Shape(layers=4, width=12, heads=2, kv_heads=1, head_dim=6, hidden=15, vocabulary=VOCABULARY, positions=16)
    model = zoo.build(shape, zoo.weights(shape, seed=3))
    graph = model.graph
    pasts = [info.name for info in graph.input if info.name.startswith("past_")]
    for node in graph.node:
        node.input[:] = [f"moved.{name}" if name in pasts else name for name in node.input]
    moves = [helper.make_node("Gather", [past, "beam_idx"], [f"moved.{past}"], name=f"move_{past}", axis=0) for past in pasts]
    nodes = [*moves, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("beam_idx", TensorProto.INT32, ["batch"]))
    data, random, steps, done = model.SerializeToString(), np.random.default_rng(1), [], 0
    for n, order in zip((2, 1, 1), ([0, 1], [1, 0], [1, 1])):
        done += n
        steps.append({"input_ids": random.integers(0, VOCABULARY, (2, n)), "beam_idx": np.array(order, np.int32),
                      "position_ids": np.broadcast_to(np.arange(done - n, done), (2, n)),
                      "attention_mask": np.ones((2, done), np.int64)})
    caches = {past: (past.replace("past_key_values", "present"), (2, 1, 0, 6)) for past in pasts}
    session = BothEngines(wl.compile(data, target=target, dims={"batch": 2}, context=5, logits="all", **place))
    for step, wanted in zip(steps, expected_of(data, steps, caches)):
        np.testing.assert_allclose(session.run(step).outputs["logits"], wanted["logits"], atol=1e-4)


def test_wrong_beams_are_refused():
    program = wl.compile(growing().model().SerializeToString(), target=GRIDS[0], dims={"batch": BEAMS}, context=5)
    session, ids = program.session(), np.array([[1], [2], [3]])
    session.run({"input_ids": ids})
    for wrong, why in (([0, 3, 1], r"has 3 at element 1; values must be in \[0, 3\)"), ([0, -1, 1], "has -1 at element 1"),
                       ([0, 1], r"has shape \[2\]"), ([[0, 1, 2]], "shape"), (np.zeros(3, np.float32), "type")):
        with pytest.raises(wl.ExecutionError, match=why):
            session.run({"input_ids": np.hstack([ids, ids]), "beam_idx": np.array(wrong)})
    assert session.length == 1
    other = program.session()
    other.run({"input_ids": ids})
    orders = {"beam_idx": np.array([1, 1, 0])}
    assert (session.run({"input_ids": ids} | orders).outputs["logits"].tobytes()
            == other.run({"input_ids": ids} | orders).outputs["logits"].tobytes())


def test_some_states_alone_are_refused():
    g = growing()
    g.nodes[0].input[1] = g.input("other_idx", ["batch"], TensorProto.INT32)
    with pytest.raises(wl.CompileError, match="past.k' are read in the order of 'other_idx', those of 'past.v' "
                       "in the order of 'beam_idx': the host moves the rows of all states by one input"):
        wl.compile(g.model().SerializeToString(), target=GRIDS[0], context=5)


def test_beams_that_are_read_are_refused():
    g = growing()
    g.op("Cast", "beam_idx", to=TensorProto.FLOAT, names=[g.output("seen", ["batch"])])
    with pytest.raises(wl.CompileError, match="reads the state 'past.k' other than by appending to it"):
        wl.compile(g.model().SerializeToString(), target=GRIDS[0], dims={"batch": BEAMS}, context=5)


def test_the_run_says_what_it_cost(tmp_path):
    program = wl.compile(growing().model().SerializeToString(), target=GRIDS[1], dims={"batch": BEAMS}, context=5)
    program.save(tmp_path / "m.wafer")
    for i in range(2):
        np.savez(tmp_path / f"{i}.npz", input_ids=np.array([[1], [2], [3]]), beam_idx=np.array([0, 1, 2], np.int32))
    command = [BIN / "waferloom", "run", tmp_path / "m.wafer", *(a for i in range(2) for a in ("--input", tmp_path / f"{i}.npz"))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "bytes of states" not in text  # each row goes on with its own
    np.savez(tmp_path / "1.npz", input_ids=np.array([[1], [2], [3]]), beam_idx=np.array([0, 0, 2], np.int32))
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    whole = 2 * 2 * 4 * BEAMS * HEADS * 5 * SIZE
    assert f", and {whole} bytes of states moved by the host\n" in text
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert [step["bytes_moved"] for step in told["steps"]] == [0, whole]
