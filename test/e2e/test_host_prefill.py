"""Prompts that the host reads by ONNX Runtime: the wafer goes on from its caches with the same tokens."""

import json
import subprocess

import numpy as np
import pytest
from conftest import BIN, BothEngines
from test_attention_kinds import grouped
from test_merged_decoders import SOURCE, merged_decoder
from waferloom import zoo
from waferloom.prefill import read_on_host

import waferloom as wl

SHAPE = zoo.Shape(layers=3, width=20, heads=2, kv_heads=1, head_dim=10, hidden=23, vocabulary=37, positions=64)
CONTEXT = 24
IDS = [3, 1, 4, 1, 5, 9, 2]


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=5)).SerializeToString()


PLACES = [{"target": "grid-4x3,sram=256KiB"}, {"target": "grid-1x1,sram=1MiB"},
          {"target": "grid-1x7,sram=256KiB", "precision": "f16"},
          {"target": "wse3,sram=512KiB", "region": (5, 4), "stages": 3, "chunks": [4]}]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_wafer_goes_on(model, place):
    program = wl.compile(model, context=CONTEXT, **place)
    expected = program.session().generate(IDS, max_tokens=10)
    list(expected)
    session = program.session()
    done = read_on_host(session, model, IDS[:-1])
    assert session.length == done.tokens == len(IDS) - 1 and done.seconds > 0
    # Keys and values of a layer: a row of 10 for each token.
    assert done.link_bytes == 2 * 3 * 10 * 6 * (2 if place.get("precision") == "f16" else 4)
    got = session.generate(IDS[-1:], max_tokens=10)
    assert list(got) == expected.tokens
    assert [result.cycles for result in got.steps] == [result.cycles for result in expected.steps]


def test_both_engines_and_all_that_follows(model):
    program = wl.compile(model, context=CONTEXT, target="grid-4x3,sram=256KiB")
    reference = zoo.Reference(model)
    reference.run([IDS])
    both = BothEngines(program)
    for session in (both.lockstep, both.reference):
        session.load(reference.past, len(IDS))
    for token in (7, 8):
        got = both.run({"input_ids": [[token]]}).outputs["logits"]
        np.testing.assert_allclose(got, reference.run([[token]]), atol=1e-4)
    fork = both.lockstep.fork()
    fork.rewind(len(IDS))
    fresh = program.session()
    fresh.load({name: array[:, :, :len(IDS)] for name, array in reference.past.items()}, len(IDS))
    step = {"input_ids": [[7]]}
    assert fork.run(step).outputs["logits"].tobytes() == fresh.run(step).outputs["logits"].tobytes()


def test_a_window():
    data, _, _, options = grouped(2, 1, local_window_size=3)
    program = wl.compile(data.SerializeToString(), target="grid-4x4,sram=256KiB", **options | {"chunks": []})
    session, other = program.session(), program.session()
    session.run({"input_ids": [[1, 2, 3, 4]]})
    rng = np.random.default_rng(1)
    states = {info.name: rng.standard_normal((*info.shape[:2], 4, info.shape[3])).astype(np.float32)
              for info in program.states}
    other.load(states, 4)
    assert other.run({"input_ids": [[5]]}).cycles == session.run({"input_ids": [[5]]}).cycles


def test_refused(model):
    program = wl.compile(model, context=CONTEXT, target="grid-4x3,sram=256KiB")
    reference = zoo.Reference(model)
    reference.run([IDS])
    session, past = program.session(), reference.past
    some = next(iter(past))
    for states, length, words in (
            ({}, 7, "is missing"), (past, 6, r"shape \[1, 1, 7, 10\], but 6 tokens make it \[1, 1, 6, 10\]"),
            (past, 0, "0 tokens"), (past, CONTEXT + 1, "25 tokens"), (past | {some: past[some][0]}, 7, "has shape"),
            (past | {some: past[some].astype(np.int32)}, 7, "is of type int32")):
        with pytest.raises(wl.ExecutionError, match=words):
            session.load(states, length)
        assert session.length == 0
    session.load(past, 7)
    with pytest.raises(wl.ExecutionError, match="without tokens"):
        session.load(past, 7)
    other = zoo.Shape(layers=1, width=20, heads=2, kv_heads=1, head_dim=10, hidden=23, vocabulary=37, positions=64)
    with pytest.raises(wl.ExecutionError, match="gives no state"):
        read_on_host(program.session(), zoo.build(other, zoo.weights(other)).SerializeToString(), IDS)
    with pytest.raises(wl.ExecutionError, match="ONNX Runtime cannot read"):
        read_on_host(program.session(), b"no model", IDS)
    with pytest.raises(wl.ExecutionError, match="what an encoder gave"):
        program = wl.compile(merged_decoder(), dims={"source": SOURCE}, context=7, target="grid-7x5,sram=256KiB")
        program.session().load({}, 1)


def test_the_command(model, tmp_path):
    (tmp_path / "m.onnx").write_bytes(model)
    wl.compile(model, context=CONTEXT, target="grid-4x3,sram=256KiB").save(tmp_path / "m.wafer")

    def generate(*args):
        return subprocess.run([BIN / "waferloom", "generate", tmp_path / "m.wafer", "--ids", "3,1,4,1", "--max-tokens",
                               "6", *args], capture_output=True, text=True)

    expected = json.loads(generate("--json").stdout)
    got = json.loads(generate("--json", "--prefill", "host", "--model", tmp_path / "m.onnx").stdout)
    assert (got["tokens"], got["prompt"]) == (expected["tokens"], [3, 1, 4, 1])
    assert got["host_prefill_tokens"] == 3 and got["link_bytes"] == 720
    assert got["prefill_cycles"] < expected["prefill_cycles"]
    assert "3 tokens of the prompt" in generate("--prefill", "host", "--model", tmp_path / "m.onnx").stdout
    assert generate("--prefill", "host").returncode == 2
    wrong = generate("--prefill", "host", "--model", "nowhere.onnx")
    assert wrong.returncode == 1 and "ONNX Runtime cannot read" in wrong.stderr and "Traceback" not in wrong.stderr
