"""Element types of files that the wafer does not have: inputs, outputs and weights of them keep the types of the
model, in Python and in archives of the command line."""

import subprocess

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import BIN, BothEngines
from onnx import TensorProto, helper, numpy_helper

import waferloom as wl

ort.set_default_logger_severity(4)
TARGET = {"target": "grid-3x2,sram=512KiB", "region": (2, 2)}
RNG = np.random.default_rng(3)


def model(nodes, inputs, outputs, weights=(), opset=21):
    """A model of nodes, from (name, type, shape) of its inputs and outputs."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value(*i) for i in inputs], [value(*o) for o in outputs],
                              [w if isinstance(w, TensorProto) else numpy_helper.from_array(w[1], w[0]) for w in weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def wanted_of(proto, feed):
    """As the file says it: what ONNX Runtime makes of it may round operands of products to 8 bits."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(proto.SerializeToString(), options).run(None, feed)[0]


def run(proto, feed, **options):
    return BothEngines(wl.compile(proto.SerializeToString(), **TARGET, **options)).run(feed).outputs


INTEGERS = ["int8", "uint8", "int16", "uint16", "uint32", "uint64", "int32", "int64"]


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_keep_their_type(name):
    dtype = np.dtype(name)
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    proto = model([helper.make_node("Max", ["x", "w"], ["y"]), helper.make_node("Identity", ["y"], ["z"])],
                  [("x", kind, (3, 7))], [("y", kind, (3, 7)), ("z", kind, (3, 7))],
                  [("w", np.arange(7).astype(dtype))])
    x = RNG.integers(0, 100, (3, 7)).astype(dtype)
    program = wl.compile(proto.SerializeToString(), **TARGET)
    assert [info.dtype for info in (*program.inputs, *program.outputs)] == [dtype] * 3
    for found in program.run({"x": x}).outputs.values():
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, np.maximum(x, np.arange(7).astype(dtype)))
    with pytest.raises(wl.ExecutionError, match="at element 0"):  # what the type does not hold
        program.run({"x": np.full((3, 7), -1000 if dtype.itemsize < 2 or dtype.kind == "u" else 2 ** 40)})


def test_sums_of_narrow_integers_wrap():
    proto = model([helper.make_node("Add", ["x", "w"], ["y"])], [("x", TensorProto.INT8, (5, 3))],
                  [("y", TensorProto.INT8, (5, 3))], [("w", np.array([100, 1, -100], np.int8))])
    x = RNG.integers(-128, 128, (5, 3)).astype(np.int8)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(run(proto, {"x": x})["y"], x + np.array([100, 1, -100], np.int8))


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "uint16"])
def test_floats_become_narrow_integers_as_runtimes_have_it(name):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(name))
    proto = model([helper.make_node("Cast", ["x"], ["y"], to=kind)], [("x", TensorProto.FLOAT, (4, 5))],
                  [("y", kind, (4, 5))])
    x = (RNG.standard_normal((4, 5)) * 90).astype(np.float32)
    wanted = wanted_of(proto, {"x": x})
    np.testing.assert_array_equal(run(proto, {"x": x})["y"], wanted)


def test_archives_of_the_command_line_have_the_types_of_the_model(tmp_path):
    proto = model([helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Add", ["d", "d"], ["e"]),
                   helper.make_node("Cast", ["d"], ["u"], to=TensorProto.UINT16)],
                  [("x", TensorProto.INT8, (2, 3)), ("d", TensorProto.DOUBLE, (3,))],
                  [("y", TensorProto.INT8, (2, 3)), ("e", TensorProto.DOUBLE, (3,)), ("u", TensorProto.UINT16, (3,))])
    onnx.save(proto, tmp_path / "m.onnx")
    x, d = np.array([[1, -2, 3], [4, 5, -6]], np.int8), np.array([0.5, 300, 65535])
    np.savez(tmp_path / "in.npz", x=x, d=d)
    subprocess.run([BIN / "waferloom", "compile", "m.onnx", "-o", "m.wafer", "--target", TARGET["target"]], check=True,
                   cwd=tmp_path)
    subprocess.run([BIN / "waferloom", "run", "m.wafer", "--input", "in.npz", "--output", "out.npz"], check=True,
                   cwd=tmp_path)
    found = np.load(tmp_path / "out.npz")
    for name, wanted in {"y": -x, "e": 2 * d, "u": d.astype(np.uint16)}.items():
        assert found[name].dtype == wanted.dtype
        np.testing.assert_array_equal(found[name], wanted)


def test_doubles_are_computed_in_single_precision_with_a_word():
    proto = model([helper.make_node("Mul", ["x", "w"], ["y"]), helper.make_node("Add", ["y", "c"], ["z"])],
                  [("x", TensorProto.DOUBLE, (3, 5))], [("z", TensorProto.DOUBLE, (3, 5))],
                  [("w", RNG.standard_normal((3, 5))), ("c", np.array(0.1))])
    x = RNG.standard_normal((3, 5))
    program = wl.compile(proto.SerializeToString(), **TARGET)
    assert any("single precision" in d.message for d in program.diagnostics)
    found = program.run({"x": x}).outputs["z"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, x * numpy_helper.to_array(proto.graph.initializer[0]) + 0.1, rtol=1e-5, atol=1e-6)
    with pytest.raises(wl.ExecutionError, match="float64"):  # where the model has singles, doubles are no input
        single = model([helper.make_node("Neg", ["x"], ["y"])], [("x", TensorProto.FLOAT, (3, 5))],
                       [("y", TensorProto.FLOAT, (3, 5))])
        run(single, {"x": x})


@pytest.mark.parametrize("precision", ["model", "f16"])
@pytest.mark.parametrize("raw", [True, False])
def test_weights_of_bfloat16_are_widened(precision, raw, tmp_path):
    import ml_dtypes
    w = RNG.standard_normal((9, 7)).astype(ml_dtypes.bfloat16)
    weight = numpy_helper.from_array(w, "w")
    if not raw:
        weight = helper.make_tensor("w", TensorProto.BFLOAT16, w.shape, w.astype(np.float32).ravel().tolist())
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", TensorProto.BFLOAT16, (5, 9))],
                  [("y", TensorProto.BFLOAT16, (5, 7))], [weight])
    x = RNG.standard_normal((5, 9)).astype(ml_dtypes.bfloat16)
    found = run(proto, {"x": x}, precision=precision)["y"]
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(found.astype(np.float32), x.astype(np.float32) @ w.astype(np.float32), rtol=2e-2,
                               atol=3e-2)


SMALL = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float4_e2m1fn"]


@pytest.mark.parametrize("saturate", [1, 0])
@pytest.mark.parametrize("name", SMALL)
def test_floats_are_rounded_to_small_ones(name, saturate):
    """All ties and ends: what lies halfway between neighbours, and beyond the largest."""
    import ml_dtypes
    dtype = np.dtype(getattr(ml_dtypes, name))
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    if name.startswith("float4") and not saturate:
        pytest.skip("has nothing for what overflows")
    bits = 4 if name.startswith("float4") else 8
    known = np.arange(2 ** bits, dtype=np.uint8).view(dtype).astype(np.float32)
    known = np.sort(known[np.isfinite(known)])
    x = np.concatenate([known, (known[1:] + known[:-1]) / 2, known * np.float32(1.02), [1e9, -1e9]]).astype(np.float32)
    attributes = {} if bits == 4 else {"saturate": saturate}
    proto = model([helper.make_node("Cast", ["x"], ["s"], to=kind, **attributes),
                   helper.make_node("Cast", ["s"], ["y"], to=TensorProto.FLOAT)],
                  [("x", TensorProto.FLOAT, x.shape)], [("s", kind, x.shape), ("y", TensorProto.FLOAT, x.shape)],
                  opset=23)
    wanted = x.astype(dtype).astype(np.float32)
    if saturate:
        wanted = np.where(np.isfinite(wanted), wanted, np.copysign(known[-1], x))
        wanted = np.clip(wanted, known[0], known[-1])
    found = run(proto, {"x": x})
    np.testing.assert_array_equal(found["y"], wanted)
    np.testing.assert_array_equal(found["s"].astype(np.float32), wanted)
    assert found["s"].dtype == dtype


@pytest.mark.parametrize("kind, low, high", [("INT4", -8, 8), ("UINT4", 0, 16), ("INT8", -99, 99), ("UINT8", 0, 99)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("form", ["tensor", "axis", "block"])
def test_constants_are_dequantized(kind, low, high, axis, form):
    shape, block = (6, 10), 2
    integers = RNG.integers(low, high, shape)
    of_scales = {"tensor": (), "axis": shape[axis:axis + 1],
                 "block": tuple(n // block if i == axis else n for i, n in enumerate(shape))}[form]
    scales = RNG.uniform(0.1, 1, of_scales).astype(np.float32)
    zeros = RNG.integers(max(low, 0), high, of_scales)
    element = getattr(TensorProto, kind)
    weights = [helper.make_tensor("q", element, shape, integers.ravel().tolist()), ("s", scales),
               helper.make_tensor("z", element, of_scales, zeros.ravel().tolist())]
    attributes = {"axis": axis, "block_size": block} if form == "block" else {"axis": axis} if form == "axis" else {}
    proto = model([helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], **attributes),
                   helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", TensorProto.FLOAT, (3, 6))],
                  [("y", TensorProto.FLOAT, (3, 10))], weights)
    x = RNG.standard_normal((3, 6)).astype(np.float32)
    wanted = wanted_of(proto, {"x": x})
    np.testing.assert_allclose(run(proto, {"x": x})["y"], wanted, rtol=1e-4, atol=1e-3)


def test_inputs_without_elements_are_taken():
    proto = model([helper.make_node("ReduceSum", ["e", "one"], ["s"], keepdims=1),
                   helper.make_node("ReduceMax", ["e", "one"], ["m"], keepdims=0),
                   helper.make_node("Add", ["x", "s"], ["y"])],
                  [("x", TensorProto.FLOAT, (2, 1, 4)), ("e", TensorProto.FLOAT, (2, 0, 4))],
                  [("y", TensorProto.FLOAT, (2, 1, 4)), ("m", TensorProto.FLOAT, (2, 4))],
                  [("one", np.array([1], np.int64))])
    x = RNG.standard_normal((2, 1, 4)).astype(np.float32)
    found = run(proto, {"x": x, "e": np.zeros((2, 0, 4), np.float32)})
    np.testing.assert_array_equal(found["y"], x)
    np.testing.assert_array_equal(found["m"], np.full((2, 4), -np.inf))
    nothing = model([helper.make_node("Neg", ["e"], ["y"])], [("e", TensorProto.FLOAT, (2, 0, 4))],
                    [("y", TensorProto.FLOAT, (2, 0, 4))])
    with pytest.raises(wl.CompileError, match=r"\[2, 0, 4\] has no elements"):
        wl.compile(nothing.SerializeToString(), **TARGET)


def test_halves_of_a_file_are_gathered():
    """A weight in halves is sorted along both of its dimensions, each of which may cross PEs."""
    w = RNG.permutation(28).reshape(7, 4).astype(np.float16)
    nodes = [helper.make_node("ArgMin", ["w"], ["least"], axis=1, keepdims=1),
             helper.make_node("TopK", ["w", "six"], ["down", "i0"], axis=0),
             helper.make_node("TopK", ["down", "four"], ["v1", "order"], axis=1, largest=0),
             helper.make_node("TopK", ["w", "two"], ["v2", "first"], axis=1, largest=0)]
    int64 = TensorProto.INT64
    proto = model(nodes, [], [("least", int64, (7, 1)), ("order", int64, (6, 4)), ("first", int64, (7, 2))],
                  [("w", w), ("six", np.array([6])), ("four", np.array([4])), ("two", np.array([2]))])
    found = BothEngines(wl.compile(proto.SerializeToString(), target="grid-1x6,sram=256KiB")).run({}).outputs
    np.testing.assert_array_equal(found["least"], w.argmin(axis=1, keepdims=True))
    np.testing.assert_array_equal(found["order"], np.argsort(-np.sort(-w, axis=0)[:6], axis=1))
    np.testing.assert_array_equal(found["first"], np.argsort(w, axis=1)[:, :2])


@pytest.mark.parametrize("x", [[1.3, 0.3, -0.7, -1.7], [0] * 7, np.arange(-511, 512, 2) * 0.125, [-3, -2.5, -0.01], [5, 2, 7.5]],
                         ids=["quotient", "zeros", "halves", "below 0", "above 0"])
def test_dynamic_quantization_is_that_of_the_runtime(x):
    """A scale and quotients that are rounded once; the second value of the first case is a half of the scale."""
    x = np.array(x, np.float32)
    proto = model([helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])], [("x", TensorProto.FLOAT, x.shape)],
                  [("y", TensorProto.UINT8, x.shape), ("s", TensorProto.FLOAT, ()), ("z", TensorProto.UINT8, ())])
    found = run(proto, {"x": x})
    wanted = ort.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    for name, value in zip("ysz", wanted):
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("declared, op", [("INT8", "Neg"), ("BOOL", "Neg"), ("FLOAT", "Shape"), ("INT64", "IsNaN")])
def test_an_output_is_of_the_kind_that_it_is_declared_as(declared, op):
    """ONNX Runtime does not load such a file; here an output of int8 once failed behind the import."""
    proto = model([helper.make_node(op, ["x"], ["y"])], [("x", TensorProto.FLOAT, [3])],
                  [("y", getattr(TensorProto, declared), [1 if op == "Shape" else 3])])
    with pytest.raises(Exception, match="Type Error"):
        ort.InferenceSession(proto.SerializeToString())
    with pytest.raises(wl.CompileError, match="output 'y' is declared as .*, but its node makes .*(.|\n)*Cast"):
        wl.compile(proto.SerializeToString(), **TARGET)
