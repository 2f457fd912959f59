"""Kinds of states and of what stands beside them, one small decoder each, against ONNX Runtime."""

import numpy as np
import pytest
from kinds import GRIDS, compare, tokens
from onnx import TensorProto
from test_model_kinds import CACHES, HEADS, HIDDEN, SIZE, VOCABULARY, decoder, heads_of, name_presents, with_cache

import waferloom as wl


def embedded(g, kind=TensorProto.INT64):
    return g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], kind))


def give_logits(g, y, width=HEADS * SIZE):
    g.op("MatMul", y, g.weight(width, VOCABULARY), names=[g.output("logits", ["batch", "seq", VOCABULARY])])


def last_rows(g, whole, count):
    return g.op("Slice", whole, g.integers(-count), g.integers(2**62), g.integers(2))


def test_a_sliding_cache_up_to_its_window():
    """What comes back are the last rows; up to so many tokens these are all."""
    g = with_cache()
    y, k, v = decoder(g, embedded(g))
    name_presents(g, last_rows(g, k, 6), last_rows(g, v, 6))
    give_logits(g, y)
    compare(g.model(), list(tokens(g, (3, 1, 2), mask=False)), CACHES, context=6, chunks=[3], logits="all")
    with pytest.raises(wl.CompileError, match=r"\(Slice\): the start p - 5 passes an end (.|\n)*lower --context"):
        wl.compile(g.model().SerializeToString(), target=GRIDS[0], context=7)


def test_a_cache_that_layers_share():
    """A layer with keys and values of its own, and one that reads those of the first."""
    g = with_cache()
    x = embedded(g)
    y, k, v = decoder(g, x)
    q = heads_of(g, g.op("MatMul", g.op("Tanh", y), g.weight(HEADS * SIZE, HEADS * SIZE)))
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    z = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    name_presents(g, k, v)
    give_logits(g, g.op("Add", y, g.op("Reshape", z, g.integers(0, 0, HEADS * SIZE))))
    caches = {past: (present, (2, *shape[1:])) for past, (present, shape) in CACHES.items()}
    compare(g.model(), list(tokens(g, (1, 1, 1, 1), batch=2, mask=False)), caches, context=5, dims={"batch": 2})


def cross_attention(g, y, k, v):
    q = heads_of(g, g.op("MatMul", y, g.weight(HEADS * SIZE, HEADS * SIZE)))
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    z = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return g.op("Reshape", z, g.integers(0, 0, HEADS * SIZE))


@pytest.mark.parametrize("chunks", [[], [2]], ids=str)
def test_cross_caches_beside_a_growing_one(chunks):
    """Keys and values that an encoder gave are inputs of every step, which may be others in a later one."""
    g = with_cache()
    y, k, v = decoder(g, embedded(g))
    cross = [g.input(f"past.encoder.{n}", ["batch", HEADS, "source", SIZE]) for n in "kv"]
    name_presents(g, k, v)
    give_logits(g, g.op("Add", y, cross_attention(g, y, *cross)))
    given = [{name: g.random.standard_normal((1, HEADS, 3, SIZE)).astype(np.float32) for name in cross}
             for _ in range(2)]
    steps = [step | given[i // 2] for i, step in enumerate(tokens(g, (2, 1, 3, 1), mask=False))]
    compare(g.model(), steps, CACHES, context=7, chunks=chunks, logits="all", dims={"source": 3})


@pytest.mark.parametrize("chunks", [[], [3]], ids=str)
def test_positions_in_several_rows(chunks):
    """Of a multimodal model: a row each for time, height and width."""
    g = with_cache()
    x = embedded(g)
    rows = g.input("position_ids", [3, "batch", "seq"], TensorProto.INT64)
    for i in range(3):
        row = g.op("Gather", rows, g.constant(np.array(i)))
        x = g.op("Add", x, g.op("Gather", g.weight(12, HIDDEN), row))
    y, k, v = decoder(g, x)
    name_presents(g, k, v)
    give_logits(g, y)
    steps, done = [], 0
    for step in tokens(g, (4, 1, 3), mask=False):
        n = step["input_ids"].shape[1]
        step = {"position_ids": g.random.integers(0, 12, (3, 1, n))} | step
        if done:  # as a text goes on, and what is filled in
            step["position_ids"] = np.broadcast_to(np.arange(done, done + n), (3, 1, n)).copy()
        steps.append(step)
        done += n
    compare(g.model(), steps, CACHES, context=8, chunks=chunks, logits="all")
    program = wl.compile(g.model().SerializeToString(), target=GRIDS[1], context=8, chunks=chunks, logits="all")
    one, other = program.session(), program.session()
    one.run(steps[0]), other.run(steps[0])
    for step in steps[1:]:
        left_out = {"input_ids": step["input_ids"]}
        assert one.run(step).outputs["logits"].tobytes() == other.run(left_out).outputs["logits"].tobytes()


@pytest.mark.parametrize("chunks", [[], [2]], ids=str)
@pytest.mark.parametrize("kind", ["float", "bool", "int64"])
def test_masks_of_scores_by_other_names(kind, chunks):
    """Bound to the live length by its dimension's name, in the form that its exporter chose."""
    g = with_cache()
    x = embedded(g)
    mask = g.input("attn_bias", ["batch", 1, "seq", "total"], getattr(TensorProto, kind.upper()))
    if kind != "float":
        seen = mask if kind == "bool" else g.op("Cast", mask, to=TensorProto.BOOL)
        mask = g.op("Where", seen, g.constant(np.float32(0)), g.constant(np.float32(-1e9)))
    y, k, v = decoder(g, x, mask=mask)
    name_presents(g, k, v)
    give_logits(g, y)
    steps, done = [], 0
    for step in tokens(g, (2, 1, 3), mask=False):
        n = step["input_ids"].shape[1]
        done += n
        seen = np.tril(np.ones((n, done)), done - n)
        seen[:, 0] = 0 if done > 2 else 1  # padding on the left
        bias = np.where(seen, 0, -1e9).astype(np.float32) if kind == "float" else seen.astype(kind)
        steps.append(step | {"attn_bias": bias[None, None]})
    compare(g.model(), steps, CACHES, context=7, chunks=chunks, logits="all")


@pytest.mark.parametrize("chunks", [[], [3]], ids=str)
def test_positions_counted_from_a_mask(chunks):
    """CumSum of the mask, as exporters write it, over rows that are padded on the left."""
    g = with_cache()
    x = embedded(g)
    mask = g.input("attention_mask", ["batch", "total"], TensorProto.INT64)
    one = g.constant(np.array(1))
    counted = g.op("Sub", g.op("CumSum", mask, g.constant(np.array(1))), one)
    counted = g.op("Where", g.op("Equal", mask, g.constant(np.array(0))), one, counted)
    n = g.op("Gather", g.op("Shape", "input_ids"), one)
    last = g.op("Slice", counted, g.op("Unsqueeze", g.op("Neg", n), g.integers(0)), g.integers(2**62), g.integers(1))
    x = g.op("Add", x, g.op("Gather", g.weight(12, HIDDEN), last))
    excluded = g.op("Cast", g.op("Sub", one, mask), to=TensorProto.FLOAT)
    bias = g.op("Unsqueeze", g.op("Mul", excluded, g.constant(np.float32(-1e9))), g.integers(1, 2))
    y, k, v = decoder(g, x, mask=bias)
    name_presents(g, k, v)
    give_logits(g, y)
    steps = list(tokens(g, (1, 1, 1, 1), batch=2))
    for step in steps:
        step["attention_mask"][1, :2] = 0
        step["attention_mask"][1, -1] = 1
    caches = {past: (present, (2, *shape[1:])) for past, (present, shape) in CACHES.items()}
    compare(g.model(), steps, caches, context=6, dims={"batch": 2}, chunks=chunks, logits="all")


def test_embeddings_and_positions_together():
    """Several images' worth of embeddings in two rows of a batch."""
    g = with_cache()
    x = g.input("inputs_embeds", ["batch", "seq", HIDDEN])
    positions = g.input("position_ids", ["batch", "seq"], TensorProto.INT64)
    x = g.op("Add", x, g.op("Gather", g.weight(9, HIDDEN), positions))
    y, k, v = decoder(g, x, positions="inputs_embeds")
    name_presents(g, k, v)
    give_logits(g, y)
    steps = [{"inputs_embeds": g.random.standard_normal((2, n, HIDDEN)).astype(np.float32),
              "position_ids": np.array([range(at, at + n), range(at, at + n)])} for at, n in ((0, 3), (3, 1), (4, 2))]
    caches = {past: (present, (2, *shape[1:])) for past, (present, shape) in CACHES.items()}
    compare(g.model(), steps, caches, context=7, dims={"batch": 2}, chunks=[2], logits="all")
