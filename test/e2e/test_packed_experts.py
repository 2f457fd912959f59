"""Experts and tables whose integers stay packed on the cores: only what is looked up becomes numbers. As ONNX Runtime has
them on the same file, with sizes and blocks that divide nothing, and no more bytes than their bits."""

import json
import subprocess

import numpy as np
import pytest
from conftest import BIN, BothEngines
from kinds import Graph, compare
from onnx import TensorProto
from test_experts import scores_of
from test_level_texts import check_levels, compiled

import waferloom as wl

GRIDS = ["grid-8x8,sram=256KiB", "grid-7x5,sram=256KiB", "grid-1x12,sram=256KiB"]
RNG = np.random.default_rng(7)


def codes_of(experts, rows, columns, bits):
    """Integers of which every value occurs, packed along columns, the lowest bits first."""
    codes = RNG.permutation(np.arange(experts * rows * columns) % 2**bits).reshape(experts, rows, columns)
    each = 8 // bits
    return codes, sum(codes[..., i::each] << (i * bits) for i in range(each)).astype(np.uint8)


def qmoe(bits, block, experts, hidden, inner, chosen=2, tokens=1, zeros=False, biases=True, scale=np.float32):
    """A QMoE whose scores come from outside. ONNX Runtime 1.24 rounds rows of 8-bit experts in blocks to 8 bits itself,
    so those are compared with their numbers written out: the second graph."""
    g, plain = Graph(seed=bits), Graph(seed=bits)
    element = TensorProto.FLOAT if scale == np.float32 else TensorProto.FLOAT16
    for one in (g, plain):
        one.input("x", [tokens, hidden], element), one.input("scores", [tokens, experts], element)
    operands, numbers, zero_inputs = [], [], []
    for rows, columns in ((inner, hidden), (hidden, inner)):
        codes, packed = codes_of(experts, rows, columns, bits)
        shape = (experts, rows, columns // block) if block else (experts, rows)
        scales = RNG.uniform(0.2, 1, shape).astype(scale) / scale(2**bits)
        zero = RNG.integers(0, 2**bits, shape) if zeros else np.full(shape, 2**(bits - 1))
        spread = lambda array: np.repeat(array, block, axis=2) if block else array[..., None]
        bias = RNG.standard_normal((experts, rows)).astype(scale)
        values = ((codes - spread(zero)) * spread(scales).astype(np.float32)).astype(scale)
        operands.append([g.constant(packed), g.constant(scales), g.constant(bias) if biases else ""])
        numbers += [plain.constant(values), plain.constant(bias) if biases else ""]
        if zeros:
            each = 8 // bits
            padded = np.pad(zero, [(0, 0)] * (zero.ndim - 1) + [(0, -zero.shape[-1] % each)])
            zero_inputs.append(g.constant(sum(padded[..., i::each] << (i * bits) for i in range(each)).astype(np.uint8)))
    options = dict(k=chosen, normalize_routing_weights=1, activation_type="silu", domain="com.microsoft", names=["y"])
    inputs = ["x", "scores", *operands[0], *operands[1]]
    if zeros:
        inputs += [""] * (11 - len(inputs)) + zero_inputs
    g.op("QMoE", *inputs, expert_weight_bits=bits, **options, **({"block_size": block} if block else {}))
    plain.op("MoE", "x", "scores", *numbers, **options)
    for one in (g, plain):
        one.output("y", [tokens, hidden], element)
    return g.model(), plain.model()


def steps_of(experts, hidden, tokens=1, chosen=2, kind=np.float32):
    ids = np.stack([RNG.permutation(experts)[:chosen] for _ in range(4 * tokens)]).reshape(4, tokens, chosen)
    return [{"x": RNG.standard_normal((tokens, hidden)).astype(kind), "scores": scores_of(rows, experts).astype(kind)}
            for rows in ids]


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("bits, block, experts", [(4, 0, 5), (8, 0, 3), (4, 16, 3), (8, 16, 5), (4, 32, 8)])
def test_qmoe(bits, block, experts, zeros):
    if zeros and not block:
        pytest.skip("zeros of several rows in one byte are refused")
    hidden, inner = (32, 96) if block else (12, 10)
    small, numbers = qmoe(bits, block, experts, hidden, inner, zeros=zeros)
    compare(small, steps_of(experts, hidden), grids=GRIDS, reference=numbers, weights="kept", experts="chosen")


@pytest.mark.parametrize("bits, block", [(4, 0), (8, 0), (4, 16)])
def test_qmoe_as_the_runtime_has_it(bits, block):
    hidden, inner = (32, 48) if block else (20, 18)
    small, _ = qmoe(bits, block, 5, hidden, inner)
    compare(small, steps_of(5, hidden), grids=GRIDS, weights="kept", tolerance=1e-3)


@pytest.mark.parametrize("which", ["chosen", "all"])
def test_several_tokens(which):
    small, numbers = qmoe(4, 16, 5, 32, 48, tokens=3)
    compare(small, steps_of(5, 32, tokens=3), grids=GRIDS[1:], reference=numbers, weights="kept", experts=which)


@pytest.mark.parametrize("chosen", [1, 3])
@pytest.mark.parametrize("bits", [4, 8])
def test_no_biases(bits, chosen):
    """One expert is a lookup by one index, which has no dimension."""
    small, numbers = qmoe(bits, 0, 5, 12, 10, chosen, biases=False)
    compare(small, steps_of(5, 12, chosen=chosen), grids=GRIDS, reference=numbers, weights="kept", experts="chosen")


def test_numbers_are_those_of_the_expanded_weights():
    """The same sums, in f32 to the last digits and in f16 as well."""
    small, _ = qmoe(4, 16, 5, 64, 96)
    data = small.SerializeToString()
    for precision, limit in (("model", 1e-6), ("f16", 3e-3)):
        programs = [wl.compile(data, target=GRIDS[1], weights=how, precision=precision) for how in ("kept", "expanded")]
        for step in steps_of(5, 64):
            ours, theirs = (program.run(step).outputs["y"] for program in programs)
            np.testing.assert_allclose(ours, theirs, atol=limit * np.abs(theirs).max(), rtol=0)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_core_holds_little_more_than_the_bits(bits):
    small, _ = qmoe(bits, 32, 16, 128, 192, biases=False)
    in_file = sum(len(tensor.raw_data) for tensor in small.graph.initializer)
    # Where there is room, experts lie twice, for two of them to compute side by side.
    program = wl.compile(small.SerializeToString(), target=f"grid-4x4,sram={in_file // 16 + 36000}", weights="kept")
    assert in_file / 16 <= program.summary["fit"]["weights"] <= 1.15 * in_file / 16


@pytest.mark.parametrize("precision", ["model", "f16"])
def test_a_choice_costs_what_any_other_does(precision):
    small, _ = qmoe(4, 32, 8, 64, 96)
    program = wl.compile(small.SerializeToString(), target=GRIDS[0], weights="kept", precision=precision)
    session = BothEngines(program)
    taken = {session.run({"x": np.ones((1, 64), np.float32), "scores": scores_of([ids], 8)}).cycles
             for ids in ([0, 1], [0, 7], [7, 6], [3, 4])}
    assert len(taken) == 1
    counted = wl.compile(small.SerializeToString(), target=GRIDS[0], weights="kept", precision=precision)
    assert taken == {counted.count()[1]}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("scale", ["tensor", "channel", "expert"])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_stacked_dequantized_matrices(kind, scale, grid):
    """Matrices at the indices of a TopK, of a DequantizeLinear of all of them."""
    experts, hidden, inner, chosen = 5, 14, 9, 2
    g = Graph(seed=2)
    x, scores = g.input("x", [1, hidden]), g.input("scores", [1, experts])
    limits = np.iinfo(kind)
    codes = RNG.integers(limits.min, limits.max + 1, (experts, inner, hidden)).astype(kind)
    shape, axis = {"tensor": ((), {}), "channel": ((inner,), {"axis": 1}), "expert": ((experts,), {"axis": 0})}[scale]
    scales = np.asarray(RNG.uniform(0.002, 0.01, shape), np.float32)
    zero = np.asarray(RNG.integers(limits.min, limits.max + 1, shape), kind)
    weight = g.op("DequantizeLinear", g.constant(codes), g.constant(scales), g.constant(zero), **axis)
    gates, ids = g.op("TopK", scores, g.integers(chosen), results=2, axis=-1)
    y = g.op("MatMul", g.op("Gather", weight, ids), g.op("Unsqueeze", x, g.integers(1, 3)))
    y = g.op("Mul", g.op("Squeeze", y, g.integers(3)), g.op("Unsqueeze", gates, g.integers(2)))
    g.op("ReduceSum", y, g.integers(1), keepdims=0, names=["y"])
    g.output("y", [1, inner])
    model = g.model(opset=21)
    compare(model, steps_of(experts, hidden), grids=[grid], weights="kept")
    program = wl.compile(model.SerializeToString(), target="grid-1x1", weights="kept")
    assert program.summary["fit"]["weights"] < 1.9 * codes.size


def test_weightless(tmp_path):
    """Cycles are counted without the bytes."""
    small, _ = qmoe(4, 32, 8, 64, 96)
    (tmp_path / "m.onnx").write_bytes(small.SerializeToString())
    counts = []
    for option in ([], ["--no-weights"]):
        run = lambda *command: subprocess.run([BIN / "waferloom", *command], check=True, capture_output=True, text=True)
        run("compile", tmp_path / "m.onnx", "--target", GRIDS[1], "--weights", "kept", "-o", tmp_path / "m.wafer", *option)
        counts.append(json.loads(run("run", tmp_path / "m.wafer", "--cycles", "--json").stdout)["entries"])
    assert counts[0] == counts[1]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("rows", [8, 23, 64])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [False, True])
def test_rows_of_a_table(bits, zeros, rows, count):
    """Embeddings of GatherBlockQuantized, whose rows may be divided over the cores."""
    columns, block = 48, 16
    g = Graph(seed=rows)
    ids = g.input("ids", [count], TensorProto.INT64)
    codes, packed = codes_of(1, rows, columns, bits)
    scales = RNG.uniform(0.2, 1, (rows, columns // block)).astype(np.float32)
    zero = RNG.integers(0, 2**bits, scales.shape)
    each = 8 // bits
    padded = np.pad(zero, ((0, 0), (0, -zero.shape[1] % each)))
    operands = [g.constant(packed[0]), ids, g.constant(scales)]
    if zeros:
        operands.append(g.constant(sum(padded[:, i::each] << (i * bits) for i in range(each)).astype(np.uint8)))
    found = g.op("GatherBlockQuantized", *operands, domain="com.microsoft", bits=bits, block_size=block, gather_axis=0,
                 quantize_axis=1)
    g.op("MatMul", found, g.weight(columns, 5), names=["y"])
    g.output("y", [count, 5])
    steps = [{"ids": np.array(ids[:count])} for ids in ([0, rows - 1], [rows // 2, 1], [3, 3])]
    compare(g.model(), steps, grids=GRIDS, weights="kept")


@pytest.mark.parametrize("rows", [13, 32])
@pytest.mark.parametrize("bits", [4, 8])
def test_a_table_that_is_the_head(bits, rows):
    """One stretch of bytes, of which one op takes rows and another reads all."""
    columns, block = 48, 16
    g = Graph(seed=rows)
    _, packed = codes_of(1, rows, columns, bits)
    table = g.constant(packed[0].reshape(rows, columns // block, -1))
    scales = g.constant(RNG.uniform(0.2, 1, (rows, columns // block)).astype(np.float32))
    ids = g.input("ids", [1, 2], TensorProto.INT64)
    x = g.op("GatherBlockQuantized", g.op("Reshape", table, g.integers(rows, -1)), ids, scales, domain="com.microsoft",
             bits=bits, block_size=block, gather_axis=0, quantize_axis=1)
    g.op("MatMulNBits", x, table, scales, domain="com.microsoft", bits=bits, block_size=block, K=columns, N=rows,
         names=["y"])
    g.output("y", [1, 2, rows])
    steps = [{"ids": np.array([ids])} for ids in ([0, rows - 1], [rows // 2, 1])]
    compare(g.model(), steps, grids=GRIDS + ["grid-1x1"], weights="kept")


def test_a_refusal_counts_the_bits():
    """What would not fit is what was tried last: the integers."""
    small, _ = qmoe(4, 32, 8, 64, 96, biases=False)
    in_file = sum(len(tensor.raw_data) for tensor in small.graph.initializer)
    with pytest.raises(wl.CompileError, match="divided evenly") as error:
        wl.compile(small.SerializeToString(), target="grid-2x2,sram=12KiB")
    assert f"take {-(-in_file // 4)} bytes per PE" in str(error.value)


@pytest.mark.parametrize("option", [[], ["--no-weights"]])
def test_levels_go_on(option, tmp_path):
    """Every level compiles on to the same image, with bytes or without."""
    small, _ = qmoe(4, 16, 5, 32, 48)
    path = tmp_path / "model.onnx"
    path.write_bytes(small.SerializeToString())
    image, levels = compiled(path, tmp_path, [f"--target={GRIDS[1]}", "--weights=kept", *option])
    check_levels(image, levels, tmp_path)
