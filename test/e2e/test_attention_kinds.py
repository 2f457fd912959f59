"""Fused attention operators as builders of models write them: packed operands of any
ratio of heads, sinks, norms, windows, biases, pasts. Each against ONNX Runtime's kernel."""

import numpy as np
import pytest
from conftest import BothEngines
from kinds import Graph, compare, expected_of, tokens
from onnx import TensorProto

import waferloom as wl

HIDDEN, VOCABULARY = 16, 31


def lengths_of(g):
    """seqlens_k and total_sequence_length from attention_mask."""
    total = g.op("ReduceSum", "attention_mask", g.integers(1), keepdims=1)
    size = g.op("Gather", g.op("Shape", "attention_mask"), g.constant(np.array(1)))
    return (g.op("Cast", g.op("Sub", total, g.integers(1)), to=TensorProto.INT32),
            g.op("Cast", size, to=TensorProto.INT32))


def angles(g, pairs):
    table = np.outer(np.arange(32), 1 / 10 ** (np.arange(pairs) / pairs))
    return [g.constant(np.cos(table).astype(np.float32)), g.constant(np.sin(table).astype(np.float32))]


def grouped(heads, kv, size=16, packed=True, rotary=0, sink=False, bias=False, norms=False, batch=1, **attributes):
    """A model of one GroupQueryAttention and its steps."""
    g = Graph()
    g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    g.input("attention_mask", ["batch", "total"], TensorProto.INT64)
    for name in ("k", "v"):
        g.input(f"past.{name}", ["batch", kv, "past", size])
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), "input_ids")
    if packed:
        width = (heads + 2 * kv) * size
        operands = [g.op("Add", g.op("MatMul", x, g.weight(HIDDEN, width)), g.weight(width)), "", ""]
    else:
        operands = [g.op("MatMul", x, g.weight(HIDDEN, n * size)) for n in (heads, kv, kv)]
    operands += ["past.k", "past.v", *lengths_of(g)]
    operands += angles(g, rotary // 2) if rotary else ["", ""]
    operands += ["", g.input("bias", ["batch", heads, "seq", "total"]) if bias else ""]
    operands += [g.weight(heads, scale=1.5) if sink else "", "", ""]
    gains = [g.weight(size), g.weight(size)] if norms else []
    if norms == "outside":  # the same by nodes of their own: the runtime's kernel has no norms
        for i, (gain, n) in enumerate(zip(gains, (heads, kv))):
            split = g.op("Reshape", operands[i], g.integers(0, 0, n, size))
            split = g.op("SimplifiedLayerNormalization", split, gain, axis=-1, epsilon=1e-5)
            operands[i] = g.op("Reshape", split, g.integers(0, 0, n * size))
    elif norms:
        operands += gains
        attributes["qk_norm_epsilon"] = 1e-5
    while operands[-1] == "":
        operands.pop()
    g.op("GroupQueryAttention", *operands, domain="com.microsoft", names=["a", "present.k", "present.v"],
         num_heads=heads, kv_num_heads=kv, do_rotary=int(rotary > 0), **attributes)
    g.op("MatMul", "a", g.weight(heads * size, VOCABULARY), names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    for name in "kv":
        g.output(f"present.{name}", ["batch", kv, "total", size])
    steps = list(tokens(g, (3, 1, 2) if batch == 1 else (1, 1, 1), batch))  # the runtime takes no chunks of several rows
    for step in steps if bias else []:
        shape = (batch, heads, step["input_ids"].shape[1], step["attention_mask"].shape[1])
        step["bias"] = g.random.standard_normal(shape).astype(np.float32)
    # A cache of the window alone is as long as the window from the start.
    held = attributes["local_window_size"] if "sliding_window_cache" in attributes else 0
    caches = {f"past.{name}": (f"present.{name}", (batch, kv, held, size)) for name in ("k", "v")}
    return g.model(21), steps, caches, dict(context=8, chunks=[3], logits="all", dims={"batch": batch})


def check(model, steps, caches, options, **more):
    compare(model, steps, caches, **options, **more)


@pytest.mark.parametrize("heads, kv", [(6, 2), (14, 2), (15, 5), (28, 4), (40, 8), (24, 8), (9, 3), (5, 1)])
def test_packed_operands_of_any_ratio(heads, kv):
    check(*grouped(heads, kv, rotary=16))


@pytest.mark.parametrize("variant", [
    dict(heads=6, kv=2, packed=False, sink=True, batch=2), dict(heads=6, kv=2, smooth_softmax=1),
    dict(heads=6, kv=3, softcap=2.0, local_window_size=3), dict(heads=6, kv=2, rotary=16, rotary_interleaved=1),
    dict(heads=3, kv=1, local_window_size=4, sliding_window_cache=1), dict(heads=6, kv=2, bias=True),
    dict(heads=6, kv=2, size=48, rotary=16), dict(heads=6, kv=2, size=48, rotary=32, rotary_interleaved=1)], ids=str)
def test_grouped_attention(variant):
    check(*grouped(**variant))


def test_norms_of_queries_and_keys():
    inside, steps, caches, options = grouped(6, 2, packed=False, norms="inside", rotary=16)
    outside = grouped(6, 2, packed=False, norms="outside", rotary=16)[0]
    compare(inside, steps, caches, reference=outside, **options)


def many_headed(batch=1, past=True, mask=True, fused=False, heads=3, size=5, **attributes):
    """A model of one MultiHeadAttention, or of an Attention that has its product inside."""
    g = Graph()
    g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), "input_ids")
    width, caches = heads * size, {}
    seen = ""
    if mask:
        g.input("attention_mask", ["batch", "total"], TensorProto.INT64)
        seen = g.op("Cast", "attention_mask", to=TensorProto.INT32)
    if fused:
        operands = [x, g.weight(HIDDEN, 3 * width), g.weight(3 * width), seen]
        caches = {"past": ("present", (2, batch, heads, 0, size))} if past else {}
    else:
        operands = [g.op("MatMul", x, g.weight(HIDDEN, width)) for _ in range(3)] + [g.weight(3 * width), seen, ""]
        caches = {f"past.{n}": (f"present.{n}", (batch, heads, 0, size)) for n in "kv"} if past else {}
    for name, (present, shape) in caches.items():
        rank = len(shape)
        axes = ["batch" if d == rank - 4 else "N" if d == rank - 2 else shape[d] for d in range(rank)]
        g.input(name, ["past" if d == "N" else d for d in axes])
        g.output(present, ["total" if d == "N" else d for d in axes])
    g.op("Attention" if fused else "MultiHeadAttention", *operands, *caches, domain="com.microsoft",
         names=["a", *(present for present, _ in caches.values())], num_heads=heads, **attributes)
    g.op("MatMul", "a", g.weight(width, VOCABULARY), names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    steps = list(tokens(g, (3, 1, 2) if past else (4,), batch, mask=mask))
    for step in steps if mask and batch > 1 else []:
        step["attention_mask"][1, :1] = 0
    options = dict(context=8, chunks=[3], logits="all", dims={}) if past else dict(dims={"seq": 4})
    options["dims"]["batch"] = batch
    return g.model(), steps, caches, options


@pytest.mark.parametrize("variant", [
    dict(unidirectional=1), dict(unidirectional=1, batch=2), dict(past=False, batch=2),
    dict(fused=True, unidirectional=1), dict(fused=True, past=False, batch=2),
    dict(unidirectional=1, mask=False, scale=0.3)], ids=str)
def test_attention_of_as_many_keys_as_queries(variant):
    check(*many_headed(**variant))


@pytest.mark.parametrize("causal", [0, 1])
def test_rows_that_see_nothing(causal):
    """As padding in front of a text. What they give is not defined, but numbers, which a later attention weighs with 0."""
    g = Graph()
    g.input("x", [2, 4, 6])
    g.input("mask", [2, 1, 4, 4], TensorProto.BOOL)
    first = g.op("Attention", "x", "x", "x", "mask", q_num_heads=2, kv_num_heads=2, is_causal=causal)
    g.op("Attention", first, first, first, "mask", names=["y"], q_num_heads=2, kv_num_heads=2)
    g.output("y", [2, 4, 6])
    mask = np.ones((2, 1, 4, 4), bool)
    mask[1, :, :2] = mask[1, :, :, :2] = False
    steps = [{"x": g.random.standard_normal((2, 4, 6)).astype(np.float32), "mask": mask}]
    model = g.model(opset=23)
    [want] = expected_of(model.SerializeToString(), steps, {})
    got = BothEngines(wl.compile(model.SerializeToString(), target="grid-3x5,sram=256KiB")).run(steps[0]).outputs["y"]
    seen = np.array([[True] * 4, [False, False, True, True]])
    assert np.isfinite(got).all() and np.abs(got - want["y"])[seen].max() < 1e-5


def with_cross_caches(shape):
    """Keys and values that an encoder gave are inputs, beside a query of two heads."""
    g = Graph()
    operands = [g.input("x", [1, 2, 10]), *(g.input(f"cross.{n}", shape) for n in "kv")]
    g.op("MultiHeadAttention", *operands, domain="com.microsoft", num_heads=2, names=[g.output("y", [1, 2, 10])])
    return g.model(), [{name: g.random.standard_normal(size).astype(np.float32)
                        for name, size in zip(operands, ([1, 2, 10], shape, shape))} for _ in range(2)]


@pytest.mark.parametrize("shape", [[1, 2, 4, 5], [1, 4, 10]], ids=str)
def test_cross_caches(shape):
    compare(*with_cross_caches(shape))


@pytest.mark.parametrize("shape", [[1, 1, 4, 5], [1, 4, 5]], ids=str)
def test_cross_caches_of_one_head(shape):
    """The runtime refuses them, too."""
    with pytest.raises(wl.CompileError, match=r"its key has the shape \[1, .*\], not the 2 heads of its query "
                                              r"\[1, 2, 10\]; where queries share heads \(MQA, GQA\), repeat them"):
        wl.compile(with_cross_caches(shape)[0].SerializeToString(), target="grid-6x6,sram=256KiB")


def test_tokens_of_a_step_see_those_before_them():
    """In a file that hides nothing (docs/differences.md), as the runtime has it token by token. A step that is one part
    of `logits="all"` is as the runtime has it at once."""
    g = Graph()
    heads = [g.op("Transpose", g.op("Reshape", g.op("MatMul", "x", g.weight(8, 8)), g.integers(1, -1, 2, 4)),
                  perm=[0, 2, 1, 3]) for _ in "qkv"]
    g.input("x", [1, "tokens", 8])
    keys, values = (g.op("Concat", g.input(f"past.{name}", [1, 2, "past", 4]), new, axis=2,
                         names=[g.output(f"present.{name}", [1, 2, "all", 4])])
                    for name, new in zip("kv", heads[1:]))
    scores = g.op("MatMul", heads[0], g.op("Transpose", keys, perm=[0, 1, 3, 2]))
    y = g.op("MatMul", g.op("Softmax", scores, axis=-1), values)
    g.op("Identity", y, names=[g.output("y", [1, 2, "tokens", 4])])
    model = g.model()
    x = g.random.standard_normal((1, 4, 8)).astype(np.float32)
    caches = {f"past.{name}": (f"present.{name}", (1, 2, 0, 4)) for name in "kv"}
    data = model.SerializeToString()

    def by(*counts):
        ends = np.cumsum(counts)
        found = expected_of(data, [{"x": x[:, end - n:end]} for n, end in zip(counts, ends)], caches)
        return np.concatenate([results["y"] for results in found], axis=2)

    for wanted, options in [(by(1, 1, 1, 1), {}), (by(4), {"chunks": [4], "logits": "all"})]:
        program = wl.compile(data, target="grid-3x2,sram=256KiB", context=8, **options)
        assert any("nothing in the file is seen to hide later tokens" in str(said) for said in program.diagnostics)
        got = BothEngines(program).run({"x": x}).outputs["y"]
        np.testing.assert_allclose(got, wanted[:, :, -got.shape[2]:], atol=1e-5)
