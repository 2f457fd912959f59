"""RNN, GRU and LSTM in the forms that the standard's own tests lack, and convolutions of bytes, against ONNX Runtime."""

import numpy as np
import pytest
from kinds import Graph, compare
from onnx import TensorProto

import waferloom as wl

STEPS, BATCH, WIDTH, HIDDEN = 5, 3, 4, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def recurrent(op, direction, lengths=None, rows=HIDDEN, **attributes):
    """A model of one operator, and its step; `lengths` of the sequences are an input."""
    g = Graph()
    each = 2 if direction == "bidirectional" else 1
    g.input("x", [STEPS, BATCH, WIDTH])
    step = {"x": g.random.standard_normal((STEPS, BATCH, WIDTH)).astype(np.float32)}
    weights = [g.weight(each, GATES[op] * HIDDEN, WIDTH), g.weight(each, GATES[op] * rows, HIDDEN),
               g.weight(each, 2 * GATES[op] * HIDDEN)]
    if lengths:
        g.input("lengths", [BATCH], TensorProto.INT32)
        step["lengths"] = np.array(lengths, np.int32)
    names = [g.output("y", [STEPS, each, BATCH, HIDDEN]), g.output("last", [each, BATCH, HIDDEN])]
    if op == "LSTM":
        names.append(g.output("cell", [each, BATCH, HIDDEN]))
    g.op(op, "x", *weights, *(["lengths"] if lengths else []), names=names, hidden_size=HIDDEN, direction=direction,
         **attributes)
    return g.model(), step


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_sequences_end_where_they_are_said_to(op, direction):
    """Backwards each begins at its own end."""
    model, step = recurrent(op, direction, lengths=[2, 5, 1])
    compare(model, [step, step | {"lengths": np.array([4, 3, 5], np.int32)}])


@pytest.mark.parametrize("op,activations", [("RNN", ["Relu", "Sigmoid"]), ("LSTM", ["Sigmoid", "Relu", "Tanh"] * 2)])
def test_activations_of_each_direction_behind_a_clip(op, activations):
    model, step = recurrent(op, "bidirectional", activations=activations, clip=0.3)
    compare(model, [step])


def test_operands_that_do_not_fit_are_refused():
    model, _ = recurrent("GRU", "forward", rows=HIDDEN + 1)
    with pytest.raises(wl.CompileError, match=r"\(GRU\): its operands do not fit the sequence"):
        wl.compile(model.SerializeToString(), target="grid-2x2,sram=256KiB")
    model, _ = recurrent("LSTM", "forward", activations=["Softsign", "Tanh", "Tanh"])
    with pytest.raises(wl.CompileError, match=r"of the activation 'Softsign'; known are Sigmoid, Tanh and Relu"):
        wl.compile(model.SerializeToString(), target="grid-2x2,sram=256KiB")


def conv_of_bytes(channels, kernel, group=1):
    """Bytes near their limits: a sum of more than 257 products may be no float."""
    g = Graph()
    g.input("x", [1, channels, kernel + 1, kernel], TensorProto.UINT8)
    weights = g.random.integers(200, 256, (2 * group, channels // group, kernel, kernel)).astype(np.uint8)
    g.op("ConvInteger", "x", g.constant(weights), g.constant(np.array(3, np.uint8)), group=group,
         names=[g.output("y", [1, 2 * group, 2, 1], TensorProto.INT32)])
    x = g.random.integers(200, 256, (1, channels, kernel + 1, kernel)).astype(np.uint8)
    return g.model(), {"x": x}


@pytest.mark.parametrize("channels,kernel", [(67, 3), (300, 1)])
def test_long_sums_of_bytes_are_exact(channels, kernel):
    model, step = conv_of_bytes(channels, kernel)
    compare(model, [step], tolerance=0)


@pytest.mark.parametrize("channels,kernel,group", [(1, 17, 1), (144, 3, 2)])
def test_sums_that_cannot_be_cut_are_refused(channels, kernel, group):
    model, _ = conv_of_bytes(channels, kernel, group)
    with pytest.raises(wl.CompileError, match=r"products of bytes in a group; floats hold exactly 257"):
        wl.compile(model.SerializeToString(), target="grid-2x2,sram=256KiB")
