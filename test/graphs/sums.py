"""Makers of operators that combine elements: reductions, norms, products, windows, attention."""

import numpy as np
from draw import MOST_ELEMENTS, Unfit, maker
from shapes import some

#---- reductions ----


@maker("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp",
       "ReduceSumSquare", "ReduceLogSum")
def reduce(d, op):
    x = d.value(d.one_of("ffffi") if op in ("ReduceSum", "ReduceMax", "ReduceMin") else "f", rank=range(1, 5))
    if op == "ReduceLogSum":
        x, = d.put("Abs", [x])
        x, = d.put("Add", [x, d.number(0.1)])
    options = {"keepdims": d.between(0, 1)} if d.chance(0.8) else {}
    if d.chance(0.15):
        d.put(op, [x], **options)
    elif d.takes(op, "axes"):
        d.put(op, [x], axes=some(d, x.rank), **options)
    else:
        d.put(op, [x, d.integers(*some(d, x.rank))], **options)


@maker("ArgMax", "ArgMin")
def arg(d, op):
    x = d.value(d.one_of("fffi"), rank=range(1, 5))
    d.put(op, [x], axis=d.axis(x), keepdims=d.between(0, 1))


@maker("TopK")
def top_k(d, op):
    x = d.value(d.one_of("fffi"), rank=range(1, 4))
    axis = d.axis(x)
    d.put(op, [x, d.integers(d.between(1, x.shape[axis]))], outputs=2,
          axis=axis, largest=d.between(0, 1))


@maker("CumSum")
def cum_sum(d, op):
    x = d.value(d.one_of("fffi"), rank=range(1, 4))
    d.put(op, [x, d.constant(np.array(d.axis(x), np.int64))], exclusive=d.between(0, 1), reverse=d.between(0, 1))


@maker("Softmax", "LogSoftmax", "Hardmax")
def softmax(d, op):
    x = d.value("f", rank=range(1, 5))
    d.put(op, [x], axis=d.axis(x))


#---- norms ----


@maker("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def layer_norm(d, op):
    x = d.value("f", rank=range(1, 5), fits=lambda x: x.rank and x.shape[-1] > 1)
    axis = -1 if op[0] == "S" or d.chance(0.7) else d.between(-x.rank, -1)
    inputs = [x, d.like(x, x.shape[axis:], weight=d.chance(0.8))]
    if op == "LayerNormalization" and d.chance(0.6):
        inputs.append(d.like(x, x.shape[axis:]))
    shapes = [(x.dtype, x.shape)] if op[0] == "S" else None
    d.put(op, inputs, shapes=shapes, axis=axis, epsilon=1e-3)


@maker("BatchNormalization", "InstanceNormalization")
def channel_norm(d, op):
    x = d.value("f", rank=range(3, 5), fits=lambda x: np.prod(x.shape[2:]) > 1)
    inputs = [x, d.like(x, x.shape[1:2]), d.like(x, x.shape[1:2])]
    if op[0] == "B":
        inputs += [d.like(x, x.shape[1:2], weight=True),
                   d.fresh("f", array=d.random.uniform(0.5, 2, x.shape[1:2]).astype(x.dtype), weight=True)]
    d.put(op, inputs, epsilon=1e-3)


@maker("GroupNormalization")
def group_norm(d, op):
    groups, each = d.between(1, 3), d.between(1, 3)
    x = d.fresh("f", (d.between(1, 2), groups * each, *d.shape(d.between(1, 2))))
    if x.elements > MOST_ELEMENTS or np.prod(x.shape[2:]) * each < 2:
        raise Unfit
    channels = (groups,) if d.opset < 21 else (groups * each,)
    d.put(op, [x, d.like(x, channels), d.like(x, channels)], num_groups=groups, epsilon=1e-3)


@maker("LpNormalization")
def lp_norm(d, op):
    x = d.value("f", rank=range(1, 4))
    d.put(op, [x], axis=d.axis(x), p=d.between(1, 2))


@maker("MeanVarianceNormalization")
def mean_variance(d, op):
    x = d.value("f", rank=4, fits=lambda x: x.shape[0] * x.shape[2] * x.shape[3] > 2)
    d.put(op, [x])


#---- products ----


@maker("MatMul")
def matmul(d, op):
    x = d.value("f", rank=range(1, 5))
    inner, columns = x.shape[-1], d.between(1, 9)
    batch = tuple(size if d.chance(0.6) else 1 for size in x.shape[:-2])
    found = [y for y in d.values if y.dtype == x.dtype and y.rank == 2 and y.shape[0] == inner]
    if found and d.chance(0.6):
        y = d.one_of(found)
    else:
        y = d.like(x, d.one_of(((inner, columns), (inner,), (*batch[d.between(0, len(batch)):], inner, columns))))
    d.put(op, [x, y])


@maker("Gemm")
def gemm(d, op):
    x = d.value("f", rank=2)
    trans_a, trans_b = d.between(0, 1), d.between(0, 1)
    rows, inner = x.shape[::-1] if trans_a else x.shape
    columns = d.between(1, 9)
    inputs = [x, d.like(x, (columns, inner) if trans_b else (inner, columns))]
    if d.chance(0.6):
        inputs.append(d.like(x, d.one_of(((columns,), (1, columns), (rows, 1), (rows, columns), ()))))
    d.put(op, inputs, transA=trans_a, transB=trans_b, alpha=d.one_of((1.0, 0.5)), beta=d.one_of((1.0, 2.0)))


@maker("Einsum")
def einsum(d, op):
    left, right, result = d.one_of((("ij", "jk", "ik"), ("bij", "bjk", "bik"), ("bhid", "bhjd", "bhij"),
                                    ("ij", "ij", "i"), ("ij", "kj", "ki"), ("i", "j", "ij"), ("bij", "jk", "bki"),
                                    ("ijk", "k", "ji"), ("ab", "cb", "")))
    x = d.value("f", rank=len(left))
    sizes = dict(zip(left, x.shape))
    y = d.like(x, [sizes.setdefault(letter, d.between(1, 5)) for letter in right])
    if np.prod([sizes[letter] for letter in result], initial=1) > MOST_ELEMENTS:
        raise Unfit
    d.put(op, [x, y], equation=f"{left},{right}->{result}")


@maker("MatMulInteger")
def matmul_integer(d, op):
    rows, inner, columns = d.between(1, 5), d.between(1, 6), d.between(1, 5)
    x = d.fresh("i", array=d.random.integers(0, 20, (rows, inner)).astype(np.uint8))
    y = d.fresh("i", array=d.random.integers(-9, 20, (inner, columns)).astype(np.int8), weight=True)
    d.put(op, [x, y, *([d.constant(np.array(d.between(0, 9), np.uint8))] if d.chance(0.5) else [])])


@maker("QLinearMatMul")
def qlinear_matmul(d, op):
    rows, inner, columns = d.between(1, 5), d.between(1, 6), d.between(1, 5)

    def operand(shape, weight):
        return [d.fresh("i", array=d.random.integers(0, 99, shape).astype(np.uint8), weight=weight),
                d.constant(np.float32(d.random.uniform(0.01, 0.1))), d.constant(np.array(d.between(0, 9), np.uint8))]

    scale, zero = d.constant(np.float32(0.5)), d.constant(np.array(3, np.uint8))
    y, = d.put(op, [*operand((rows, inner), False), *operand((inner, columns), True), scale, zero])
    if d.chance(0.7):
        d.put("DequantizeLinear", [y, scale, zero])


#---- windows ----


def image(d, spatial):
    x = d.value("f", rank=spatial + 2, fits=lambda x: x.rank == spatial + 2 and min(x.shape[2:]) > 1)
    return x, [d.between(1, min(3, size)) for size in x.shape[2:]]


@maker("Conv", "ConvTranspose")
def conv(d, op):
    spatial = d.one_of((1, 2))
    x, kernel = image(d, spatial)
    group = x.shape[1] if d.chance(0.2) else 1
    out = d.between(1, 4) * group
    shape = (out, x.shape[1] // group, *kernel) if op == "Conv" else (x.shape[1], out // group, *kernel)
    inputs = [x, d.like(x, shape, weight=d.chance(0.8))]
    if d.chance(0.5):
        inputs.append(d.like(x, (out,)))
    d.put(op, inputs, group=group, strides=[d.one_of((1, 1, 2)) for _ in kernel],
          pads=[d.between(0, size - 1) for size in kernel] * 2)


def rest_is_pad(size, kernel, stride, pad):
    """Whether a last window would begin behind the value: the library and runtimes differ on that."""
    windows = -(-(size + 2 * pad - kernel) // stride)
    return windows * stride >= size + pad


@maker("MaxPool", "AveragePool", "LpPool")
def pool(d, op):
    x, kernel = image(d, d.one_of((1, 2)))
    options = {"kernel_shape": kernel, "strides": [d.one_of((1, 1, 2)) for _ in kernel]}
    if d.chance(0.5):
        options["pads"] = [d.between(0, size - 1) for size in kernel] * 2
    if op == "AveragePool" and d.chance(0.5):
        options["count_include_pad"] = 1
    if d.chance(0.2) and d.takes(op, "ceil_mode") and not any(
            rest_is_pad(*sizes) for sizes in zip(x.shape[2:], kernel, options["strides"],
                                                 options.get("pads", [0, 0]))):
        options["ceil_mode"] = 1
    d.put(op, [x], **options)


@maker("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool")
def global_pool(d, op):
    d.put(op, [d.value("f", rank=range(3, 5))], **({"p": d.between(1, 2)} if op == "GlobalLpPool" else {}))


@maker("Resize", "Upsample")
def resize(d, op):
    if op == "Upsample":
        raise Unfit  # before version 10
    x = d.value("f", rank=4)
    sizes = [*x.shape[:2], *(size * d.one_of((1, 2, 3)) for size in x.shape[2:])]
    if np.prod(sizes) > MOST_ELEMENTS:
        raise Unfit
    mode = d.one_of(("nearest", "linear"))
    options = {"nearest_mode": d.one_of(("floor", "round_prefer_floor"))} if mode == "nearest" else {}
    d.put(op, [x, None, None, d.integers(*sizes)], mode=mode,
          coordinate_transformation_mode=d.one_of(("asymmetric", "half_pixel", "align_corners")), **options)


@maker("GridSample")
def grid_sample(d, op):
    if d.opset < 16:
        raise Unfit
    spatial = d.one_of((2, 2, 3)) if d.opset >= 20 else 2
    x = d.value("f", rank=spatial + 2)
    places = [x.shape[0], *(d.between(1, 4) for _ in range(spatial)), spatial]
    grid = d.fresh("f", array=d.random.uniform(-1.7, 1.7, places).astype(x.dtype))
    modes = ("nearest", "linear", "cubic") if d.opset >= 20 else ("nearest", "bilinear", "bicubic")
    d.put(op, [x, grid], mode=modes[d.between(0, 2 if spatial == 2 else 1)], align_corners=d.between(0, 1),
          padding_mode=d.one_of(("zeros", "border", "reflection")))


#---- spectra ----


@maker("DFT")
def dft(d, op):
    if d.opset < 17:
        raise Unfit
    real = d.chance(0.5)
    x = d.fresh("f", (*d.shape(d.between(1, 2)), d.between(1, 7), 1 if real else 2))
    axis = d.between(0, x.rank - 2) if d.chance(0.5) else x.rank - 2
    options = {"onesided": 1} if real and d.chance(0.5) else {"inverse": 1} if not real and d.chance(0.5) else {}
    length = d.constant(np.array(d.between(1, 9), np.int64)) if d.chance(0.4) else None
    if d.opset < 20:
        d.put(op, [x, *([length] if length else [])], axis=axis, **options)
    else:
        d.put(op, [x, length, d.constant(np.array(axis, np.int64))], **options)


@maker("STFT")
def stft(d, op):
    if d.opset < 17:
        raise Unfit
    length = d.between(1, 6)
    x = d.fresh("f", (d.between(1, 2), length + d.between(0, 7), 1))
    step, size = (d.constant(np.array(n, np.int64)) for n in (d.between(1, 3), length))
    window = d.like(x, (length,)) if d.chance(0.6) else None
    d.put(op, [x, step, window, size], onesided=d.between(0, 1))


@maker("MelWeightMatrix")
def mel_weights(d, op):
    if d.opset < 17:
        raise Unfit
    numbers = [d.constant(np.array(n, np.int64)) for n in (d.between(1, 6), d.between(4, 40), 8192)]
    ends = [d.constant(np.float32(n)) for n in (d.between(0, 900), d.between(1000, 4000))]
    y, = d.put(op, [*numbers, *ends])
    d.put("Add", [y, d.number(0.1)])


#---- attention ----


@maker("Attention")
def attention(d, op):
    batch, kv, group, rows, columns, dim = (d.between(1, n) for n in (2, 2, 2, 4, 5, 6))
    q = d.fresh("f", (batch, kv * group, rows, dim), weight=False)
    k, v = d.like(q, (batch, kv, columns, dim)), d.like(q, (batch, kv, columns, d.between(1, 5)))
    inputs, options = [q, k, v], {}
    form = d.one_of(("plain", "causal", "mask", "bool", "softcap"))
    if form == "causal":
        options["is_causal"] = 1
    elif form == "softcap":
        options["softcap"] = 2.0
    elif form == "mask":
        inputs.append(d.like(q, (rows, columns)))
    elif form == "bool":
        mask = d.random.random((rows, columns)) < 0.6
        mask[:, 0] = True
        inputs.append(d.fresh("b", array=mask))
    d.put(op, inputs, **options)


@maker("RotaryEmbedding")
def rotary(d, op):
    batch, heads, rows, half = d.between(1, 2), d.between(1, 3), d.between(1, 4), d.between(1, 4)
    x = d.fresh("f", (batch, heads, rows, 2 * half), weight=False)
    places = d.random.integers(0, 9, (batch, rows)).astype(np.int64)
    tables = [d.fresh("f", array=function(d.random.standard_normal((9, half))).astype(x.dtype), weight=True)
              for function in (np.cos, np.sin)]
    d.put(op, [x, *tables, d.fresh("i", array=places, weight=False)], interleaved=d.between(0, 1))


#---- losses ----


@maker("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(d, op):
    x = d.value("f", rank=range(2, 4))
    target = d.random.integers(0, x.shape[1], (x.shape[0], *x.shape[2:])).astype(np.int64)
    d.put(op, [x, d.fresh("i", array=target, weight=False)], reduction=d.one_of(("none", "sum", "mean")))


@maker("AffineGrid")
def affine_grid(d, op):
    # The library's body has no step for a size of 1, and drops a batch of 1.
    batch, height, width = 2, d.between(2, 4), d.between(2, 4)
    d.put(op, [d.fresh("f", (batch, 2, 3)), d.integers(batch, 1, height, width)], align_corners=d.between(0, 1))
