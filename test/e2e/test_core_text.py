"""A compiled model as core text: it comes back as the same image, and takes the
same cycles."""

import json
import subprocess

import numpy as np
import pytest

from conftest import BIN


def tool(name, *args):
    done = subprocess.run([BIN / name, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
    return done.stdout


@pytest.fixture(scope="module")
def image(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("core") / "model.wafer"
    tool("waferloom", "compile", models / "stories260k" / "stories260k-primitives-opset17.onnx",
         "-o", path, "--target", "grid-8x8,sram=96KiB", "--context", "64", "--quiet")
    return path


def text_of(image):
    return tool("waferloom-opt", "--image-to-core", "--mlir-print-debuginfo", image)


def cycles(image, tmp_path):
    inputs = tmp_path / "in.npz"
    np.savez(inputs, input_ids=np.array([[1]]))
    lines = tool("waferloom", "run", image, "--input", inputs, "--json")
    return json.loads(lines)["cycles"]


def test_comes_back_unchanged(image, tmp_path):
    text = tmp_path / "model.mlir"
    again = tmp_path / "again.wafer"
    text.write_text(text_of(image))
    tool("waferloom-opt", "--core-to-image", text, "-o", again)
    assert text_of(again) == text.read_text()
    assert cycles(again, tmp_path) == cycles(image, tmp_path)


def test_names_the_nodes(image):
    text = text_of(image)
    assert text.count('loc("') > 20
    assert len(text) < 1 << 20, "text must not grow with the grid or the weights"
