"""Bounds: no program is quicker than them, whatever the model, the region and the precision."""

import json
import random
import subprocess

import numpy as np
import pytest
from conftest import BIN
from onnx import TensorProto, helper, numpy_helper

import waferloom as wl
from waferloom import zoo


def check(program):
    cycles = program.count()
    bounds = program.summary["bounds"]
    assert [bound["tokens"] for bound in bounds] == program.entries
    for bound in bounds:
        assert 0 <= bound["wires"] <= bound["hard"] <= bound["floor"] <= cycles[bound["tokens"]], (bound, cycles)
        assert bound["products"] <= bound["hard"] and bound["pace"] <= bound["hard"]
        assert bound["layer_hard"] <= bound["layer_floor"] and bound["layers"] * bound["layer_floor"] <= cycles[bound["tokens"]]
        assert bound["layer_wires"] + bound["layer_products"] <= max(bound["layer_hard"], bound["layer_wires"] + bound["layer_products"])
        # Several tokens, one after the other, each have their products.
        if bound["tokens"] > 1:
            assert cycles[bound["tokens"]] >= bound["tokens"] * bound["pace"] or bound["hard"] < bound["tokens"] * bound["pace"]
    return bounds, cycles


@pytest.mark.parametrize("seed", range(12))
def test_random_models(seed):
    draw = random.Random(seed)
    kv_heads = draw.randint(1, 3)
    shape = zoo.Shape(layers=draw.choice([1, 3, 5]), width=draw.randint(5, 40), heads=kv_heads * draw.randint(1, 3),
                      kv_heads=kv_heads, head_dim=2 * draw.randint(1, 5), hidden=draw.randint(7, 60),
                      vocabulary=draw.randint(9, 90), positions=32, tied=draw.random() < 0.3)
    model = zoo.build(shape, zoo.weights(shape, seed)).SerializeToString()
    width, height = draw.choice([(1, 1), (1, 9), (11, 1), (4, 4), (7, 5), (13, 8)])
    options = {"precision": draw.choice(["f32", "f16"]), "chunks": draw.choice([[], [3]]), "prefill": draw.choice(["auto", "block", "stream"]),
               "disable_rewrites": draw.sample(["deferred-norm", "packed-messages", "middle-root", "deferred-softmax"], draw.randint(0, 2))}
    check(wl.compile(model, target=f"grid-{width}x{height},sram=1MiB", context=16, **options))
    if shape.layers > 1 and options["prefill"] != "block":
        stages = draw.choice([2, 4])
        check(wl.compile(model, target=f"grid-{2 * width}x{2 * height},sram=1MiB", context=16, region=(width, height),
                         stages=min(stages, shape.layers + 1), **options))


def test_exporters_models(models):
    for name, dims in [("bert-dynamo-op18", {"batch": 1, "sequence": 8}), ("gpt2-dynamo-op18", {"batch": 1}), ("qwen3-dynamo-op18", {"batch": 1})]:
        context = {} if name.startswith("bert") else {"context": 32}
        check(wl.compile(models / f"exporters/{name}.onnx", target="grid-8x7,sram=256KiB", dims=dims, **context))
    for options in [{"target": "grid-8x8"}, {"target": "wse3"}, {"target": "wse3", "region": (16, 16), "stages": 6, "chunks": [16]}]:
        check(wl.compile(models / "stories260k/stories260k-primitives-opset17.onnx", context=128, **options))


def test_an_8b(models):
    program = wl.compile(models / "shapes/llama3.1-8b-fp16.onnx", target="wse3", context=4096, weights=False)
    [bound], cycles = check(program)
    # Five sums that both ends must hear of, three along one side and two along the other, and more of attention.
    region = program.regions[0]
    assert bound["layer_wires"] >= 2 * (region.width + region.height - 2)
    assert cycles[1] <= 3 * bound["hard"]


def product(rows, columns):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
    values = (np.arange(rows * columns, dtype=np.float32).reshape(rows, columns) - 3) / 8
    graph = helper.make_graph(nodes, "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])], [numpy_helper.from_array(values, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def test_one_product_by_hand():
    """60 x 4 weights over 12 rows of cores, split along what is summed: in to the root over 5 hops, 4 words, a ramp each way, 20
    multiply-adds. The output stays there: nothing reads it on another core. Five scalars are multiplied by rows of four, or all
twenty at once and added up, half a cycle each."""
    mapping = wl.Mapping('waferloom-mapping: 1\nregion: {x: 1, y: 12}\nlayouts:\n  - {dim: "w.0", split: y}\n  - {dim: "w.1", split: none}\n')
    target = "grid-1x12"
    [bound], _ = check(wl.compile(product(60, 4), target=target, mapping=mapping))
    assert bound["wires"] == 5
    assert bound["products"] == -(-20 // 4) and bound["hard"] == 5 + (1 + 5 + 4)
    assert bound["floor"] == min(5 * 6 + 5, 2 * 6 + 20 + 10) + (1 + 5 + 4) + 6
    assert bound["layers"] == 0


def test_they_are_told(tmp_path):
    (tmp_path / "m.onnx").write_bytes(product(40, 30))
    command = [BIN / "waferloom", "compile", tmp_path / "m.onnx", "-o", tmp_path / "m.wafer", "--target=grid-4x3"]
    told = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout)
    [bound] = told["bounds"]
    least = f"at least {bound['hard']:,} cycles, {bound['wires']:,} for its wires alone, {bound['floor']:,} as its instructions go"

    def output(*arguments):
        return subprocess.run([BIN / "waferloom", *arguments], check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert f"{bound['entry']}: a step takes {least}" in output(*command[1:])
    assert f"  a step takes {least}" in output("info", "m.wafer")
    told = json.loads(output("run", "m.wafer", "--cycles", "--json"))["entries"][0]
    assert told["bounds"] == {key: value for key, value in bound.items() if key not in ("entry", "tokens")}
    assert f"{least}; it is {told['cycles'] / bound['hard']:.2f} times that\n" in output("run", "m.wafer", "--cycles")
    assert wl.load(tmp_path / "m.wafer").bounds == [bound]


def test_a_text_of_programs_keeps_them(tmp_path):
    """Level 6 has them; a program written by hand has none."""
    (tmp_path / "m.onnx").write_bytes(product(40, 30))

    def run(*arguments):
        return subprocess.run([BIN / "waferloom", *arguments], check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    run("compile", "m.onnx", "-o", "m.wafer", "--target=grid-4x3", "--save-ir=ir")
    [text] = (tmp_path / "ir").glob("6*.mlir")
    lines = text.read_text().splitlines(keepends=True)
    assert sum("core.bounds" in line for line in lines) == 1
    text.write_text("".join(line for line in lines if "core.bounds" not in line))
    run("compile", text, "-o", "h.wafer")
    assert wl.load(tmp_path / "h.wafer").bounds == [] and wl.load(tmp_path / "m.wafer").bounds
    assert "at least" not in run("run", "h.wafer", "--cycles") + run("info", "h.wafer")
