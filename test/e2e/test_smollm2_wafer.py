"""SmolLM2-135M-Instruct on 22,500 simulated cores of a WSE-3: the first tokens. Whole chats are in test_smollm2_chats.py."""

import numpy as np
import pytest
from waferloom import zoo
from waferloom.zoo import smollm2

import waferloom as wl

REGION, CONTEXT = (150, 150), 256


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
