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
    if name in ("gpt-oss-20b", "mixtral-8x7b"):  # 42 and 93 GB of halves
        with pytest.raises(wl.CompileError, match="of SRAM|fits"):
            wl.compile(path, target="wse3", context=4096, weights=False)
        return
    assert wl.compile(path, target="wse3", context=4096, weights=False).bounds
