"""The files of real exporters, against ONNX Runtime's recorded answers, every
step, within 1e-3 of the largest value; rows with mask 1 only."""

import json
import os

import numpy as np
import pytest

import waferloom as wl
from conftest import BothEngines

FIRST_LIGHT = ["gpt2-dynamo-op18", "llama-optimum-op18", "llama-torchscript-op17", "mistral-dynamo-op18",
               "qwen3-dynamo-op18", "bert-dynamo-op18", "bert-torchscript-op14"]
OTHERS = ["gptoss-dynamo-op18", "llama-dynamo-op23", "llama-genai-op22-int4", "phi3-genai-op22-fp32", "qwen3-mobius-op24",
          "bloom-dynamo-op18", "gemma2-genai-op22-fp32", "mixtral-dynamo-op18", "qwen2-genai-op22-int4",
          "qwen3moe-optimum-op18", "llama-mobius-op24-static", "t5-optimum-op18-encoder", "vit-dynamo-op18", "whisper-torchscript-op17"]
GRIDS = ["grid-8x8,sram=256KiB", "grid-7x5,sram=256KiB", "grid-1x12,sram=512KiB"]
TWO_STAGES = {"target": "grid-16x8,sram=256KiB", "region": (8, 8), "stages": 2}


def steps_of(recorded, case):
    """Inputs and outputs of every step of a case."""
    count = 1 + max(int(key.split("/")[1]) for key in recorded if key.startswith(case + "/"))
    for step in range(count):
        prefix = f"{case}/{step:02}/"
        yield ({key[len(prefix) + 3:]: recorded[key] for key in recorded if key.startswith(prefix + "in/")},
               {key[len(prefix) + 4:]: recorded[key] for key in recorded if key.startswith(prefix + "out/")})


def compare(ours, theirs, mask, where):
    """Rows of tokens whose mask is 1, or all, relative to the largest value."""
    largest = np.abs(theirs[mask]).max()
    error = np.abs(ours[mask] - theirs[mask]).max()
    assert error <= 1e-3 * max(largest, 1.0), f"{where}: off by {error} of {largest}"

on_demand = pytest.mark.skipif(not os.environ.get("WAFERLOOM_LONG"), reason="an hour: set WAFERLOOM_LONG=1")


def check(models, name, **place):
    path = next(models.glob(f"exporters*/{name}.onnx"))
    facts = json.loads(path.with_suffix(".json").read_text())
    recorded = np.load(path.with_suffix(".npz"))
    keys = {key: recorded[key] for key in recorded.files}
    leading = facts["inputs"][0]["name"]
    batch, tokens = facts["inputs"][0]["shape"][:2]
    for case in [case["name"] for case in facts["cases"]]:
        steps = list(steps_of(keys, case))
        first = steps[0][0][leading]
        options = {"dims": {batch: first.shape[0]}}
        if facts["cache"]:
            options["context"] = sum(inputs[leading].shape[1] for inputs, _ in steps) + 3
        elif isinstance(tokens, str):
            options["dims"][tokens] = first.shape[1]
        program = wl.compile(path, **options, **place)
        assert not any("hide later tokens" in str(said) for said in program.diagnostics)
        session = BothEngines(program)
        known = {info.name for info in program.inputs}
        for step, (inputs, outputs) in enumerate(steps):
            result = session.run({name: value for name, value in inputs.items() if name in known})
            mask = ...
            if "attention_mask" in inputs:
                mask = inputs["attention_mask"][:, -inputs[leading].shape[1]:].astype(bool)
            for output in program.outputs:
                compare(result.outputs[output.name], outputs[output.name], mask,
                        f"{name} {case} step {step} {output.name}")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", FIRST_LIGHT)
def test_recorded_runs(models, name, grid):
    check(models, name, target=grid)


@on_demand
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("grid", GRIDS[:2])
def test_recorded_runs_of_others(models, name, grid):
    check(models, name, target=grid)


@on_demand
@pytest.mark.parametrize("name", FIRST_LIGHT + OTHERS)
def test_recorded_runs_on_two_stages(models, name):
    check(models, name, **TWO_STAGES)
