"""Makers of the fused operators of com.microsoft, whose types the ONNX library does not infer. ONNX Runtime has most of
them in single precision alone."""

import numpy as np
from draw import Unfit, maker

DOMAIN = "com.microsoft"


def put(d, op, inputs, shape, **attributes):
    """Adds a node of one result, which has the type of its first input."""
    return d.put(op.removeprefix(DOMAIN + "."), inputs, domain=DOMAIN, shapes=[(np.float32, shape)], **attributes)


def fused(*operators):
    """Registers a maker of operators of the domain."""
    def register(make):
        def single(d, op):
            if d.float != np.float32:
                raise Unfit
            make(d, op)
        return maker(*(f"{DOMAIN}.{operator}" for operator in operators))(single)
    return register


@fused("Gelu", "QuickGelu", "FastGelu", "BiasGelu")
def gelu(d, op):
    x = d.value("f", rank=range(1, 5))
    biased = op.endswith("BiasGelu") or op.endswith("FastGelu") and d.chance(0.5)
    options = {"alpha": d.one_of((1.0, 1.702, 0.5))} if op.endswith("QuickGelu") else {}
    put(d, op, [x, *([d.like(x, x.shape[-1:])] if biased else [])], x.shape, **options)


@fused("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def skip_norm(d, op):
    x = d.value("f", rank=3, fits=lambda x: x.rank == 3 and x.shape[-1] > 1)
    width = x.shape[-1:]
    inputs = [x, d.like(x), d.like(x, width, weight=d.chance(0.8))]
    if not op.endswith("SimplifiedLayerNormalization"):
        inputs.append(d.like(x, width) if d.chance(0.6) else None)
    if d.chance(0.5):
        inputs.append(d.like(x, width))
    with_sum = d.chance(0.4)
    shapes = [(x.dtype, x.shape)] + [("", ())] * 2 + [(x.dtype, x.shape)]
    d.put(op.removeprefix(DOMAIN + "."), inputs, outputs=[True, False, False, True] if with_sum else 1, domain=DOMAIN,
          shapes=shapes, epsilon=1e-3)


@fused("FusedMatMul", "TransposeMatMul")
def fused_matmul(d, op):
    x = d.value("f", rank=range(2, 5))
    trans_a, trans_b = d.between(0, 1), d.between(0, 1)
    rows, inner = x.shape[:-3:-1] if trans_a else x.shape[-2:]
    columns = d.between(1, 7)
    batch = tuple(size if d.chance(0.6) else 1 for size in x.shape[:-2])
    y = d.like(x, (*batch[d.between(0, len(batch)):], *((columns, inner) if trans_b else (inner, columns))))
    put(d, op, [x, y], (*x.shape[:-2], rows, columns), transA=trans_a, transB=trans_b, alpha=d.one_of((1.0, 0.5, -2.0)))


@fused("RotaryEmbedding")
def rotary(d, op):
    batch, heads, rows, half = d.between(1, 2), d.between(1, 3), d.between(1, 4), 4 * d.between(1, 2)
    rotated = half if d.chance(0.6) else half // 2
    x = d.fresh("f", (batch, rows, heads * 2 * half), weight=False)
    places = d.random.integers(0, 9, (batch, rows)) if d.chance(0.6) else d.random.integers(0, 9 - rows, 1)
    tables = [d.fresh("f", array=function(d.random.standard_normal((9, rotated))).astype(x.dtype), weight=True)
              for function in (np.cos, np.sin)]
    part = {"num_heads": heads, "rotary_embedding_dim": 2 * rotated} if rotated < half else {}
    put(d, op, [x, d.constant(places.astype(np.int64)), *tables], x.shape, interleaved=d.between(0, 1), **part)


def mask_of(d, batch, columns):
    """Which keys each row sees: at least its first."""
    seen = (d.random.random((batch, columns)) < 0.7).astype(np.int32)
    seen[:, 0] = 1
    return d.fresh("i", array=seen, weight=False)


@fused("MultiHeadAttention")
def many_heads(d, op):
    batch, heads, rows, columns, size = (d.between(1, n) for n in (2, 3, 4, 5, 5))
    options = {"unidirectional": 1} if d.chance(0.3) else {}
    columns = rows if options else columns
    values = d.between(1, 5)
    q = d.fresh("f", (batch, rows, heads * size), weight=False)
    k, v = d.like(q, (batch, columns, heads * size)), d.like(q, (batch, columns, heads * values))
    inputs = [q, k, v, d.like(q, (heads * (2 * size + values),), weight=True) if d.chance(0.5) else None,
              mask_of(d, batch, columns) if d.chance(0.4) else None,
              d.like(q, (d.one_of((1, batch)), heads, rows, columns)) if d.chance(0.4) else None]
    if d.chance(0.3):
        options["scale"] = 0.3
    put(d, op, inputs, (batch, rows, heads * values), num_heads=heads, **options)


@fused("Attention")
def attention(d, op):
    heads, size = d.between(1, 3), d.between(1, 5)
    x = d.value("f", rank=3)
    batch, rows, width = x.shape
    inputs = [x, d.like(x, (width, 3 * heads * size), weight=True), d.like(x, (3 * heads * size,), weight=True),
              mask_of(d, batch, rows) if d.chance(0.4) else None]
    put(d, op, inputs, (batch, rows, heads * size), num_heads=heads, unidirectional=d.between(0, 1))


def packed(d, shape, bits, block):
    """(integers in blocks, scales, zero points or none) of a matrix."""
    rows, columns = shape
    blocks = -(-columns // block)
    zeros = d.constant(d.random.integers(0, 256, (rows, -(-blocks * bits // 8))).astype(np.uint8)) if d.chance(0.5) else None
    return (d.random.integers(0, 256, (rows, blocks, block * bits // 8)).astype(np.uint8),
            d.constant((d.random.random((rows, blocks)) * 0.1).astype(np.float32)), zeros)


@fused("MatMulNBits")
def matmul_bits(d, op):
    x = d.value("f", rank=range(2, 4))
    rows, bits, block = d.between(1, 7), d.one_of((4, 4, 8)), d.one_of((16, 32))
    integers, scales, zeros = packed(d, (rows, x.shape[-1]), bits, block)
    put(d, op, [x, d.constant(integers), scales, zeros], (*x.shape[:-1], rows), K=x.shape[-1], N=rows, bits=bits,
        block_size=block)


@fused("GatherBlockQuantized")
def gather_quantized(d, op):
    rows, width, bits = d.between(2, 7), 16 * d.between(1, 2), d.one_of((4, 8))
    integers, scales, zeros = packed(d, (rows, width), bits, 16)
    ids = d.fresh("i", array=d.random.integers(0, rows, d.shape(d.between(1, 2))).astype(np.int64), weight=False)
    put(d, op, [d.constant(integers.reshape(rows, -1)), ids, scales, zeros], (*ids.shape, width), bits=bits, block_size=16,
        gather_axis=0, quantize_axis=1)


@fused("GroupQueryAttention")
def grouped_queries(d, op):
    """Of a prompt: without caches, which are states of whole models."""
    batch, pairs, group, rows, size = d.between(1, 2), d.between(1, 2), d.between(1, 3), d.between(1, 5), 16 * d.between(1, 2)
    packed_rows = d.chance(0.3)
    q = d.fresh("f", (batch, rows, (pairs * group + 2 * pairs * packed_rows) * size), weight=False)
    k, v = (None, None) if packed_rows else (d.like(q, (batch, rows, pairs * size)) for _ in range(2))
    options = {"num_heads": pairs * group, "kv_num_heads": pairs}
    tables = [None, None]
    if d.chance(0.5):
        tables = [d.fresh("f", array=function(d.random.standard_normal((9, size // 2))).astype(q.dtype), weight=True)
                  for function in (np.cos, np.sin)]
        options |= {"do_rotary": 1, "rotary_interleaved": d.between(0, 1)}
    places = d.constant(np.tile(np.arange(rows), (batch, 1))) if tables[0] and d.chance(0.3) else None
    bias = d.like(q, (d.one_of((1, batch)), d.one_of((1, pairs * group)), rows, rows)) if d.chance(0.3) else None
    sink = d.like(q, (pairs * group,), weight=True) if d.chance(0.3) else None
    for name, chosen in (("local_window_size", d.between(1, 4)), ("softcap", 3.0), ("scale", 0.3)):
        if d.chance(0.3):
            options[name] = chosen
    inputs = [q, k, v, None, None, d.constant(np.full(batch, rows - 1), np.int32), d.constant(np.array(rows), np.int32),
              *tables, places, bias, sink]
    caches = [(q.dtype, (batch, pairs, rows, size))] * 2
    d.put(op.removeprefix(DOMAIN + "."), inputs, outputs=3, domain=DOMAIN,
          shapes=[(q.dtype, (batch, rows, pairs * group * size)), *caches], **options)


def routed(d):
    """Tokens, how much each expert is wanted, and the attributes of their choice."""
    tokens, width, experts = d.between(1, 7), 8 * d.between(1, 2), d.between(1, 5)
    x, scores = (d.fresh("f", (tokens, size), weight=False) for size in (width, experts))
    return x, scores, {"k": d.between(1, min(2, experts)), "normalize_routing_weights": d.between(0, 1)}


@fused("MoE")
def experts(d, op):
    x, scores, options = routed(d)
    width, count, inner = x.shape[1], scores.shape[1], d.between(1, 7)
    kind = d.one_of(("relu", "gelu", "silu", "identity", "swiglu"))
    rows = inner
    if kind == "swiglu":
        rows *= 2
        options |= {"swiglu_fusion": 1, "activation_alpha": 1.7, "activation_beta": 1.0}

    def weight(*shape):
        return d.constant((d.random.standard_normal((count, *shape)) / 3).astype(np.float32))

    put(d, op, [x, scores, weight(rows, width), weight(rows) if d.chance(0.5) else None, weight(width, inner),
                weight(width) if d.chance(0.5) else None], x.shape, activation_type=kind, **options)


@fused("QMoE")
def packed_experts(d, op):
    x, scores, options = routed(d)
    width, count, inner, bits = x.shape[1], scores.shape[1], 8 * d.between(1, 2), d.one_of((4, 8))

    def matrices(rows, columns):
        integers = d.random.integers(0, 256, (count, rows, columns * bits // 8)).astype(np.uint8)
        return d.constant(integers), d.constant((d.random.random((count, rows)) * 0.5 / 2**bits).astype(np.float32))

    put(d, op, [x, scores, *matrices(inner, width), None, *matrices(width, inner)], x.shape, expert_weight_bits=bits,
        activation_type=d.one_of(("relu", "gelu", "silu", "identity")), **options | {"normalize_routing_weights": 1})
