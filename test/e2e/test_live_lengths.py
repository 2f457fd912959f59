"""What decoders compute over the live length of a cache besides attention, against ONNX Runtime."""

import numpy as np
import pytest
from kinds import Graph, compare, tokens
from onnx import TensorProto
from test_model_kinds import CACHES, HEADS, HIDDEN, SIZE, VOCABULARY, heads_of, name_presents, with_cache

import waferloom as wl


def seen_with_sinks(g, x, sink_first, subtract):
    """Attention of which a sink takes its share: joined to the scores, dropped after the softmax."""
    q, k, v = (heads_of(g, g.op("MatMul", x, weight)) for weight in g.attention)
    k, v = (g.op("Concat", f"past.{n}", new, axis=2) for n, new in (("k", k), ("v", v)))
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    sink = g.op("Expand", g.weight(1, HEADS, 1, 1, scale=2), g.op("Concat", *(
        g.op("Slice", g.op("Shape", scores), g.integers(0), g.integers(3)), g.integers(1)), axis=0))
    parts = [sink, scores] if sink_first else [scores, sink]
    both = g.op("Concat", *parts, axis=-1)
    if subtract:
        both = g.op("Sub", both, g.op("ReduceMax", both, g.integers(-1), keepdims=1))
    shares = g.op("Softmax", both, axis=-1)
    start, end = (1, 2**40) if sink_first else (0, -1)
    shares = g.op("Slice", shares, g.integers(start), g.integers(end), g.integers(-1))
    y = g.op("Transpose", g.op("MatMul", shares, v), perm=[0, 2, 1, 3])
    return g.op("Reshape", y, g.integers(0, 0, HEADS * SIZE)), k, v


@pytest.mark.parametrize("sink_first", [False, True])
@pytest.mark.parametrize("subtract", [False, True])
def test_attention_sinks(sink_first, subtract):
    g = with_cache()
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], TensorProto.INT64))
    y, k, v = seen_with_sinks(g, x, sink_first, subtract)
    name_presents(g, k, v)
    g.op("MatMul", y, g.head, names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    compare(g.model(), list(tokens(g, (3, 1, 2, 1), mask=False)), CACHES, context=7, chunks=[2, 3], logits="all")


def test_half_a_join_is_refused():
    g = with_cache()
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], TensorProto.INT64))
    q, k, v = (heads_of(g, g.op("MatMul", x, weight)) for weight in g.attention)
    k, v = (g.op("Concat", f"past.{n}", new, axis=2) for n, new in (("k", k), ("v", v)))
    name_presents(g, k, v)
    g.op("ReduceMean", g.op("Concat", v, g.weight(1, HEADS, 2, SIZE), axis=2), g.integers(2), names=["y"])
    g.output("y", None)
    with pytest.raises(wl.CompileError, match=r"\(ReduceMean\): takes what is joined behind a live length"):
        wl.compile(g.model().SerializeToString(), target="grid-4x4,sram=256KiB", context=8)


def test_positions_are_counted_from_the_mask():
    """Two rows, the second padded on the left, as batches come: a row's positions are its ones so far."""
    g = with_cache()
    ids = g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    mask = g.input("attention_mask", ["batch", "total"], TensorProto.INT64)
    counted = g.op("Sub", g.op("CumSum", mask, g.constant(np.array(1))), g.integers(1))
    counted = g.op("Where", g.op("Equal", mask, g.integers(0)), g.integers(1), counted)
    past = g.op("Gather", g.op("Shape", "past.k"), g.integers(2))
    positions = g.op("Slice", counted, past, g.integers(2**62), g.integers(1))
    x = g.op("Add", g.op("Gather", g.weight(VOCABULARY, HIDDEN), ids),
             g.op("Gather", g.weight(12, HIDDEN), positions))
    q, k, v = (heads_of(g, g.op("MatMul", x, weight)) for weight in g.attention)
    k, v = (g.op("Concat", f"past.{n}", new, axis=2) for n, new in (("k", k), ("v", v)))
    name_presents(g, k, v)
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    # A sum of the mask over its whole length weighs the scores.
    weight = g.op("Cast", g.op("ReduceSum", mask, g.integers(1), keepdims=1), to=TensorProto.FLOAT)
    scores = g.op("Mul", scores, g.op("Unsqueeze", weight, g.integers(2, 3)))
    open_ = g.op("Unsqueeze", g.op("Cast", mask, to=TensorProto.BOOL), g.integers(1, 2))
    scores = g.op("Where", open_, scores, g.constant(np.float32(-3e38)))
    y = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    y = g.op("Reshape", y, g.integers(0, 0, HEADS * SIZE))
    g.op("MatMul", y, g.head, names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    caches = {past: (present, (2, HEADS, 0, SIZE)) for past, (present, _) in CACHES.items()}
    steps = list(tokens(g, (3, 1, 1), batch=2))
    for step in steps:
        step["attention_mask"][1, :2] = 0
    compare(g.model(), steps, caches, context=7, chunks=[3], logits="all", dims={"batch": 2})


def test_a_mask_that_is_counted_holds_ones_and_zeros():
    g = Graph()
    mask = g.input("attention_mask", [1, 4], TensorProto.INT64)
    g.op("Cast", g.op("CumSum", mask, g.constant(np.array(1))), to=TensorProto.FLOAT, names=["y"])
    g.output("y", [1, 4])
    compare(g.model(), [{"attention_mask": np.array([[0, 1, 1, 0]])}])
    program = wl.compile(g.model().SerializeToString(), target="grid-2x2,sram=256KiB")
    with pytest.raises(wl.ExecutionError, match="attention_mask"):
        program.session().run({"attention_mask": np.array([[0, 2, 1, 0]])})


@pytest.mark.parametrize("bits, zeros", [(4, False), (4, True), (8, False), (8, True)])
def test_rows_of_a_packed_table(bits, zeros):
    """A table of ids that is the head, too: GatherBlockQuantized and MatMulNBits read the same bytes."""
    g = Graph()
    rows, width, block = 13, 48, 16
    per_row = width // block
    table = g.constant(g.random.integers(0, 256, (rows, per_row, block * bits // 8)).astype(np.uint8))
    scales = g.constant((g.random.random((rows, per_row)) * 0.3).astype(np.float32))
    points = [g.constant(g.random.integers(0, 256, (rows, -(-per_row * bits // 8))).astype(np.uint8))] if zeros else []
    ids = g.input("input_ids", [1, 3], TensorProto.INT64)
    flat = g.op("Reshape", table, g.integers(rows, width * bits // 8))
    x = g.op("GatherBlockQuantized", flat, ids, scales, *points, domain="com.microsoft", bits=bits,
             block_size=block, gather_axis=0, quantize_axis=1)
    head = [g.op("Identity", points[0])] if zeros else []
    g.op("MatMulNBits", x, table, scales, *(points if head else []), domain="com.microsoft", names=["y"], bits=bits,
         block_size=block, K=width, N=rows)
    g.output("y", [1, 3, rows])
    compare(g.model(), [{"input_ids": g.random.integers(0, rows, (1, 3))} for _ in range(2)])


def test_fused_activations():
    g = Graph()
    x = g.op("BiasGelu", g.input("x", [3, 5]), g.weight(5), domain="com.microsoft")
    x = g.op("FastGelu", g.op("FastGelu", x, g.weight(5), domain="com.microsoft"), domain="com.microsoft")
    x = g.op("Gelu", g.op("QuickGelu", x, domain="com.microsoft", alpha=1.3), domain="com.microsoft")
    g.op("FusedMatMul", x, g.weight(4, 5), domain="com.microsoft", transB=1, alpha=0.3, names=["y"])
    g.output("y", [3, 4])
    compare(g.model(), [{"x": 2 * g.random.standard_normal((3, 5)).astype(np.float32)} for _ in range(2)])


@pytest.mark.parametrize("flags", range(16))
def test_fused_products(flags):
    """Every way to transpose both operands, with batches in the middle too."""
    g = Graph(seed=flags)
    ta, tb, ba, bb = (flags >> i & 1 for i in range(4))
    a = (4, 3, 5) if not ta else (4, 5, 3)
    b = (4, 5, 2) if not tb else (4, 2, 5)
    a, b = ((s[1], s[0], s[2]) if batch else s for s, batch in ((a, ba), (b, bb)))
    g.op("FusedMatMul", g.input("a", a), g.input("b", b), domain="com.microsoft", names=["y"], transA=ta, transB=tb,
         transBatchA=ba, transBatchB=bb)
    g.output("y", None)
    step = {name: g.random.standard_normal(shape).astype(np.float32) for name, shape in (("a", a), ("b", b))}
    compare(g.model(), [step], grids=["grid-3x2,sram=256KiB"])
