"""SmolLM2-135M-Instruct as the zoo writes it, against the recorded answers of
another converter: 64 greedy tokens of two chats."""

import numpy as np
import pytest
from tokenizers import Tokenizer
from waferloom import zoo
from waferloom.zoo import smollm2

CHATS = ("p0", "p1")


@pytest.fixture(scope="module")
def golden(models):
    return np.load(models / "smollm2" / "golden.npz")


@pytest.fixture(scope="module", params=[("primitives", "f32"), ("genai", "f32"), ("primitives", "f16"),
                                        ("genai", "f16")], ids="-".join)
def written(request, smollm2_package, tmp_path_factory):
    """(form, precision, folder with the model); the files are large and go away."""
    folder = tmp_path_factory.mktemp("smollm2")
    smollm2.write(folder, *request.param)
    yield *request.param, folder
    for file in folder.iterdir():
        file.unlink()


def rows(reference, prompt, tokens):
    """Logits after the prompt and after each of `tokens` but the last: most of them in
    one step, the last ones token by token through the caches."""
    ids = np.concatenate([prompt, tokens[:-1]])
    cut = len(ids) - 8
    logits = [reference.run(ids[None, :cut])[0, len(prompt) - 1:]]
    logits += [reference.run(ids[None, i:i + 1])[0] for i in range(cut, len(ids))]
    return np.concatenate(logits)


def test_greedy_tokens(golden, written):
    form, precision, folder = written
    reference = zoo.Reference(folder / "model.onnx")
    limit = 1e-4 if precision == "f32" else 0.2
    for chat in CHATS:
        reference.reset()
        tokens, margins = golden[f"fp32_{chat}_tokens"], golden[f"fp32_{chat}_margin"]
        # Teacher-forced: a flip must not hide what follows.
        ours = rows(reference, golden[f"{chat}_ids"], tokens)
        for i, (ids, best) in enumerate(zip(golden[f"fp32_{chat}_top_ids"], golden[f"fp32_{chat}_top_logits"])):
            np.testing.assert_allclose(ours[i][ids].astype(np.float64), best, atol=limit, rtol=0)
        clear = margins > (0 if precision == "f32" else 0.2)
        assert clear.sum() > 50
        wrong = np.flatnonzero((ours.argmax(axis=1) != tokens) & clear)
        assert not wrong.size, f"{form} {precision} {chat}: tokens {wrong}"


def test_tokenizer(golden, written):
    tokenizer = Tokenizer.from_file(str(written[2] / "tokenizer.json"))
    for chat in CHATS:
        text = str(golden[f"{chat}_text"])
        assert tokenizer.encode(text).ids == golden[f"{chat}_ids"].tolist()
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert len(tokenizer.encode("1234567").ids) == 7, "every digit is a token"
