"""Prompts in chunks: entries of several tokens whose head is that of the last one."""

import json

import numpy as np
import pytest

import waferloom as wl
from conftest import BothEngines
from waferloom import zoo

SHAPE = zoo.Shape(layers=3, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=64)


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=3)).SerializeToString()


def ids_of(count):
    return np.random.default_rng(4).integers(0, SHAPE.vocabulary, (1, count))


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("grid", ["grid-4x4,sram=128KiB", "grid-1x1,sram=2MiB", "grid-5x3,sram=128KiB"])
def test_all_logits_and_the_last(model, grid):
    """All come through entries of one token, the last through the chunks: both right, the second cheaper."""
    program = wl.compile(model, target=grid, context=32, chunks=[4])
    ids, theirs = ids_of(11), zoo.Reference(model).run(ids_of(11))
    every, last = (BothEngines(program).run({"input_ids": ids}, logits=which) for which in ("all", "last"))
    close(every.outputs["logits"], theirs)
    close(last.outputs["logits"], theirs[:, -1:])
    assert every.outputs["logits"].shape == (1, 11, SHAPE.vocabulary)
    alone = program.session()
    assert every.cycles == sum(alone.run({"input_ids": ids[:, i:i + 1]}).cycles for i in range(11))
    assert last.cycles < 0.8 * every.cycles or grid.startswith("grid-1x1"), "no messages, nothing to save"
    assert [info.shape for info in program.outputs] == [(1, 1, SHAPE.vocabulary)]


def test_a_head_of_one_token_is_cheaper(model):
    """Both kinds of chunk leave the same states behind."""
    sessions = [wl.compile(model, target="grid-4x4,sram=128KiB", context=32, chunks=[4], logits=which).session()
                for which in ("last", "all")]
    last, whole = (session.run({"input_ids": ids_of(8)}, logits="last") for session in sessions)
    close(last.outputs["logits"], whole.outputs["logits"])
    assert last.cycles < whole.cycles
    close(*(session.run({"input_ids": [[5]]}).outputs["logits"] for session in sessions))


@pytest.mark.parametrize("logits", ["last", "all"])
def test_chunks_pick_the_next_token(model, logits):
    program = wl.compile(model, target="grid-5x3,sram=128KiB", context=32, chunks=[4, 8], logits=logits)
    assert program.picks and program.entries == [1, 4, 8]
    for count in (4, 8, 12, 15):
        ids = ids_of(count)[0].tolist()
        generation = program.session().generate(ids, max_tokens=5)
        assert list(generation) == zoo.Reference(model).greedy(ids, 5)
        assert len(generation.prefill) == count // 8 + count % 8 // 4 + count % 4
        assert len(generation.steps) == 4


def test_wrong_word(model):
    with pytest.raises(wl.CompileError, match="no choice of logits 'some'; there are last, all"):
        wl.compile(model, target="grid-4x4", context=16, logits="some")


@pytest.mark.parametrize("name", ["gpt2-dynamo-op18", "llama-optimum-op18", "mistral-dynamo-op18", "qwen3-dynamo-op18"])
def test_files_of_exporters(models, name):
    """Heads that other tools write: chunks and single tokens leave the same last logits."""
    batch = json.loads((models / f"exporters/{name}.json").read_text())["inputs"][0]["shape"][0]
    program = wl.compile(models / f"exporters/{name}.onnx", target="grid-8x8,sram=1MiB", context=16, chunks=[3],
                         dims={batch: 1})
    ids = np.arange(1, 8)[None]
    chunks, single = program.session(), program.session()
    ours = chunks.run({"input_ids": ids}, logits="last").outputs["logits"]
    close(ours, single.run({"input_ids": ids}).outputs["logits"][:, -1:])


LONGER = zoo.Shape(layers=2, width=48, heads=4, kv_heads=2, head_dim=12, hidden=80, vocabulary=100, positions=2048)


def test_prefill_by_chunks_of_32_16_and_1():
    """The same next token, logits within 1e-3 of each other."""
    model = zoo.build(LONGER, zoo.weights(LONGER, seed=8)).SerializeToString()
    ids = np.random.default_rng(9).integers(0, LONGER.vocabulary, (1, 70))
    tokens, logits = [], []
    for chunks in ([32], [16], [32, 16], []):
        program = wl.compile(model, target="grid-6x4,sram=256KiB", context=96, chunks=chunks)
        generation = program.session().generate(ids[0], max_tokens=8)
        tokens.append(list(generation))
        logits.append(program.run({"input_ids": ids}, logits="last").outputs["logits"][0, -1])
        steps = len(generation.prefill)
        assert steps == {(32,): 8, (16,): 10, (32, 16): 8, (): 70}[tuple(chunks)]
    assert all(text == tokens[-1] for text in tokens)
    assert all(np.abs(row - logits[-1]).max() < 1e-3 for row in logits)


def test_a_cache_of_2048_tokens():
    """Its first, middle and last positions against ONNX Runtime at these lengths."""
    model = zoo.build(LONGER, zoo.weights(LONGER, seed=8)).SerializeToString()
    session = wl.compile(model, target="grid-6x4,sram=512KiB", context=2048, chunks=[16]).session()
    ids = np.random.default_rng(10).integers(0, LONGER.vocabulary, (1, 2048))
    theirs = zoo.Reference(model).run(ids)
    for position in (1, 511, 2047):
        ours = session.run({"input_ids": ids[:, session.length:position + 1]}, logits="last").outputs["logits"]
        assert session.length == position + 1
        np.testing.assert_allclose(ours[0, -1], theirs[0, position], rtol=0, atol=1e-3 * np.abs(theirs[0, position]).max())
        assert ours.argmax() == theirs[0, position].argmax()
    with pytest.raises(wl.ExecutionError, match="capacity of 2048"):
        session.run({"input_ids": [[1]]})


def test_both_forms_give_the_same_tokens():
    texts = [list(wl.compile(zoo.build(LONGER, zoo.weights(LONGER, seed=8), form).SerializeToString(),
                             target="grid-6x4,sram=256KiB", context=64, chunks=[8]).session()
                  .generate(range(3, 30), max_tokens=30)) for form in ("primitives", "genai")]
    assert texts[0] == texts[1] and len(texts[0]) == 30
