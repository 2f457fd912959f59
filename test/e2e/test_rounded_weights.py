"""Weights of numbers that the compiler rounds to codes: models compute what they compute with the rounded numbers written
out, cores hold little more than the bits, and the report has the error."""

import json
import subprocess

import numpy as np
import onnx
import pytest
from conftest import BothEngines
from onnx import TensorProto, helper, numpy_helper
from test_level_texts import check_levels, compiled

import waferloom as wl
from waferloom import zoo

RNG = np.random.default_rng(31)
FORMATS = ["int8", "int4", "fp8", "mxfp4"]
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
E4M3 = np.unique([m * 2.0**-9 for m in range(8)] + [(8 + m) * 2.0 ** (e - 3) for e in range(-6, 9) for m in range(8)])[:-1]


def nearest(numbers, kind):
    """Numbers of `kind` next to these, which are within its range."""
    if kind.startswith("int"):
        return np.rint(numbers)
    table = E2M1 if kind == "mxfp4" else E4M3
    middles = (table[1:] + table[:-1]) / 2
    # Ties go to the even code.
    down, up = np.searchsorted(middles, np.abs(numbers), "left"), np.searchsorted(middles, np.abs(numbers), "right")
    return np.copysign(table[np.where(down % 2 == 0, down, up)], numbers)


def rounded(weight, kind, block=32):
    """A weight [K, N] as the compiler rounds it by its largest numbers: blocks along K, scales of f16 or powers of two."""
    k, n = weight.shape
    block = min(block, k)
    blocks = np.pad(weight.astype(np.float64), ((0, -k % block), (0, 0))).reshape(-1, block, n)
    most = {"int8": 127, "int4": 7, "fp8": 448, "mxfp4": 6}[kind]
    exact = (np.abs(blocks).max(1).astype(np.float32) / np.float32(most)).astype(np.float64)
    if kind == "mxfp4":
        scales = np.exp2(np.ceil(np.log2(np.maximum(exact, 1e-30))))
    else:
        scales = np.maximum(exact.astype(np.float16), np.float16(2.0**-24)).astype(np.float64)
    scales = np.where(exact == 0, 0, scales)[:, None]
    ratio = np.divide(blocks.astype(np.float32), scales.astype(np.float32), where=scales != 0, out=np.zeros(blocks.shape, np.float32))
    codes = nearest(np.clip(ratio, -most, most), kind)
    numbers = codes * scales
    if kind != "mxfp4":
        numbers = numbers.astype(np.float16)
    return numbers.reshape(-1, n)[:k].astype(weight.dtype)


def twin(model, kind, block=32, kept=()):
    """The model with the weights of its products as they are rounded."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    arrays = {tensor.name: tensor for tensor in made.graph.initializer}
    read = [name for node in made.graph.node for name in node.input]
    for node in made.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in arrays or node.input[1] in kept:
            continue
        name = node.input[1]
        assert read.count(name) == 1, name
        arrays[name].CopyFrom(numpy_helper.from_array(rounded(numpy_helper.to_array(arrays[name]), kind, block), name))
    return made


def product(weight, kind=TensorProto.FLOAT, transposed=False):
    name = "w.of/product"
    node = helper.make_node("Gemm", ["x", name], ["y"], name="last/node", transB=1) if transposed else \
        helper.make_node("MatMul", ["x", name], ["y"], name="last/node")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", kind, [weight.shape[transposed]] * 2)],
                              [helper.make_tensor_value_info("y", kind, None)], [numpy_helper.from_array(weight, name)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("grid", ["grid-1x1,sram=256KiB", "grid-7x5", "grid-1x12"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", FORMATS)
def test_numbers_are_the_nearest(kind, transposed, grid):
    """Rows of the identity take one number each; 75 and 22 are divided by neither the block nor the grids."""
    weight = (RNG.standard_normal((75, 22)) * np.exp(RNG.uniform(-9, 1, (1, 22)))).astype(np.float32)
    weight[32:64, 3] = 0
    model = product(weight.T.copy() if transposed else weight, transposed=transposed)
    program = wl.compile(model.SerializeToString(), target=grid, weights=kind)
    result = BothEngines(program).run({"x": np.eye(75, dtype=np.float32)}).outputs["y"]
    expected = rounded(weight, kind)
    np.testing.assert_array_equal(result, expected)
    report, = program.summary["rounded"]
    error = np.abs(expected.astype(np.float64) - weight)
    assert report["name"] == "w.of/product" and report["format"] == f"{kind}, blocks of 32"
    np.testing.assert_allclose([report["error_largest"], report["error_rms"], report["largest_number"]],
                               [error.max(), np.sqrt((error**2).mean()), np.abs(weight).max()], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"])
@pytest.mark.parametrize("precision", ["model", "f16"])
def test_files_of_halves(dtype, precision):
    numbers = RNG.standard_normal((40, 24)).astype(np.float32)
    if dtype == "bfloat16":
        bits = numbers.view(np.uint32) & 0xffff0000
        numbers = bits.view(np.float32)
        model = product(numbers)
        model.graph.initializer[0].CopyFrom(helper.make_tensor("w.of/product", TensorProto.BFLOAT16, numbers.shape,
                                                              (bits >> 16).astype(np.uint16).tobytes(), raw=True))
        node = helper.make_node("Cast", ["w.of/product"], ["wide"], to=TensorProto.FLOAT)
        model.graph.node.insert(0, node)
        model.graph.node[1].input[1] = "wide"
        x = np.eye(40, dtype=np.float32)
    else:
        numbers = numbers.astype(dtype)
        model, x = product(numbers, TensorProto.FLOAT16), np.eye(40, dtype=dtype)
    program = wl.compile(model.SerializeToString(), target="grid-5x3", weights="int4", precision=precision)
    result = BothEngines(program).run({"x": x}).outputs["y"]
    np.testing.assert_array_equal(np.asarray(result, np.float32), rounded(numbers, "int4").astype(np.float32))


def test_channels_and_scales_of_least_error():
    weight = RNG.standard_t(3, (75, 22)).astype(np.float32)
    model = product(weight).SerializeToString()

    def error(**options):
        return wl.compile(model, target="grid-4x4", weights="int4", **options).summary["rounded"][0]["error_rms"]
    in_blocks = error()
    assert error(scales="mse") < 0.99 * in_blocks
    assert error(block=8) < in_blocks < error(block="channel")
    program = wl.compile(model, target="grid-4x4", weights="int4", block="channel")
    result = BothEngines(program).run({"x": np.eye(75, dtype=np.float32)}).outputs["y"]
    np.testing.assert_array_equal(result, rounded(weight, "int4", 75))


@pytest.mark.parametrize("kind, bits", [("int8", 8.5), ("int4", 4.5), ("fp8", 8.5), ("mxfp4", 4.25)])
def test_a_core_holds_little_more_than_the_bits(kind, bits):
    """Of a scale for 32 numbers, too."""
    model = product(RNG.standard_normal((256, 128)).astype(np.float32))
    program = wl.compile(model.SerializeToString(), target="grid-4x4,sram=256KiB", weights=kind)
    in_bits = 256 * 128 * bits / 8 / 16
    assert in_bits <= program.summary["fit"]["weights"] <= 1.15 * in_bits
    assert program.summary["rounded"][0]["bytes"] == 256 * 128 * bits / 8


SHAPE = zoo.Shape(layers=4, width=44, heads=6, kv_heads=3, head_dim=8, hidden=76, vocabulary=90, positions=64)


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=8))


def compare(model, program, reference, ids, limit=1e-3):
    session = BothEngines(program)
    ours = [session.run({"input_ids": ids[:, i:i + 1]}).outputs["logits"] for i in range(ids.shape[1])]
    theirs = zoo.Reference(reference).run(ids)
    np.testing.assert_allclose(np.concatenate(ours, axis=1), theirs, atol=limit * np.abs(theirs).max(), rtol=0)


@pytest.mark.parametrize("where", [dict(target="grid-8x8,sram=256KiB"), dict(target="grid-7x5,sram=256KiB"),
                                   dict(target="grid-1x12,sram=256KiB"), dict(target="wse3", region=(6, 6), stages=3)])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_decoder(model, kind, where):
    program = wl.compile(model.SerializeToString(), context=24, weights=kind, **where)
    ids = RNG.integers(0, 90, (1, 6))
    compare(model, program, twin(model, kind).SerializeToString(), ids)
    numbers = wl.compile(model.SerializeToString(), context=24, **where)
    assert program.summary["fit"]["weights"] < 0.85 * numbers.summary["fit"]["weights"]


@pytest.mark.parametrize("where", [dict(target="grid-8x8,sram=64KiB"), dict(target="grid-7x5,sram=96KiB"),
                                   dict(target="grid-1x12,sram=256KiB"), dict(target="wse3", region=(8, 8), stages=2)])
@pytest.mark.parametrize("kind", ["int4", "mxfp4"])
def test_a_trained_model(models, kind, where):
    path = models / "stories260k/stories260k-genai-opset21.onnx"
    ids = np.load(models / "stories260k/golden.npz")["token_ids"][None, :12]
    compare(path, wl.compile(path, context=64, weights=kind, **where), twin(onnx.load(path), kind).SerializeToString(), ids)


def test_levels_go_on(model, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    image, levels = compiled(path, tmp_path, ["--target=grid-7x5,sram=256KiB", "--context=24", "--weights=mxfp4",
                                              "--keep=*0*q_proj*=f16"])
    check_levels(image, levels, tmp_path)


def counted(path, *options):
    """What the command line says of a compilation, and the cycles of its image."""
    image = path.with_suffix(".wafer")
    told = json.loads(subprocess.run(
        ["build/bin/waferloom", "compile", str(path), "-o", str(image), "--target=grid-7x5,sram=256KiB", "--context=24",
         "--json", *options], check=True, capture_output=True, text=True).stdout)
    return told, wl.load(image).count()


@pytest.mark.parametrize("kind", FORMATS)
def test_shapes_only_take_the_same(model, kind, tmp_path):
    """Bytes and cycles are known without a weight."""
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    (told, cycles), (shapes, again) = (counted(path, f"--weights={kind}", *more) for more in ([], ["--no-weights"]))
    assert told["fit"] == shapes["fit"] and cycles == again
    assert len(told["rounded"]) == 4 * 7 + 1 and "rounded" not in shapes


def test_some_are_left_out(model):
    """By the names of weights or of nodes; they are halves, and no loop mixes them with others."""
    data = model.SerializeToString()
    names = [node.input[1] for node in model.graph.node if node.op_type == "MatMul"]
    arrays = {tensor.name for tensor in model.graph.initializer}
    names = [name for name in names if name in arrays]
    program = wl.compile(data, target="grid-7x5,sram=256KiB", context=24, weights="int4", keep={names[0]: "f16"})
    told = {entry["name"] for entry in program.summary["rounded"]}
    assert told == set(names) - {names[0]}
    ids = RNG.integers(0, 90, (1, 4))
    compare(model, program, twin(model, "int4", kept=names[:1]).SerializeToString(), ids)
    # Of a node's name, and a layer's: the others stay a loop that is in its bits.
    shape = zoo.Shape(layers=4, width=64, heads=8, kv_heads=4, head_dim=8, hidden=96, vocabulary=90, positions=64)
    data = zoo.build(shape, zoo.weights(shape, seed=8)).SerializeToString()
    whole, some = (wl.compile(data, target="grid-4x4,sram=256KiB", context=24, weights="int4", precision="f16", keep=keep)
                   for keep in ({}, {"*layers.0*": "f16"}))
    numbers = wl.compile(data, target="grid-4x4,sram=256KiB", context=24, precision="f16")
    least, mixed, most = (program.summary["fit"]["weights"] for program in (whole, some, numbers))
    assert least < mixed < least + 0.4 * (most - least)


@pytest.mark.parametrize("options, says", [
    (dict(weights="int4", keep={"nothing*": "f16"}), "--keep nothing.=f16 matches none of 1 weights, nor a node"),
    (dict(weights="int4", keep={"last/*": "f64"}), "there is no type to keep weights in 'f64'; there are f16"),
    (dict(weights="int4", keep={"[": "f16"}), "--keep . is no pattern of names"),
    (dict(weights="int4", block=1), "--block 1 is neither 'channel' nor a number of weights between 2 and"),
    (dict(weights="mxfp4", block=16), "--block 16: in mxfp4 32 numbers share a scale"),
    (dict(weights="int4", scales="most"), "there is no choice of scales 'most'; did you mean 'mse'. there are absmax, mse"),
    (dict(weights="kept", block=16), "--block is about weights that are rounded, which --weights kept does not"),
    (dict(weights="mxfp4"), "weight 'w.of/product' has 13.00 in the block of element 0, and numbers in these codes end at 12.00"),
    (dict(weights="int8"), None),
])
def test_refused(options, says):
    weight = RNG.uniform(-1, 1, (40, 24)).astype(np.float32)
    weight[7, 0] = 13
    data = product(weight).SerializeToString()
    if says is None:
        weight[3, 2] = np.inf
        data, says = product(weight).SerializeToString(), "has no finite number at element 74"
    with pytest.raises(wl.CompileError, match=says):
        wl.compile(data, target="grid-4x4", **options)


def test_nothing_to_round_is_said():
    """A weight that is added, not multiplied."""
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [40, 24])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(RNG.standard_normal((40, 24)).astype(np.float32), "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    program = wl.compile(made, target="grid-4x4", weights="int4")
    assert program.summary["rounded"] == []
    assert ["--weights int4 rounds nothing" in diagnostic.message for diagnostic in program.diagnostics] == [True]


def test_what_does_not_fit_says_what_is_counted(model):
    with pytest.raises(wl.CompileError, match="no layout found") as caught:
        wl.compile(model.SerializeToString(), target="grid-2x2,sram=12000", context=24, weights="int4")
    assert "these are the bytes of numbers" in str([diagnostic.notes for diagnostic in caught.value.diagnostics])


def test_the_report_of_a_command(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(product(RNG.standard_normal((40, 24)).astype(np.float32)).SerializeToString())
    told = subprocess.run(["build/bin/waferloom", "compile", str(path), "-o", str(tmp_path / "m.wafer"), "--target=grid-4x4",
                           "--weights=int8", "--keep=none*=f16"], capture_output=True, text=True)
    assert told.returncode == 1 and "--keep none*=f16 matches none" in told.stderr
    told = subprocess.run(["build/bin/waferloom", "compile", str(path), "-o", str(tmp_path / "m.wafer"), "--target=grid-4x4",
                           "--weights=int8"], capture_output=True, text=True, check=True).stdout
    lines = told.splitlines()
    assert lines[-2].split() == ["weight", "rounded", "to", "largest", "rms", "largest", "rms"]
    assert lines[-1].startswith("w.of/product  int8, blocks of 32") and lines[-1].count("%") == 2
