"""Weights of int8 and uint8 behind DequantizeLinear: they stay integers up to the writing
of the image, with one scale or one per index of an axis, and compute what ONNX Runtime
computes."""

import numpy as np
import onnx
import onnxruntime
import pytest
import waferloom as wl
from onnx import TensorProto, helper, numpy_helper
from test_level_texts import check_levels, compiled

RNG = np.random.default_rng(8)
GRIDS = ["grid-1x1", "grid-1x7", "grid-3x5"]


def weights(shape, axis, kind=np.int8, zeros="zeros", scale=np.float32, raw=True):
    """`w`, `s` and `z` of a DequantizeLinear: initializers, by name."""
    limits = np.iinfo(kind)
    count = () if axis is None else (shape[axis],)
    arrays = {"w": RNG.integers(limits.min, limits.max + 1, shape, kind),
              "s": np.asarray(RNG.uniform(0.002, 0.01, count), scale)}
    if zeros == "zeros":
        arrays["z"] = np.asarray(RNG.integers(limits.min, limits.max + 1, count, kind))
    elif zeros == "nothing":
        arrays["z"] = np.zeros(count, kind)
    return [numpy_helper.from_array(array, name) if raw or name == "w" else
            helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.flatten().tolist())
            for name, array in arrays.items()]


def dequantize(tensors, **attributes):
    inputs = [name for name in "wsz" if any(tensor.name == name for tensor in tensors)]
    return helper.make_node("DequantizeLinear", inputs, ["d"], name="numbers",
                            **{key: number for key, number in attributes.items() if number is not None})


def model(nodes, shape, tensors, kind=TensorProto.FLOAT, opset=21):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, shape)],
                              [helper.make_tensor_value_info("y", kind, None)], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(made)


def expected(model, feeds):
    """As the file says it: optimised, ONNX Runtime multiplies integers and rounds `x` to 8 bits for it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    result, = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)
    return result


def check(proto, shape, grid, limit=1e-5, kind=np.float32):
    x = RNG.standard_normal(shape).astype(kind)
    text = proto.SerializeToString()
    want = expected(text, {"x": x})
    got = wl.compile(text, target=grid).run({"x": x}).outputs["y"]
    assert got.shape == want.shape
    assert np.abs(got - want.astype(np.float32)).max() <= limit * max(1.0, np.abs(want).max())


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("zeros", ["zeros", "nothing", None])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_products(axis, zeros, kind, grid):
    tensors = weights((13, 7), axis, kind, zeros)
    nodes = [dequantize(tensors, axis=axis), helper.make_node("MatMul", ["x", "d"], ["y"])]
    check(model(nodes, [3, 13], tensors), (3, 13), grid)


@pytest.mark.parametrize("kind, zeros", [(np.int8, "zeros"), (np.int32, None)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_axis_of_three(axis, kind, zeros):
    """The numbers themselves, to the bit."""
    tensors = weights((4, 3, 5), axis, kind, zeros)
    proto = model([dequantize(tensors, axis=axis), helper.make_node("Mul", ["x", "d"], ["y"])], [4, 3, 5], tensors)
    text, x = proto.SerializeToString(), np.ones((4, 3, 5), np.float32)
    want = expected(text, {"x": x})
    assert np.array_equal(wl.compile(text, target="grid-2x3").run({"x": x}).outputs["y"], want)


def test_f16():
    tensors = weights((13, 7), 1, scale=np.float16)
    nodes = [dequantize(tensors, axis=1), helper.make_node("MatMul", ["x", "d"], ["y"])]
    check(model(nodes, [3, 13], tensors, TensorProto.FLOAT16), (3, 13), "grid-2x3", 2e-3, np.float16)


def test_a_table_that_is_looked_up():
    """Rows of an embedding with a scale each."""
    tensors = weights((11, 6), 0)
    graph = helper.make_graph(
        [dequantize(tensors, axis=0), helper.make_node("Gather", ["d", "ids"], ["y"])], "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3, 6])], tensors)
    text = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    ids = RNG.integers(0, 11, (2, 3))
    want = expected(text, {"ids": ids})
    assert np.array_equal(wl.compile(text, target="grid-3x2").run({"ids": ids}).outputs["y"], want)


def product(folder, **how):
    tensors = weights((13, 7), 1)
    nodes = [dequantize(tensors, axis=1), helper.make_node("MatMul", ["x", "d"], ["y"])]
    path = folder / "model.onnx"
    onnx.save(model(nodes, [3, 13], tensors), path, **how)
    return path


def test_integers_stay_in_their_file(tmp_path):
    """Every level names their place in the model. Each compiles on to the same image."""
    image, levels = compiled(product(tmp_path), tmp_path, ["--target=grid-3x2"])
    for level in levels[1:]:
        text = level.read_text()
        assert "blocks <91 by 1 bits 8 size 1 signed period 7 scales f32 zeros packed from" in text, level.name
    check_levels(image, levels, tmp_path)


def test_files_beside_the_model(tmp_path):
    path = product(tmp_path, save_as_external_data=True, location="w.bin", size_threshold=0)
    x = RNG.standard_normal((3, 13)).astype(np.float32)
    want = expected(str(path), {"x": x})
    got = wl.compile(path, target="grid-2x2").run({"x": x}).outputs["y"]
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
    _, levels = compiled(path, tmp_path, ["--target=grid-2x2"])
    (tmp_path / "w.bin").unlink()
    for source in (path, levels[1], levels[4]):
        with pytest.raises(wl.CompileError, match="w.bin"):
            wl.compile(source, target="grid-2x2")
    shape_only = wl.compile(path, target="grid-2x2", weights=False)
    assert shape_only.summary["fit"]["weights"] > 0
    (tmp_path / "w.bin").write_bytes(b"short")
    with pytest.raises(wl.CompileError, match="w.bin"):
        wl.compile(levels[1])


REFUSED = {
    "blocks": (dict(axis=0, block_size=13), {}, "has scales of shape .7. for blocks of 13 along axis 0 of 13"),
    "axis": (dict(axis=0), {}, r"has scales of shape \[7\] for 13 indices of axis 0"),
    "scales as a list": (dict(axis=1), dict(raw=False), "its scales are no weight whose bytes the file holds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    attributes, how, message = REFUSED[case]
    tensors = weights((13, 7), 1, **how)
    nodes = [dequantize(tensors, **attributes), helper.make_node("MatMul", ["x", "d"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 13])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 7])], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(wl.CompileError, match=message):
        wl.compile(proto.SerializeToString(), target="grid-2x2")
