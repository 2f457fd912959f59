"""Weights that stay integers on the cores: every code of every format gives its number to the bit, models compute what
they compute with the numbers written out, and a core holds little more than the bits."""

import numpy as np
import onnx
import pytest
from conftest import BothEngines
from kinds import in_blocks
from onnx import TensorProto, helper, numpy_helper
from test_level_texts import check_levels, compiled

import waferloom as wl
from waferloom import zoo

GRIDS = ["grid-1x1", "grid-7x1", "grid-1x5", "grid-7x5", "grid-8x8"]
RNG = np.random.default_rng(13)


def model(nodes, inputs, tensors, kind=TensorProto.FLOAT):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, inputs)],
                              [helper.make_tensor_value_info("y", kind, None)], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
                             ir_version=10)
    return made.SerializeToString()


def product_of_blocks(rows, columns, bits, block, zeros, scale):
    """x times the transpose of a weight [rows, columns] of MatMulNBits, and the weight's numbers as the file says them."""
    blocks = -(-columns // block)
    codes = RNG.permutation(np.arange(rows * blocks * block) % 2**bits).reshape(rows, blocks, block).astype(np.uint8)
    scales = RNG.uniform(0.01, 0.1, (rows, blocks)).astype(scale)
    tensors, zero = [], np.full((rows, blocks), 2.0 ** (bits - 1))
    each = 8 // bits
    pack = lambda codes: sum(codes[..., i::each].astype(int) << (i * bits) for i in range(each)).astype(np.uint8)
    if zeros == "packed":
        zero = RNG.integers(0, 2**bits, (rows, blocks))
        tensors = [numpy_helper.from_array(pack(np.pad(zero, ((0, 0), (0, -blocks % each)))), "z")]
    elif zeros == "scaled":
        zero = RNG.uniform(0, 2**bits, (rows, blocks)).astype(scale)
        tensors = [numpy_helper.from_array(zero, "z")]
    tensors += [numpy_helper.from_array(pack(codes), "w"), numpy_helper.from_array(scales, "s")]
    numbers = (codes.astype(np.float32) - zero[..., None].astype(np.float32)) * scales[..., None].astype(np.float32)
    node = helper.make_node("MatMulNBits", ["x", "w", "s"] + ["z"] * (zeros != "middle"), ["y"], domain="com.microsoft",
                            K=columns, N=rows, bits=bits, block_size=block)
    return node, tensors, numbers.reshape(rows, -1)[:, :columns].astype(scale)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("scale", [np.float32, np.float16])
@pytest.mark.parametrize("zeros", ["middle", "packed", "scaled"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_code_of_blocks(bits, zeros, scale, grid):
    """Rows of the identity take one number each."""
    if zeros == "scaled" and scale == np.float16:
        pytest.skip("a difference is rounded there, which test_precision has")
    node, tensors, numbers = product_of_blocks(19, 40, bits, 16, zeros, scale)
    kind = TensorProto.FLOAT if scale == np.float32 else TensorProto.FLOAT16
    x = np.eye(40, dtype=scale)
    program = wl.compile(model([node], [40, 40], tensors, kind), target=grid, weights="kept")
    result = BothEngines(program).run({"x": x}).outputs["y"]
    np.testing.assert_array_equal(result, numbers.T.astype(np.float32))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("zeros", [None, "packed"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_every_code_of_channels(axis, zeros, kind, grid):
    limits, shape = np.iinfo(kind), (24, 22)
    codes = RNG.permutation(np.arange(24 * 22) % 256 + limits.min).reshape(shape).astype(kind)
    count = () if axis is None else (shape[axis],)
    scales = np.asarray(RNG.uniform(0.002, 0.01, count), np.float32)
    zero = np.asarray(RNG.integers(limits.min, limits.max + 1, count, kind))
    tensors = [numpy_helper.from_array(array, name) for name, array in (("w", codes), ("s", scales), ("z", zero))]
    inputs = ["w", "s", "z"] if zeros else ["w", "s"]
    attributes = {} if axis is None else {"axis": axis}
    nodes = [helper.make_node("DequantizeLinear", inputs, ["d"], **attributes), helper.make_node("MatMul", ["x", "d"], ["y"])]
    spread = [1, 1] if axis is None else [-1 if i == axis else 1 for i in range(2)]
    taken = zero.astype(np.float32).reshape(spread) if zeros else np.float32(0)
    numbers = (codes.astype(np.float32) - taken) * scales.reshape(spread)
    program = wl.compile(model(nodes, [24, 24], tensors if zeros else tensors[:2]), target=grid, weights="kept")
    result = BothEngines(program).run({"x": np.eye(24, dtype=np.float32)}).outputs["y"]
    np.testing.assert_array_equal(result, numbers)


SHAPE = zoo.Shape(layers=4, width=48, heads=6, kv_heads=3, head_dim=8, hidden=80, vocabulary=90, positions=64)


@pytest.fixture(scope="module", params=[4, 8])
def packed(request):
    """A Llama in so many bits, and with these numbers written out."""
    return in_blocks(zoo.build(SHAPE, zoo.weights(SHAPE, seed=6)), request.param, 16)


def logits(program, count=6):
    session = BothEngines(program)
    return np.array([session.run({"input_ids": [[7 * i % 90]]}).outputs["logits"] for i in range(count)])


@pytest.mark.parametrize("precision, limit", [("model", 1e-5), ("f16", 2e-2)])
@pytest.mark.parametrize("where", [dict(target="grid-8x8,sram=256KiB"), dict(target="grid-7x5,sram=256KiB"),
                                   dict(target="grid-1x12,sram=256KiB"), dict(target="grid-1x1,sram=4MiB"),
                                   dict(target="wse3", region=(6, 6), stages=3),
                                   dict(target="grid-5x3,sram=256KiB", chunks=[4])])
def test_a_llama(packed, where, precision, limit):
    small, numbers = packed
    program = wl.compile(small, context=24, weights="kept", precision=precision, **where)
    theirs = logits(wl.compile(numbers, context=24, precision=precision, **where))
    np.testing.assert_allclose(logits(program), theirs, atol=limit * np.abs(theirs).max(), rtol=0)
    expanded = wl.compile(small, context=24, weights="expanded", precision=precision, **where)
    assert program.summary["fit"]["weights"] <= expanded.summary["fit"]["weights"]


def test_levels_go_on(packed, tmp_path):
    """Every level from the third on says which weights are kept, and compiles on to the same image."""
    path = tmp_path / "model.onnx"
    path.write_bytes(packed[0])
    image, levels = compiled(path, tmp_path, ["--target=grid-7x5,sram=256KiB", "--context=24", "--weights=kept"])
    check_levels(image, levels, tmp_path)
    for level in levels[2:5]:
        assert "wafer.kept" in level.read_text(), level.name
    assert "packed <codes groups[" in levels[5].read_text()


def test_kept_where_it_does_not_fit_otherwise(packed):
    """`auto` expands what fits; a memory that does not hold the numbers takes the integers."""
    small, _ = packed

    def weights(memory, **options):
        return wl.compile(small, target=f"grid-4x4,sram={memory}", context=24, **options).summary["fit"]["weights"]
    expanded = weights(65536, weights="expanded")
    assert weights(65536) == expanded > 1.6 * weights(65536, weights="kept")
    with pytest.raises(wl.CompileError, match="SRAM"):
        weights(29000, weights="expanded")
    assert weights(29000) < expanded / 1.6


@pytest.mark.parametrize("zeros", ["middle", "packed"])
@pytest.mark.parametrize("scale", [np.float32, np.float16])
@pytest.mark.parametrize("bits", [4, 8])
def test_a_core_holds_little_more_than_the_bits(bits, scale, zeros):
    node, tensors, _ = product_of_blocks(128, 256, bits, 32, zeros, scale)
    kind = TensorProto.FLOAT if scale == np.float32 else TensorProto.FLOAT16
    program = wl.compile(model([node], [1, 256], tensors, kind), target="grid-4x4", weights="kept")
    in_file = sum(len(tensor.raw_data) for tensor in tensors)
    assert in_file / 16 <= program.summary["fit"]["weights"] <= 1.15 * in_file / 16


@pytest.mark.parametrize("grid", ["grid-8x8,sram=64KiB", "grid-7x5,sram=96KiB", "grid-1x12,sram=256KiB"])
def test_a_trained_model(models, grid):
    """As ONNX Runtime has it, on the same file."""
    small, _ = in_blocks(onnx.load(models / "stories260k/stories260k-genai-opset21.onnx"), 4, 32)
    program = wl.compile(small, target=grid, context=64, weights="kept")
    ids = np.load(models / "stories260k/golden.npz")["token_ids"][None, :12]
    session = BothEngines(program)
    ours = [session.run({"input_ids": ids[:, i:i + 1]}).outputs["logits"] for i in range(ids.shape[1])]
    theirs = zoo.Reference(small).run(ids)
    np.testing.assert_allclose(np.concatenate(ours, axis=1), theirs, atol=1e-3 * np.abs(theirs).max(), rtol=0)


def test_another_word_is_refused():
    with pytest.raises(wl.CompileError, match="there is no storage of weights 'thin'; there are auto, kept, expanded"):
        wl.compile(b"", weights="thin")
