"""f16 on the wafer: weights and caches of half the size, tokens of the f32 model; files
that are f16 themselves; what f16 does not hold."""

import numpy as np
import onnx
import pytest

import waferloom as wl
from waferloom import zoo

ODD = zoo.Shape(layers=2, width=27, heads=6, kv_heads=2, head_dim=16, hidden=37, vocabulary=41, positions=32)


def agreement(logits, reference):
    """Share of positions with the same best token, and how far apart the reference's two
    best are where it is another one."""
    ours, theirs = logits.argmax(-1), reference.argmax(-1)
    rows = np.flatnonzero(ours != theirs)
    gaps = reference[rows, theirs[rows]] - reference[rows, ours[rows]]
    return 1 - len(rows) / len(ours), gaps.max(initial=0)


def speak(session, ids):
    return np.concatenate([session.run({"input_ids": np.array([[token]])}).outputs["logits"][0] for token in ids])


@pytest.mark.parametrize("form", ["primitives-opset17", "genai-opset21"])
@pytest.mark.parametrize("grid", ["grid-8x8", "grid-7x5,sram=64KiB"])
def test_a_trained_model_by_teacher_forcing(models, form, grid):
    folder = models / "stories260k"
    tokens = np.load(folder / "golden.npz")["token_ids"][:200]
    path = folder / f"stories260k-{form}.onnx"
    reference = zoo.Reference(path)
    theirs = np.concatenate([reference.run([[token]])[0] for token in tokens])
    program = wl.compile(path, target=grid, context=208, precision="f16")
    ours = speak(program.session(), tokens)
    share, gap = agreement(ours, theirs)
    assert share >= 0.97 and gap < 0.1
    assert 0 < np.abs(ours - theirs).max() < 0.1, "as far off as halves are"


@pytest.mark.parametrize("grid", ["grid-4x4", "grid-5x3,sram=128KiB", "grid-1x1,sram=1MiB", "grid-1x7,sram=128KiB"])
@pytest.mark.parametrize("form", ["primitives", "genai"])
@pytest.mark.parametrize("file, precision", [("f32", "f16"), ("f16", "model"), ("f16", "f16"), ("f16", "f32")])
def test_odd_sizes(grid, form, file, precision):
    arrays = zoo.weights(ODD, seed=8)
    model = zoo.build(ODD, arrays, form, file).SerializeToString()
    ids = np.random.default_rng(9).integers(0, ODD.vocabulary, 12)
    theirs = zoo.Reference(model).run(ids[None])[0].astype(np.float32)
    session = wl.compile(model, target=grid, context=12, precision=precision).session()
    ours = speak(session, ids)
    assert ours.dtype == {"f16": np.float16, "f32": np.float32}[file], "the file's"
    assert np.abs(ours.astype(np.float32) - theirs).max() < 1e-2 * np.abs(theirs).max()


@pytest.mark.parametrize("form", ["primitives", "genai"])
@pytest.mark.parametrize("target, region", [("grid-8x8,sram=256KiB", (8, 8)), ("grid-7x5,sram=256KiB", (7, 5)), ("wse3", (24, 16))])
def test_the_casts_of_a_file_of_halves_cost_nothing(tmp_path, form, target, region):
    """Every rewrite that the f32 file has fires on the f16 file as well; its tables are halves, which only saves."""
    shape = zoo.Shape(layers=3, width=96, heads=6, kv_heads=2, head_dim=16, hidden=200, vocabulary=300, positions=128)
    singles, halves = (wl.compile(zoo.write_shapes(shape, tmp_path / file, form, file), target=target, region=region,
                                  context=128, weights=False, precision="f16").count()[1]
                       for file in ("f32", "f16"))
    assert halves <= singles


def test_weights_and_caches_take_half(models):
    path = models / "stories260k/stories260k-primitives-opset17.onnx"
    full, half = (wl.compile(path, target="grid-4x4,sram=128KiB", context=256, precision=precision).summary
                  for precision in ("f32", "f16"))
    assert half["fit"]["states"] * 2 == full["fit"]["states"]
    assert half["image_bytes"] < 0.6 * full["image_bytes"]
    assert half["sram_used_max"] < 0.8 * full["sram_used_max"]
    with pytest.raises(wl.CompileError, match="no layout found"):
        wl.compile(path, target="grid-4x4,sram=80KiB", context=256, precision="f32")
    small = wl.compile(path, target="grid-4x4,sram=80KiB", context=256, precision="f16")
    tokens = np.load(models / "stories260k/golden.npz")["token_ids"]
    assert (speak(small.session(), tokens[:9]).argmax(-1) == tokens[1:10]).all()


def test_same_bits_on_any_number_of_threads(models, tmp_path):
    path = models / "stories260k/stories260k-primitives-opset17.onnx"
    images, runs = [], []
    for threads in (1, 2):
        program = wl.compile(path, target="grid-7x5,sram=64KiB", context=64, precision="f16", threads=threads)
        program.save(tmp_path / "image.wafer")
        images.append((tmp_path / "image.wafer").read_bytes())
        session = program.session(threads=threads)
        results = [session.run({"input_ids": np.array([[token]])}) for token in (1, 403, 407)]
        runs.append([(result.outputs["logits"].tobytes(), result.cycles) for result in results])
    assert images[0] == images[1] and runs[0] == runs[1]


def test_chunks(models):
    path = models / "stories260k/stories260k-primitives-opset17.onnx"
    program = wl.compile(path, target="grid-8x8,sram=96KiB", context=64, precision="f16", chunks=[4],
                         logits="all")
    ids = np.load(models / "stories260k/golden.npz")["token_ids"][:11]
    together = program.session().run({"input_ids": ids[None]}).outputs["logits"][0]
    # Their sums are added up in other orders, and here and there a factor is rounded to the next half.
    apart = speak(program.session(), ids)[-len(together):]
    np.testing.assert_allclose(together, apart, atol=3e-2, rtol=0)
    assert (together.argmax(-1) == apart.argmax(-1)).all()


def test_a_weight_that_halves_do_not_hold():
    arrays = zoo.weights(ODD, seed=8)
    name = next(key for key in arrays if "down_proj" in key)
    arrays[name][1, 2] = 70000
    model = zoo.build(ODD, arrays).SerializeToString()
    with pytest.raises(Exception, match=f"weight '{name}' has 70000.* at element {arrays[name].shape[1] + 2}, and f16 ends at 65504"):
        wl.compile(model, target="grid-4x4", context=8, precision="f16")
    wl.compile(model, target="grid-4x4", context=8)


def stretched(residual, gain, seed=8):
    """ODD with a residual stream of `residual` times the size and gains of `gain` times,
    which the weights behind take back: logits are as before but for epsilon."""
    arrays = zoo.weights(ODD, seed=seed)
    largest = max(np.abs(array).max() for key, array in arrays.items() if "embed" in key)
    tops = {key: np.abs(array).max() for key, array in arrays.items() if "layernorm" in key}
    for key, array in arrays.items():
        if "embed" in key:
            arrays[key] = (array * (residual / largest)).astype(np.float32)
        elif "o_proj" in key or "down_proj" in key:
            arrays[key] = (array * (0.1 * residual / largest)).astype(np.float32)
        elif "layernorm" in key:
            arrays[key] = (array * (gain / tops[key])).astype(np.float32)
        elif any(name in key for name in ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")):
            arrays[key] = (array / gain).astype(np.float32)
    return arrays


@pytest.mark.parametrize("form", ["primitives", "genai"])
@pytest.mark.parametrize("residual, gain", [(3e4, 1), (3e4, 900), (1, 900), (1, 1024), (30, 1e-3), (3e-3, 1), (3e-3, 900), (6e4, 3e4)])
def test_gains_and_activations_near_the_limits(form, residual, gain):
    """What a deferred norm multiplies would leave f16 on both sides: x g, x g 2^-k does not."""
    model = zoo.build(ODD, stretched(residual, gain), form).SerializeToString()
    ids = np.random.default_rng(9).integers(0, ODD.vocabulary, 12)
    theirs = zoo.Reference(model).run(ids[None])[0]
    for grid in ("grid-4x4", "grid-1x7,sram=128KiB"):
        program = wl.compile(model, target=grid, context=12, precision="f16")
        ours = speak(program.session(), ids)
        assert np.abs(ours - theirs).max() < 2e-3 * np.abs(theirs).max()
    wide = wl.compile(model, target="grid-4x4", context=12, precision="f16", disable_rewrites=["half-factors"])
    assert wide.count() != wl.compile(model, target="grid-4x4", context=12, precision="f16").count()


def test_activations_beyond_the_limit_are_no_silent_fault():
    arrays = stretched(6e4, 1)
    for key in arrays:
        if "o_proj" in key or "down_proj" in key:
            arrays[key] = np.clip(arrays[key] * 50, -6e4, 6e4)
    model = zoo.build(ODD, arrays).SerializeToString()
    ids = np.random.default_rng(9).integers(0, ODD.vocabulary, 8)
    theirs = zoo.Reference(model).run(ids[None])[0]
    assert np.isfinite(theirs).all()
    program = wl.compile(model, target="grid-4x4", context=12, precision="f16")
    assert np.isnan(speak(program.session(), ids)).any()
    wide = wl.compile(model, target="grid-4x4", context=12, precision="f16", disable_rewrites=["half-factors"])
    assert np.abs(speak(wide.session(), ids) - theirs).max() < 1e-2 * np.abs(theirs).max()


def test_no_such_precision():
    model = zoo.build(ODD, zoo.weights(ODD, seed=8)).SerializeToString()
    with pytest.raises(wl.CompileError, match="there is no precision 'int4'; there are model, f32, f16"):
        wl.compile(model, target="grid-4x4", context=8, precision="int4")
