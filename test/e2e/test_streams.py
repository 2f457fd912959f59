"""Prompts streamed through the program for one token: the same bits as token by token, code that lies in a PE once, stages
that work on several tokens at a time."""

import re
import subprocess

import numpy as np
import pytest
from conftest import BIN, BothEngines

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=6, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)
IDS = np.array([[3, 77, 14, 60, 1, 42, 9, 9, 31, 2, 5, 88, 0, 6, 71]])


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=6)).SerializeToString()


def compile(model, chunks, stages=1, region=(5, 4), **options):
    options = {"prefill": "stream", "target": "wse3,sram=512KiB"} | options
    return wl.compile(model, context=24, region=region, stages=stages, chunks=chunks, **options)


def prompt(program, ids=IDS):
    """The logits behind the prompt and behind one token more, and the cycles of the prompt."""
    session = BothEngines(program)
    result = session.run({"input_ids": ids}, logits="last")
    after = session.run({"input_ids": ids[:, :1]})
    return np.array([result.outputs["logits"], after.outputs["logits"]]), result.cycles


@pytest.mark.parametrize("stages", [1, 2, 4, 7])
@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_streams_change_no_bit(model, stages, precision):
    """Chunks shorter and longer than the row of stages; a rest that goes token by token."""
    expected, single = prompt(compile(model, [], stages, precision=precision))
    got, cycles = prompt(compile(model, [2, 11], stages, precision=precision))
    np.testing.assert_array_equal(got, expected)
    assert cycles < single * (1 if stages < 3 else 2 / stages + 0.3)


@pytest.mark.parametrize("region, stages", [((1, 5), 3), ((6, 1), 4), ((1, 1), 2)])
def test_on_odd_regions(model, region, stages):
    expected, _ = prompt(compile(model, [], stages, region, target="wse3,sram=1MiB"))
    got, _ = prompt(compile(model, [4], stages, region, target="wse3,sram=1MiB"))
    np.testing.assert_array_equal(got, expected)


def test_code_lies_in_a_pe_once(model):
    one = compile(model, []).summary["fit"]["code"]
    streamed = compile(model, [4, 8, 11]).summary["fit"]["code"]
    blocks = compile(model, [4, 8, 11], prefill="block").summary["fit"]["code"]
    assert streamed < 1.2 * one < 3 * one < blocks


def test_rows_of_a_batch(model):
    ids = np.concatenate([IDS[:, :6], IDS[:, 4:10]])
    programs = [compile(model, chunks, 3, dims={"batch": 2}) for chunks in ([], [5])]
    expected, got = (prompt(program, ids)[0] for program in programs)
    assert expected.shape[1] == 2
    np.testing.assert_array_equal(got, expected)


def test_blocks_where_they_fit_one_region(model):
    """By itself: blocks on one region that holds them, streams on several stages and where blocks do not fit."""
    assert compile(model, [8], prefill="auto").summary["fit"]["code"] > 1.5 * compile(model, []).summary["fit"]["code"]
    assert compile(model, [8], 3, prefill="auto").summary["fit"]["code"] < 1.2 * compile(model, [], 3).summary["fit"]["code"]
    enough = compile(model, []).summary["sram_used_max"] + 4096
    tight = compile(model, [8], prefill="auto", target=f"wse3,sram={enough // 1024}KiB")
    # With less memory sums are taken in another way.
    np.testing.assert_allclose(prompt(tight)[0], prompt(compile(model, []))[0], rtol=1e-4, atol=1e-5)


def test_generation_after_a_streamed_prompt(model):
    texts = [list(compile(model, chunks, 3).session().generate(IDS[0, :9], max_tokens=12)) for chunks in ([], [4], [9])]
    assert texts[0] == texts[1] == texts[2] and len(texts[0]) == 12


def test_text_comes_back(model, tmp_path):
    compile(model, [4], 3).save(tmp_path / "m.wafer")
    tool = BIN / "waferloom-opt"
    text = subprocess.run([tool, "--image-to-core", "--mlir-print-debuginfo", tmp_path / "m.wafer"], capture_output=True, text=True, check=True).stdout
    assert 'program "tokens4" shares "tokens1"' in text.replace("core.program", "program")
    (tmp_path / "m.mlir").write_text(text)
    subprocess.run([tool, "--core-to-image", tmp_path / "m.mlir", "-o", tmp_path / "again.wafer"], check=True)
    again = subprocess.run([tool, "--image-to-core", "--mlir-print-debuginfo", tmp_path / "again.wafer"], capture_output=True, text=True, check=True).stdout
    without_places = [re.sub(r' in "[^"]*" at \d+', "", one) for one in (again, text)]
    assert without_places[0] == without_places[1]


def test_other_ways_are_refused(model):
    with pytest.raises(wl.CompileError, match="no way to prefill 'pipeline'; there are auto, block, stream"):
        compile(model, [4], prefill="pipeline")
