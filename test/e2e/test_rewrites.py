"""Every rewrite can be left out, and the outputs stay: with all, with none, and
without each, against ONNX Runtime and each other."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

import waferloom as wl
from waferloom import cycles, zoo

from conftest import BIN

REWRITES = ["deferred-norm", "deferred-softmax", "half-factors", "reciprocal-root", "gates-first",
            "packed-messages", "compute-at-roots", "shared-roots", "early-norm", "own-maximum", "middle-root",
            "live-lengths"]
CHOICES = [[], *([name] for name in REWRITES), REWRITES]
SHAPES = {
    "groups": zoo.Shape(layers=2, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=32),
    "no-groups": zoo.Shape(layers=1, width=24, heads=3, kv_heads=3, head_dim=8, hidden=40, vocabulary=50,
                           positions=32),
}
GRIDS = ["grid-8x8", "grid-5x3", "grid-1x12,sram=128KiB"]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", SHAPES)
def test_outputs_stay(name, grid):
    shape = SHAPES[name]
    model = zoo.build(shape, zoo.weights(shape, seed=5))
    ids = np.random.default_rng(6).integers(0, shape.vocabulary, 9)
    reference = zoo.Reference(model.SerializeToString())
    expected = [reference.run([[token]]) for token in ids]
    images = set()
    for disabled in CHOICES:
        program = wl.compile(model.SerializeToString(), target=grid, context=12, disable_rewrites=disabled)
        session = program.session()
        counts = set()
        for token, logits in zip(ids, expected):
            result = session.run({"input_ids": np.array([[token]])})
            np.testing.assert_allclose(result.outputs["logits"], logits, atol=1e-3 * np.abs(logits).max(), rtol=0,
                                       err_msg=f"without {disabled}")
            counts.add(result.cycles)
        images.add(tuple(sorted(counts)))
    assert len(images) > 1, "no rewrite changed anything"


@pytest.mark.parametrize("precision", ["f32", "f16"])
@pytest.mark.parametrize("grid", ["grid-8x8", "grid-5x3", "grid-1x12,sram=128KiB", "grid-12x1,sram=128KiB"])
def test_roots_change_no_bit(grid, precision):
    """What is computed at the root, and rounded there, is what all would have computed: odd sizes, a chunk of tokens,
    lines of one direction only."""
    shape = SHAPES["groups"]
    model = zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()
    sessions = [wl.compile(model, target=grid, context=12, chunks=[3], precision=precision, disable_rewrites=disabled)
                for disabled in (["early-norm"], ["compute-at-roots"])] # a sum of its own has a tree of its own
    sessions = [program.session() for program in sessions]
    for ids in ([[3, 1, 4]], [[1]], [[5, 9, 2]], [[6]]):
        ours, theirs = (session.run({"input_ids": np.array(ids)}).outputs["logits"] for session in sessions)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("precision", ["f32", "f16"])
@pytest.mark.parametrize("grid", ["grid-4x6,sram=128KiB", "grid-5x2,sram=256KiB", "grid-2x7,sram=128KiB"])
def test_shared_roots_change_no_bit(grid, precision, tmp_path):
    """The PE beside a root computes what the root would have computed: an odd number of elements, f16 in pairs, lines of
    either direction (7 PEs make no pairs; along x they do)."""
    shape = zoo.Shape(layers=2, width=20, heads=6, kv_heads=3, head_dim=6, hidden=331, vocabulary=23, positions=32)
    model = tmp_path / "model.onnx"
    model.write_bytes(zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString())
    subprocess.run([BIN / "waferloom", "compile", model, "-o", tmp_path / "m.wafer", f"--target={grid}", "--context=12",
                    "--precision", precision, "--save-ir", tmp_path, "--quiet"], check=True)
    shares = "wafer.to_neighbor" in (tmp_path / "4-shards.mlir").read_text()
    assert shares or precision == "f16", "a line of two makes one PE do all of it in f16: too little to share"
    sessions = [wl.compile(model, target=grid, context=12, precision=precision, disable_rewrites=disabled).session()
                for disabled in ([], ["shared-roots"])]
    for ids in ([[3]], [[1]], [[22]], [[6]]):
        ours, theirs = (session.run({"input_ids": np.array(ids)}) for session in sessions)
        np.testing.assert_array_equal(ours.outputs["logits"], theirs.outputs["logits"])
        assert ours.cycles < theirs.cycles or not shares


@pytest.mark.parametrize("precision, tolerance, gain", [("f32", 1e-5, 12), ("f32", 1e-5, 8000), ("f16", 2e-2, 12)])
@pytest.mark.parametrize("grid", ["grid-320x2,sram=96KiB", "grid-2x320,sram=96KiB"])
@pytest.mark.parametrize("form", ["primitives", "genai"])
def test_own_maxima(form, grid, precision, tolerance, gain):
    """On long lines a softmax waits for no maximum of other PEs. At first nearly all of them have nothing but masked
    slots; the scores are large (some 10, some 10 millions of both signs), so that a wrong maximum would show. Where the
    mask is none that is added (genai), the maxima are multiples of ln 2."""
    shape = zoo.Shape(layers=2, width=24, heads=3, kv_heads=3, head_dim=16, hidden=40, vocabulary=50, positions=1920)
    weights = zoo.weights(shape, seed=5)
    for name in weights:
        if "q_proj" in name or "k_proj" in name:
            weights[name] = (weights[name] * gain).astype(np.float32)
    model = zoo.build(shape, weights, form)
    programs = [wl.compile(model.SerializeToString(), target=grid, context=1920, precision=precision,
                           region=tuple(int(side) for side in grid[5:].split(",")[0].split("x")), disable_rewrites=disabled)
                for disabled in ([], ["own-maximum"])]
    assert programs[0].count()[1] < programs[1].count()[1]
    reference = zoo.Reference(model.SerializeToString())
    session = programs[0].session()
    for token in np.random.default_rng(6).integers(0, shape.vocabulary, 8):
        theirs = reference.run([[token]])
        ours = session.run({"input_ids": np.array([[token]])}).outputs["logits"]
        np.testing.assert_allclose(ours, theirs, atol=tolerance * np.abs(theirs).max(), rtol=0)


@pytest.mark.parametrize("grid", ["grid-240x16,sram=96KiB", "grid-16x240,sram=96KiB"])
def test_factors_that_go_ahead(grid):
    """The factor of a norm made in one column (row) of long rows, and given to the roots: fewer cycles, values as ONNX
    Runtime's, the same bits in both engines. 1,100 elements on 240 PEs: some have only padding."""
    shape = zoo.Shape(layers=2, width=32, heads=4, kv_heads=2, head_dim=8, hidden=1100, vocabulary=50, positions=32)
    model = zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()
    region = tuple(int(side) for side in grid[5:].split(",")[0].split("x"))
    programs = [wl.compile(model, target=grid, context=32, region=region, precision="f16", disable_rewrites=disabled)
                for disabled in ([], ["early-norm"])]
    assert programs[0].count()[1] < programs[1].count()[1]
    reference, session = zoo.Reference(model), programs[0].session()
    slow = programs[0].session(engine="reference")
    for step, token in enumerate(np.random.default_rng(6).integers(0, shape.vocabulary, 4)):
        theirs = reference.run([[token]])
        ours = session.run({"input_ids": np.array([[token]])})
        np.testing.assert_allclose(ours.outputs["logits"], theirs, atol=2e-2 * np.abs(theirs).max(), rtol=0)
        if step < 2:
            same = slow.run({"input_ids": np.array([[token]])})
            np.testing.assert_array_equal(same.outputs["logits"], ours.outputs["logits"])
            assert same.cycles == ours.cycles


@pytest.mark.parametrize("grid", ["grid-160x2,sram=96KiB", "grid-2x160,sram=96KiB"])
def test_largest_of_own_logits(grid):
    """Where the index of the largest logit is found before the largest of all is known, it is the same index."""
    shape = zoo.Shape(layers=1, width=24, heads=3, kv_heads=3, head_dim=8, hidden=40, vocabulary=3200, positions=32)
    model = zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()
    region = tuple(int(side) for side in grid[5:].split(",")[0].split("x"))
    programs = [wl.compile(model, target=grid, context=32, region=region, disable_rewrites=disabled)
                for disabled in ([], ["own-maximum"])]
    assert programs[0].count()[1] < programs[1].count()[1]
    session, token = programs[0].session(), 3
    for picked in programs[0].session().generate([3], 8):
        token = int(session.run({"input_ids": [[token]]}).outputs["logits"][0, -1].argmax())
        assert picked == token


def test_large_and_small_activations():
    """The sums that wait for their scale neither overflow nor vanish."""
    shape = SHAPES["no-groups"]
    for factor in (1e-15, 1e-6, 1e6, 1e15):
        weights = zoo.weights(shape, seed=7)
        table = next(key for key in weights if "embed" in key)
        weights[table] = (weights[table] * factor).astype(np.float32)
        model = zoo.build(shape, weights)
        session = wl.compile(model.SerializeToString(), target="grid-5x3", context=12).session()
        reference = zoo.Reference(model.SerializeToString())
        for token in (3, 1, 4, 1, 5):
            ours = session.run({"input_ids": np.array([[token]])}).outputs["logits"]
            theirs = reference.run([[token]])
            assert np.isfinite(theirs).all()
            np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max(), rtol=0, err_msg=f"{factor}")


def test_a_wrong_name_lists_the_names(tmp_path):
    shape = SHAPES["no-groups"]
    model = zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()
    names = ", ".join(REWRITES)
    with pytest.raises(wl.CompileError, match=f"no rewrite 'norms'; rewrites are {names}"):
        wl.compile(model, target="grid-8x8", disable_rewrites=["norms"])
    tool = BIN / "waferloom"
    if tool.exists():
        (tmp_path / "m.onnx").write_bytes(model)
        run = subprocess.run([tool, "compile", tmp_path / "m.onnx", "--target=grid-8x8", "--disable-rewrite=deferred-norm",
                              "--disable-rewrite=norms", "-o", tmp_path / "m.wafer"], capture_output=True, text=True)
        assert run.returncode == 1 and "rewrites are " + names in run.stderr
        assert not (tmp_path / "m.wafer").exists()


def saved(program):
    assert [rewrite.name for rewrite in program.rewrites] == REWRITES
    return {rewrite.name: (rewrite.worth, rewrite.cycles) for rewrite in program.rewrites}


@pytest.mark.parametrize("grid, more", [("grid-8x8", {}), ("wse3", {"region": (5, 4), "stages": 3}),
                                        ("grid-8x8", {"chunks": [3], "prefill": "stream"})])
def test_what_each_saves_is_measured(grid, more):
    """The same as compiling without it, on the same region."""
    shape = replace(SHAPES["groups"], layers=4)
    model = zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()
    seen = []
    program = wl.compile(model, target=grid, context=12, measure_rewrites=True, progress=lambda what, _: seen.append(what),
                         **more)
    assert [what for what in seen if what.startswith("without ")] == [f"without {name}" for name in REWRITES]
    fixed = more | {"region": (program.regions[0].width, program.regions[0].height), "stages": len(program.regions)}
    base = program.count()[1]
    found = saved(program)
    assert any(count for _, count in found.values())
    for name, (worth, more_cycles) in found.items():
        without = wl.compile(model, target=grid, context=12, disable_rewrites=[name], **fixed)
        assert without.rewrites == []
        if name == "live-lengths":  # where half of the context is used
            assert more_cycles == without.count(position=5)[1] - program.count(position=5)[1]
        else:
            assert more_cycles == without.count()[1] - base, name
        assert worth in ("measured", "unused")
    # The programs are those of a compilation that measures nothing.
    plain = wl.compile(model, target=grid, context=12, **more)
    assert plain.count() == program.count() and plain.summary["fit"] == program.summary["fit"]


def test_what_is_not_there_saves_nothing(tmp_path):
    """One core sends nothing; what was left out is not measured; a saved image keeps it all."""
    shape = SHAPES["groups"]
    program = wl.compile(zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString(), target="grid-1x1,sram=1MiB",
                         context=12, measure_rewrites=True, disable_rewrites=["deferred-softmax"])
    found = saved(program)
    assert found["packed-messages"] == found["middle-root"] == ("unused", 0)
    assert found["deferred-softmax"] == ("left_out", 0)
    assert found["reciprocal-root"][0] == "measured" and found["reciprocal-root"][1] > 0
    program.save(tmp_path / "m.wafer")
    assert saved(wl.load(tmp_path / "m.wafer")) == found
    lines = cycles.rewrites(program, step=1000)
    assert len(lines.splitlines()) == 1 + len(REWRITES) and "left out" in lines and "changes nothing" in lines
    told = subprocess.run([BIN / "waferloom", "info", tmp_path / "m.wafer"], capture_output=True, text=True)
    assert all(name in told.stdout for name in REWRITES) and "left out" in told.stdout


def test_what_does_not_fit_any_more_is_said():
    """A rewrite without which the memory does not suffice has no number, and is no error."""
    shape = SHAPES["no-groups"]
    model = zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()

    def least(**more):
        low, high = 8, 256  # KiB: does not fit, fits
        while high - low > 1:
            middle = (low + high) // 2
            try:
                wl.compile(model, target=f"grid-2x2,sram={1024 * middle}", context=12, **more)
                high = middle
            except wl.CompileError:
                low = middle
        return high

    enough = least()
    program = wl.compile(model, target=f"grid-2x2,sram={1024 * enough}", context=12, measure_rewrites=True)
    for name, (worth, more_cycles) in saved(program).items():
        try:
            without = wl.compile(model, target=f"grid-2x2,sram={1024 * enough}", context=12, disable_rewrites=[name])
            assert worth in ("measured", "unused")
            assert more_cycles == without.count()[1] - program.count()[1]
        except wl.CompileError:
            assert (worth, more_cycles) == ("unfit", 0)
