"""The files of real exporters, against ONNX Runtime's recorded answers, every
step, within 1e-3 of the largest value; rows with mask 1 only."""

import json

import numpy as np
import pytest

import waferloom as wl
from conftest import BothEngines

FIRST_LIGHT = ["gpt2-dynamo-op18", "llama-optimum-op18", "llama-torchscript-op17", "mistral-dynamo-op18",
               "qwen3-dynamo-op18", "bert-dynamo-op18", "bert-torchscript-op14"]
GRIDS = ["grid-8x8,sram=256KiB", "grid-7x5,sram=256KiB", "grid-1x12,sram=512KiB"]


def steps_of(recorded, case):
    """Inputs and outputs of every step of a case."""
    count = 1 + max(int(key.split("/")[1]) for key in recorded if key.startswith(case + "/"))
    for step in range(count):
        prefix = f"{case}/{step:02}/"
        yield ({key[len(prefix) + 3:]: recorded[key] for key in recorded if key.startswith(prefix + "in/")},
               {key[len(prefix) + 4:]: recorded[key] for key in recorded if key.startswith(prefix + "out/")})


def compare(ours, theirs, mask, where):
    """Rows of tokens whose mask is 1, relative to the largest value."""
    largest = np.abs(theirs[mask]).max()
    error = np.abs(ours[mask] - theirs[mask]).max()
    assert error <= 1e-3 * max(largest, 1.0), f"{where}: off by {error} of {largest}"


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", FIRST_LIGHT)
def test_recorded_runs(models, name, grid):
    folder = models / "exporters"
    facts = json.loads((folder / f"{name}.json").read_text())
    recorded = np.load(folder / f"{name}.npz")
    keys = {key: recorded[key] for key in recorded.files}
    batch, tokens = facts["inputs"][0]["shape"][:2]
    for case in [case["name"] for case in facts["cases"]]:
        steps = list(steps_of(keys, case))
        ids = steps[0][0]["input_ids"]
        if facts["cache"]:
            total = sum(inputs["input_ids"].shape[1] for inputs, _ in steps)
            program = wl.compile(folder / f"{name}.onnx", target=grid, context=total + 3, dims={batch: ids.shape[0]})
        else:
            program = wl.compile(folder / f"{name}.onnx", target=grid,
                                 dims={batch: ids.shape[0], tokens: ids.shape[1]})
        session = BothEngines(program)
        known = {info.name for info in program.inputs}
        for step, (inputs, outputs) in enumerate(steps):
            result = session.run({name: value for name, value in inputs.items() if name in known})
            n = inputs["input_ids"].shape[1]
            mask = inputs.get("attention_mask", np.ones(ids.shape, np.int64))[:, -n:].astype(bool)
            for output in program.outputs:
                compare(result.outputs[output.name], outputs[output.name], mask,
                        f"{name} {case} step {step} {output.name}")
