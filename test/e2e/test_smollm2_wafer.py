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


def test_ends_of_another_shape(folder, models):
    """Two stages of 15 layers below a region of 96 x 64 cores for embedding and head: tokens, and a prompt that streams."""
    program = wl.compile(folder / "model.onnx", target="grid-96x256,sram=48KiB", region=(96, 96), ends=(96, 64), stages=3,
                         context=CONTEXT, precision="f16", chunks=[3])
    assert program.summary["pes_used"] == 96 * 256
    ids = np.load(models / "smollm2" / "golden.npz")["p0_ids"][:3].tolist()
    session, streamed, reference = program.session(), program.session(), zoo.Reference(folder / "model.onnx")
    for token in ids:
        ours = session.run({"input_ids": [[token]]}).outputs["logits"][0, -1]
        theirs = reference.run([[token]])[0, -1]
        assert theirs.max() - theirs[ours.argmax()] < 0.1
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-2 * np.abs(theirs).max())
    np.testing.assert_array_equal(streamed.run({"input_ids": [ids]}, logits="last").outputs["logits"][0, -1], ours)
