"""Caches of a fixed size that the model itself writes: rows go behind those of the steps before, and what says where
follows from the session."""

import numpy as np
import pytest
from conftest import BothEngines
from kinds import GRIDS, Graph, expected_of
from onnx import TensorProto
from test_model_kinds import HEADS, HIDDEN, SIZE, VOCABULARY, heads_of

import waferloom as wl

ROOM = 7


def tensor_scatter(g, past, rows):
    return g.op("TensorScatter", past, rows, "write_indices", axis=2)


def circular(g, past, rows):
    return g.op("TensorScatter", past, rows, "write_indices", axis=-2, mode="circular")


def two_behind(g, past, rows):
    return g.op("TensorScatter", past, rows, g.op("Add", "write_indices", g.integers(2)), axis=2)


def scatter_elements(g, past, rows):
    """As torch.jit writes index_copy."""
    index = g.op("Reshape", "cache_position", g.integers(1, 1, -1, 1))
    return g.op("ScatterElements", past, g.op("Expand", index, g.op("Shape", rows)), rows, axis=2)


def scatter_nd_in_turn(g, past, rows):
    """As torch.export writes index_put: the dimension comes to the front and goes back."""
    index = g.op("Unsqueeze", "cache_position", g.integers(-1))
    front = [2, 0, 1, 3]
    now = g.op("ScatterND", g.op("Transpose", past, perm=front), index, g.op("Transpose", rows, perm=front))
    return g.op("Transpose", now, perm=[1, 2, 0, 3])


def scatter_nd_of_boxes(g, past, rows):
    """As torch.jit writes cache[:, :, place] = rows: a coordinate for each dimension up to it."""
    shape = g.op("Shape", rows)
    sizes = [g.op("Gather", shape, g.constant(np.array(i))) for i in range(3)]
    grid = g.op("Concat", *(g.op("Unsqueeze", s, g.integers(0)) for s in sizes), g.integers(1), axis=0)
    zero, one = g.constant(np.array(0)), g.constant(np.array(1))
    places = [g.op("Range", zero, sizes[0], one), g.op("Range", zero, sizes[1], one), "cache_position"]
    columns = [g.op("Expand", g.op("Reshape", place, g.integers(*(-1 if k == i else 1 for k in range(4)))), grid)
               for i, place in enumerate(places)]
    return g.op("ScatterND", past, g.op("Concat", *columns, axis=-1), rows)


FORMS = [tensor_scatter, circular, scatter_elements, scatter_nd_in_turn, scatter_nd_of_boxes]


def static_decoder(write, room=ROOM, names=("past.k", "past.v")):
    """A layer whose caches have room for all tokens from the first step on; it masks what is empty by itself."""
    g = Graph()
    for n, name in zip("kv", names):
        g.input(name, ["batch", HEADS, room, SIZE])
        g.output(f"present.{n}", ["batch", HEADS, room, SIZE])
    ids = g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    by_batch = write in (tensor_scatter, circular, two_behind)
    where = g.input(*(("write_indices", ["batch"]) if by_batch else ("cache_position", ["seq"])), TensorProto.INT64)
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), ids)
    q, k, v = (heads_of(g, g.op("MatMul", x, g.weight(HIDDEN, HEADS * SIZE))) for _ in range(3))
    k, v = (write(g, name, rows) for name, rows in zip(names, (k, v)))
    count = g.op("Gather", g.op("Shape", ids), g.constant(np.array(1)))
    zero, one = g.constant(np.array(0)), g.constant(np.array(1))
    rows = g.op("Reshape", where, g.integers(*((-1, 1, 1, 1) if by_batch else (1, 1, -1, 1))))
    if by_batch:
        rows = g.op("Add", rows, g.op("Reshape", g.op("Range", zero, count, one), g.integers(1, 1, -1, 1)))
    size = g.op("Gather", g.op("Shape", k), g.constant(np.array(2)))
    seen = g.op("LessOrEqual", g.op("Range", zero, size, one), rows)
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = g.op("Where", seen, scores, g.constant(np.array(-np.inf, np.float32)))
    y = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    g.op("MatMul", g.op("Reshape", y, g.integers(0, 0, HEADS * SIZE)), g.weight(HEADS * SIZE, VOCABULARY),
         names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    for n, now in zip("kv", (k, v)):
        g.op("Identity", now, names=[f"present.{n}"])
    return g


def steps_of(write, lengths, batch, random):
    done = 0
    for n in lengths:
        place = np.full(batch, done) if write in (tensor_scatter, circular) else np.arange(done, done + n)
        name = "write_indices" if write in (tensor_scatter, circular) else "cache_position"
        yield {"input_ids": random.integers(0, VOCABULARY, (batch, n)), name: place}
        done += n


@pytest.mark.parametrize("batch, chunks", [(1, []), (2, [3])], ids=str)
@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_rows_go_behind_those_before(write, batch, chunks):
    """Given or left out, the place is the session's own; steps of several tokens are cut."""
    g = static_decoder(write)
    data = g.model(opset=24).SerializeToString()
    steps = list(steps_of(write, (3, 1, 2, 1), batch, g.random))
    caches = {f"past.{n}": (f"present.{n}", (batch, HEADS, ROOM, SIZE)) for n in "kv"}
    expected = list(expected_of(data, steps, caches))
    for grid in GRIDS:
        program = wl.compile(data, target=grid, dims={"batch": batch}, chunks=chunks, logits="all")
        assert program.capacity == ROOM and [state.name for state in program.states] == ["past.k", "past.v"]
        session = BothEngines(program)
        for i, (step, wanted) in enumerate(zip(steps, expected)):
            given = step if i % 2 == 0 else {"input_ids": step["input_ids"]}
            logits = session.run(given).outputs["logits"]
            assert logits.shape == wanted["logits"].shape
            np.testing.assert_allclose(logits, wanted["logits"], atol=1e-5, err_msg=f"{grid}, step {i}")
        with pytest.raises(wl.ExecutionError, match="capacity"):
            session.run({"input_ids": steps[1]["input_ids"]})


@pytest.mark.parametrize("write", [tensor_scatter, scatter_elements], ids=lambda write: write.__name__)
def test_another_place_is_refused(write):
    g = static_decoder(write)
    program = wl.compile(g.model(opset=24).SerializeToString(), target=GRIDS[0], chunks=[2])
    steps = list(steps_of(write, (2, 1, 4), 1, g.random))
    name = next(name for name in steps[0] if name != "input_ids")
    session = program.session()
    session.run(steps[0])
    for wrong in (steps[1][name] - 1, steps[1][name] + 1, steps[1][name] + 2**32):
        with pytest.raises(wl.ExecutionError, match=rf"'{name}' has -?\d+ at element 0, but rows come behind the 2 of "
                                                    "this session: it must be 2; left out, it is"):
            session.run(steps[1] | {name: wrong})
    with pytest.raises(wl.ExecutionError, match=name):
        session.run(steps[1] | {name: np.array([2, 2])})
    assert session.length == 2
    session.run(steps[1])
    session.run(steps[2])
    assert session.length == 7


def test_less_of_the_room_and_more():
    data = static_decoder(tensor_scatter).model(opset=24).SerializeToString()
    session = wl.compile(data, target=GRIDS[1], context=3).session()
    session.run({"input_ids": [[1, 2, 3]]})
    with pytest.raises(wl.ExecutionError, match="capacity of 3"):
        session.run({"input_ids": [[4]]})
    with pytest.raises(wl.CompileError, match=r"a context of 8 tokens, but 'past.k' has room for 7(.|\n)*leave --context"):
        wl.compile(data, target=GRIDS[1], context=8)


def test_a_size_by_name():
    data = static_decoder(scatter_nd_in_turn, room="room").model(opset=24).SerializeToString()
    program = wl.compile(data, target=GRIDS[0], context=5)
    assert program.states[0].shape == (1, HEADS, 5, SIZE)
    with pytest.raises(wl.CompileError, match="--context"):
        wl.compile(data, target=GRIDS[0])


def added(g, past, rows):
    index = g.op("Expand", g.op("Reshape", "cache_position", g.integers(1, 1, -1, 1)), g.op("Shape", rows))
    return g.op("ScatterElements", past, index, rows, axis=2, reduction="add")


@pytest.mark.parametrize("kind", ["TensorScatter", "ScatterElements"])
@pytest.mark.parametrize("read", [False, True], ids=("given out", "read"))
def test_rows_put_into_an_input_are_no_cache(kind, read):
    """Where no step takes tokens, they go wherever the caller says, read in the step or not."""
    g = Graph()
    past, rows = g.input("past", [1, HEADS, ROOM, SIZE]), g.input("rows", [1, HEADS, 1, SIZE])
    where = g.input("write_indices", [1], TensorProto.INT64)
    place = [rows, where] if kind == "TensorScatter" else [
        g.op("Expand", g.op("Reshape", where, g.integers(1, 1, 1, 1)), g.op("Shape", rows)), rows]
    now = g.op(kind, past, *place, axis=2, names=[g.output("now", [1, HEADS, ROOM, SIZE])])
    if read:
        g.op("Abs", now, names=[g.output("size", [1, HEADS, ROOM, SIZE])])
    data = g.model(opset=24).SerializeToString()
    step = {name: g.random.standard_normal((1, HEADS, n, SIZE)).astype(np.float32) for name, n in (("past", ROOM), ("rows", 1))}
    step |= {"write_indices": np.array([3])}
    outputs = wl.compile(data, target=GRIDS[0]).session().run(step).outputs
    for name, wanted in next(expected_of(data, [step], {})).items():
        np.testing.assert_array_equal(outputs[name], wanted)


@pytest.mark.parametrize("write, why", [(added, "which replace others"), (two_behind, r"from p \+ 2 on; only those")],
                         ids=("added", "two_behind"))
def test_other_writes_are_refused(write, why):
    g = static_decoder(write)
    with pytest.raises(wl.CompileError, match=why):
        wl.compile(g.model(opset=24).SerializeToString(), target=GRIDS[0])


def attention_decoder(tokens, causal, lengths="nonpad_kv_seqlen"):
    """TensorScatter and Attention with lengths of rows, as the standard means it, and its caches."""
    g = Graph()
    for n in "kv":
        g.input(f"key_cache.{n}", [2, HEADS, ROOM, SIZE])
        g.output(f"updated.{n}", [2, HEADS, ROOM, SIZE])
    ids = g.input("input_ids", [2, tokens], TensorProto.INT64)
    g.input("write_indices", [2], TensorProto.INT64)
    g.input(lengths, [2], TensorProto.INT64)
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), ids)
    q, k, v = (heads_of(g, g.op("MatMul", x, g.weight(HIDDEN, HEADS * SIZE))) for _ in range(3))
    k, v = (g.op("TensorScatter", f"key_cache.{n}", rows, "write_indices", names=[f"updated.{n}"], axis=2)
            for n, rows in (("k", k), ("v", v)))
    y = g.op("Attention", q, k, v, "", "", "", lengths, is_causal=int(causal))
    y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.integers(0, 0, HEADS * SIZE))
    g.op("MatMul", y, g.weight(HEADS * SIZE, VOCABULARY), names=[g.output("logits", [2, tokens, VOCABULARY])])
    return g, {f"key_cache.{n}": (f"updated.{n}", (2, HEADS, ROOM, SIZE)) for n in "kv"}


def test_attention_of_the_standard_over_a_static_cache():
    g, caches = attention_decoder(1, causal=False)
    data = g.model(opset=24).SerializeToString()
    steps = [{"input_ids": g.random.integers(0, VOCABULARY, (2, 1)), "write_indices": np.full(2, i),
              "nonpad_kv_seqlen": np.full(2, i + 1)} for i in range(4)]
    steps[3]["nonpad_kv_seqlen"] = np.array([2, 4])  # of a row that is padded, less counts
    session = BothEngines(wl.compile(data, target=GRIDS[0]))
    for i, (step, wanted) in enumerate(zip(steps, expected_of(data, steps, caches))):
        given = {"input_ids": step["input_ids"]} if i == 1 else step
        np.testing.assert_allclose(session.run(given).outputs["logits"], wanted["logits"], atol=1e-5)


@pytest.mark.parametrize("chunks", [[], [2]], ids=str)
def test_queries_are_the_last_rows_that_count(chunks):
    """Causal, several tokens at once, lengths by a name of their own; a padded row is right where the step is one."""
    g, caches = attention_decoder("seq", causal=True, lengths="rows")
    data = g.model(opset=24).SerializeToString()
    steps, done = [], 0
    for n in (2, 1, 3):
        steps.append({"input_ids": g.random.integers(0, VOCABULARY, (2, n)), "write_indices": np.full(2, done),
                      "rows": np.full(2, done + n)})
        done += n
    expected = list(expected_of(data, steps, caches))
    padded = steps[0] | {"rows": np.array([1, 2])}
    for grid in GRIDS:
        program = wl.compile(data, target=grid, chunks=chunks, logits="all")
        session = BothEngines(program)
        for i, (step, wanted) in enumerate(zip(steps, expected)):
            given = {"input_ids": step["input_ids"]} if i == 1 else step
            np.testing.assert_allclose(session.run(given).outputs["logits"], wanted["logits"], atol=1e-5)
        if chunks:
            wanted = next(expected_of(data, [padded], caches))["logits"]
            # The first row of the first text sees nothing (docs/differences.md).
            np.testing.assert_allclose(program.session().run(padded).outputs["logits"][:, 1], wanted[:, 1], atol=1e-5)
        else:
            with pytest.raises(wl.ExecutionError, match=r"'rows' has 1 at element 0, but a step of 2 tokens that is run "
                                                        r"in parts(.|\n)*compile with chunks = 2"):
                program.session().run(padded)


@pytest.mark.parametrize("batch, precision", [(1, "model"), (2, "f16")], ids=str)
def test_a_static_cache_beside_a_growing_one(batch, precision):
    """Keys lie in a static one, values are appended; a mask has a column for each row that there may be."""
    g = Graph()
    g.input("past.k", ["batch", HEADS, ROOM, SIZE])
    g.input("past.v", ["batch", HEADS, "past", SIZE])
    g.output("present.k", ["batch", HEADS, ROOM, SIZE])
    g.output("present.v", ["batch", HEADS, "total", SIZE])
    ids = g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    where = g.input("cache_position", ["seq"], TensorProto.INT64)
    mask = g.input("attention_mask", ["batch", "room"], TensorProto.INT64)
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), ids)
    q, k, v = (heads_of(g, g.op("MatMul", x, g.weight(HIDDEN, HEADS * SIZE))) for _ in range(3))
    k = scatter_elements(g, "past.k", k)
    v = g.op("Concat", "past.v", v, axis=2)
    rows = g.op("Reshape", where, g.integers(1, 1, -1, 1))
    seen = g.op("LessOrEqual", g.op("Range", *(g.constant(np.array(i)) for i in (0, ROOM, 1))), rows)
    seen = g.op("And", seen, g.op("Cast", g.op("Unsqueeze", mask, g.integers(1, 2)), to=TensorProto.BOOL))
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = g.op("Softmax", g.op("Where", seen, scores, g.constant(np.float32(-1e9))), axis=-1)
    count = g.op("Unsqueeze", g.op("Gather", g.op("Shape", v), g.constant(np.array(2))), g.integers(0))
    scores = g.op("Slice", scores, g.integers(0), count, g.integers(3))
    y = g.op("Reshape", g.op("Transpose", g.op("MatMul", scores, v), perm=[0, 2, 1, 3]), g.integers(0, 0, HEADS * SIZE))
    g.op("MatMul", y, g.weight(HEADS * SIZE, VOCABULARY), names=[g.output("logits", ["batch", "seq", VOCABULARY])])
    for name, now in (("present.k", k), ("present.v", v)):
        g.op("Identity", now, names=[name])
    data = g.model(opset=24).SerializeToString()
    steps = list(steps_of(scatter_elements, (3, 1, 2), batch, g.random))
    for step in steps:
        step["attention_mask"] = np.ones((batch, ROOM), np.int64)
        step["attention_mask"][-1, 1] = 0
    caches = {"past.k": ("present.k", (batch, HEADS, ROOM, SIZE)), "past.v": ("present.v", (batch, HEADS, 0, SIZE))}
    expected = list(expected_of(data, steps, caches))
    for grid in [*GRIDS, "grid-5x3,sram=512KiB"]:
        session = BothEngines(wl.compile(data, target=grid, dims={"batch": batch}, chunks=[2], logits="all", precision=precision))
        for step, wanted in zip(steps, expected):
            np.testing.assert_allclose(session.run(step).outputs["logits"], wanted["logits"],
                                       atol=1e-5 if precision == "model" else 0.02)
