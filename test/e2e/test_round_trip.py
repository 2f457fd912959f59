"""Every level that --save-ir writes is text that waferloom-opt reads and writes
again, to a fixed point."""

import subprocess

import pytest

from waferloom import zoo

from conftest import BIN

SHAPE = zoo.Shape(layers=2, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=32)


def again(text):
    """The text after one pass through waferloom-opt, which verifies it."""
    run = subprocess.run([BIN / "waferloom-opt", "-"], input=text, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.mark.skipif(not (BIN / "waferloom-opt").exists(), reason="waferloom-opt is not built")
@pytest.mark.parametrize("grid", ["grid-5x3", "grid-1x1,sram=1MiB"])
def test_every_level(tmp_path, grid):
    model = tmp_path / "model.onnx"
    model.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=1)).SerializeToString())
    subprocess.run([BIN / "waferloom", "compile", model, "--target", grid, "--context=12", "--chunk=4",
                    f"--save-ir={tmp_path}", "-o", tmp_path / "model.wafer"], check=True, capture_output=True)
    files = sorted(tmp_path.glob("*.mlir"))
    assert [file.stem for file in files] == ["1-onnx", "2-tensors", "3-layouts", "4-shards", "5-fabric", "6-image"]
    for file in files:
        text = file.read_text()
        assert len(text.splitlines()) > 20, file.name
        once = again(text)
        assert again(once) == once, file.name
