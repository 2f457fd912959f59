"""Small graphs in which one value has several readers that want it to lie in
different ways: slices and outputs beside a softmax, a value and its own
transpose, equal blocks whose ends lie otherwise than their beginnings. ONNX
Runtime says what they compute."""

import numpy as np
import onnx
import onnxruntime
import pytest
import waferloom as wl
from onnx import helper, numpy_helper

GRIDS = ["grid-2x2", "grid-5x3", "grid-8x8"]


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def build(nodes, inputs, outputs, constants=None):
    def info(name, shape=None):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes, "g", [info(name, shape) for name, shape in inputs.items()], [info(name) for name in outputs.split()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def check(model, grid, limit=1e-5):
    rng = np.random.default_rng(7)
    feeds = {i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32)
             for i in model.graph.input}
    text = model.SerializeToString()
    expected = onnxruntime.InferenceSession(text).run(None, feeds)
    found = wl.compile(text, target=grid).run(feeds).outputs
    assert len(found) == len(expected)
    for output, array in zip(model.graph.output, expected):
        ours = found[output.name]
        assert ours.shape == array.shape, output.name
        assert np.abs(ours - array).max() <= limit * max(1.0, np.abs(array).max()), output.name


def cut(value, output, begin, end, axis, constants):
    """A slice of `value`; its bounds join `constants`."""
    for name, number in (("begin", begin), ("end", end), ("axis", axis)):
        constants[f"{output}_{name}"] = np.array([number], np.int64)
    return node("Slice", f"{value} {output}_begin {output}_end {output}_axis", output)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("shape, axis, begin, end, sliced", [
    ((3, 6), 0, 2, 6, 1), ((3, 6), 1, 2, 6, 1), ((3, 6), 1, 1, 3, 0), ((7, 5), 0, 0, 3, 1), ((2, 3, 11), 1, 4, 9, 2)])
def test_a_slice_beside_a_softmax(grid, shape, axis, begin, end, sliced):
    constants = {}
    nodes = [node("Softmax", "x", "s", axis=axis), cut("x", "t", begin, end, sliced, constants)]
    check(build(nodes, {"x": shape}, "s t", constants), grid)


@pytest.mark.parametrize("grid", GRIDS)
def test_slices_a_join_and_a_sum_beside_a_softmax(grid):
    constants = {}
    nodes = [node("Exp", "x", "e"), node("Softmax", "e", "s", axis=0), cut("e", "t", 2, 6, 1, constants),
             cut("e", "u", 0, 3, 1, constants), node("Concat", "t u", "c", axis=1),
             node("ReduceSum", "e", "r", keepdims=1)]
    check(build(nodes, {"x": (3, 7)}, "s c e r", constants), grid)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("rows, columns", [(2, 5), (4, 4), (3, 7)])
@pytest.mark.parametrize("outputs", ["m", "e m", "e t m"])
def test_a_product_with_its_own_transpose(grid, rows, columns, outputs):
    nodes = [node("Exp", "x", "e"), node("Transpose", "e", "t", perm=[1, 0]), node("MatMul", "e t", "m")]
    check(build(nodes, {"x": (rows, columns)}, outputs), grid)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size", [4, 5, 8])
@pytest.mark.parametrize("computed", [False, True])
def test_a_product_with_itself(grid, size, computed):
    nodes = [node("Exp", "x", "a")] if computed else []
    name = "a" if computed else "x"
    nodes += [node("MatMul", f"{name} {name}", "m"), node("MatMul", f"m {name}", "n")]
    check(build(nodes, {"x": (size, size)}, "m n"), grid)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size", [4, 5, 8])
@pytest.mark.parametrize("outputs", ["b", "e b", "e b q t"])
def test_a_sum_with_its_own_transpose(grid, size, outputs):
    nodes = [node("Exp", "x", "e"), node("Transpose", "e", "t", perm=[1, 0]), node("Add", "e t", "b"),
             node("MatMul", "e b", "q")]
    check(build(nodes, {"x": (size, size)}, outputs), grid)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_transpose_of_two_of_three_dimensions(grid):
    nodes = [node("Tanh", "x", "e"), node("Transpose", "e", "t", perm=[1, 0, 2]), node("Sub", "e t", "b"),
             node("Softmax", "b", "s", axis=1)]
    check(build(nodes, {"x": (4, 4, 6)}, "b s t"), grid)


def blocks(count, width, form):
    """`count` equal blocks of one norm and one product each."""
    rng = np.random.default_rng(3)
    nodes, constants, value = [], {}, "x"
    for i in range(count):
        constants[f"g{i}"] = rng.standard_normal(width).astype(np.float32)
        constants[f"w{i}"] = (rng.standard_normal((width, width)) / width ** 0.5).astype(np.float32)
        nodes += [node("LayerNormalization", f"{value} g{i}", f"n{i}"), node("MatMul", f"n{i} w{i}", f"p{i}")]
        if form == "plain":
            nodes.append(node("Tanh", f"p{i}", f"y{i}"))
        else:
            operands = f"{value} p{i}" if form == "x + p" else f"p{i} {value}"
            nodes.append(node("Add", operands, f"y{i}"))
        value = f"y{i}"
    return nodes, constants, value


@pytest.mark.parametrize("grid", ["grid-5x3", "grid-6x6"])
@pytest.mark.parametrize("form", ["x + p", "p + x", "plain"])
@pytest.mark.parametrize("count, width", [(2, 8), (3, 10), (4, 8)])
def test_equal_blocks_of_one_product(grid, form, count, width):
    nodes, constants, last = blocks(count, width, form)
    check(build(nodes, {"x": (1, 3, width)}, last, constants), grid, 1e-4)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("first, second, shape", [(3, 7, (2, 5)), (1, 5, (3, 2)), (5, 4, (3, 3))])
def test_a_seam_inside_a_factor(grid, first, second, shape):
    """Parts are joined, and the whole is seen as rows that the seam cuts."""
    constants = {"w": np.arange(first, dtype=np.float32) - 1, "shape": np.array(shape, np.int64)}
    nodes = [node("Concat", "w x", "c", axis=0), node("Softmax", "c", "s", axis=0), node("Reshape", "s shape", "y")]
    check(build(nodes, {"x": (second,)}, "y", constants), grid)
