"""Defects of a target: programs stand beside them, whoever chose the region, with the values that they have anywhere."""

import subprocess

import numpy as np
import pytest
from conftest import BIN

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=4, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)
DEFECTS = [(11, 0, 1, 30), (12, 13, 18, 2)]


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=4)).SerializeToString()


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    path = tmp_path_factory.mktemp("targets") / "broken.yaml"
    rows = "".join(f"  - {{x: {x}, y: {y}, width: {w}, height: {h}}}\n" for x, y, w, h in DEFECTS)
    path.write_text(f"base: grid-30x30\nname: broken\nsram: 512KiB\ndefects:\n{rows}")
    return str(path)


def logits(program):
    return program.run({"input_ids": [[3]]}).outputs["logits"]


def check(program):
    for r in program.regions:
        for x, y, w, h in DEFECTS:
            assert r.x >= x + w or r.x + r.width <= x or r.y >= y + h or r.y + r.height <= y, (r, x, y)


@pytest.mark.parametrize("options", [{"region": (12, 6)}, {"region": (6, 6), "stages": 3}, {"region": (7, 9), "stages": 3},
                                     {"region": (5, 13), "stages": 3, "ends": (8, 13)}, {}, {"chunks": [4]}], ids=str)
def test_programs_stand_beside_them(model, target, options):
    program = wl.compile(model, target=target, context=24, **options)
    check(program)
    plain = wl.compile(model, target="grid-30x30,sram=512KiB", context=24, region=(12, 6))
    np.testing.assert_allclose(logits(program), logits(plain), rtol=1e-4, atol=1e-5)


def test_the_text_of_a_level_has_them(model, target, tmp_path):
    """A level compiles on without the file of the target, beside the same defects."""
    (tmp_path / "model.onnx").write_bytes(model)

    def compiled(path, *options):
        done = subprocess.run([BIN / "waferloom", "compile", path, "-o", tmp_path / "out.wafer", "--quiet", *options],
                              capture_output=True, text=True)
        return done.stderr or (tmp_path / "out.wafer").read_bytes()

    image = compiled(tmp_path / "model.onnx", f"--target={target}", "--context=24", "--region=12x6",
                     f"--save-ir={tmp_path / 'ir'}")
    layouts = tmp_path / "ir/3-layouts.mlir"
    text = layouts.read_text()
    assert "defects = array<i64: 11, 0, 1, 30, 12, 13, 18, 2>" in text
    assert compiled(layouts) == image
    layouts.write_text(text.replace("array<i64: 11, 0, 1, 30,", "array<i64: 11, 0, 1,"))
    assert "'defects' are x, y, width and height of each" in compiled(layouts)


@pytest.mark.parametrize("options, message", [
    ({"region": (20, 6)}, "a region of 20 x 6 PEs has no place beside the 2 defects of 'broken'; the largest region is 11 x 30"),
    ({"region": (9, 12), "stages": 4}, "defects are in the way|found no places|needs .* by .* PEs"),
    ({"region": (9, 12), "ends": (10, 12), "stages": 2}, "no room"),
    ({"mapping": wl.Mapping("waferloom-mapping: 1\nregion: {x: 6, y: 6}\nstages:\n  - {at: [8, 2]}\n")},
     r"stands on a defect of 'broken': 1 x 30 PEs at \(11, 0\)")], ids=str)
def test_what_has_no_place_is_refused(model, target, options, message):
    with pytest.raises(wl.CompileError, match=message):
        wl.compile(model, target=target, context=24, **options)
