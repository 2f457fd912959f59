"""Makers of operators that move elements, and of those that make them of shapes."""

import numpy as np
from onnx import TensorProto

from draw import MOST_ELEMENTS, Unfit, maker


def axes_of(d, op, inputs, axes, **attributes):
    """Axes are an attribute or an operand, by the version."""
    if d.takes(op, "axes"):
        return d.put(op, inputs, axes=list(axes), **attributes)
    return d.put(op, [*inputs, d.integers(*axes)], **attributes)


def some(d, rank, least=1):
    """Different axes of a value of that rank."""
    if rank < least:
        raise Unfit
    axes = d.random.permutation(rank)[:d.between(least, rank)]
    return [int(axis) - rank if d.chance(0.2) else int(axis) for axis in axes]


@maker("Transpose")
def transpose(d, op):
    x = d.value(d.one_of("fffib"))
    d.put(op, [x], **({} if d.chance(0.2) or not x.rank else {"perm": [int(axis) for axis in d.random.permutation(x.rank)]}))


def factored(d, elements):
    """A shape of so many elements."""
    shape = []
    while elements > 1 and len(shape) < 4:
        size = d.one_of([n for n in range(1, elements + 1) if elements % n == 0])
        shape.append(size)
        elements //= size
    return shape + [elements] if elements > 1 or d.chance(0.2) else shape


@maker("Reshape")
def reshape(d, op):
    x = d.value(d.one_of("fffib"))
    shape = factored(d, x.elements)
    if shape and d.chance(0.4):
        shape[d.between(0, len(shape) - 1)] = -1
    d.put(op, [x, d.integers(*shape)])


@maker("Flatten")
def flatten(d, op):
    x = d.value("f")
    d.put(op, [x], axis=d.between(0, x.rank))


@maker("Squeeze")
def squeeze(d, op):
    x = d.value("f", fits=lambda x: 1 in x.shape)
    axes_of(d, op, [x], [i for i, size in enumerate(x.shape) if size == 1][:d.between(1, 3)])


@maker("Unsqueeze")
def unsqueeze(d, op):
    x = d.value(d.one_of("ffib"), rank=range(4))
    axes_of(d, op, [x], some(d, x.rank + 1)[:2])


@maker("Expand")
def expand(d, op):
    x = d.value(d.one_of("ffib"))
    shape = [d.between(1, 4) if size == 1 else size if d.chance(0.7) else 1 for size in x.shape]
    d.put(op, [x, d.integers(*([d.between(1, 3)] if d.chance(0.3) else []), *shape)])


@maker("Tile")
def tile(d, op):
    x = d.value("f", rank=range(1, 4))
    d.put(op, [x, d.integers(*(d.one_of((1, 1, 2, 3)) for _ in x.shape))])


@maker("Concat")
def concat(d, op):
    x = d.value(d.one_of("ffffib"), rank=range(1, 5))
    axis = d.axis(x)

    def fits(other):
        return other.dtype == x.dtype and other.rank == x.rank and all(
            a == b or i == axis % x.rank for i, (a, b) in enumerate(zip(other.shape, x.shape)))

    parts = [x]
    for _ in range(d.between(1, 2)):
        found = [other for other in d.values if fits(other)]
        shape = list(x.shape)
        shape[axis] = d.between(1, 4)
        parts.append(d.one_of(found) if d.chance(0.7) else d.like(x, shape))
    d.put(op, parts, axis=axis)


@maker("Split")
def split(d, op):
    x = d.value("f", rank=range(1, 5), fits=lambda x: max(x.shape, default=1) > 1)
    axis = d.one_of([i for i, size in enumerate(x.shape) if size > 1])
    cuts = sorted({int(d.random.integers(1, x.shape[axis])) for _ in range(d.between(1, 3))})
    sizes = np.diff([0, *cuts, x.shape[axis]]).tolist()
    if d.takes(op, "split"):
        d.put(op, [x], outputs=len(sizes), axis=axis, split=sizes)
    else:
        d.put(op, [x, d.integers(*sizes)], outputs=len(sizes), axis=axis)


@maker("Slice")
def slice_(d, op):
    x = d.value(d.one_of("ffffib"), rank=range(1, 5))
    axes = some(d, x.rank)
    bounds = []
    for axis in axes:
        size = x.shape[axis]
        step = d.one_of((1, 1, 1, 2, 3, -1, -2))
        first = d.between(0, size - 1)
        last = d.between(first, size - 1)
        start, end = (first, last + 1) if step > 0 else (last, first - 1 if first else -size - 1)
        if start >= 0 and end > 0 and d.chance(0.3):
            start, end = start - size, end - size if end < size else d.one_of((size, 9999))
        bounds.append((start, end, step))
    starts, ends, steps = zip(*bounds)
    d.put(op, [x, d.integers(*starts), d.integers(*ends), d.integers(*axes),
               *([d.integers(*steps)] if any(step != 1 for step in steps) or d.chance(0.5) else [])])


@maker("Pad")
def pad(d, op):
    x = d.value("f", rank=range(1, 5))
    mode = d.one_of(("constant", "constant", "edge", "reflect"))
    most = 2 if mode != "reflect" else 0 if min(x.shape) < 2 else 1
    pads = [d.between(0, most) for _ in range(2 * x.rank)]
    if mode == "constant" and d.chance(0.3):
        pads = [-1 if size > 2 and d.chance(0.5) else pad for size, pad in zip(x.shape * 2, pads)]
    d.put(op, [x, d.integers(*pads), *([d.number(d.random.uniform(-2, 2))] if mode == "constant" and d.chance(0.5)
                                       else [])], mode=mode)


@maker("CenterCropPad")
def crop(d, op):
    x = d.value("f", rank=range(1, 4))
    d.put(op, [x, d.integers(*(max(1, size + d.between(-2, 2)) for size in x.shape))])


@maker("DepthToSpace", "SpaceToDepth")
def blocks(d, op):
    block = d.between(1, 3)
    batch, depth, height, width = d.one_of((1, 1, 2)), d.between(1, 3), d.between(1, 3), d.between(1, 3)
    shape = (batch, depth * block ** 2, height, width) if op[0] == "D" else (batch, depth, height * block, width * block)
    if np.prod(shape) > MOST_ELEMENTS:
        raise Unfit
    d.put(op, [d.fresh("f", shape)], blocksize=block,
          **({"mode": d.one_of(("DCR", "CRD"))} if op == "DepthToSpace" else {}))


#---- by indices ----


def indices(d, shape, size, negative=True):
    """Places along a dimension: known, or an input."""
    array = d.random.integers(-size if negative and d.chance(0.4) else 0, size, shape)
    array = array.astype(d.one_of((np.int64, np.int64, np.int32)))
    if d.chance(0.5):
        return d.constant(array)
    return d.fresh("i", array=np.abs(array) % size, weight=False)


@maker("Gather")
def gather(d, op):
    x = d.value(d.one_of("fffib"), rank=range(1, 5))
    axis = d.axis(x)
    d.put(op, [x, indices(d, d.shape(d.one_of((0, 1, 1, 2))), x.shape[axis])], axis=axis)


@maker("GatherElements")
def gather_elements(d, op):
    x = d.value("f", rank=range(1, 4))
    axis = d.axis(x)
    shape = [size if i != axis % x.rank else d.between(1, 5) for i, size in enumerate(x.shape)]
    d.put(op, [x, indices(d, shape, x.shape[axis])], axis=axis)


@maker("GatherND")
def gather_nd(d, op):
    x = d.value("f", rank=range(1, 4))
    depth = d.between(1, x.rank)
    places = np.stack([d.random.integers(0, size, d.shape(1)[0] * 0 + 3) for size in x.shape[:depth]], -1)
    d.put(op, [x, d.constant(places.astype(np.int64)) if d.chance(0.5)
               else d.fresh("i", array=places.astype(np.int64), weight=False)])


@maker("ScatterElements", "Scatter")
def scatter_elements(d, op):
    if op == "Scatter":
        raise Unfit  # before version 11
    x = d.value("f", rank=range(1, 4))
    axis = d.axis(x)
    shape = [d.between(1, size) for size in x.shape]
    places = np.stack([d.random.permutation(x.shape[axis])[:shape[axis]]
                       for _ in range(int(np.prod(shape)) // shape[axis])])
    places = np.moveaxis(places.reshape([size for i, size in enumerate(shape) if i != axis % x.rank]
                                        + [shape[axis]]), -1, axis).astype(np.int64)
    reduction = {"reduction": d.one_of(("add", "mul"))} if d.opset >= 16 and d.chance(0.3) else {}
    d.put(op, [x, d.constant(places) if d.chance(0.6) else d.fresh("i", array=places, weight=False),
               d.like(x, shape)], axis=axis, **reduction)


@maker("ScatterND")
def scatter_nd(d, op):
    x = d.value("f", rank=range(1, 4))
    depth = d.between(1, x.rank)
    rows = int(np.prod(x.shape[:depth]))
    chosen = d.random.permutation(rows)[:d.between(1, min(rows, 5))]
    places = np.stack(np.unravel_index(chosen, x.shape[:depth]), -1).astype(np.int64)
    d.put(op, [x, d.constant(places) if d.chance(0.6) else d.fresh("i", array=places, weight=False),
               d.like(x, (len(chosen), *x.shape[depth:]))])


@maker("TensorScatter")
def tensor_scatter(d, op):
    batch, rows, width = d.between(1, 2), d.between(2, 6), d.between(1, 5)
    new = d.between(1, rows)
    past = d.fresh("f", (batch, rows, width), weight=False)
    places = d.random.integers(0, rows - new + 1, (batch,)).astype(np.int64)
    d.put(op, [past, d.like(past, (batch, new, width), weight=False),
               d.constant(places) if d.chance(0.5) else d.fresh("i", array=places, weight=False)], axis=1)


@maker("OneHot")
def one_hot(d, op):
    depth = d.between(1, 7)
    d.put(op, [indices(d, d.shape(d.between(0, 2)), depth), d.constant(np.array(depth, np.int64)),
               d.constant(np.array([d.random.uniform(-1, 0), d.random.uniform(0, 2)], d.float))],
          axis=d.one_of((-1, -1, 0)))


#---- of shapes ----


@maker("Shape", "Size")
def shape(d, op):
    x = d.value(d.one_of("fib"), rank=range(1, 5))
    bounds = {"start": d.between(0, x.rank - 1)} if op == "Shape" and d.opset >= 15 and d.chance(0.5) else {}
    sizes, = d.put(op, [x], **bounds)
    if d.chance(0.7):
        sizes, = d.put("Cast", [sizes], to=TensorProto.FLOAT if d.float == np.float32 else TensorProto.FLOAT16)


@maker("ConstantOfShape")
def constant_of_shape(d, op):
    from onnx import numpy_helper
    d.put(op, [d.integers(*d.shape())],
          value=numpy_helper.from_array(d.array(d.one_of("fib"), (1,))))


@maker("EyeLike")
def eye(d, op):
    d.put(op, [d.value("f", rank=2)], k=d.between(-2, 2))


@maker("Range")
def range_(d, op):
    kind = d.one_of((np.int64, np.float32))
    start, step, count = d.between(-5, 5), d.one_of((1, 1, 2, -1, -3)), d.between(1, 8)
    d.put(op, [d.constant(np.array(n, kind)) for n in (start, start + step * count, step)])


@maker("Trilu")
def trilu(d, op):
    x = d.value(d.one_of("fffi"), rank=range(2, 5))
    d.put(op, [x, *([d.constant(np.array(d.between(-2, 2), np.int64))] if d.chance(0.6) else [])], upper=d.between(0, 1))


@maker("BlackmanWindow", "HammingWindow", "HannWindow")
def window(d, op):
    values, = d.put(op, [d.constant(np.array(d.between(2, 12), np.int64))], periodic=d.between(0, 1))
    d.values.remove(values)  # 0 at the ends but for rounding
    d.put("Add", [values, d.constant(np.float32(0.1))])
