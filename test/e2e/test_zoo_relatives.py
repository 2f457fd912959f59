"""Relatives of a Llama on the wafer: what qwen, phi, gemma, gpt-oss and mixtral differ in, small, in both forms, on
one region and on stages; their published sizes, without weights, on demand."""

import os
from dataclasses import replace

import numpy as np
import pytest
from conftest import BothEngines
from test_zoo_forms import IDS, RELATIVES, SHAPE, error, logits
from waferloom import zoo

import waferloom as wl

STEPS = (4, 1, 1)
TARGETS = {"one region": dict(target="grid-7x5,sram=256KiB"),
           "stages": dict(target="grid-16x8,sram=256KiB", region=(8, 8), stages=2)}


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize("form", ["primitives", "genai"])
@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_on_the_wafer(name, form, where):
    shape = replace(SHAPE, **RELATIVES[name])
    model = zoo.build(shape, zoo.weights(shape, seed=9), form).SerializeToString()
    expected = logits(model, STEPS)
    session = BothEngines(wl.compile(model, context=9, chunks=[4], logits="all", **TARGETS[where]))
    ends = np.cumsum(STEPS)
    ours = [session.run({"input_ids": IDS[:, end - n:end]}).outputs["logits"] for n, end in zip(STEPS, ends)]
    assert error(np.concatenate(ours, axis=1), expected) < 1e-4


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize("bits, experts_only", [(4, True), (4, False), (8, False)])
@pytest.mark.parametrize("name", ["mixtral", "gpt-oss"])
def test_packed_experts_on_the_wafer(name, bits, experts_only, where):
    """As ONNX Runtime has them on the same file, kept in their bits; prompts choose more matrices than there are."""
    shape = replace(SHAPE, **RELATIVES[name] | {"width": 32, "hidden": 64})
    packing = zoo.Packing(bits, 16, experts_only)
    model = zoo.build(shape, zoo.weights(shape, seed=9), "genai", packing=packing).SerializeToString()
    expected = logits(model, STEPS)
    session = BothEngines(wl.compile(model, context=9, chunks=[4], logits="all", weights="kept", **TARGETS[where]))
    ends = np.cumsum(STEPS)
    ours = [session.run({"input_ids": IDS[:, end - n:end]}).outputs["logits"] for n, end in zip(STEPS, ends)]
    # ONNX Runtime rounds rows of 8-bit experts to 8 bits.
    assert error(np.concatenate(ours, axis=1), expected) < (2e-2 if bits == 8 else 1e-3)


def test_two_kinds_of_layers_in_halves_are_one_loop():
    """Angles of full layers are looked up in the sixth layer, and every layer widens the gains of its head norms."""
    shape = replace(SHAPE, **RELATIVES["gemma3"] | {"layers": 9, "full_every": 6})
    model = zoo.build(shape, zoo.weights(shape, seed=9), "genai", "f16").SerializeToString()
    program = wl.compile(model, context=9, logits="all", target="grid-7x5,sram=512KiB")
    assert program.summary["bounds"][0]["layers"] == 9
    expected, session = logits(model, (1,) * 5), BothEngines(program)
    ours = [session.run({"input_ids": IDS[:, i:i + 1]}).outputs["logits"] for i in range(5)]
    assert error(np.concatenate(ours, axis=1), expected) < 1e-2


@pytest.mark.skipif(not os.environ.get("WAFERLOOM_LONG"), reason="half an hour: set WAFERLOOM_LONG=1")
@pytest.mark.parametrize("form", ["primitives", "genai"])
@pytest.mark.parametrize("name", zoo.PUBLISHED)
def test_published_sizes(name, form, tmp_path):
    path = zoo.write_shapes(zoo.PUBLISHED[name], tmp_path, form, "f16")
    if name in ("gpt-oss-20b", "mixtral-8x7b", "qwen3-30b-a3b"):  # 42, 93 and 61 GB of halves
        with pytest.raises(wl.CompileError, match="of SRAM|fits"):
            wl.compile(path, target="wse3", context=4096, weights=False)
        return
    assert wl.compile(path, target="wse3", context=4096, weights=False).bounds


@pytest.mark.skipif(not os.environ.get("WAFERLOOM_LONG"), reason="a minute: set WAFERLOOM_LONG=1")
def test_gpt_oss_in_four_bits(tmp_path):
    path = zoo.write_shapes(zoo.PUBLISHED["gpt-oss-20b"], tmp_path, "genai", "f16", zoo.PACKED["gpt-oss-20b"])
    program = wl.compile(path, target="wse3", context=4096, region=(360, 360), stages=6, weights=False)
    assert program.bounds and program.summary["fit"]["weights"] < 36000


@pytest.mark.parametrize("wrong, message", [(dict(packing=zoo.Packing(5)), "bits 5 is neither 4 nor 8"),
                                            (dict(packing=zoo.Packing(4, 24)), "block 24 is no power of two"),
                                            (dict(packing=zoo.Packing(), form="primitives"), "has no packed weights")])
def test_packings_that_make_no_model(wrong, message):
    shape = replace(SHAPE, **RELATIVES["mixtral"])
    with pytest.raises(ValueError, match=message):
        zoo.build(shape, zoo.weights(shape), **{"form": "genai"} | wrong)
