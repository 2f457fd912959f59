"""SmolLM2-135M-Instruct through whole chats on a simulated WSE-3, beside ONNX Runtime and the recorded answers. An hour of
simulation: WAFERLOOM_LONG=1 asks for it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from waferloom import zoo
from waferloom.text import Text
from waferloom.zoo import smollm2

import waferloom as wl

pytestmark = pytest.mark.skipif(not os.environ.get("WAFERLOOM_LONG"),
                                reason="takes an hour of simulation; WAFERLOOM_LONG=1 asks for it")

TOKENS = 64
CHOSEN, STAGES = {}, {"region": (96, 96), "stages": 3}
QUESTIONS = ["Name three rivers in Europe.", "What is 12 + 30? Answer with the number and nothing else."]


@pytest.fixture(scope="module")
def folders(smollm2_package, tmp_path_factory):
    """The model in both forms; large, so they go away."""
    paths = {form: tmp_path_factory.mktemp(form) for form in ("primitives", "genai")}
    for form, path in paths.items():
        smollm2.write(path, form=form)
    yield paths
    for path in paths.values():
        for file in path.iterdir():
            file.unlink()


@pytest.fixture(scope="module")
def golden(models):
    return np.load(models / "smollm2" / "golden.npz")


@pytest.fixture(scope="module")
def chats(folders, golden):
    """Prompts, and what ONNX Runtime answers in f32, greedily."""
    text, reference = Text(folders["primitives"]), zoo.Reference(folders["primitives"] / "model.onnx")
    prompts = [golden[f"{chat}_ids"].tolist() for chat in ("p0", "p1")] + [text.chat(q) for q in QUESTIONS]
    answers = []
    for ids in prompts:
        reference.reset()
        answers.append(reference.greedy(ids, TOKENS))
    assert answers[:2] == [golden[f"fp32_{chat}_tokens"].tolist() for chat in ("p0", "p1")]
    return list(zip(prompts, answers))


def compiled(folder, context=256, **options):
    return wl.compile(folder / "model.onnx", target="wse3", context=context, **options)


def forced(program, model, chats):
    """(logits here, in ONNX Runtime f32) of each position that an answer's token comes from, the reference's tokens fed."""
    session, reference = program.session(), zoo.Reference(model)
    for prompt, answer in chats:
        session.reset()
        reference.reset()
        ids = prompt
        for token in answer:
            ours = session.run({"input_ids": [ids]}, logits="last").outputs["logits"][0, -1]
            theirs = reference.run([ids])[0, -1]
            assert theirs.argmax() == token
            yield ours, theirs
            ids = [token]


@pytest.mark.parametrize("options", [CHOSEN, STAGES], ids=["chosen", "stages"])
def test_answers(folders, chats, options):
    program = compiled(folders["primitives"], **options)
    for ours, theirs in forced(program, folders["primitives"] / "model.onnx", chats):
        assert ours.argmax() == theirs.argmax()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("options", [CHOSEN, STAGES], ids=["chosen", "stages"])
def test_half_precision_agrees(folders, chats, options):
    program = compiled(folders["primitives"], precision="f16", **options)
    agree = total = 0
    for ours, theirs in forced(program, folders["primitives"] / "model.onnx", chats):
        total += 1
        if ours.argmax() == theirs.argmax():
            agree += 1
        else:
            second, first = np.sort(theirs)[-2:]
            assert first - second < 0.1
    assert agree >= 0.97 * total


def test_text(folders, golden, tmp_path):
    """The command, from a question to the answer's text, the token picked and fed back on the wafer."""
    compiled(folders["primitives"], **STAGES).save(tmp_path / "m.wafer")
    question = str(golden["p0_text"]).split("<|im_start|>user\n")[1].split("<|im_end|>")[0]
    done = subprocess.run([sys.executable, "-m", "waferloom.generate", tmp_path / "m.wafer", "--tokenizer",
                           folders["primitives"], "--chat", question, "--max-tokens", str(TOKENS), "--json"],
                          capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["prompt"] == golden["p0_ids"].tolist()
    assert facts["tokens"] == golden["fp32_p0_tokens"].tolist()


def test_chunks(folders, chats):
    """A prompt by chunks of 32, of 16 and by single tokens: the same logits and the same answer."""
    session = compiled(folders["primitives"], region=(96, 96), stages=11, chunks=[16, 32]).session()
    prompt, answer = chats[0]
    rows = {}
    for chunk in (32, 16, 1):
        session.reset()
        left = list(prompt)
        while left:
            size = chunk if len(left) >= chunk else 1
            out = session.run({"input_ids": [left[:size]]}, logits="last").outputs["logits"][0, -1]
            left = left[size:]
        rows[chunk] = out
    for out in rows.values():
        assert out.argmax() == answer[0]
        np.testing.assert_allclose(out, rows[1], rtol=0, atol=1e-3 * np.abs(rows[1]).max())
    for prompt, answer in chats:
        session.reset()
        assert list(session.generate(prompt, max_tokens=TOKENS)) == answer


def test_forms_agree(folders, chats):
    session = compiled(folders["genai"], **STAGES).session()
    for prompt, answer in chats[:2]:
        session.reset()
        assert list(session.generate(prompt, max_tokens=TOKENS)) == answer


def test_long_context(folders):
    """A cache of 2,048 tokens at its first, a middle and its last position."""
    session = compiled(folders["primitives"], context=2048, region=(96, 96), stages=4).session()
    reference = zoo.Reference(folders["primitives"] / "model.onnx")
    ids = np.random.default_rng(2).integers(100, 40000, 2048).tolist()
    fed = 0
    for position in (1, 511, 2047):
        if position > fed:
            reference.run([ids[fed:position]])
        for token in ids[fed:position]:
            session.run({"input_ids": [[token]]})
        ours = session.run({"input_ids": [[ids[position]]]}).outputs["logits"][0, -1]
        theirs = reference.run([[ids[position]]])[0, -1]
        fed = position + 1
        assert ours.argmax() == theirs.argmax()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3 * np.abs(theirs).max())
