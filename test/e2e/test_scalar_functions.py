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
