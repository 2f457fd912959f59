"""Decoders of encoder-decoders with both uses in one file, as optimum merges them: an image has both, `--set` takes
one."""

import subprocess

import numpy as np
import pytest
from kinds import GRIDS, Graph, expected_of
from onnx import TensorProto, helper
from test_exporters import GRIDS as WHOLE, TWO_STAGES, compare, steps_of
from test_model_kinds import HEADS, HIDDEN, SIZE, VOCABULARY, heads_of

import waferloom as wl
from conftest import BIN, BothEngines

SOURCE = 6  # tokens of the encoder
DIMS = {"source": SOURCE, "kept": SOURCE}


def attend(g, q, k, v):
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    y = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return g.op("Reshape", y, g.integers(0, 0, HEADS * SIZE))


def pasts_of(layers):
    """Each past and its present: of the decoder's own tokens, and of what the encoder gave."""
    return [{f"past.{i}.{of}.{n}": f"present.{i}.{of}.{n}" for i in range(layers) for n in "kv"}
            for of in ("decoder", "encoder")]


def merged_decoder(layers=1, present=lambda name: name):
    """Without a cache, keys and values of the encoder are computed and given out; with one they are taken, and
    what is given out in their place holds nothing. `present`: another name of those."""
    g = Graph()
    own, cross = pasts_of(layers)
    g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    g.input("encoded", ["batch", "source", HIDDEN])
    g.input("use_cache", [1], TensorProto.BOOL)
    for past in own:
        g.input(past, ["batch", HEADS, "past", SIZE])
    for past in cross:
        g.input(past, ["batch", HEADS, "kept", SIZE])
    table, head = g.weight(VOCABULARY, HIDDEN), g.weight(HIDDEN, VOCABULARY)
    weights = [[g.weight(HIDDEN, HEADS * SIZE) for _ in range(5)] + [g.weight(HEADS * SIZE, HIDDEN)]
               for _ in range(layers)]
    empty = g.constant(np.zeros((0, HEADS, 1, SIZE), np.float32))
    branches = []
    for cached in (True, False):
        outside, g.nodes = g.nodes, []
        start = len(outside) + 1000 * (2 - cached)
        g.nodes = [None] * start  # names of their own
        x, presents, given = g.op("Gather", table, "input_ids"), [], []
        for i, (to_q, to_k, to_v, *to_cross, out) in enumerate(weights):
            q, k, v = (heads_of(g, g.op("MatMul", x, w)) for w in (to_q, to_k, to_v))
            kv = [f"past.{i}.encoder.{n}" for n in "kv"]
            if cached:
                k, v = (g.op("Concat", f"past.{i}.decoder.{n}", new, axis=2) for n, new in (("k", k), ("v", v)))
                given += [g.op("Identity", empty) for _ in kv]
            else:
                kv = [heads_of(g, g.op("MatMul", "encoded", w)) for w in to_cross]
                given += kv
            presents += [k, v]
            y = g.op("Add", attend(g, q, k, v), attend(g, q, *kv))
            x = g.op("Add", x, g.op("MatMul", g.op("Tanh", y), out))
        results = [g.op("MatMul", x, head), *presents, *given]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results]
        branches.append(helper.make_graph(g.nodes[start:], f"branch{int(cached)}", [], outputs))
        g.nodes = outside
    g.op("If", g.op("Squeeze", "use_cache"), then_branch=branches[0], else_branch=branches[1],
         names=["logits", *own.values(), *map(present, cross.values())])
    g.output("logits", ["batch", "seq", VOCABULARY])
    for name in own.values():
        g.output(name, ["batch", HEADS, "total", SIZE])
    for name in map(present, cross.values()):
        g.output(name, None)
    return g.model().SerializeToString()


def steps_and_answers(data, layers, count=4, seed=3, encoded=None):
    """What ONNX Runtime takes and answers, first without and then with a cache."""
    own, cross = pasts_of(layers)
    random = np.random.default_rng(seed)
    if encoded is None:
        encoded = random.standard_normal((1, SOURCE, HIDDEN)).astype(np.float32)
    steps = [{"input_ids": random.integers(0, VOCABULARY, (1, 1)), "encoded": encoded} for _ in range(count)]
    nothing = {past: np.zeros((1, HEADS, 0, SIZE), np.float32) for past in (*own, *cross)}
    first = next(expected_of(data, [steps[0] | nothing | {"use_cache": np.array([False])}], {}))
    # From the second on the encoder's keys and values are what the first gave.
    kept = {past: first[present] for past, present in cross.items()}
    answers, pasts = [first], {past: first[present] for past, present in own.items()}
    for step in steps[1:]:
        taken = step | kept | pasts | {"use_cache": np.array([True])}
        answers.append(next(expected_of(data, [taken], {})))
        pasts = {past: answers[-1][present] for past, present in own.items()}
    return steps, answers


PLACES = [*({"target": grid} for grid in ("grid-8x8,sram=256KiB", "grid-7x5,sram=256KiB", "grid-1x7,sram=1MiB")),
          {"target": "grid-8x4,sram=256KiB", "region": (4, 4), "stages": 2}]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_one_image(place):
    """What the encoder gave is taken by the first step and stays: those behind it take tokens only."""
    data = merged_decoder(layers=2)
    program = wl.compile(data, dims={"source": SOURCE}, context=5, **place)
    assert {info.name for info in program.inputs} == {"input_ids", "encoded", "use_cache"}
    assert [info.name for info in program.outputs] == ["logits"]
    assert {info.name: info.shape[2] for info in program.states} == {
        past: 5 if "decoder" in past else SOURCE for pasts in pasts_of(2) for past in pasts}
    assert program.begins == 1 and program.entries == [1]
    assert program.count().keys() == {1, "first1"}
    session = BothEngines(program)
    for seed in (3, 4):  # a reset session begins anew, with what another encoder gave
        steps, answers = steps_and_answers(data, 2, seed=seed)
        for i, (step, wanted) in enumerate(zip(steps, answers)):
            # The first step's inputs may be given to all, as ONNX Runtime wants it.
            given = step if i % 2 == 0 else {"input_ids": step["input_ids"]}
            result = session.run(given | ({} if i else {"use_cache": np.array([False])}))
            np.testing.assert_allclose(result.outputs["logits"], wanted["logits"], atol=2e-5)
            assert result.cycles == program.count()[1 if i else "first1"]
        session.reset()


def test_a_first_step_of_several_tokens_is_cut():
    """The entry that begins takes one token, those behind it go on; what is given for the first part is not for them.
    As attention hides no token, ONNX Runtime takes them one by one, too."""
    data = merged_decoder(layers=2)
    steps, answers = steps_and_answers(data, 2)
    program = wl.compile(data, target=GRIDS[0], dims={"source": SOURCE}, context=5)
    ids = np.concatenate([step["input_ids"] for step in steps], axis=1)
    result = BothEngines(program).run(steps[0] | {"input_ids": ids, "use_cache": np.array([False])})
    wanted = np.concatenate([answer["logits"] for answer in answers], axis=1)
    np.testing.assert_allclose(result.outputs["logits"], wanted, atol=2e-5)
    # Tokens that were chosen are the same ones, with what the encoder gave for every step.
    choose = [int(steps[0]["input_ids"][0, 0])]
    tokens = list(program.session().generate(choose, max_tokens=4, inputs={"encoded": steps[0]["encoded"]}))
    session = program.session()
    for token in tokens:
        result = session.run({"input_ids": [choose[-1:]], "encoded": steps[0]["encoded"]})
        choose.append(int(result.outputs["logits"][0, -1].argmax()))
        assert choose[-1] == token


def test_an_encoder_and_its_decoder_by_the_shell(tmp_path):
    """As docs/from-pytorch.md has it: two images, arrays in files."""
    g = Graph(7)
    x = g.op("MatMul", g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("ids", ["batch", "source"], TensorProto.INT64)),
             g.weight(HIDDEN, HIDDEN))
    g.op("Tanh", x, names=[g.output("last_hidden_state", ["batch", "source", HIDDEN])])
    (tmp_path / "encoder.onnx").write_bytes(g.model().SerializeToString())
    (tmp_path / "decoder.onnx").write_bytes(merged_decoder(layers=2))

    def call(*arguments):
        subprocess.run([BIN / "waferloom", *arguments], cwd=tmp_path, check=True)

    size = ("--target", GRIDS[0], "--dim", f"source={SOURCE}")
    call("compile", "encoder.onnx", *size, "-o", "encoder.wafer")
    call("compile", "decoder.onnx", *size, "--context", "4", "-o", "decoder.wafer")
    source = {"ids": np.arange(SOURCE)[None]}
    np.savez(tmp_path / "source.npz", **source)
    call("run", "encoder.wafer", "--input", "source.npz", "--output", "encoded.npz")
    encoded = np.load(tmp_path / "encoded.npz")["last_hidden_state"]
    expected = next(expected_of((tmp_path / "encoder.onnx").read_bytes(), [source], {}))["last_hidden_state"]
    np.testing.assert_allclose(encoded, expected, atol=1e-5)
    steps, answers = steps_and_answers(merged_decoder(layers=2), 2, count=3, encoded=encoded)
    arguments = []
    for i, step in enumerate(steps):
        np.savez(tmp_path / f"step{i}.npz", **(step if i == 0 else {"input_ids": step["input_ids"]}))
        arguments += ["--input", f"step{i}.npz", "--output", f"out{i}.npz"]
    call("run", "decoder.wafer", *arguments)
    for i, answer in enumerate(answers):
        np.testing.assert_allclose(np.load(tmp_path / f"out{i}.npz")["logits"], answer["logits"], atol=2e-5)


def test_who_begins_is_checked():
    program = wl.compile(merged_decoder(), target=GRIDS[0], dims={"source": SOURCE}, context=2)
    session = program.session()
    ids = np.array([[1]])
    with pytest.raises(wl.ExecutionError, match="input 'encoded' is missing"):
        session.run({"input_ids": ids})
    step = {"input_ids": ids, "encoded": np.ones((1, SOURCE, HIDDEN), np.float32)}
    with pytest.raises(wl.ExecutionError, match="input 'use_cache' has 1 .* takes 0; left out"):
        session.run(step | {"use_cache": np.array([True])})
    assert session.length == 0
    session.run(step)
    with pytest.raises(wl.ExecutionError, match="input 'use_cache' has 0 .* behind 1 tokens takes 1"):
        session.run(step | {"use_cache": np.array([False])})
    session.run({"input_ids": ids, "use_cache": np.array([True])})


def test_names_that_say_nothing():
    """Which output an input is the past of, the file does not say: names must, or the caller. Else keys and values
    of the encoder are inputs of every step."""
    data = merged_decoder(present=lambda name: name.replace("present", "new"))
    states = {past: present.replace("present", "new") for past, present in pasts_of(1)[1].items()}
    options = {"target": GRIDS[0], "dims": DIMS, "context": 5}
    assert wl.compile(data, states=states, **options).begins == 1
    program = wl.compile(data, **options)
    assert program.begins is None and set(states) < {info.name for info in program.inputs}
    with pytest.raises(wl.CompileError, match="'past.0.encoder.k'.* with 6 where it has 5"):
        wl.compile(data, states=states, target=GRIDS[0], dims={"source": SOURCE, "kept": 5}, context=5)


@pytest.mark.parametrize("grid", GRIDS)
def test_two_images(grid):
    """One use each. Without a cache: inputs that only the other branch reads need no size, and are not asked for.
    With one: the encoder's keys and values are inputs of every step."""
    data = merged_decoder()
    own, cross = pasts_of(1)
    steps, answers = steps_and_answers(data, 1, count=3)
    begin = wl.compile(data, target=grid, sets={"use_cache": 0}, dims={"seq": 1, "source": SOURCE})
    assert {info.name for info in begin.inputs} == {"input_ids", "encoded"}
    ours = BothEngines(begin).run(steps[0]).outputs
    for name in ("logits", *cross.values()):
        np.testing.assert_allclose(ours[name], answers[0][name], atol=2e-5)
    go_on = wl.compile(data, target=grid, sets={"use_cache": 1}, dims={"kept": SOURCE}, context=5)
    assert [info.name for info in go_on.outputs] == ["logits"]
    session = BothEngines(go_on)
    for step, wanted in zip(steps, answers):
        outputs = session.run({"input_ids": step["input_ids"]} | {past: ours[given] for past, given in cross.items()})
        np.testing.assert_allclose(outputs.outputs["logits"], wanted["logits"], atol=2e-5)


@pytest.mark.parametrize("start, size", [((0, 0), (4, 6)), ((1, 2), (2, 3)), ((0, 5), (4, 1))], ids=str)
def test_a_box_of_updates(start, size):
    """A mask written in parts: indices that count up are no search."""
    g = Graph()
    mesh = np.stack(np.meshgrid(*(np.arange(s, s + n) for s, n in zip(start, size)), indexing="ij"), axis=-1)
    row = g.op("Range", g.constant(np.array(0)), g.constant(np.array(size[1])), g.constant(np.array(1)))
    updates = g.op("Expand", g.op("Cast", row, to=TensorProto.FLOAT), g.integers(*size))
    box = g.op("ScatterND", g.constant(np.full((4, 6), -1, np.float32)), g.constant(mesh.astype(np.int64)), updates)
    g.op("Add", g.input("x", [4, 6]), box, names=[g.output("y", [4, 6])])
    data = g.model().SerializeToString()
    step = {"x": g.random.standard_normal((4, 6)).astype(np.float32)}
    program = wl.compile(data, target="grid-2x2,sram=256KiB")
    expected = next(expected_of(data, [step], {}))["y"]
    np.testing.assert_allclose(program.session().run(step).outputs["y"], expected, atol=1e-6)


@pytest.mark.parametrize("place", [*({"target": grid} for grid in WHOLE), TWO_STAGES], ids=str)
def test_the_file_of_an_exporter(models, place):
    """t5 as optimum merges it: both uses in one image, the encoder's keys and values on the wafer."""
    path = next(models.glob("exporters*/t5-optimum-op18-decoder-merged.onnx"))
    recorded = np.load(path.with_suffix(".npz"))
    steps = list(steps_of({key: recorded[key] for key in recorded.files}, "greedy"))
    source = steps[0][0]["encoder_hidden_states"].shape[1]
    program = wl.compile(path, dims={"encoder_sequence_length": source}, context=16, **place)
    assert len(program.states) == 8 and [info.name for info in program.outputs] == ["logits"]
    session, known = BothEngines(program), {info.name for info in program.inputs}
    for step, (inputs, outputs) in enumerate(steps):
        given = {name: value for name, value in inputs.items() if name in known and name != "use_cache_branch"}
        compare(session.run(given).outputs["logits"], outputs["logits"], ..., f"step {step}")
