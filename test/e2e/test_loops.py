"""Loop and Scan whose number of trips is known: their bodies, once per trip."""

import numpy as np
import pytest
from kinds import Graph, compare
from onnx import TensorProto, helper

import waferloom as wl

SIZE = 5


def body_of(g, write, inputs, outputs):
    """A graph that `write` writes, which gives the names of its results; `inputs`, `outputs`: (name, type)."""
    outside, g.nodes = g.nodes, []
    g.nodes = [None] * (len(outside) + 1000)  # names of their own
    results = write(*(name for name, _ in inputs))
    nodes = g.nodes[len(outside) + 1000:]
    g.nodes = outside
    of = helper.make_tensor_value_info
    shapes = {"trip": [], "go": []}
    return helper.make_graph(nodes, "body", [of(name, kind, shapes.get(name)) for name, kind in inputs],
                             [of(name, kind, None) for name, kind in zip(results, outputs)])


def looped(g, write, trips="", go="", carried=(), kinds=(), rows=(), **names):
    """A Loop; `write(trip, go, *carried)` gives whether it goes on, what is carried, and rows."""
    inputs = [("trip", TensorProto.INT64), ("go", TensorProto.BOOL)]
    inputs += [(f"carried{i}", kind) for i, kind in enumerate(kinds)]
    body = body_of(g, write, inputs, [TensorProto.BOOL, *kinds, *rows])
    return g.op("Loop", trips, go, *carried, body=body, results=len(kinds) + len(rows), **names)


FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def test_a_constant_number_of_trips():
    """Carried, and rows of each trip; a weight of the graph, and the trip itself."""
    g = Graph()
    x, w = g.input("x", [2, SIZE]), g.weight(SIZE, SIZE)

    def write(trip, go, carried):
        y = g.op("Tanh", g.op("Add", g.op("MatMul", carried, w), g.op("Cast", trip, to=FLOAT)))
        return g.op("Identity", go), y, g.op("ReduceSum", y, g.integers(0), keepdims=0)

    looped(g, write, g.integers(3), g.constant(np.array(True)), [x], [FLOAT], [FLOAT],
           names=[g.output("y", [2, SIZE]), g.output("rows", None)])
    compare(g.model(), [{"x": g.random.standard_normal((2, SIZE)).astype(np.float32)}])


@pytest.mark.parametrize("most", [None, 2, 7])
def test_a_condition_that_is_counted(most):
    """It ends where its condition does, or the number of trips before that."""
    g = Graph()
    x = g.input("x", [SIZE])

    def write(trip, go, carried, count):
        count = g.op("Add", count, g.constant(np.array(2)))
        return g.op("Less", count, g.constant(np.array(7))), g.op("Mul", carried, g.weight(SIZE)), count, carried

    looped(g, write, "" if most is None else g.constant(np.array(most)), g.constant(np.array(True)),
           [x, g.constant(np.array(0))], [FLOAT, INT64], [FLOAT],
           names=[g.output("y", [SIZE]), g.output("count", [], INT64), g.output("rows", None)])
    compare(g.model(), [{"x": g.random.standard_normal(SIZE).astype(np.float32)}])


def test_as_many_trips_as_a_size_and_a_branch():
    """Rows are taken by the trip; the first one is another branch."""
    g = Graph()
    x = g.input("x", ["rows", SIZE])
    trips = g.op("Gather", g.op("Shape", x), g.constant(np.array(0)))

    def write(trip, go, carried):
        row = g.op("Gather", x, trip, axis=0)
        then = body_of(g, lambda: [g.op("Neg", row)], [], [FLOAT])
        otherwise = body_of(g, lambda: [g.op("Add", row, carried)], [], [FLOAT])
        y = g.op("If", g.op("Equal", trip, g.constant(np.array(0))), then_branch=then, else_branch=otherwise)
        return g.op("Identity", go), y, y

    looped(g, write, trips, "", [g.weight(SIZE)], [FLOAT], [FLOAT],
           names=[g.output("y", [SIZE]), g.output("rows", None)])
    for rows in (1, 4):
        compare(g.model(), [{"x": g.random.standard_normal((rows, SIZE)).astype(np.float32)}], dims={"rows": rows})


def scanned(g, write, carried, arrays, results, **attributes):
    inputs = [(f"state{i}", FLOAT) for i in range(len(carried))] + [(f"row{i}", FLOAT) for i in range(len(arrays))]
    body = body_of(g, write, inputs, [FLOAT] * results)
    return g.op("Scan", *carried, *arrays, body=body, num_scan_inputs=len(arrays), **attributes)


@pytest.mark.parametrize("forward", [True, False])
def test_a_recurrence(forward):
    """Two arrays along other dimensions, one of them from its end; rows along the last dimension."""
    g = Graph()
    a, b, w = g.input("a", [3, 2, SIZE]), g.input("b", [2, 3]), g.weight(SIZE, SIZE)

    def write(state, one, other):
        state = g.op("Tanh", g.op("Add", g.op("MatMul", state, w), one))
        return state, g.op("Mul", state, g.op("Unsqueeze", other, g.integers(1)))

    scanned(g, write, [g.input("s", [2, SIZE])], [a, b], 2, scan_input_axes=[0, -1], scan_input_directions=[0, 1],
            scan_output_axes=[-1], scan_output_directions=[0 if forward else 1],
            names=[g.output("state", [2, SIZE]), g.output("rows", None)])
    step = {name: g.random.standard_normal(shape).astype(np.float32)
            for name, shape in (("a", (3, 2, SIZE)), ("b", (2, 3)), ("s", (2, SIZE)))}
    compare(g.model(), [step])


def refusal(g, **options):
    with pytest.raises(wl.CompileError) as caught:
        wl.compile(g.model().SerializeToString(), target="grid-2x2,sram=256KiB", **options)
    return str(caught.value)


def counting(trips_of, condition=None, shape=(SIZE,)):
    g = Graph()
    x = g.input("x", list(shape))

    def write(trip, go, carried):
        go = g.op("Identity", go) if condition is None else condition(g, carried)
        return go, g.op("Add", carried, g.constant(np.float32(1)))

    looped(g, write, trips_of(g), g.constant(np.array(True)), [x], [FLOAT], names=[g.output("y", list(shape))])
    return g


def test_what_is_refused():
    data = counting(lambda g: g.input("n", [], INT64))
    assert "(Loop): the number of trips depends on data" in refusal(data)

    def small(g, value):
        return g.op("Less", g.op("ReduceMax", value, keepdims=0), g.constant(np.float32(3)))

    assert "(Loop): data decides whether trip 1 runs" in refusal(counting(lambda g: g.integers(4), small))
    many = counting(lambda g: g.integers(30000))
    assert "runs its body of 2 nodes 30000 times, which is more than 20000 nodes; bind" in refusal(many)
    endless = counting(lambda g: "")
    assert "which is more than 20000 nodes" in refusal(endless)
    # One message for a node of the body, not one per trip.
    bad = Graph()
    looped(bad, lambda trip, go, carried: (bad.op("Identity", go), bad.op("Det", carried)), bad.integers(3), "",
           [bad.input("x", [2, 2])], [FLOAT], names=[bad.output("y", None)])
    assert refusal(bad).count("(Det): the operator is not supported") == 1
