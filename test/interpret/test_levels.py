"""Partitioning changes no number: level 4 on small grids against level 2."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build")) / "bin"
GRIDS = "1x1,5x3,8x8,1x12,12x1,6x4"


def tool(name):
    path = BIN / name
    if not path.exists():
        pytest.skip(f"{name} is not built")
    return path


def llama():
    """The model zoo, without the package around it."""
    spec = importlib.util.spec_from_file_location("zoo", TOP / "python/waferloom/zoo/__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["zoo"] = module
    spec.loader.exec_module(module)
    return module


def level2(model, folder, *options):
    """The model as a file of level 2."""
    text = subprocess.run([tool("waferloom-level2"), model, *options], check=True, capture_output=True, text=True)
    path = folder / "level2.mlir"
    path.write_text(text.stdout)
    return path


def compare(path, grids=GRIDS, *options):
    run = subprocess.run([tool("compare-levels"), path, f"--grids={grids}", *options], capture_output=True, text=True,
                         timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert lines and all(": equal" in line for line in lines)
    return lines


# Sizes that nothing divides: heads, widths and slots are padded on every grid.
@pytest.mark.parametrize("position, rerolled", [(0, "--reroll=1"), (9, "--reroll=0")])
def test_odd_llama(tmp_path, position, rerolled):
    zoo = llama()
    shape = zoo.Shape(layers=2, width=20, heads=6, kv_heads=2, head_dim=6, hidden=14, vocabulary=23, positions=16)
    onnx.save(zoo.build(shape, zoo.weights(shape, 0)), tmp_path / "model.onnx")
    path = level2(tmp_path / "model.onnx", tmp_path, "--context=13", "--chunk=3")
    compare(path, GRIDS, f"--position={position}", rerolled)


# The hidden width is padded across the strip, in a row and in a column.
@pytest.mark.parametrize("region, ends", [("4x3", "2x3"), ("3x6", "3x1"), ("1x7", "5x7")])
def test_kinds_of_stages(tmp_path, region, ends):
    """Ends and layers as programs of their own: at level 3 and at level 4, on prompts and tokens."""
    zoo = llama()
    shape = zoo.Shape(layers=4, width=20, heads=6, kv_heads=2, head_dim=6, hidden=14, vocabulary=23, positions=16)
    onnx.save(zoo.build(shape, zoo.weights(shape, 0)), tmp_path / "model.onnx")
    subprocess.run([tool("waferloom"), "compile", tmp_path / "model.onnx", "-o", tmp_path / "out.wafer", "--quiet",
                    "--target=grid-24x24,sram=1MiB", "--context=13", "--chunk=3", "--prefill=block", "--sample=none",
                    "--region=" + region, "--ends=" + ends, "--stages=3", "--save-ir", tmp_path / "ir"], check=True)

    def compared(level):
        return subprocess.run([tool("compare-levels"), tmp_path / "ir/2-tensors.mlir", "--position=5",
                               f"--lowered={tmp_path / 'ir' / level}.mlir"], capture_output=True, text=True)

    for level in ("3-layouts", "4-shards"):
        run = compared(level)
        assert run.returncode == 0 and run.stdout.count(": equal") == 2, run.stdout + run.stderr
    # A mistake in the layers' program is found.
    ends, layers = (tmp_path / "ir/4-shards.mlir").read_text().split("module @layers")
    (tmp_path / "ir/wrong.mlir").write_text("module @layers".join([ends, layers.replace("arith.addf", "arith.subf", 1)]))
    assert compared("wrong").returncode == 2


@pytest.mark.parametrize("name, options", [
    ("stories260k/stories260k-primitives-opset17.onnx", ["--context=64", "--chunk=4"]),
    ("exporters/gpt2-dynamo-op18.onnx", ["--context=13", "--chunk=3"]),
    ("exporters/mistral*.onnx", ["--context=13", "--chunk=3"]),
    ("exporters/qwen3*.onnx", ["--context=13", "--chunk=3"]),
    ("exporters/bert-torchscript-op14.onnx", ["--dim=sequence=7", "--dim=batch=1"]),
])
def test_sample_models(tmp_path, name, options):
    folder = Path(os.environ.get("WAFERLOOM_SHARED", TOP.parent / "shared")) / "models"
    model = next(iter(sorted(folder.glob(name))), None)
    if model is None:
        pytest.skip("the shared model files are not here")
    compare(level2(model, tmp_path, *options), "5x3,8x8", "--position=5", "--sram=1000000")
