"""A compiled model as core text: it comes back as the same image, and takes the
same cycles."""

import json
import re
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import BIN


def tool(name, *args):
    done = subprocess.run([BIN / name, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
    return done.stdout


@pytest.fixture(scope="module")
def image(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("core") / "model.wafer"
    tool("waferloom", "compile", models / "stories260k" / "stories260k-primitives-opset17.onnx",
         "-o", path, "--target", "grid-8x8,sram=96KiB", "--context", "64", "--quiet", "--save-ir", path.parent)
    return path


def text_of(image):
    return tool("waferloom-opt", "--image-to-core", "--mlir-print-debuginfo", image)


def wherever_weights_lie(text):
    return re.sub(r' in "[^"]*" at \d+', "", text)


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
    assert wherever_weights_lie(text_of(again)) == wherever_weights_lie(text.read_text())
    assert cycles(again, tmp_path) == cycles(image, tmp_path)


def test_the_last_level_is_the_image(image, tmp_path):
    again = tmp_path / "again.wafer"
    tool("waferloom-opt", "--core-to-image", image.parent / "6-image.mlir", "-o", again)
    assert again.read_bytes() == image.read_bytes()


def test_addresses_are_found_again(image, tmp_path):
    """The last level without any address: the passes give the ones that the compiler gave."""
    text = (image.parent / "6-image.mlir").read_text()
    text, buffers = re.subn(r"(core\.buffer .* bytes \d+)(?: start \d+)? at \d+", r"\1", text)
    text, regions = re.subn(r" memory \d+", "", text)
    assert buffers > 20 and regions == 1
    symbolic = tmp_path / "symbolic.mlir"
    symbolic.write_text(text)
    again = tmp_path / "again.wafer"
    tool("waferloom-opt", "--core-to-image", symbolic, "-o", again)
    assert again.read_bytes() == image.read_bytes()


def test_an_edited_program_keeps_its_weights(image, tmp_path):
    """Every source is found again, where the text says that it lies."""
    text = tmp_path / "model.mlir"
    text.write_text(text_of(image).replace('"tokens1"', '"renamed"'))
    again = tmp_path / "again.wafer"
    tool("waferloom-opt", "--core-to-image", text, "-o", again)
    one, other = (path.read_bytes() for path in (image, again))
    weights = one[-8192:-4096]  # a checksum is at the end
    assert any(weights) and weights in other
    assert b"renamed" in other


def test_names_the_nodes(image):
    text = text_of(image)
    assert text.count('loc("') > 20
    assert len(text) < 1 << 20, "text must not grow with the grid or the weights"


def test_a_table_of_one_row(tmp_path):
    """Its index is times 0, which text has no words for: the image has none either."""
    rng = np.random.default_rng(0)
    table = numpy_helper.from_array(rng.standard_normal((1, 8)).astype(np.float32), "table")
    node = helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [4])],
                              [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [4, 8])], [table])
    model, image = tmp_path / "model.onnx", tmp_path / "model.wafer"
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), model)
    tool("waferloom", "compile", model, "-o", image, "--target", "grid-2x2,sram=64KiB", "--quiet", "--save-ir", tmp_path)
    again = tmp_path / "again.wafer"
    tool("waferloom", "compile", tmp_path / "6-image.mlir", "-o", again, "--quiet")
    assert again.read_bytes() == image.read_bytes()
