"""A trained model speaks on every grid: 200 greedy tokens, the logits of the
first 64 steps, capacities, sessions, threads."""

import numpy as np
import pytest

import waferloom as wl
from conftest import BothEngines

GRIDS = ["grid-8x8", "grid-16x16", "grid-10x7", "grid-5x3,sram=192KiB", "grid-1x12,sram=256KiB",
         "grid-1x1,sram=4MiB"]


@pytest.fixture(scope="module")
def golden(models):
    return np.load(models / "stories260k" / "golden.npz")


@pytest.fixture(scope="module")
def model(models):
    return models / "stories260k" / "stories260k-primitives-opset17.onnx"


def speak(session, golden, steps):
    """Feeds the golden tokens one by one; yields the logits of every step."""
    for token in golden["token_ids"][:steps]:
        yield session.run({"input_ids": np.array([[token]])}).outputs["logits"][0, -1]


def check(session, golden, steps=200):
    for i, logits in enumerate(speak(session, golden, steps)):
        if i < len(golden["logits"]):
            np.testing.assert_allclose(logits, golden["logits"][i], atol=1e-3, rtol=0, err_msg=f"step {i}")
        assert logits.argmax() == golden["token_ids"][i + 1], f"step {i}"


@pytest.mark.parametrize("grid", GRIDS)
def test_every_token(model, golden, grid):
    program = wl.compile(model, target=grid, context=256)
    check(program.session(), golden)


@pytest.mark.parametrize("context", [64, 201, 512])
def test_capacities_and_sessions(model, golden, context):
    program = wl.compile(model, target="grid-8x8", context=context)
    steps = min(context, 200)
    session = BothEngines(program)
    check(session, golden, steps)
    if steps == context:
        before = session.length
        with pytest.raises(wl.ExecutionError, match=str(context)):
            session.run({"input_ids": np.array([[1]])})
        assert session.length == before
    session.reset()
    check(session, golden, 8)
    check(program.session(), golden, 8)


def test_same_bits_and_cycles(model, golden, tmp_path):
    images, runs = [], []
    for threads in (1, 2):
        program = wl.compile(model, target="grid-8x8", context=64, threads=threads)
        path = tmp_path / f"{threads}.wafer"
        program.save(path)
        images.append(path.read_bytes())
        for _ in range(2):
            session = program.session(threads=threads)
            results = [session.run({"input_ids": np.array([[t]])}) for t in golden["token_ids"][:6]]
            runs.append([(r.outputs["logits"].tobytes(), r.cycles) for r in results])
    assert images[0] == images[1]
    assert all(run == runs[0] for run in runs)
