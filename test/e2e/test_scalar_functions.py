"""Every function of one operand that ONNX has and the list of scalar functions, too, as a model
of its own on the wafer, against ONNX Runtime."""

import re
from pathlib import Path

import numpy as np
import onnx.parser
import onnxruntime as ort
import pytest
import waferloom as wl

LIST = (Path(__file__).resolve().parents[2] / "include/waferloom/Scalar/Functions.def").read_text()
FUNCTIONS = (re.findall(r"^SEQUENCE\((\w+), 1, ", LIST, re.MULTILINE)
             + re.findall(r"^INSTRUCTION\((\w+), 1, 1, ", LIST, re.MULTILINE))
POSITIVE = {"Log", "Sqrt"}


def test_the_list_is_read():
    assert {"Exp", "Tanh", "Round", "Neg"} <= set(FUNCTIONS)


@pytest.mark.parametrize("precision, tolerance", [("model", 2e-6), ("f16", 2e-6)])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_wafer_computes_it(function, precision, tolerance):
    proto = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 18]> g (float[6, 11] x) => (float[6, 11] y) '
                                    f"{{ y = {function}(x) }}")
    x = np.random.default_rng(1).uniform(0.1 if function in POSITIVE else -4, 4, (6, 11)).astype(np.float32)
    x[0, :4] = [0.5, 1.5, 2.5, 3]
    program = wl.compile(proto.SerializeToString(), target="grid-3x2", precision=precision, sample="none")
    want, = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_allclose(program.run({"x": x}).outputs["y"], want, rtol=tolerance, atol=tolerance)


SPECIAL = [np.nan, np.inf, -np.inf, 0, -0.0, -1, -0.25, 4, 1e30, -1e30, 1e-3]
SPECIAL_MODELS = {
    "root": "y = Sqrt(x)",
    "inverse": "y = Reciprocal(x)",
    "inverse_of_a_root": "r = Sqrt(x) y = Reciprocal(r)",
    "root_of_a_sum": "s = Add(x, half) r = Sqrt(s) y = Reciprocal(r)",
    "quotient": "d = Add(x, x) y = Div(x, d)",
    "quotient_by_what_is_positive": "e = Exp(x) d = Add(e, half) y = Div(x, d)",
    "sine": "y = Sin(x)",
    "logarithm": "y = Log(x)",
    "sigmoid": "y = Sigmoid(x)",
    "bounds_that_are_no_numbers": "y = Clip(x, nan, nan)",
    "crossed_bounds": "y = Clip(x, half, nothing)",
    "largest": "y = Max(x, half)",
    "rectified": "y = Relu(x)",
}


@pytest.mark.parametrize("precision", ["model", "f16"])
@pytest.mark.parametrize("name", SPECIAL_MODELS)
def test_special_values_are_those_of_onnx(name, precision):
    proto = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 18]> g (float[1, 11] x) => (float[1, 11] y) '
                                    "<float half = {0.5}, float nothing = {0}, float nan = {nan}> "
                                    f"{{ {SPECIAL_MODELS[name]} }}")
    x = np.array([SPECIAL], np.float32)
    if name == "sine":
        x[np.abs(x) == np.float32(1e30)] = 3  # beyond 2e5 the wafer says NaN
    program = wl.compile(proto.SerializeToString(), target="grid-3x2", precision=precision, sample="none")
    want, = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_allclose(program.run({"x": x}).outputs["y"], want, rtol=1e-6, atol=1e-6)


def test_angles_beyond_the_range_are_not_numbers():
    proto = onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 18]> g (float[1, 3] x) => (float[1, 3] y) '
                                    "{ y = Cos(x) }")
    y = wl.compile(proto.SerializeToString(), target="grid-1x1").run({"x": np.array([[2.1e5, -1e9, 1]], np.float32)})
    np.testing.assert_allclose(y.outputs["y"], [[np.nan, np.nan, np.cos(1)]], atol=1e-6)
