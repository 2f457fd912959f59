"""Seeded mutations of ONNX models: of bytes, and of what the bytes mean."""

import onnx
from onnx import helper, numpy_helper

NUMBERS = [0, -1, 1, 2, 3, 7, 2**31 - 1, 2**31, -2**31, 2**63 - 1, -2**63, 10**9, 65536]
UNARY = "Abs Neg Cos Sin Exp Tanh Sigmoid Relu Sqrt Reciprocal Floor Ceil Erf Identity".split()
KINS = [UNARY, "Add Sub Mul Div Max Min".split(), "Less LessOrEqual Greater GreaterOrEqual Equal".split(),
        "And Or Xor".split()]


def mutate_bytes(data, random):
    """Changes, flips, cuts or inserts bytes, mostly where the structure is; sometimes truncates."""
    data = bytearray(data)
    kind = random.randrange(4)
    for _ in range(random.choice([1, 1, 3, 20])):
        at = random.randrange(len(data))
        if kind == 0:
            data[at] = random.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            del data[at:at + random.choice([1, 4, 100])]
        else:
            data[at:at] = bytes(random.randrange(256) for _ in range(random.choice([1, 4, 20])))
        if len(data) < 10:
            break
    if random.random() < 0.1:
        data = data[:random.randrange(len(data))]
    return bytes(data)


def _change_constant(graph, random):
    """Another number where shapes come from."""
    ints = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT64]
    if not ints:
        return
    tensor = random.choice(ints)
    values = numpy_helper.to_array(tensor).copy()
    if values.size:
        at = random.randrange(values.size)
        near = max(-2**63, min(2**63 - 1, int(values.reshape(-1)[at]) + random.choice([-2, -1, 1, 2])))
        values.reshape(-1)[at] = random.choice([near, near, random.choice(NUMBERS[:6] + [2**63 - 1, -2**63, 10**9])])
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _change_attribute(graph, random):
    node = random.choice(graph.node)
    if not node.attribute:
        return
    attribute = random.choice(node.attribute)
    if attribute.type == onnx.AttributeProto.INT:
        attribute.i = random.choice([attribute.i - 1, attribute.i + 1, random.choice(NUMBERS)]) % 2**63
    elif attribute.ints:
        attribute.ints[random.randrange(len(attribute.ints))] = random.choice(NUMBERS[:6] + [-2])


def _change_operator(graph, random):
    node = random.choice(graph.node)
    kin = [ops for ops in KINS if node.op_type in ops]
    node.op_type = random.choice(kin[0]) if kin and random.random() < 0.8 else random.choice(graph.node).op_type


def _rewire(graph, random):
    """An input from another node; mostly an earlier one, so that the order holds."""
    at = random.randrange(len(graph.node))
    node = graph.node[at]
    earlier = [o for other in graph.node[:at] for o in other.output] or [""]
    if node.input:
        node.input[random.randrange(len(node.input))] = random.choice(earlier) if random.random() < 0.9 else ""


def _swap_inputs(graph, random):
    node = random.choice(graph.node)
    if len(node.input) > 1:
        i, j = random.sample(range(len(node.input)), 2)
        node.input[i], node.input[j] = node.input[j], node.input[i]


def _insert(graph, random):
    """A node more, behind some value."""
    at = random.randrange(len(graph.node))
    value = graph.node[at].output[0]
    op = random.choice([*UNARY, "Softmax", "Transpose", "ReduceMean", "ReduceSum", "ReduceMax", "Shape", "Cast"])
    attributes = {"Softmax": {"axis": random.choice([-1, -2, 0])}, "Cast": {"to": random.choice([1, 6, 7, 9, 10, 11])},
                  "ReduceMean": {"axes": [random.choice([-1, -2, 0])]}}.get(op, {})
    node = helper.make_node(op, [value], [f"{value}_{random.randrange(10**6)}"], **attributes)
    for later in graph.node[at + 1:]:
        for i, name in enumerate(later.input):
            if name == value:
                later.input[i] = node.output[0]
    graph.node.insert(at + 1, node)


def _change_input(graph, random):
    value = random.choice(graph.input)
    dims = value.type.tensor_type.shape.dim
    kind = random.randrange(4)
    if kind == 0:
        value.type.tensor_type.elem_type = random.choice([1, 2, 6, 7, 9, 10, 11, 16, 8, 0, 99])
    elif kind == 1 and dims:
        del dims[-1]
    elif kind == 2:
        dims.add().dim_param = "x"
    elif dims:
        random.choice(dims).dim_value = random.choice(NUMBERS)


def _change_weight(graph, random):
    tensor = random.choice(graph.initializer)
    if random.random() < 0.5:
        tensor.data_type = random.choice([1, 2, 3, 6, 7, 9, 10, 11, 16])
    elif tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice(NUMBERS)


def _drop(graph, random):
    graph.node.remove(random.choice(graph.node))


MILD = [_change_constant, _change_constant, _change_operator, _rewire, _swap_inputs, _insert, _insert]
ALL = [*MILD, _change_attribute, _change_input, _change_weight, _drop]


def mutate_structure(model, random, changes=ALL):
    """A copy with one to five changes."""
    mutant = onnx.ModelProto()
    mutant.CopyFrom(model)
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        try:
            random.choice(changes)(mutant.graph, random)
        except ValueError:
            pass  # an earlier change broke what this one wanted to read
    return mutant
