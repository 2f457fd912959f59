"""Models and options that make no sense, from Python: each is a CompileError that says what,
never an abort, another exception, or a file written over."""

import json
import subprocess

import numpy as np
import onnx
import pytest
import waferloom as wl
from conftest import BIN
from onnx import TensorProto, helper
from waferloom import zoo

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=2, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)
OPTIONS = {"target": "grid-4x4", "context": 12}
DECODER = zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString()
HUGE = 2**70


def relu(inputs=(("x", TensorProto.FLOAT, [1, 4]),), outputs=("y",), nodes=None):
    """A model that a test spoils."""
    values = [helper.make_tensor_value_info(*value) for value in inputs]
    nodes = nodes or [helper.make_node("Relu", [inputs[0][0]], [outputs[0]], name="node")]
    graph = helper.make_graph(nodes, "g", values, [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])
                                                   for name in outputs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("option, value, says", [
    *((name, value, says) for name, values, says in [
        ("context", (0, -1, -2**63, 2**24 + 1, 2**62), "a context of {} is not between 1 and 16777216"),
        ("stages", (0, -1, -2**63, 17, 2**62), "stages {} is not between 1 and 16"),
        ("search_plans", (0, -1, 2**20 + 1, 2**62), "plans to search {} is not between 1 and 1048576"),
    ] for value in values),
    *(("chunks", [value], "a chunk of {} is not between 1 and 1048576") for value in (0, -1, 2**20 + 1, 2**62)),
    *(("dims", {"batch": value}, "dimension 'batch': size {} is not between 1 and 2147483648") for value in (0, -3, 2**40)),
    *(("region", value, "a region of {0[0]} x {0[1]} PEs") for value in ((0, 4), (4, 0), (-1, 4), (5, 4), (2**62, 2**62))),
    *(("sets", {"x": value}, "cannot be fixed to") for value in (float("nan"), float("inf"))),
    *((name, value, f"option '{name}' is ") for name, values in [
        ("context", ("many", 1.5, HUGE, [1])), ("stages", ("many", 1.5, HUGE)), ("chunks", (["a"], [1.5], [HUGE])),
        ("region", ((1,), (1, 2, 3), "4x4", (1.5, 2))), ("dims", ({"batch": "a"}, {1: 1}, {"batch": HUGE})),
        ("states", ({"a": 1}, {1: "a"})), ("sets", ({"x": "a"}, {1: 1.0})), ("target", (1, None)),
        ("precision", (1, None)), ("sample", (1,)), ("logits", (None,)), ("prefill", (2,)), ("disable_rewrites", ([1],)),
        ("weights", ([1],)), ("measure_rewrites", ("no",)), ("dims", (3, "ab", [1])), ("sets", (3,)), ("chunks", (3, "ab")), ("disable_rewrites", (3,)), ("seed", (-1, "a", HUGE)), ("threads", (-1, "a", HUGE)),
    ] for value in values),
    ("precision", "f8", "there is no precision 'f8'; there are model, f32, f16"),
    ("precision", "", "there is no precision ''"), ("weights", "no", "there are auto, kept, expanded"),
    ("sample", "top-0", "top-N wants"), ("logits", "some", "there are last, all"), ("prefill", "fast", "there are auto, block, stream"),
    ("disable_rewrites", ["none"], "none"), ("target", "", "unknown target"), ("target", "grid-4x4,sram=-1", "-1"),
    ("dims", {"nosuch": 3}, "no input has a dimension 'nosuch'; the names are "),
])
def test_options(option, value, says):
    shown = value[0] if isinstance(value, list) and value else value.get("batch") if isinstance(value, dict) else value
    with pytest.raises(wl.CompileError) as refused:
        wl.compile(DECODER, **OPTIONS | {option: value})
    assert says.format(shown) in str(refused.value), str(refused.value)


@pytest.mark.parametrize("model, says", [
    (relu(outputs=("y", "y")), "output 'y' is declared twice"),
    (relu(inputs=(("wafer.x", TensorProto.FLOAT, [1, 4]),)), "input 'wafer.x': names that begin with 'wafer.'"),
    (relu(outputs=("wafer.next_token",)), "output 'wafer.next_token': names that begin with 'wafer.'"),
], ids=["output twice", "input of ours", "output of ours"])
def test_interfaces(model, says):
    with pytest.raises(wl.CompileError) as refused:
        wl.compile(model, target="grid-2x2")
    assert says in str(refused.value)


def spoil(model, *names):
    """The names with bytes that are no UTF-8, of the same length."""
    for name in names:
        assert name.encode() in model
        model = model.replace(name.encode(), name[:-2].encode() + b"\xff\xfe")
    return model


@pytest.mark.parametrize("model", [
    spoil(relu(outputs=("output",)), "output"),
    spoil(relu(inputs=(("input", TensorProto.FLOAT, [1, 4]),)), "input"),
    spoil(relu(inputs=(("input", TensorProto.FLOAT, ["dimension", 4]),)), "dimension"),
    spoil(relu(nodes=[helper.make_node("Unheard", ["x"], ["y"], name="thenode", domain="own")]), "thenode"),
    spoil(relu(nodes=[helper.make_node("Unheard", ["x"], ["y"], name="thenode", domain="own")]), "Unheard"),
    spoil(relu(nodes=[helper.make_node("Softmax", ["x"], ["y"], name="thenode", axis=7)]), "thenode"),
], ids=["output", "input", "dimension", "node", "operator", "node that is refused"])
def test_names_that_are_not_utf8(model, tmp_path):
    with pytest.raises(wl.CompileError) as refused:
        wl.compile(model, target="grid-2x2")
    assert "\\xff" in str(refused.value) or "not valid" in str(refused.value), str(refused.value)
    (tmp_path / "m.onnx").write_bytes(model)
    for command in (["compile", tmp_path / "m.onnx", "-o", tmp_path / "m.wafer", "--target", "grid-2x2", "--json"],
                    ["info", tmp_path / "m.onnx", "--json"]):
        done = subprocess.run([WAFERLOOM, *command], capture_output=True)
        assert done.returncode in (0, 1), done
        (done.stdout + done.stderr).decode()


def test_a_node_name_that_is_not_utf8_reaches_reports(tmp_path):
    """Such a model is valid; its name is shown with the bytes escaped."""
    program = wl.compile(spoil(relu(nodes=[helper.make_node("Softmax", ["x"], ["y"], name="thenode")]), "thenode"), target="grid-2x2")
    result = program.run({"x": np.ones((1, 4), np.float32)})
    assert "theno\\xff\\xfe" in {account.node for account in result.accounts}
    program.save(tmp_path / "m.wafer")
    done = subprocess.run([WAFERLOOM, "run", tmp_path / "m.wafer", "--cycles", "--json"], capture_output=True)
    assert done.returncode == 0 and json.loads(done.stdout.decode())["entries"], done
    assert subprocess.run([WAFERLOOM, "report", tmp_path / "m.wafer", "-o", tmp_path / "m.html"]).returncode == 0
    assert "theno\\xff\\xfe" in (tmp_path / "m.html").read_text()


def test_warnings_of_a_compilation_that_succeeds():
    assert wl.compile(relu(), target="grid-2x2").diagnostics == []
    program = wl.compile(relu(), target="grid-2x2,link-bits=16")
    assert [(found.severity, "link-bits" in found.message) for found in program.diagnostics] == [("warning", True)]


def test_an_unused_input_may_be_given():
    model = relu(inputs=(("x", TensorProto.FLOAT, [1, 4]), ("unused", TensorProto.INT64, ["n", 3])))
    program = wl.compile(model, target="grid-2x2")
    x = np.array([[-1, 2, -3, 4]], np.float32)
    for more in ({}, {"unused": np.zeros((2, 3), np.int64)}):
        assert (program.run({"x": x} | more).outputs["y"] == np.maximum(x, 0)).all()
    with pytest.raises(wl.ExecutionError, match="'other' is not an input"):
        program.run({"x": x, "other": x})


def test_the_position_is_the_sessions_own():
    session = wl.compile(DECODER, **OPTIONS).session()
    with pytest.raises(wl.ExecutionError, match="'wafer.position' is not an input; the inputs are '"):
        session.run({"input_ids": np.array([[1]]), "wafer.position": np.array(3)})
    assert session.length == 0


def product(factor, inputs):
    """y = n * factor [* m], in int64."""
    names = [f"n{i}" for i in range(inputs)]
    nodes = [helper.make_node("Mul", ["n0", "c"], ["p0"])]
    nodes += [helper.make_node("Mul", [f"p{i - 1}", names[i]], [f"p{i}"]) for i in range(1, inputs)]
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(name, TensorProto.INT64, [1, 2]) for name in names],
                              [helper.make_tensor_value_info("y", TensorProto.INT64, [1, 2])],
                              [helper.make_tensor("c", TensorProto.INT64, [1], [factor])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("factor, inputs, most", [(100000, 1, 21474), (-3, 1, 715827882), (1, 1, 2**31 - 1), (2, 2, 32767)])
def test_integers_at_run_time_stay_within_32_bits(factor, inputs, most):
    program = wl.compile(product(factor, inputs), target="grid-2x2")
    values = np.array([[most, -most]], np.int64)
    given = {f"n{i}": values for i in range(inputs)}
    assert (program.run(given).outputs["y"] == factor * values.astype(object)**inputs).all()
    for wrong in (most + 1, -most - 1):
        if factor != 1:
            with pytest.raises(wl.ExecutionError, match=f"has {wrong} at element 1"):
                program.run(given | {"n0": np.array([[0, wrong]], np.int64)})


def test_an_integer_that_no_input_keeps_within_32_bits_is_refused():
    with pytest.raises(wl.CompileError, match="32 bits"):
        wl.compile(product(2**40, 1), target="grid-2x2")
