"""Bugs planted into one level of a compilation: the steps of docs/debugging.md name
the phase that made them."""

import re
import subprocess
import sys

import pytest
from waferloom import zoo

from conftest import BIN, TOP

SHAPE = zoo.Shape(layers=2, width=20, heads=6, kv_heads=2, head_dim=6, hidden=14, vocabulary=23, positions=16)


def tool(name, *args):
    return subprocess.run([BIN / name, *map(str, args)], capture_output=True, text=True)


def bisect(folder):
    """The documented command; the guilty phase, or None."""
    done = subprocess.run([sys.executable, TOP / "test/interpret/guilty_phase.py", folder / "model.onnx", folder],
                          capture_output=True, text=True)
    assert not done.stderr, done.stderr
    found = re.search(r"the guilty phase is '(\w+)'", done.stdout)
    assert (done.returncode == 0) == (found is None) == ("every level is right" in done.stdout), done.stdout
    return found.group(1) if found else None


def edit(file, pattern, replacement):
    text, count = re.subn(pattern, replacement, file.read_text(), count=1, flags=re.S)
    assert count == 1, f"nothing to plant a bug at in {file.name}"
    file.write_text(text)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=1)).SerializeToString())
    done = tool("waferloom", "compile", tmp_path / "model.onnx", "--target", "grid-4x4", "--context=12",
                "--save-ir", tmp_path, "-o", tmp_path / "model.wafer")
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_a_right_compilation(folder):
    assert bisect(folder) is None


def test_import_takes_a_wrong_mean(folder):
    edit(folder / "2-tensors.mlir", r"arith\.constant 5\.000000e-02", "arith.constant 6.000000e-02")
    assert bisect(folder) == "tensors"


def test_import_takes_a_maximum_for_a_sum(folder):
    edit(folder / "2-tensors.mlir", r"arith\.addf %out, (%\w+) : f32", r"arith.maximumf %out, \1 : f32")
    assert bisect(folder) == "tensors"


def test_planning_reduces_by_maximum(folder):
    """The verifier of layouts refuses it before anything runs."""
    edit(folder / "3-layouts.mlir", r"(wafer\.all_reduce [^\n]*? over \[\w+\]) sum", r"\1 max")
    assert bisect(folder) == "layouts"


def test_planning_takes_a_sum_for_a_product(folder):
    """Layouts fit all the same: only the numbers tell."""
    edit(folder / "3-layouts.mlir", r"arith\.mulf (%\w+), (%\w+) : f32", r"arith.addf \1, \2 : f32")
    assert bisect(folder) == "layouts"


def test_shards_reduce_by_maximum(folder):
    edit(folder / "4-shards.mlir", r"(wafer\.all_reduce [^\n]*? over \[\w+\]) sum", r"\1 max")
    assert bisect(folder) == "shards"


def test_shards_mask_what_counts(folder):
    """The padding of a dimension is kept and its elements are masked."""
    edit(folder / "4-shards.mlir", r"arith\.cmpi slt", "arith.cmpi sge")
    assert bisect(folder) == "shards"


def test_shards_in_the_wrong_order(folder):
    edit(folder / "4-shards.mlir", r"tensor\.concat dim\((\d)\) (%\w+), (%\w+)", r"tensor.concat dim(\1) \3, \2")
    assert bisect(folder) == "shards"


def test_routing_gives_two_streams_one_color(folder):
    text = (folder / "5-fabric.mlir").read_text()
    colors = sorted({int(n) for n in re.findall(r"\bcolor (\d+)", text)})
    assert len(colors) > 1
    (folder / "5-fabric.mlir").write_text(re.sub(r"\bcolor \d+", f"color {colors[0]}", text))
    assert bisect(folder) == "fabric"


def test_code_with_another_fold(folder):
    """Through core text: a sum that arrives is folded by maximum."""
    text = folder / "core.txt"
    text.write_text(tool("waferloom-opt", "--image-to-core", "--mlir-print-debuginfo", folder / "model.wafer").stdout)
    edit(text, r"core\.recv_fold add", "core.recv_fold max")
    done = tool("waferloom-opt", "--core-to-image", text, "-o", folder / "model.wafer")
    assert done.returncode == 0, done.stderr
    assert bisect(folder) == "image"


def test_the_page_shows_these_commands():
    page = (TOP / "docs/debugging.md").read_text()
    assert "python test/interpret/guilty_phase.py model.onnx DIR" in page
    for phase in ("tensors", "layouts", "shards", "fabric", "image"):
        assert f"| {phase} |" in page
