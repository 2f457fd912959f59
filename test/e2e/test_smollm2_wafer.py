"""SmolLM2-135M-Instruct on 22,500 simulated cores of a WSE-3. One step is always run;
whole answers take hours of simulation: WAFERLOOM_LONG=1 asks for them."""

import json
import os
import subprocess

import numpy as np
import pytest
from waferloom import zoo
from waferloom.zoo import smollm2

import waferloom as wl
from conftest import TOP

REGION, CONTEXT = (150, 150), 256
LONG = pytest.mark.skipif(not os.environ.get("WAFERLOOM_LONG"),
                          reason="takes hours of simulation; WAFERLOOM_LONG=1 asks for it")


@pytest.fixture(scope="module")
def folder(smollm2_package, tmp_path_factory):
    """The model and its image; large, so they go away."""
    path = tmp_path_factory.mktemp("smollm2")
    smollm2.write(path)
    wl.compile(path / "model.onnx", target="wse3", region=REGION, context=CONTEXT).save(path / "m.wafer")
    yield path
    for file in path.iterdir():
        file.unlink()


def test_one_step(folder):
    session = wl.load(folder / "m.wafer").session()
    ours = session.run({"input_ids": [[504]]}).outputs["logits"]
    theirs = zoo.Reference(folder / "model.onnx").run([[504]])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3 * np.abs(theirs).max())
    assert ours.argmax() == theirs.argmax()


def test_half_precision_takes_fewer_cores(folder, models):
    """Weights and caches in f16 on 14,400 cores: the first tokens of a chat, teacher-forced."""
    program = wl.compile(folder / "model.onnx", target="wse3", region=(120, 120), context=CONTEXT, precision="f16")
    assert program.summary["pes_used"] < 0.65 * REGION[0] * REGION[1]
    session, reference = program.session(), zoo.Reference(folder / "model.onnx")
    for token in np.load(models / "smollm2" / "golden.npz")["p0_ids"][:3]:
        ours = session.run({"input_ids": [[token]]}).outputs["logits"][0, -1]
        theirs = reference.run([[token]])[0, -1]
        assert theirs.max() - theirs[ours.argmax()] < 0.1
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-2 * np.abs(theirs).max())


@LONG
@pytest.mark.parametrize("chat", ["p0", "p1"])
def test_answers(folder, models, chat):
    golden = np.load(models / "smollm2" / "golden.npz")
    question = str(golden[f"{chat}_text"]).split("<|im_start|>user\n")[1].split("<|im_end|>")[0]
    done = subprocess.run([TOP / "build/bin/waferloom", "generate", folder / "m.wafer", "--tokenizer", folder, "--chat",
                           question, "--max-tokens", "64", "--json"], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["prompt"] == golden[f"{chat}_ids"].tolist()
    assert facts["tokens"] == golden[f"fp32_{chat}_tokens"].tolist()


@LONG
@pytest.mark.parametrize("chat", ["p0", "p1"])
def test_logits(folder, models, chat):
    golden = np.load(models / "smollm2" / "golden.npz")
    session, ids = wl.load(folder / "m.wafer").session(), golden[f"{chat}_ids"]
    for step, token in enumerate(golden[f"fp32_{chat}_tokens"][:8]):
        row = session.run({"input_ids": [list(ids)]}, logits="last").outputs["logits"][0, -1]
        best = golden[f"fp32_{chat}_top_logits"][step]
        np.testing.assert_allclose(row[golden[f"fp32_{chat}_top_ids"][step]], best, rtol=0, atol=2e-3 * best.max())
        assert row.argmax() == token
        ids = [token]
