"""Decoders of random odd shapes on random grids, against ONNX Runtime token by token: sizes that divide nothing, lines
of PEs, single PEs, stages, chunks and both precisions. A seeded part runs in the check;
WAFERLOOM_RANDOM=N runs N models, from WAFERLOOM_SEED on."""

import os

import numpy as np
import pytest
from conftest import BothEngines

import waferloom as wl
from waferloom import zoo

COUNT = int(os.environ.get("WAFERLOOM_RANDOM", 12))
SEED = int(os.environ.get("WAFERLOOM_SEED", 1))
TOKENS = 7


def draw(seed):
    """A shape and the options of its compilation."""
    random = np.random.default_rng(seed)
    kv_heads = int(random.integers(1, 4))
    shape = zoo.Shape(layers=int(random.integers(1, 5)), width=int(random.integers(3, 45)),
                      heads=kv_heads * int(random.integers(1, 4)), kv_heads=kv_heads,
                      head_dim=2 * int(random.integers(1, 9)), hidden=int(random.integers(1, 70)),
                      vocabulary=int(random.integers(8, 90)), positions=64, tied=bool(random.integers(2)))
    width, height = (int(n) for n in random.integers(1, 10, 2))
    options = {"target": f"grid-{5 * width}x{5 * height},sram=512KiB", "region": (width, height),
               "context": int(random.integers(TOKENS + 1, 40)),
               "precision": str(random.choice(["model", "f16"]))}
    if random.integers(3) == 0 and shape.layers > 2:  # of two, the second is not always like the first
        options["stages"] = int(random.integers(1, shape.layers + 2))
    if random.integers(3) == 0:
        options["chunks"] = [int(random.integers(2, 5))]
    return shape, options


@pytest.mark.parametrize("seed", range(SEED, SEED + COUNT))
def test_tokens_are_those_of_onnx_runtime(seed):
    shape, options = draw(seed)
    model = zoo.build(shape, zoo.weights(shape, seed=seed)).SerializeToString()
    print(shape, options)  # shown where the test fails
    program = wl.compile(model, **options)
    session, reference = BothEngines(program), zoo.Reference(model)
    ids = np.random.default_rng(seed).integers(0, shape.vocabulary, (1, TOKENS))
    limit = 1e-4 if options["precision"] == "model" else 2e-2
    step = options.get("chunks", [1])[0]
    for begin in range(0, TOKENS, step):
        part = ids[:, begin:begin + step]
        found = session.run({"input_ids": part}).outputs["logits"]
        expected = reference.run(part)[:, -found.shape[1]:]
        assert np.abs(found - expected).max() <= limit * np.abs(expected).max(), f"token {begin}"
