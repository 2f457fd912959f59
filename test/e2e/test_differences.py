"""docs/differences.md: each row that no other test shows, beside ONNX Runtime; and that the page names tests that are
there and the tolerance that they have."""

import re

import numpy as np
import onnx.parser
import onnxruntime as ort
import pytest
from conftest import TOP
from onnx import numpy_helper

import waferloom as wl

ort.set_default_logger_severity(4)
PAGE = TOP / "docs/differences.md"
TARGET = {"target": "grid-3x2,sram=512KiB", "region": (2, 2)}


def both(text, feed, opset=20):
    """(ours, ONNX Runtime's); ours is an error where a step is refused."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}, "com.microsoft" : 1]> g {text}')
    for tensor in proto.graph.initializer:  # as bytes, which packed weights are read from
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return (lambda: wl.compile(proto.SerializeToString(), **TARGET).run(feed).outputs["y"],
            lambda: session.run(None, feed)[0])


def test_the_page_names_tests_that_are_there():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    for row in rows:
        for name in re.findall(r"test_\w+(?:\.py)?", row):
            if name.endswith(".py"):
                assert list(TOP.glob(f"test/*/{name}")), name
            else:
                assert name in globals(), name


def test_the_tolerance_is_that_of_the_node_tests():
    worker = (TOP / "test/nodes/worker.py").read_text()
    assert "max(rtol, 2e-2 if wanted.dtype.itemsize < 4 else 1e-3)" in worker
    assert "at most 1e-3 (f16, bf16: 2e-2)" in PAGE.read_text()


def test_int_overflow():
    """Nobody gets a number that wrapped: the input is refused that would lead there."""
    ours, theirs = both("(int64[3] x, int64[3] z) => (int64[3] y) { y = Mul(x, z) }",
                        {"x": np.array([2 ** 20, 1, 1]), "z": np.array([2 ** 20, 1, 1])})
    assert theirs()[0] == 2 ** 40
    with pytest.raises((wl.CompileError, wl.ExecutionError), match="32 bits|values must be in"):
        ours()


@pytest.mark.parametrize("operator, indices", [("Gather", [0, 3]), ("GatherElements", [[0, -3, 3, 2]])])
def test_an_index_outside_is_an_error(operator, indices):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    i = np.array(indices)
    ours, theirs = both(f"(float[3,4] x, int64{list(i.shape)} i) => (float[N, 4] y) {{ y = {operator}(x, i) }}",
                        {"x": x, "i": i})
    with pytest.raises(wl.ExecutionError, match=f"has 3 at element {i.size // 2 if i.ndim > 1 else 1}"):
        ours()
    with pytest.raises(Exception, match=f"running {operator} node"):
        theirs()


def test_an_index_that_nobody_checks_gives_0():
    x = 1 + np.arange(12, dtype=np.float32).reshape(3, 4)
    i = np.array([[[0, 3], [0, 4]], [[5, 1], [-1, -4]]])
    ours, theirs = both("(float[3,4] x, int64[2,2,2] i) => (float[2,2] y) { y = GatherND(x, i) }", {"x": x, "i": i})
    np.testing.assert_array_equal(ours(), [[4, 0], [0, 9]])
    with pytest.raises(Exception, match="invalid index"):
        theirs()


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_far_below_is_0(approximate):
    x = np.array([-np.inf, -1e30, -20, 0, np.inf, np.nan], np.float32)
    ours, _ = both(f'(float[6] x) => (float[6] y) {{ y = Gelu<approximate = "{approximate}">(x) }}', {"x": x})
    found = ours()
    assert (found[:4] == 0).all() and found[4] == np.inf and np.isnan(found[5])


def test_gates_that_are_not_normalized():
    random = np.random.default_rng(3)
    packed = ["".join(f"{x}, " for x in random.integers(0, 256, 3 * 16 * 16))[:-2] for _ in range(2)]
    scales = "".join(f"{x}, " for x in random.random(3 * 16).astype(np.float32) / 256)[:-2]
    x, s = (random.standard_normal(shape).astype(np.float32) for shape in ((5, 16), (5, 3)))

    def experts(normalize):
        return both(f'(float[5,16] x, float[5,3] s) => (float[5,16] y) <uint8[3,16,16] u = {{{packed[0]}}}, '
                    f'float[3,16] a = {{{scales}}}, uint8[3,16,16] d = {{{packed[1]}}}> {{ y = com.microsoft.QMoE<k = 2, '
                    f'expert_weight_bits = 8, normalize_routing_weights = {normalize}>(x, s, u, a, "", d, a) }}',
                    {"x": x, "s": s})

    ours, theirs = experts(1)
    normalized = ours()
    np.testing.assert_allclose(normalized, theirs(), rtol=2e-2, atol=1e-3)
    shares = np.sort(np.exp(s) / np.exp(s).sum(1, keepdims=True))[:, 1:].sum(1, keepdims=True)
    ours, theirs = experts(0)
    np.testing.assert_allclose(ours(), normalized * shares, rtol=1e-4, atol=1e-6)
    assert np.abs(theirs() - ours()).max() > 1e-3


def test_powers_are_near():
    random = np.random.default_rng(0)
    x, e = random.uniform(0.1, 9, (5, 7)).astype(np.float32), random.uniform(-3, 3, (5, 7)).astype(np.float32)
    ours, theirs = both("(float[5,7] x, float[5,7] e) => (float[5,7] y) { y = Pow(x, e) }", {"x": x, "e": e})
    np.testing.assert_allclose(ours(), theirs(), rtol=1e-5)


def test_samples_beside_infinities():
    x = np.ones((1, 2, 3, 3), np.float32)
    x[0, 1, 2, 2] = np.inf
    grid = np.array([[-1, -1], [-0.5, -0.5]], np.float32).reshape(1, 1, 2, 2)
    ours, theirs = both("(float[1,2,3,3] x, float[1,1,2,2] grid) => (float[1,2,1,2] y) "
                        "{ y = GridSample<align_corners = 1>(x, grid) }", {"x": x, "grid": grid})
    assert (theirs() == 1).all()
    assert (ours()[0, 0] == 1).all() and np.isnan(ours()[0, 1]).all()
