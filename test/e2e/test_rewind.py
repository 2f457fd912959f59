"""Sessions go back and fork: what comes then are the bits and cycles of a session that took only those tokens, for
every kind of program, in both engines; where what the states held is gone, it is refused."""

import numpy as np
import pytest
from kinds import Graph
from test_attention_kinds import grouped
from test_beams import growing
from test_kinds import SHAPE as LARGER
from test_merged_decoders import SOURCE, merged_decoder, steps_and_answers
from test_static_caches import static_decoder, tensor_scatter

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=3, width=20, heads=2, kv_heads=1, head_dim=10, hidden=23, vocabulary=37, positions=64)
CONTEXT = 17
ENGINES = ("lockstep", "reference")


def model(shape=SHAPE):
    return zoo.build(shape, zoo.weights(shape, seed=5)).SerializeToString()


def of_window():
    data, _, _, options = grouped(2, 1, local_window_size=3)
    return wl.compile(data.SerializeToString(), target="grid-4x4,sram=256KiB", **options | {"chunks": [2]})


def of_static_cache():
    return wl.compile(static_decoder(tensor_scatter).model(opset=24).SerializeToString(), target="grid-4x4,sram=256KiB",
                      dims={"batch": 1}, chunks=[2], logits="all")


PROGRAMS = {
    "one region": lambda: wl.compile(model(), target="grid-4x3,sram=256KiB", context=CONTEXT),
    "one core": lambda: wl.compile(model(), target="grid-1x1,sram=1MiB", context=CONTEXT),
    "blocks": lambda: wl.compile(model(), target="grid-5x3,sram=256KiB", context=CONTEXT, chunks=[4], prefill="block",
                                 logits="all"),
    "streams": lambda: wl.compile(model(), target="wse3,sram=512KiB", context=CONTEXT, region=(5, 4), stages=3,
                                  chunks=[4]),
    "ends": lambda: wl.compile(model(LARGER), target="wse3,sram=512KiB", context=CONTEXT, region=(5, 3), ends=(9, 3),
                               stages=3, precision="f16", chunks=[3]),
    "half caches": lambda: wl.compile(model(), target="grid-1x7,sram=256KiB", context=CONTEXT, precision="f16"),
    "a window": of_window,
    "static caches": of_static_cache,
}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request):
    return PROGRAMS[request.param]()


def ids(seed, count, vocabulary=30):
    return np.random.default_rng(seed).integers(0, vocabulary, (1, count))


def take(session, tokens):
    """All of a step: outputs, cycles, and where they go."""
    result = session.run({"input_ids": tokens}, logits="last")
    return {name: array.tobytes() for name, array in result.outputs.items()}, result.cycles, result.accounts


def read(session, tokens):
    """One by one: the bits of a block need not be those of single tokens."""
    for token in tokens[0]:
        take(session, [[token]])


def tail(session, seed):
    """Steps to the end of the capacity, the first one of several tokens."""
    room = session.program.capacity - session.length
    return [take(session, ids(seed, n)) for n in [min(5, room), *[1] * (room - 5)]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_goes_back(program, engine):
    """To every position, from the end of the capacity, over and over."""
    session, first = program.session(engine=engine), ids(1, program.capacity)
    read(session, first)
    for length in (program.capacity - 1, 3, 1, 3, 0):
        read(session, first[:, session.length:length])  # forward again, as before
        session.rewind(length)
        assert session.length == length
        fresh = program.session(engine=engine)
        read(fresh, first[:, :length])
        assert tail(session, length) == tail(fresh, length)
        session.rewind(length)
        read(session, first[:, length:])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fork_goes_on_by_itself(program, engine):
    session, first = program.session(engine=engine), ids(1, 3)
    fresh = program.session(engine=engine)
    for one in (session, fresh):
        take(one, first)
    early = session.fork()
    expected = tail(fresh, 2)
    assert tail(session, 2) == expected
    assert early.length == 3 and session.length == program.capacity
    late = session.fork()
    late.rewind(3)
    for fork in (early, late):
        assert tail(fork, 2) == expected
        fork.reset()
        assert fork.length == 0
        take(fork, first)
    del session, late
    again = early.fork()
    del early  # each lives without the one that it came from
    assert tail(again, 2) == expected


@pytest.mark.parametrize("options, drawn", [({}, {}), ({"sample": "softmax"}, {"temperature": 0.8, "seed": 3}),
                                            ({"sample": "none"}, {"temperature": 0.8, "seed": 3})])
def test_texts(options, drawn):
    """A token that the wafer has picked is not fed to the step behind a rewind."""
    program = wl.compile(model(), target="grid-4x3,sram=256KiB", context=32, chunks=[3], **options)
    start, more = [3, 1, 4, 1, 5], [9, 2, 6]
    expected = program.session().generate(start + more, max_tokens=9, **drawn)
    session = program.session()
    list(session.generate(start, max_tokens=12, **drawn))
    forks = [session.fork(), session]
    for other in forks:
        other.rewind(len(start))
        got = other.generate(more, max_tokens=9, **drawn)
        assert list(got) == (expected.tokens or list(expected))
        assert [result.cycles for result in got.steps] == [result.cycles for result in expected.steps]


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_that_are_none_are_forgotten(engine):
    """Rows of a cache that overflowed do not show behind the position."""
    g = Graph()
    g.input("past.k", [1, 1, "past", 8])
    x = g.input("input_ids", [1, "seq", 8])
    k = g.op("Concat", "past.k", g.op("Unsqueeze", g.op("Exp", x), g.integers(1)), axis=2, names=["present.k"])
    scores = g.op("MatMul", g.op("Unsqueeze", x, g.integers(1)), g.op("Transpose", k, perm=[0, 1, 3, 2]))
    g.op("MatMul", g.op("Softmax", scores, axis=-1), k, names=["y"])
    g.output("present.k", [1, 1, "total", 8])
    g.output("y", [1, 1, "seq", 8])
    program = wl.compile(g.model().SerializeToString(), target="grid-3x2,sram=64KiB", context=6)
    steps = [np.full((1, 1, 8), value, np.float32) for value in (0.5, 1000, 0.25)]
    session, fresh = program.session(engine=engine), program.session(engine=engine)
    results = [session.run({"input_ids": step}).outputs["y"] for step in steps]
    assert not np.isfinite(results[1:]).any()
    session.rewind(1)
    fresh.run({"input_ids": steps[0]})
    ours, theirs = (one.run({"input_ids": steps[2]}).outputs["y"].tobytes() for one in (session, fresh))
    assert ours == theirs


def same(session, fresh, steps):
    for step in steps:
        ours, theirs = session.run(step), fresh.run(step)
        assert ours.outputs["logits"].tobytes() == theirs.outputs["logits"].tobytes() and ours.cycles == theirs.cycles


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_encoder_gave_stays(engine):
    data = merged_decoder()
    program = wl.compile(data, dims={"source": SOURCE}, context=7, target="grid-7x5,sram=256KiB")
    (first, *steps), _ = steps_and_answers(data, 1)
    steps = [{"input_ids": step["input_ids"]} for step in steps]
    (other, *_), _ = steps_and_answers(data, 1, seed=8)
    session, fresh = program.session(engine=engine), program.session(engine=engine)
    for step in (first, *steps):
        session.run(step)
    session.rewind(1)
    fresh.run(first)
    same(session, fresh, steps[::-1])
    # From nothing on, with what another encoder gave.
    session.rewind(0)
    fresh.reset()
    same(session, fresh, [other, *steps])
    # Keys of its own and of the encoder are not told apart where they are equally many.
    program = wl.compile(data, dims={"source": SOURCE}, context=SOURCE, target="grid-7x5,sram=256KiB")
    session = program.session(engine=engine)
    for step in (first, *steps):
        session.run(step)
    with pytest.raises(wl.ExecutionError, match="all others have a dimension of 6.*another --context"):
        session.rewind(1)
    assert session.length == 4
    session.rewind(0)
    assert session.length == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_that_took_the_states_of_others(engine):
    program = wl.compile(growing().model().SerializeToString(), target="grid-5x3,sram=512KiB", dims={"batch": 3},
                         context=8)
    rows = np.arange(3).reshape(3, 1)
    session, fresh = program.session(engine=engine), program.session(engine=engine)
    steps = [{"input_ids": rows + i} for i in range(6)]
    steps[3]["beam_idx"] = np.array([2, 0, 0], np.int32)
    for step in steps:
        session.run(step)
    with pytest.raises(wl.ExecutionError, match="rows took the states of others behind 3 tokens"):
        session.rewind(2)
    session.rewind(4)
    fork = session.fork()
    with pytest.raises(wl.ExecutionError, match="behind 3 tokens"):
        fork.rewind(1)
    for step in steps[:4]:
        fresh.run(step)
    same(fork, fresh, steps[4:])
    for one in (session, fresh):
        one.rewind(0)
    same(session, fresh, steps[:3])


def test_refused():
    program = wl.compile(model(), target="grid-4x3,sram=256KiB", context=CONTEXT)
    session = program.session()
    take(session, ids(1, 3))
    with pytest.raises(wl.ExecutionError, match="has 3 tokens, so it cannot go back to 4"):
        session.rewind(4)
    for wrong, error in ((-1, ValueError), (1.5, TypeError), ("x", TypeError), (None, TypeError)):
        with pytest.raises(error):
            session.rewind(wrong)
    assert session.length == 3
    # As many slots as elements of a head.
    session = wl.compile(model(), target="grid-4x3,sram=256KiB", context=SHAPE.head_dim).session()
    take(session, ids(1, 3))
    with pytest.raises(wl.ExecutionError, match="2 dimensions of 10.*another --context"):
        session.rewind(2)
    session.rewind(3)
    session.rewind(0)
    assert session.length == 0


def test_a_model_without_states():
    """Its steps do not depend on each other."""
    g = Graph()
    g.op("MatMul", g.input("x", [1, 4]), g.weight(4, 3), names=["y"])
    g.output("y", [1, 3])
    session = wl.compile(g.model().SerializeToString(), target="grid-2x2").session()
    step = {"x": np.ones((1, 4), np.float32)}
    expected = session.run(step).outputs["y"]
    session.run(step)
    session.rewind(1)
    assert session.length == 1 and np.array_equal(session.fork().run(step).outputs["y"], expected)
