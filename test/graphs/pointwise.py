"""Makers of operators that work element by element."""

import numpy as np
from onnx import TensorProto

from draw import Unfit, maker


@maker("Abs", "Ceil", "Cos", "Erf", "Floor", "HardSwish", "Identity", "Mish", "Neg", "Relu", "Round", "Sigmoid", "Sign",
       "Sin", "Softplus", "Softsign", "Tanh", "Atan", "Asinh", "IsNaN", "Swish", "Tan", "Exp", "Cosh", "Sinh", "Selu")
def unary(d, op):
    kind = "f"
    if op in ("Abs", "Neg", "Sign", "Identity") and d.chance(0.3):
        kind = "i"
    x = d.value(kind)
    if op in ("Exp", "Cosh", "Sinh", "Tan"):  # of what is small
        x, = d.put("Tanh", [x])
    d.put(op, [x])


@maker("Log", "Sqrt", "Reciprocal")
def positive(d, op):
    x, = d.put("Abs", [d.value("f")])
    x, = d.put("Add", [x, d.number(0.1)])
    d.put(op, [x])


@maker("Acos", "Asin", "Atanh", "Acosh")
def inside_one(d, op):
    x, = d.put("Tanh", [d.value("f")])
    x, = d.put("Mul", [x, d.number(0.9)])
    if op == "Acosh":
        x, = d.put("Add", [x, d.number(2)])
    d.put(op, [x])


@maker("Celu", "Elu", "HardSigmoid", "LeakyRelu", "Shrink", "ThresholdedRelu")
def with_numbers(d, op):
    attributes = {"Celu": ("alpha",), "Elu": ("alpha",), "HardSigmoid": ("alpha", "beta"), "LeakyRelu": ("alpha",),
                  "Shrink": ("lambd", "bias"), "ThresholdedRelu": ("alpha",)}[op]
    d.put(op, [d.value("f")], **{name: float(d.random.uniform(0.1, 1.5)) for name in attributes if d.chance(0.7)})


@maker("Gelu")
def gelu(d, op):
    d.put(op, [d.value("f")], approximate=d.one_of(("none", "tanh")))


@maker("Clip")
def clip(d, op):
    low, high = sorted(d.random.uniform(-2, 2, 2))
    x = d.value("f")
    d.put(op, [x, d.number(low) if d.chance(0.8) else None, *([d.number(high)] if d.chance(0.8) else [])])


@maker("IsInf")
def isinf(d, op):
    d.put(op, [d.value("f")], detect_negative=d.between(0, 1), detect_positive=d.between(0, 1))


@maker("Add", "Sub", "Mul", "Less", "Greater", "Equal", "LessOrEqual", "GreaterOrEqual")
def binary(d, op):
    x = d.value(d.one_of("fffi"))
    pair = [x, d.beside(x)]
    d.put(op, pair[::-1] if d.chance(0.5) else pair)


@maker("Div")
def div(d, op):
    x = d.value(d.one_of("fffi"))
    if x.kind == "i":
        by = d.constant(d.random.integers(1, 6, x.shape[-1:]).astype(x.dtype) * d.one_of((1, 1, -1)))
    else:
        by, = d.put("Abs", [d.beside(x)])
        by, = d.put("Add", [by, d.number(0.5)])
    d.put(op, [x, by])


@maker("Mod")
def mod(d, op):
    x = d.value("i")
    d.put(op, [x, d.constant(d.random.integers(1, 6, x.shape[-1:]).astype(x.dtype))])


@maker("Pow")
def power(d, op):
    if d.chance(0.5):
        return d.put(op, [d.value("f"), d.number(d.one_of((0, 1, 2, 3, 4, -1, -2)))])
    x, = d.put("Abs", [d.value("f")])
    x, = d.put("Add", [x, d.number(0.5)])
    return d.put(op, [x, d.number(d.random.uniform(-2, 2)) if d.chance(0.7) else d.beside(x)])


@maker("PRelu")
def prelu(d, op):
    x = d.value("f")
    shape = [size if d.chance(0.6) else 1 for size in x.shape]
    d.put(op, [x, d.like(x, shape[d.between(0, len(shape)):])])


@maker("Max", "Min", "Sum", "Mean")
def variadic(d, op):
    x = d.value("f")
    d.put(op, [x, *(d.beside(x) for _ in range(d.between(0, 2)))])


@maker("And", "Or", "Xor")
def logic(d, op):
    x = d.value("b")
    d.put(op, [x, d.beside(x)])


@maker("Not")
def negation(d, op):
    d.put(op, [d.value("b")])


@maker("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot")
def bitwise(d, op):
    x = d.value("i")
    d.put(op, [x] if op == "BitwiseNot" else [x, d.beside(x)])


@maker("BitShift")
def shift(d, op):
    x = d.fresh("i", array=d.random.integers(0, 99, d.shape()).astype(np.uint8))
    by = d.constant(d.random.integers(0, 3, x.shape[-1:]).astype(np.uint8))
    x, = d.put(op, [x, by], direction=d.one_of(("LEFT", "RIGHT")))
    d.put("Cast", [x], to=d.one_of((TensorProto.INT32, TensorProto.FLOAT)))


@maker("Where")
def where(d, op):
    x = d.value(d.one_of("fffi"))
    condition = d.value("b", fits=lambda c: broadcasts(c, x))
    d.put(op, [condition, x, d.beside(x)])


def broadcasts(a, b):
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return True


TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL,
         TensorProto.INT8, TensorProto.UINT8)
SMALL = (TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2FNUZ)


@maker("Cast")
def cast(d, op):
    x = d.value(d.one_of("fib"))
    if x.kind == "f" and d.opset >= 19 and d.chance(0.2):  # there and back
        small, = d.put(op, [x], to=d.one_of(SMALL), saturate=d.between(0, 1))
        d.values.remove(small)
        return d.put(op, [small], to=TensorProto.FLOAT)
    return d.put(op, [x], to=d.one_of(TYPES if x.kind == "f" else (TensorProto.FLOAT, TensorProto.BOOL,
                                                                  TensorProto.INT32)))


@maker("CastLike")
def cast_like(d, op):
    d.put(op, [d.value(d.one_of("fib")), d.value(d.one_of("fib"))])


@maker("Dropout")
def dropout(d, op):
    d.put(op, [d.value("f")], outputs=d.one_of(((True,), (True, True))))


@maker("DequantizeLinear")
def dequantize(d, op):
    """Of weights: per tensor, per index of an axis, in blocks."""
    dtype = d.one_of((np.int8, np.uint8))
    shape = d.shape(d.between(1, 3))
    axis = d.between(0, len(shape) - 1)
    block = d.one_of([n for n in range(1, shape[axis] + 1) if shape[axis] % n == 0])
    form = d.one_of(("tensor", "axis", "block")) if d.opset >= 21 else d.one_of(("tensor", "axis") if d.opset >= 13
                                                                              else ("tensor",))
    of_scales = {"tensor": (), "axis": shape[axis:axis + 1],
                 "block": (*shape[:axis], shape[axis] // block, *shape[axis + 1:])}[form]
    x = d.fresh("i", array=d.random.integers(0, 120, shape).astype(dtype), weight=True)
    scales = d.constant(d.random.uniform(0.01, 0.1, of_scales).astype(np.float32))
    zeros = d.constant(d.random.integers(0, 9, of_scales).astype(dtype))
    attributes = {} if form == "tensor" else {"axis": axis}
    if form == "block":
        attributes["block_size"] = block
    d.put(op, [x, scales, *([zeros] if d.chance(0.6) else [])], **attributes)


@maker("QuantizeLinear")
def quantize(d, op):
    """There and back, as a quantizer writes it."""
    if d.float == np.float16:
        raise Unfit
    dtype = d.one_of((np.int8, np.uint8))
    scale, zero = d.number(d.random.uniform(0.02, 0.2)), d.constant(np.array(d.between(0, 9), dtype))
    x, = d.put(op, [d.value("f"), scale, zero])
    if d.chance(0.7):
        d.put("DequantizeLinear", [x, scale, zero])


@maker("DynamicQuantizeLinear")
def dynamic(d, op):
    x = d.value("f")
    if x.dtype != np.float32:
        raise Unfit
    x, = d.put("Add", [x, d.number(0.3)])  # of what is symmetric the zero point lies between two integers
    d.put(op, [x], outputs=3)
