"""Five hundred broken models: each is refused with an error or means what ONNX Runtime
says it means. None crashes, none hangs."""

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import mutate
import session
from test_models import JUNK, junk_mask, zoo

COUNT = 500
SECONDS = 60  # each takes a fraction of one
CAPACITY = 8
CHUNKS = [3, 1, 2, 1, 1]


@pytest.fixture(scope="module")
def small():
    build = zoo()
    shape = build.Shape(layers=1, width=12, heads=4, kv_heads=2, head_dim=4, hidden=10, vocabulary=11, positions=16)
    return build.build(shape, build.weights(shape, 1))


def test_mutants_are_refused_or_accepted(tool, small, tmp_path):
    generator = random.Random(20)
    data = small.SerializeToString()

    def judge(numbered):
        number, mutant = numbered
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(mutant)
        try:
            done = subprocess.run([str(tool), str(path), "--emit=nothing", f"--context={CAPACITY}", "--chunk=3"],
                                  capture_output=True, text=True, errors="replace", timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return f"{path} hangs"
        refused = done.returncode == 1 and "error:" in done.stderr
        if done.returncode != 0 and not refused:
            return f"{path}: status {done.returncode}: {done.stderr[-500:]}"
        path.unlink()
        return None

    mutants = [mutate.mutate_bytes(data, generator) if i % 3 == 0
               else mutate.mutate_structure(small, generator).SerializeToString() for i in range(COUNT)]
    with ThreadPoolExecutor(2) as pool:
        wrong = [verdict for verdict in pool.map(judge, enumerate(mutants)) if verdict]
    assert not wrong, "\n".join(wrong)


def reference(model, ids):
    """ONNX Runtime's logits, step by step; none if it refuses the model."""
    try:
        runtime = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [o.name for o in runtime.get_outputs()]
        caches = {i.name: np.zeros((1, 2, 0, 4), np.float32) for i in runtime.get_inputs() if "past" in i.name}
        taken, results, position = {i.name for i in runtime.get_inputs()}, [], 0
        for n in CHUNKS:
            feed = inputs_of(ids, position, n) | caches
            out = dict(zip(names, runtime.run(None, {k: v for k, v in feed.items() if k in taken})))
            caches = {name: out[name.replace("past_key_values", "present")] for name in caches}
            results.append(out["logits"])
            position += n
        return results
    except Exception:  # whatever ONNX Runtime raises
        return None


def inputs_of(ids, position, n):
    return {"input_ids": ids[:, position:position + n], "position_ids": np.arange(position, position + n)[None],
            "attention_mask": np.ones((1, position + n), np.int64)}


def test_accepted_mutants_mean_what_they_say(tool, small, tmp_path):
    ort.set_default_logger_severity(4)
    generator, compared = random.Random(4), 0
    ids = np.random.default_rng(4).integers(0, 11, (1, CAPACITY))
    path = tmp_path / "mutant.onnx"
    for _ in range(200):
        mutant = mutate.mutate_structure(small, generator, mutate.MILD)
        want = reference(mutant, ids)
        if want is None:
            continue
        onnx.save(mutant, path)
        steps, position = [], 0
        for n in CHUNKS:
            inputs = inputs_of(ids, position, n)
            steps.append((n, position, inputs | {"attention_mask": junk_mask(inputs["attention_mask"], CAPACITY)}))
            position += n
        try:
            got, _ = session.run(tool, path, steps, options=[f"--context={CAPACITY}", "--chunk=2", "--chunk=3"],
                                 fill=JUNK)
        except session.Refused as refusal:
            assert "error:" in str(refusal), str(refusal)
            continue
        for ours, theirs in zip(got, want):
            ours, theirs = ours["logits"], theirs.reshape(-1)
            assert ours.shape == theirs.shape
            np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
            finite = np.abs(np.nan_to_num(theirs, nan=np.inf)) < 1e20
            scale = max(1.0, np.abs(theirs[finite]).max(initial=0))
            np.testing.assert_allclose(ours[finite] / scale, theirs[finite] / scale, atol=1e-3, rtol=0)
        compared += 1
        if compared == 15:
            break
    assert compared >= 10, "too few mutants are accepted by both"
