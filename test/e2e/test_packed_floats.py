"""Codes of 8 bits and less in the types of ONNX: every finite code of every kind gives its number to the bit, whether a
core holds codes or numbers."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from conftest import BothEngines
from onnx import TensorProto, helper, numpy_helper

import waferloom as wl

RNG = np.random.default_rng(23)
GRIDS = ["grid-1x1,sram=256KiB", "grid-7x5", "grid-1x12"]
#        kind: type of ONNX, bits, all codes that are numbers
KINDS = {
    "e4m3fn": (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
    "e5m2": (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
    "e2m1": (TensorProto.FLOAT4E2M1, ml_dtypes.float4_e2m1fn),
    "int4": (TensorProto.INT4, ml_dtypes.int4),
    "uint4": (TensorProto.UINT4, ml_dtypes.uint4),
    "int8": (TensorProto.INT8, np.int8),
}
SCALES = {"f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "e8m0": TensorProto.FLOAT8E8M0}


def codes_of(kind, shape):
    """Every code that is a finite number, several times, in any order; and the numbers."""
    dtype = KINDS[kind][1]
    bits = 8 if kind[-1] == "8" or kind in ("e4m3fn", "e5m2") else 4
    every = np.arange(2**bits, dtype=np.uint8)
    numbers = every.view(dtype) if bits == 8 else \
        np.array([-8 + (c ^ 8) if kind == "int4" else c for c in range(16)], float) if "int" in kind else \
        np.array([(-1) ** (c >> 3) * [0, 0.5, 1, 1.5, 2, 3, 4, 6][c & 7] for c in range(16)])
    numbers = numbers.astype(np.float32)
    every, numbers = every[np.isfinite(numbers)], numbers[np.isfinite(numbers)]
    which = RNG.permutation(np.arange(np.prod(shape)) % len(every)).reshape(shape)
    codes = every[which]
    flat = codes.ravel()
    raw = flat if bits == 8 else np.pad(flat, (0, len(flat) % 2))[::2] | np.pad(flat, (0, len(flat) % 2))[1::2] << 4
    return raw.astype(np.uint8).tobytes(), numbers[which]


def model(kind, scale, form, shape, zero=False):
    """x times a weight of such codes; and the weight's numbers."""
    raw, codes = codes_of(kind, shape)
    tensors = [helper.make_tensor("w", KINDS[kind][0], shape, raw, raw=True)]
    axis, block = form if isinstance(form, tuple) else (form, 0)
    sizes = list(shape)
    if block:
        sizes[axis] = -(-shape[axis] // block)
    else:
        sizes = [] if axis is None else [shape[axis]]
    attributes = {} if axis is None else {"axis": axis}
    if block:
        attributes["block_size"] = block
    if scale == "e8m0":
        powers = RNG.integers(127 - 6, 127 - 1, sizes).astype(np.uint8)
        tensors.append(helper.make_tensor("s", SCALES[scale], sizes, powers.tobytes(), raw=True))
        scales = np.exp2(powers.astype(np.float32) - 127)
        attributes["output_dtype"] = TensorProto.FLOAT
    else:
        scales = RNG.uniform(0.002, 0.01, sizes).astype(np.float32 if scale == "f32" else np.float16)
        tensors.append(numpy_helper.from_array(np.asarray(scales), "s"))
    if block:
        spread = np.repeat(scales, block, axis)[tuple(slice(0, n) for n in shape)]
    else:
        spread = scales if axis is None else np.expand_dims(scales, 1 - axis)
    numbers = (codes * spread.astype(np.float32)).astype(spread.dtype).astype(np.float32)
    node = helper.make_node("DequantizeLinear", ["w", "s"] + ["z"] * zero, ["d"], **attributes)
    if zero:
        tensors.append(helper.make_tensor("z", KINDS[kind][0], sizes, bytes(int(np.prod(sizes)) or 1), raw=True))
    type = TensorProto.FLOAT16 if scale == "f16" else TensorProto.FLOAT
    graph = helper.make_graph([node, helper.make_node("MatMul", ["x", "d"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", type, [shape[0], shape[0]])],
                              [helper.make_tensor_value_info("y", type, None)], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    return made.SerializeToString(), numbers


def run(data, size, half, **options):
    program = wl.compile(data, **options)
    x = np.eye(size, dtype=np.float16 if half else np.float32)
    return np.asarray(BothEngines(program).run({"x": x}).outputs["y"], np.float32), program


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("form", [None, 0, 1, (0, 16), (1, 16)])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_code(kind, scale, form, grid):
    """24 x 31 is divided by neither the block nor the grids."""
    data, numbers = model(kind, scale, form, (24, 31))
    kept, _ = run(data, 24, scale == "f16", target=grid, weights="kept")
    np.testing.assert_array_equal(kept, numbers)
    if grid == GRIDS[1]:
        expanded, _ = run(data, 24, scale == "f16", target=grid, weights="expanded")
        np.testing.assert_array_equal(expanded, numbers)


@pytest.mark.parametrize("kind, scale, bits", [("e4m3fn", "f16", 8.5), ("e5m2", "f32", 9), ("e2m1", "e8m0", 4.25),
                                               ("int4", "f16", 4.5)])
def test_a_core_holds_little_more_than_the_bits(kind, scale, bits):
    data, numbers = model(kind, scale, (0, 32), (256, 128))
    result, program = run(data, 256, scale == "f16", target="grid-4x4,sram=256KiB", weights="kept")
    np.testing.assert_array_equal(result, numbers)
    in_bits = 256 * 128 * bits / 8 / 16
    assert in_bits <= program.summary["fit"]["weights"] <= 1.15 * in_bits


def test_zero_points_of_floats():
    data, numbers = model("e4m3fn", "f32", 1, (24, 31), zero=True)
    np.testing.assert_array_equal(run(data, 24, False, target="grid-4x4", weights="kept")[0], numbers)


def test_what_pes_cannot_unpack_is_refused():
    def with_scale(kind, scale, value):
        data, _ = model(kind, scale, (0, 16), (24, 31))
        made = onnx.load_from_string(data)
        made.graph.initializer[1].raw_data = value * (len(made.graph.initializer[1].raw_data) // len(value))
        return made
    made = with_scale("e2m1", "e8m0", bytes([130]))
    with pytest.raises(wl.CompileError, match="'w.expanded.scales' has 8.00 as number 0, and scales of these codes end at"):
        wl.compile(made.SerializeToString(), target="grid-4x4", weights="kept")
    wl.compile(made.SerializeToString(), target="grid-4x4", weights="expanded")
    made = with_scale("e4m3fn", "f32", np.float32(1).tobytes())
    made.graph.initializer[0].raw_data = b"\x01\x7f" + made.graph.initializer[0].raw_data[2:]
    with pytest.raises(wl.CompileError, match="has no number at element 1, which a PE cannot unpack"):
        wl.compile(made.SerializeToString(), target="grid-4x4", weights="kept")
