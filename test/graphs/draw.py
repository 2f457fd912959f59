"""Draws small valid graphs of the operators of import's table: random wiring, sizes that divide nothing, several
outputs. What each operator needs of its operands is in the makers (`pointwise.py`, `shapes.py`, `sums.py`,
`recurrent.py`, `fused.py`)."""

import numpy as np
import onnx
import onnx.shape_inference
from onnx import TensorProto, helper, numpy_helper

SIZES = (1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8)
MOST_ELEMENTS = 600
OPSETS = (11, 12, 13, 13, 14, 15, 16, 17, 17, 18, 18, 18, 19, 20, 21, 22, 23, 24)
MAKERS = {}  # by operator


class Unfit(Exception):
    """The operator finds no operands here; another one is drawn."""


def maker(*operators):
    """Registers a function of a drawing and an operator."""
    def register(function):
        for operator in operators:
            MAKERS[operator] = function
        return function
    return register


class Value:
    def __init__(self, name, dtype, shape, array=None):
        self.name, self.dtype, self.shape, self.array = name, np.dtype(dtype), tuple(shape), array

    @property
    def rank(self):
        return len(self.shape)

    @property
    def elements(self):
        return int(np.prod(self.shape))

    @property
    def kind(self):
        return {"f": "f", "b": "b"}.get(self.dtype.kind, "i")


class Drawing:
    """One graph, node by node."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.opset = int(self.random.choice(OPSETS))
        self.float = np.dtype(np.float16 if self.chance(0.1) else np.float32)
        self.nodes, self.values = [], []
        self.feed, self.weights, self.constants = {}, {}, {}
        self.count = 0

    #---- chance ----

    def chance(self, share):
        return self.random.random() < share

    def one_of(self, options):
        return options[int(self.random.integers(len(options)))]

    def between(self, low, high):
        return int(self.random.integers(low, high + 1))

    def name(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def shape(self, rank=None):
        rank = self.one_of((0, 1, 2, 2, 3, 3, 4)) if rank is None else rank
        while True:
            shape = tuple(self.one_of(SIZES) for _ in range(rank))
            if np.prod(shape) <= MOST_ELEMENTS:
                return shape

    def axis(self, value):
        """An axis, counted from either end."""
        if not value.rank:
            raise Unfit
        axis = self.between(0, value.rank - 1)
        return axis - value.rank if self.chance(0.3) else axis

    #---- values ----

    def array(self, kind, shape, low=-4, high=5):
        if kind == "f":
            return (self.random.standard_normal(shape) * self.one_of((0.5, 1, 1, 3))).astype(self.float)
        if kind == "b":
            return np.asarray(self.random.random(shape) < 0.5)
        return np.asarray(self.random.integers(low, high, shape)).astype(self.one_of((np.int64, np.int64, np.int32)))

    def fresh(self, kind, shape=None, array=None, weight=None, **limits):
        """A new input, or a weight of the file."""
        if array is None:
            array = self.array(kind, self.shape() if shape is None else shape, **limits)
        array = np.asarray(array)
        weight = self.chance(0.35) if weight is None else weight
        value = Value(self.name("w" if weight else "x"), array.dtype, array.shape, array if weight else None)
        (self.weights if weight else self.feed)[value.name] = array
        self.values.append(value)
        return value

    def value(self, kind, rank=None, fits=None):
        """A value that is there, or a new one."""
        ranks = None if rank is None else {rank} if isinstance(rank, int) else set(rank)
        found = [value for value in self.values if value.kind == kind and value.elements
                 and (kind != "f" or value.dtype == self.float)
                 and (ranks is None or value.rank in ranks) and (fits is None or fits(value))]
        if found and self.chance(0.85):
            # Later ones more often: chains, not fans.
            return found[-1 - min(len(found) - 1, int(self.random.exponential(2)))]
        for _ in range(20):
            shape = self.shape(None if ranks is None else self.one_of(sorted(ranks)))
            if fits is None or fits(Value("", self.float, shape)):
                return self.fresh(kind, shape)
        raise Unfit

    def like(self, value, shape=None, weight=None):
        """A new one of the same type."""
        shape = value.shape if shape is None else shape
        array = self.array(value.kind, shape).astype(value.dtype)
        return self.fresh(value.kind, array=array, weight=weight)

    def beside(self, value):
        """One of the same type that broadcasts with it."""
        def fits(other):
            try:
                return np.prod(np.broadcast_shapes(other.shape, value.shape)) <= MOST_ELEMENTS
            except ValueError:
                return False
        found = [other for other in self.values if other.dtype == value.dtype and fits(other)]
        if found and self.chance(0.6):
            return self.one_of(found)
        shape = [size if self.chance(0.7) else 1 for size in value.shape]
        return self.like(value, shape[self.between(0, len(shape)):] if self.chance(0.3) else shape)

    def constant(self, array, dtype=None):
        """Numbers that decide a shape or a place: in the file, as they are."""
        array = np.asarray(array, dtype)
        value = Value(self.name("c"), array.dtype, array.shape, array)
        self.constants[value.name] = array
        return value

    def integers(self, *numbers):
        return self.constant(np.array(numbers, np.int64).reshape(len(numbers)))

    def number(self, number, like=None):
        return self.constant(np.array(number, self.float if like is None else like.dtype))

    #---- nodes ----

    def takes(self, operator, attribute):
        """Whether the operator has the attribute in this version."""
        return attribute in onnx.defs.get_schema(operator, self.opset).attributes

    def put(self, operator, inputs, outputs=1, domain="", shapes=None, **attributes):
        """Adds a node; its results as values."""
        names = [self.name("v") if wanted else "" for wanted in
                 ([True] * outputs if isinstance(outputs, int) else outputs)]
        node = helper.make_node(operator, [value.name if value else "" for value in inputs], names,
                                name=self.name(operator), domain=domain, **attributes)
        if shapes is not None:
            types = dict(zip(names, shapes))
        else:
            types = self.inferred(node, [value for value in inputs if value])
        results = []
        for name in names:
            if name:
                dtype, shape = types[name]
                if np.prod(shape) > 4 * MOST_ELEMENTS:
                    raise Unfit
                results.append(Value(name, dtype, shape))
        self.nodes.append(node)
        self.values += results
        return results

    def inferred(self, node, inputs):
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset, node.domain)
            found = onnx.shape_inference.infer_node_outputs(
                schema, node,
                {value.name: helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                 for value in inputs},
                {value.name: numpy_helper.from_array(value.array) for value in inputs if value.array is not None},
                opset_imports=[helper.make_opsetid("", self.opset)])
        except (onnx.shape_inference.InferenceError, onnx.defs.SchemaError) as error:
            raise Unfit from error
        types = {}
        for name, proto in found.items():
            dims = proto.tensor_type.shape.dim
            if not proto.tensor_type.HasField("shape") or any(not dim.HasField("dim_value") for dim in dims):
                raise Unfit
            types[name] = (helper.tensor_dtype_to_np_dtype(proto.tensor_type.elem_type),
                           tuple(dim.dim_value for dim in dims))
        if set(types) != {name for name in node.output if name}:
            raise Unfit
        return types

    def attempt(self, operator):
        """Adds an operator, or leaves the graph as it was."""
        before = (len(self.nodes), list(self.values), dict(self.feed), dict(self.weights), dict(self.constants))
        try:
            if self.opset < MINIMUM.get(operator, 1):
                raise Unfit
            MAKERS[operator](self, operator)
            return True
        except Unfit:
            del self.nodes[before[0]:]
            _, self.values, self.feed, self.weights, self.constants = before
            return False

    #---- the whole ----

    def fill(self, operators, nodes):
        for _ in range(8 * nodes):
            if len(self.nodes) >= nodes:
                break
            self.attempt(self.one_of(operators))
        if not self.nodes:
            raise Unfit

    def outputs(self):
        """All that nobody reads, and some that somebody does."""
        read = {name for node in self.nodes for name in node.input}
        made = {name for node in self.nodes for name in node.output}
        return [value for value in self.values if value.name in made
                and (value.name not in read or self.chance(0.15))]

    def model(self, outputs):
        tensor = helper.np_dtype_to_tensor_dtype
        inputs = [helper.make_tensor_value_info(name, tensor(array.dtype), array.shape)
                  for name, array in self.feed.items()]
        results = [helper.make_tensor_value_info(value.name, tensor(value.dtype), value.shape) for value in outputs]
        kept = self.weights | self.constants
        graph = helper.make_graph(self.nodes, "drawn", inputs, results,
                                  [numpy_helper.from_array(array, name) for name, array in kept.items()])
        opsets = [helper.make_opsetid("", self.opset)]
        if any(node.domain for node in self.nodes):  # the library infers none of their types
            opsets.append(helper.make_opsetid("com.microsoft", 1))
            made = {name for node in self.nodes for name in node.output} - {value.name for value in outputs}
            graph.value_info.extend(helper.make_tensor_value_info(value.name, tensor(value.dtype), value.shape)
                                    for value in self.values if value.name in made)
        return helper.make_model(graph, opset_imports=opsets, ir_version=max(8, min(10, self.opset - 10)))


# Where the operator is newer than the oldest set that is drawn.
MINIMUM = {"GreaterOrEqual": 12, "LessOrEqual": 12, "Celu": 12, "Einsum": 12, "NegativeLogLikelihoodLoss": 12,
           "SoftmaxCrossEntropyLoss": 12, "HardSwish": 14, "Trilu": 14, "CastLike": 15, "LayerNormalization": 17,
           "BlackmanWindow": 17, "HammingWindow": 17, "HannWindow": 17, "Mish": 18, "GroupNormalization": 21,
           "CenterCropPad": 18, "BitwiseAnd": 18, "BitwiseOr": 18, "BitwiseXor": 18, "BitwiseNot": 18, "Gelu": 20,
           "AffineGrid": 20, "RMSNormalization": 23, "Attention": 23, "RotaryEmbedding": 23, "Swish": 24,
           "TensorScatter": 24}


def draw(seed, operators=None):
    """(model, feed, names of the weights that are data) of a seed."""
    drawing = Drawing(seed)
    drawing.fill(sorted(operators or MAKERS), nodes=drawing.between(1, 9))
    return drawing.model(drawing.outputs()), drawing.feed, list(drawing.weights)
