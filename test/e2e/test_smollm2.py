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


def test_greedy_tokens(golden, written):
    form, precision, folder = written
    reference = zoo.Reference(folder / "model.onnx")
    limit = 1e-4 if precision == "f32" else 0.2
    for chat in CHATS if precision == "f32" else CHATS[:1]:  # ONNX Runtime is slow in f16
        reference.reset()
        ids, tokens = golden[f"{chat}_ids"], golden[f"fp32_{chat}_tokens"]
        for i, token in enumerate(tokens):  # teacher-forced: a flip must not hide what follows
            row = reference.run([ids])[0, -1]
            if i < len(golden[f"fp32_{chat}_top_ids"]):
                best = row[golden[f"fp32_{chat}_top_ids"][i]].astype(np.float64)
                np.testing.assert_allclose(best, golden[f"fp32_{chat}_top_logits"][i], atol=limit, rtol=0)
            if precision == "f32" or golden[f"fp32_{chat}_margin"][i] > 0.2:
                assert row.argmax() == token, f"{form} {precision} {chat} token {i}"
            ids = [token]


def test_tokenizer(golden, written):
    tokenizer = Tokenizer.from_file(str(written[2] / "tokenizer.json"))
    for chat in CHATS:
        text = str(golden[f"{chat}_text"])
        assert tokenizer.encode(text).ids == golden[f"{chat}_ids"].tolist()
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert len(tokenizer.encode("1234567").ids) == 7, "every digit is a token"
