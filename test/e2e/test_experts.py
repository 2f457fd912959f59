"""Mixtures of experts in the forms in which exporters write them, against ONNX Runtime: sizes that divide nothing,
one token and several, weights of other seeds so that other experts are chosen."""

import numpy as np
import pytest
from kinds import Graph, compare
from onnx import TensorProto, helper

import waferloom as wl
from conftest import BothEngines
from waferloom import cycles

HIDDEN, INNER, EXPERTS, CHOSEN = 10, 7, 5, 2
GRIDS = ["grid-6x6,sram=256KiB", "grid-1x7,sram=1MiB"]
TOKENS = [1, 4]


def router(g, x):
    """[tokens, k] gates that add up to 1, and who is chosen."""
    scores = g.op("Softmax", g.op("MatMul", x, g.weight(HIDDEN, EXPERTS, scale=1.5)), axis=-1)
    gates, ids = g.op("TopK", scores, g.integers(CHOSEN), results=2, axis=-1)
    return g.op("Div", gates, g.op("ReduceSum", gates, g.integers(-1), keepdims=1)), ids


def expert(g, x, up, down):
    y = g.op("MatMul", x, up)
    return g.op("MatMul", g.op("Mul", y, g.op("Sigmoid", y)), down)


def matrices_taken(g, x, tokens):
    """Whole matrices at the indices of TopK: what torch's batched products become."""
    gates, ids = router(g, x)
    up, down = g.weight(EXPERTS, INNER, HIDDEN), g.weight(EXPERTS, HIDDEN, INNER)
    at = g.op("Unsqueeze", g.op("Reshape", ids, g.integers(-1)), g.integers(-1))
    rows = g.op("Expand", g.op("Unsqueeze", x, g.integers(1)), g.integers(1, CHOSEN, 1))
    rows = g.op("Unsqueeze", g.op("Reshape", rows, g.integers(-1, HIDDEN)), g.integers(-1))
    y = g.op("MatMul", g.op("GatherND", up, at), rows)
    y = g.op("MatMul", g.op("GatherND", down, at), g.op("Mul", y, g.op("Sigmoid", y)))
    y = g.op("Mul", g.op("Squeeze", y, g.integers(-1)),
             g.op("Unsqueeze", g.op("Reshape", gates, g.integers(-1)), g.integers(-1)))
    return g.op("ReduceSum", g.op("Reshape", y, g.integers(-1, CHOSEN, HIDDEN)), g.integers(1), keepdims=0)


def rows_chosen(g, x, tokens, put):
    """A loop over the experts: NonZero finds the rows of each, `put` adds them where they came from."""
    gates, ids = router(g, x)
    hot = g.op("OneHot", ids, g.integers(EXPERTS), g.integers(0, 1), axis=-1)
    hot = g.op("Transpose", hot, perm=[2, 1, 0])
    sum = g.op("ConstantOfShape", g.op("Shape", x))
    flat = g.op("Reshape", gates, g.integers(-1, 1))
    for e in range(EXPERTS):
        chosen = g.op("Cast", g.op("Gather", hot, g.constant(np.array(e)), axis=0), to=TensorProto.BOOL)
        places = g.op("Transpose", g.op("NonZero", chosen), perm=[1, 0])
        which, token = g.op("Split", places, g.integers(1, 1), results=2, axis=1)
        which, token = (g.op("Squeeze", q, g.integers(1)) for q in (which, token))
        y = expert(g, g.op("Gather", x, token), g.weight(HIDDEN, INNER), g.weight(INNER, HIDDEN))
        at = g.op("Add", which, g.op("Mul", token, g.integers(CHOSEN)))
        sum = put(g, sum, token, g.op("Mul", y, g.op("Gather", flat, at)))
    return sum


def by_elements(g, sum, token, y):
    """torch.index_add by optimum: into zeros, then added."""
    index = g.op("Expand", g.op("Unsqueeze", token, g.integers(1)), g.op("Shape", y))
    zeros = g.op("ConstantOfShape", g.op("Shape", sum))
    return g.op("Add", sum, g.op("ScatterElements", zeros, index, y, axis=0))


def by_reduction(g, sum, token, y):
    """index_put with accumulation."""
    return g.op("ScatterND", sum, g.op("Unsqueeze", token, g.integers(1)), y, reduction="add")


def stacked(g, x, tokens):
    """All experts in one product, by gates that ScatterElements puts into zeros."""
    gates, ids = router(g, x)
    zeros = g.constant(np.zeros((tokens, EXPERTS), np.float32))
    dense = g.op("ScatterElements", zeros, ids, gates, axis=1)
    y = expert(g, g.op("Unsqueeze", x, g.integers(0)), g.weight(EXPERTS, HIDDEN, INNER),
               g.weight(EXPERTS, INNER, HIDDEN))
    shares = g.op("Unsqueeze", g.op("Transpose", dense, perm=[1, 0]), g.integers(2))
    return g.op("ReduceSum", g.op("Mul", y, shares), g.integers(0), keepdims=0)


def compared(g, x, tokens):
    """All experts, each by the sum of the gates whose index it is."""
    gates, ids = router(g, x)
    parts = []
    for e in range(EXPERTS):
        own = g.op("Where", g.op("Equal", ids, g.integers(e)), gates, g.constant(np.float32(0)))
        y = expert(g, x, g.weight(HIDDEN, INNER), g.weight(INNER, HIDDEN))
        parts.append(g.op("Mul", y, g.op("ReduceSum", own, g.integers(1), keepdims=1)))
    return g.op("Sum", *parts)


def windows(g, rows, offsets):
    """The rows between every two offsets."""
    for e in range(EXPERTS):
        begin, end = (g.op("Gather", offsets, g.constant(np.array(i))) for i in (e, e + 1))
        yield g.op("Gather", rows, g.op("Range", begin, end, g.constant(np.array(1))))


def grouped(g, rows, offsets, inner, outer):
    """One product of the rows of each expert with its matrix, as torch's grouped products become."""
    weight = g.weight(EXPERTS, inner, outer)
    return g.op("Concat", *(g.op("MatMul", window, g.op("Gather", weight, g.constant(np.array(e))))
                            for e, window in enumerate(windows(g, rows, offsets))), axis=0)


def offsets_of(g, ids):
    """Where the rows of each expert begin among sorted ones, and where the last ends."""
    hot = g.op("Equal", g.op("Unsqueeze", ids, g.integers(0)), g.op("Unsqueeze", g.integers(*range(EXPERTS)), g.integers(1)))
    counts = g.op("ReduceSum", g.op("Cast", hot, to=TensorProto.INT64), g.integers(1), keepdims=0)
    return g.op("Concat", g.integers(0), g.op("CumSum", counts, g.constant(np.array(0))), axis=0)


def rows_sorted(g, x, tokens):
    """TopK sorts what was chosen by expert, and later brings it back."""
    gates, ids = router(g, x)
    all = g.integers(tokens * CHOSEN)
    ids, order = g.op("TopK", g.op("Reshape", ids, g.integers(-1)), all, results=2, axis=0, largest=0)
    offsets = offsets_of(g, ids)
    y = grouped(g, g.op("Gather", x, g.op("Div", order, g.integers(CHOSEN))), offsets, HIDDEN, INNER)
    y = grouped(g, g.op("Mul", y, g.op("Sigmoid", y)), offsets, INNER, HIDDEN)
    shares = g.op("Gather", g.op("Reshape", gates, g.integers(-1)), order)
    y = g.op("Mul", y, g.op("Unsqueeze", shares, g.integers(1)))
    _, back = g.op("TopK", order, all, results=2, axis=0, largest=0)
    return g.op("ReduceSum", g.op("Reshape", g.op("Gather", y, back), g.integers(-1, CHOSEN, HIDDEN)), g.integers(1),
                keepdims=0)


FORMS = {"rows sorted": rows_sorted, "matrices taken": matrices_taken, "stacked": stacked, "compared": compared,
         "rows, ScatterElements": lambda *args: rows_chosen(*args, put=by_elements),
         "rows, ScatterND": lambda *args: rows_chosen(*args, put=by_reduction)}


def steps_of(g, tokens):
    return [{"x": g.random.standard_normal((tokens, HIDDEN)).astype(np.float32)} for _ in range(3)]


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("form", FORMS)
def test_forms(form, tokens):
    g = Graph(seed=tokens)
    y = FORMS[form](g, g.input("x", [tokens, HIDDEN]), tokens)
    g.op("Identity", y, names=["y"])
    g.output("y", [tokens, HIDDEN])
    compare(g.model(), steps_of(g, tokens), grids=GRIDS)


ACTIVATIONS = [{"activation_type": kind} for kind in ("relu", "gelu", "silu", "identity")] + [
    {"activation_type": "swiglu", "swiglu_fusion": 1, "activation_alpha": 1.702, "activation_beta": 1.0,
     "swiglu_limit": 0.7}]


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("normalized", [0, 1])
@pytest.mark.parametrize("options", ACTIVATIONS, ids=lambda o: o["activation_type"])
def test_moe(options, normalized, tokens):
    g = Graph(seed=tokens + normalized)
    width = INNER * (2 if options["activation_type"] == "swiglu" else 1)
    x = g.input("x", [1, tokens, HIDDEN])
    scores = g.op("Reshape", g.op("MatMul", x, g.weight(HIDDEN, EXPERTS, scale=1.5)), g.integers(-1, EXPERTS))
    g.op("MoE", x, scores, g.weight(EXPERTS, width, HIDDEN), g.weight(EXPERTS, width),
         g.weight(EXPERTS, HIDDEN, INNER), g.weight(EXPERTS, HIDDEN), domain="com.microsoft", names=["y"],
         k=CHOSEN, normalize_routing_weights=normalized, **options)
    g.output("y", [1, tokens, HIDDEN])
    steps = [{"x": step["x"][None]} for step in steps_of(g, tokens)]
    compare(g.model(), steps, grids=GRIDS)


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("bits, block", [(4, 0), (8, 0), (4, 16), (8, 16)])
def test_qmoe(bits, block, tokens):
    hidden, inner = (32, 48) if block else (12, 10)
    g = Graph(seed=bits + tokens)
    x = g.input("x", [tokens, hidden])
    scores = g.op("MatMul", x, g.weight(hidden, EXPERTS, scale=1.5))

    def packed(rows, columns):
        integers = g.constant(g.random.integers(0, 256, (EXPERTS, rows, columns * bits // 8)).astype(np.uint8))
        shape = (EXPERTS, rows, columns // block) if block else (EXPERTS, rows)
        return integers, g.constant((g.random.random(shape) * 0.5 / 2**bits).astype(np.float32))

    up, down = packed(inner, hidden), packed(hidden, inner)
    g.op("QMoE", x, scores, *up, g.weight(EXPERTS, inner), *down, g.weight(EXPERTS, hidden),
         domain="com.microsoft", names=["y"], k=CHOSEN, normalize_routing_weights=1, activation_type="silu",
         expert_weight_bits=bits, **({"block_size": block} if block else {}))
    g.output("y", [tokens, hidden])
    steps = [{"x": g.random.standard_normal((tokens, hidden)).astype(np.float32)} for _ in range(2)]
    # ONNX Runtime may round the rows of 8-bit experts to 8 bits.
    compare(g.model(), steps, grids=GRIDS, tolerance=2e-2 if bits == 8 and block else 1e-3)


def chooses(tokens, hidden, inner, experts, chosen, kind=np.float32, seed=1):
    """Experts whose scores come from outside, so that a step says which compute."""
    g = Graph(seed)
    element = TensorProto.FLOAT if kind == np.float32 else TensorProto.FLOAT16
    matrix = lambda *shape: g.constant((g.random.standard_normal(shape) * 0.4).astype(kind))
    x, scores = g.input("x", [tokens, hidden], element), g.input("scores", [tokens, experts], element)
    g.op("MoE", x, scores, matrix(experts, inner, hidden), matrix(experts, inner), matrix(experts, hidden, inner),
         matrix(experts, hidden), domain="com.microsoft", names=["y"], k=chosen, normalize_routing_weights=1,
         activation_type="silu")
    g.output("y", [tokens, hidden], element)
    return g


def scores_of(rows, experts):
    """Those that choose the experts of each row, in its order."""
    scores = np.full((len(rows), experts), -1, np.float32)
    for row, ids in zip(scores, rows):
        row[list(ids)] = np.linspace(3, 2, len(ids))
    return scores


@pytest.mark.parametrize("precision", ["model", "f16"])
@pytest.mark.parametrize("target", ["grid-4x4,sram=1MiB", "grid-7x5,sram=256KiB", "grid-1x12,sram=1MiB"])
def test_a_choice_costs_what_any_other_does(target, precision):
    """Cycles are the same for all ids, and no expert computes that was not chosen."""
    tokens, hidden, inner, experts, chosen = 1, 96, 128, 16, 2
    data = chooses(tokens, hidden, inner, experts, chosen).model().SerializeToString()
    products = {}
    x = np.random.default_rng(3).standard_normal((tokens, hidden)).astype(np.float32)
    for which in ("chosen", "all"):
        session = BothEngines(wl.compile(data, target=target, precision=precision, experts=which))
        taken = set()
        for ids in ([0, 1], [0, 15], [15, 14], [3, 9], [9, 3]):
            result = session.run({"x": x, "scores": scores_of([ids], experts)})
            taken.add(result.cycles)
        # All equal: the first ones are chosen.
        taken.add(session.run({"x": x, "scores": np.zeros((tokens, experts), np.float32)}).cycles)
        assert len(taken) == 1, f"{which}: {taken}"
        products[which] = sum(part.kinds["products"] for part in cycles.parts(result.accounts))
    assert products["chosen"] <= 1.3 * chosen / experts * products["all"]


@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("which", ["chosen", "all"])
def test_chosen_or_all(which, tokens):
    """As ONNX Runtime has it, whoever computes."""
    experts = 5
    g = chooses(tokens, 10, 7, experts, 2)
    rows = [[0, 4], [4, 1], [2, 3]]
    steps = [{"x": g.random.standard_normal((tokens, 10)).astype(np.float32),
              "scores": scores_of(rows[i:] + rows[:i], experts)[:tokens]} for i in range(3)]
    compare(g.model(), steps, grids=GRIDS, experts=which)


def test_one_row_travels_for_all_experts_of_a_token():
    data = chooses(1, 40, 24, 6, 3).model().SerializeToString()
    together, apart = (wl.compile(data, target="grid-8x1,sram=256KiB", disable_rewrites=disabled).count()[1]
                       for disabled in ((), ("gates-first",)))
    assert together < apart


def test_another_choice_of_experts_is_refused():
    with pytest.raises(wl.CompileError, match="there is no choice of experts 'few'; there are auto, chosen, all"):
        wl.compile(b"", experts="few")


def refused(g, **options):
    with pytest.raises(wl.CompileError) as error:
        wl.compile(g.model().SerializeToString(), target="grid-4x4,sram=256KiB", **options)
    return str(error.value)


@pytest.mark.parametrize("what, message", [
    (lambda g, rows: g.op("ReduceSum", rows, g.integers(0), keepdims=1, names=["y"]), "each by itself"),
    (lambda g, rows: g.op("Mul", g.op("Cast", g.op("Size", rows), to=1), "x", names=["y"]), "each by itself"),
    (lambda g, rows: g.op("Mul", g.op("Cast", g.op("Shape", rows), to=1), g.constant(np.float32([2, 3])), names=["y"]),
     "a number of rows"),
    (lambda g, rows: g.op("Identity", rows, names=["y"]), "output 'y' has as many rows as data decides"),
], ids=["sum", "size", "shape", "output"])
def test_what_would_see_absent_rows_is_refused(what, message):
    g = Graph()
    x = g.input("x", [4, HIDDEN])
    positive = g.op("Less", g.constant(np.float32(0)), g.op("ReduceSum", x, g.integers(1), keepdims=0))
    row = g.op("Reshape", g.op("NonZero", positive), g.integers(-1))
    what(g, g.op("Gather", x, row))
    g.output("y", None)
    assert message in refused(g)


@pytest.mark.parametrize("join, message", [
    (lambda g, parts: g.op("Concat", *parts[1:], parts[0], axis=0, names=["y"]), "each by itself"),
    (lambda g, parts: g.op("Concat", *parts[1:], axis=0, names=["y"]), "each by itself"),
    (lambda g, parts: g.op("Identity", parts[0], names=["y"]), "output 'y' has as many rows as data decides"),
], ids=["another order", "without the first", "one"])
def test_windows_that_are_not_all_rows_are_refused(join, message):
    g = Graph()
    ids = g.input("ids", [6], TensorProto.INT64)
    join(g, list(windows(g, g.input("x", [6, HIDDEN]), offsets_of(g, ids))))
    g.output("y", None)
    assert message in refused(g)


def test_windows_of_other_places_do_not_meet():
    """As many rows, but not the same ones."""
    g = Graph()
    x, count = g.input("x", [6, HIDDEN]), g.op("Add", g.input("count", [], TensorProto.INT64), g.constant(np.array(1)))
    first, second = (g.op("Gather", x, g.op("Range", g.op("Sub", count, count) if i == 0 else count,
                                            g.op("Mul", count, g.constant(np.array(i + 1))), g.constant(np.array(1))))
                     for i in range(2))
    g.op("Add", first, second, names=["y"])
    g.output("y", None)
    assert "each by itself" in refused(g)


@pytest.mark.parametrize("use", ["Identity", "Neg"])
def test_places_of_a_window_are_only_gathered_by(use):
    g = Graph()
    end = g.input("end", [], TensorProto.INT64)
    g.op(use, g.op("Range", g.constant(np.array(0)), end, g.constant(np.array(1))), names=["y"])
    g.output("y", None, TensorProto.INT64)
    assert "takes rows of which data decides the number" in refused(g)


def test_unknown_kinds_of_experts_are_refused():
    g = Graph()
    x = g.input("x", [3, HIDDEN])
    g.op("MoE", x, g.op("MatMul", x, g.weight(HIDDEN, EXPERTS)), g.weight(EXPERTS, INNER, HIDDEN), "",
         g.weight(EXPERTS, HIDDEN, INNER), domain="com.microsoft", names=["y"], k=CHOSEN, use_sparse_mixer=1)
    g.output("y", [3, HIDDEN])
    assert "use_sparse_mixer is not supported" in refused(g)
