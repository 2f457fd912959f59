"""Recurrent networks, sequences, and windows of bytes or put back."""

import numpy as np
from draw import maker


@maker("RNN", "GRU", "LSTM")
def recurrent(d, op):
    x = d.value("f", rank=3)
    gates, hidden = {"RNN": 1, "GRU": 3, "LSTM": 4}[op], d.between(1, 4)
    direction = d.one_of(("forward", "reverse", "bidirectional"))
    steps, batch, width = x.shape
    each = 2 if direction == "bidirectional" else 1
    inputs = [x, d.like(x, (each, gates * hidden, width)), d.like(x, (each, gates * hidden, hidden))]
    inputs.append(d.like(x, (each, 2 * gates * hidden)) if d.chance(0.6) else None)
    if d.chance(0.5):
        lengths = d.random.integers(1, steps + 1, batch).astype(np.int32)
        inputs.append(d.constant(lengths) if d.chance(0.5) else None)
        inputs += [d.like(x, (each, batch, hidden)) for _ in range(2 if op == "LSTM" else 1)]
        if op == "LSTM" and d.chance(0.5):
            inputs.append(d.like(x, (each, 3 * hidden)))
    options = {"linear_before_reset": d.between(0, 1)} if op == "GRU" else {}
    d.put(op, inputs, outputs=3 if op == "LSTM" else 2, hidden_size=hidden, direction=direction, **options)


@maker("ReverseSequence")
def reverse_sequence(d, op):
    x = d.value("f", rank=range(2, 5))
    time = d.between(0, 1)
    lengths = d.random.integers(1, x.shape[time] + 1, x.shape[1 - time])
    d.put(op, [x, d.constant(lengths.astype(np.int64))], time_axis=time, batch_axis=1 - time)


@maker("LRN")
def lrn(d, op):
    d.put(op, [d.value("f", rank=4)], size=d.one_of((1, 3, 5)), alpha=0.1, beta=0.75, bias=1.5)


@maker("ConvInteger")
def conv_integer(d, op):
    channels, size = d.between(1, 4), d.between(2, 5)
    x = d.fresh("i", array=d.random.integers(0, 20, (1, channels, size, size)).astype(np.uint8))
    w = d.fresh("i", array=d.random.integers(0, 20, (d.between(1, 3), channels, 2, 2)).astype(np.uint8), weight=True)
    d.put(op, [x, w, *([d.constant(np.array(d.between(0, 9), np.uint8))] if d.chance(0.5) else [])])


@maker("QLinearConv")
def qlinear_conv(d, op):
    channels, size = d.between(1, 4), d.between(2, 5)

    def operand(shape, weight):
        return [d.fresh("i", array=d.random.integers(0, 99, shape).astype(np.uint8), weight=weight),
                d.constant(np.float32(d.random.uniform(0.01, 0.1))), d.constant(np.array(d.between(0, 9), np.uint8))]

    scale, zero = d.constant(np.float32(0.5)), d.constant(np.array(3, np.uint8))
    y, = d.put(op, [*operand((1, channels, size, size), False), *operand((2, channels, 2, 2), True), scale, zero])
    if d.chance(0.7):
        d.put("DequantizeLinear", [y, scale, zero])


@maker("Col2Im")
def col2im(d, op):
    block = [d.between(1, 3) for _ in range(2)]
    image = [size + d.between(0, 3) for size in block]
    windows = np.prod([all_ - one + 1 for all_, one in zip(image, block)])
    x = d.fresh("f", (1, int(np.prod(block)) * d.between(1, 3), int(windows)))
    d.put(op, [x, d.constant(np.array(image)), d.constant(np.array(block))])
