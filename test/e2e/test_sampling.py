"""Tokens that the wafer picks are those that its logits name, step by step."""

import numpy as np
import pytest

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=2, width=20, heads=4, kv_heads=2, head_dim=6, hidden=22, vocabulary=37, positions=40)


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=5)).SerializeToString()


def greedy(program, prompt, count):
    """The host picks: arg-max of the logits that come back."""
    session, ids, tokens = program.session(), list(prompt), []
    while len(tokens) < count:
        logits = session.run({"input_ids": [ids]}, logits="last").outputs["logits"]
        ids = [int(logits[0, -1].argmax())]
        tokens += ids
    return tokens


@pytest.mark.parametrize("target", ["grid-1x1,sram=256KiB", "grid-4x4", "grid-5x3", "grid-1x7", "grid-12x2"])
@pytest.mark.parametrize("prompt", [[3], [1, 30, 36, 0, 2, 9, 9]])
def test_picked_tokens_are_the_arg_max(model, target, prompt):
    program = wl.compile(model, target=target, context=32, chunks=[4])
    assert list(program.session().generate(prompt, 20)) == greedy(program, prompt, 20)


def test_a_step_beside_generation(model):
    """A step by hand in between, and a second session, do not confuse what is fed."""
    program = wl.compile(model, target="grid-4x4", context=32)
    wanted = greedy(program, [7, 8], 6)
    session, other = program.session(), program.session()
    assert list(other.generate([1], 3)) == greedy(program, [1], 3)
    first = list(session.generate([7, 8], 3))
    session.run({"input_ids": [[wanted[2]]]})
    assert first == wanted[:3]
    assert list(session.generate([wanted[3]], 2)) == wanted[4:6]


def test_ends_at_the_capacity(model):
    program = wl.compile(model, target="grid-4x4", context=10)
    session = program.session()
    assert len(list(session.generate([1, 2, 3], 100))) == 8
    assert session.length == 10


def test_hidden_from_the_model(model):
    program = wl.compile(model, target="grid-4x4", context=8)
    assert [info.name for info in program.outputs] == ["logits"]
    assert list(program.session().run({"input_ids": [[1]]}).outputs) == ["logits"]
    with pytest.raises(wl.ExecutionError, match="'input_ids' is missing"):
        program.session().run({})


def test_sampling_can_be_left_out(model):
    whole = wl.compile(model, target="grid-4x4", context=16)
    plain = wl.compile(model, target="grid-4x4", context=16, sample="none")
    assert list(plain.session().generate([5], 8)) == list(whole.session().generate([5], 8))
    with pytest.raises(wl.CompileError, match="greedy and none"):
        wl.compile(model, target="grid-4x4", context=16, sample="beam")


def test_ties_go_to_the_lowest_index():
    """All logits equal (a zero head): token 0, also where the vocabulary is padded."""
    arrays = zoo.weights(SHAPE, seed=5)
    arrays["lm_head.weight"] = np.zeros_like(arrays["lm_head.weight"])
    program = wl.compile(zoo.build(SHAPE, arrays).SerializeToString(), target="grid-5x3", context=8)
    assert list(program.session().generate([4], 3)) == [0, 0, 0]
