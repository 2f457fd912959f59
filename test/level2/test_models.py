"""Whole models at level 2 against ONNX Runtime, step by step: slots of the caches that
were never written hold junk, and so does the mask beyond the live length. The same
harness must catch a compiler that makes one of two classic mistakes."""

import importlib.util
import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import session
from conftest import TOP

FIRST_LIGHT = ["gpt2-dynamo-op18", "llama-optimum-op18", "llama-torchscript-op17", "mistral-dynamo-op18",
               "qwen3-dynamo-op18", "bert-dynamo-op18", "bert-torchscript-op14"]
JUNK = 1e30
RNG = np.random.default_rng(0)


def junk_mask(mask, context):
    """The mask at capacity, with anything at all beyond its length."""
    whole = RNG.integers(0, 9, (mask.shape[0], context))
    whole[:, :mask.shape[1]] = mask
    return whole


def relative(ours, theirs):
    if not np.isfinite(ours).all():
        return np.inf
    return np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max())


# ---------------------------------------------------------------- recorded runs
def recorded_steps(recorded, case):
    count = 1 + max(int(key.split("/")[1]) for key in recorded.files if key.startswith(case + "/"))
    for k in range(count):
        prefix = f"{case}/{k:02d}/"
        yield ({key[len(prefix) + 3:]: recorded[key] for key in recorded.files if key.startswith(prefix + "in/")},
               {key[len(prefix) + 4:]: recorded[key] for key in recorded.files if key.startswith(prefix + "out/")})


def replay(tool, folder, name, case, context, extra=()):
    """Runs a recorded case; the largest difference of outputs and last caches."""
    facts = json.loads((folder / f"{name}.json").read_text())
    recorded = np.load(folder / f"{name}.npz")
    cache = facts.get("cache") or {}
    steps, masks, position = [], [], 0
    pairs = list(recorded_steps(recorded, case))
    for inputs, _ in pairs:
        rows, tokens = inputs["input_ids"].shape
        masks.append(inputs["attention_mask"][:, -tokens:].astype(bool))
        if cache:
            inputs = inputs | {"attention_mask": junk_mask(inputs["attention_mask"], context)}
        steps.append((tokens, position, inputs))
        position += tokens if cache else 0
    options = [f"--dim={facts['inputs'][0]['shape'][0]}={rows}"]
    options += [f"--context={context}"] if cache else []
    options += [f"--chunk={n}" for n in sorted({n for n, _, _ in steps} - ({1} if cache else set()))]
    outputs, states = session.run(tool, folder / f"{name}.onnx", steps, options=[*options, *extra], fill=JUNK)
    worst = 0.0
    for ours, (_, theirs), mask in zip(outputs, pairs, masks):
        for output, value in theirs.items():
            if output not in cache.values():
                worst = max(worst, relative(ours[output].reshape(value.shape)[mask], value[mask]))
    last = pairs[-1]
    for past, present in cache.items():
        value, live = last[1][present], last[0]["attention_mask"].astype(bool)
        mine = states[past].reshape(*value.shape[:2], context, value.shape[3])
        assert (mine[:, :, position:] == np.float32(JUNK)).all(), "an append touched other slots"
        seen = np.broadcast_to(live[:, None, :, None], value.shape)
        worst = max(worst, relative(mine[:, :, :position][seen], value[seen]))
    return worst


@pytest.mark.parametrize("name", FIRST_LIGHT)
def test_recorded_runs(tool, models, name):
    facts = json.loads((models / "exporters" / f"{name}.json").read_text())
    for case in facts["cases"]:
        assert replay(tool, models / "exporters", name, case["name"], 24) < 1e-4, case["name"]


@pytest.mark.parametrize("name", ["gpt2-dynamo-op18", "llama-torchscript-op17"])
def test_the_harness_catches_padding_that_is_kept(tool, models, name):
    assert replay(tool, models / "exporters", name, "greedy", 24, ["--mistake-padding-is-kept"]) > 0.1


@pytest.mark.parametrize("name", ["gpt2-dynamo-op18", "llama-torchscript-op17", "mistral-dynamo-op18"])
def test_the_capacity_taken_for_a_shape_is_caught(tool, models, name):
    with pytest.raises(session.Refused, match="differ|does not divide"):
        replay(tool, models / "exporters", name, "greedy", 24, ["--mistake-shape-is-capacity"])


def test_a_trained_model_for_64_tokens(tool, models):
    folder = models / "stories260k"
    golden = np.load(folder / "golden.npz")
    steps = [(1, p, {"input_ids": golden["token_ids"][p].reshape(1, 1), "position_ids": np.array([[p]]),
                     "attention_mask": junk_mask(np.ones((1, p + 1), np.int64), 64)}) for p in range(64)]
    outputs, _ = session.run(tool, folder / "stories260k-primitives-opset17.onnx", steps, options=["--context=64"],
                             fill=JUNK)
    for ours, theirs in zip(outputs, golden["logits"]):
        np.testing.assert_allclose(ours["logits"], theirs, atol=1e-3, rtol=0)


# ---------------------------------------------------------------- the zoo, against a live runtime
def zoo():
    where = TOP / "python/waferloom/zoo"
    spec = importlib.util.spec_from_file_location("zoo", where / "__init__.py", submodule_search_locations=[str(where)])
    module = importlib.util.module_from_spec(spec)
    import sys
    sys.modules["zoo"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("rows, chunks", [(1, [1] * 9), (2, [4, 4, 1]), (1, [9]), (3, [2, 1, 5, 1])])
def test_chunks_up_to_the_capacity(tool, tmp_path, rows, chunks):
    """The last step ends exactly at the capacity of 9."""
    build = zoo()
    shape = build.Shape(layers=2, width=28, heads=6, kv_heads=2, head_dim=4, hidden=37, vocabulary=41, positions=16)
    model = build.build(shape, build.weights(shape, 3))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    reference = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ids = RNG.integers(0, shape.vocabulary, (rows, 9))
    caches = {i.name: np.zeros((rows, 2, 0, 4), np.float32) for i in reference.get_inputs() if "past" in i.name}
    names = [o.name for o in reference.get_outputs()]
    steps, want, position = [], [], 0
    for n in chunks:
        end = position + n
        inputs = {"input_ids": ids[:, position:end], "attention_mask": np.ones((rows, end), np.int64),
                  "position_ids": np.tile(np.arange(position, end), (rows, 1))}
        out = dict(zip(names, reference.run(None, inputs | caches)))
        caches = {name: out[name.replace("past_key_values", "present")] for name in caches}
        steps.append((n, position, inputs | {"attention_mask": junk_mask(inputs["attention_mask"], 9)}))
        want.append(out["logits"])
        position = end
    options = ["--context=9", *[f"--chunk={n}" for n in chunks if n > 1]]
    dims = [d for d in model.graph.input[0].type.tensor_type.shape.dim]
    options += [f"--dim={dims[0].dim_param}={rows}"]
    outputs, _ = session.run(tool, path, steps, options=options, fill=JUNK)
    for ours, theirs in zip(outputs, want):
        assert relative(ours["logits"].reshape(theirs.shape), theirs) < 1e-5


def test_a_state_without_a_capacity_is_refused(tool, tmp_path):
    build = zoo()
    shape = build.Shape()
    path = tmp_path / "model.onnx"
    onnx.save(build.build(shape, build.weights(shape)), path)
    with pytest.raises(session.Refused, match="give its capacity: --context N"):
        session.run(tool, path, [])
    with pytest.raises(session.Refused, match="the table has 128 rows|lower --context|does not fit"):
        session.run(tool, path, [], options=["--context=64", "--chunk=65"])
