"""Tokens that the wafer picks are those that its logits name, step by step."""

import numpy as np
import pytest

import waferloom as wl
from conftest import BothEngines
from waferloom import zoo
from waferloom.generation import sample

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
    with pytest.raises(wl.CompileError, match="greedy, softmax, top-N and none"):
        wl.compile(model, target="grid-4x4", context=16, sample="beam")


def test_ties_go_to_the_lowest_index():
    """All logits equal (a zero head): token 0, also where the vocabulary is padded."""
    arrays = zoo.weights(SHAPE, seed=5)
    arrays["lm_head.weight"] = np.zeros_like(arrays["lm_head.weight"])
    program = wl.compile(zoo.build(SHAPE, arrays).SerializeToString(), target="grid-5x3", context=8)
    assert list(program.session().generate([4], 3)) == [0, 0, 0]


@pytest.mark.parametrize("how", ["top-0", "top-65", "top-x", "top-"])
def test_counts_that_are_refused(model, how):
    with pytest.raises(wl.CompileError, match="between 1 and 64"):
        wl.compile(model, target="grid-4x4", context=16, sample=how)


@pytest.mark.parametrize("target", ["grid-1x1,sram=512KiB", "grid-5x3,sram=128KiB", "grid-12x2,sram=128KiB"])
@pytest.mark.parametrize("how, top_k", [("softmax", 0), ("top-6", 6), ("top-6", 2), ("top-40", 40)])
def test_the_wafer_draws_what_the_host_draws(model, target, how, top_k):
    """The same seed gives the same text, wherever the token is drawn."""
    there = wl.compile(model, target=target, context=32, chunks=[4], sample=how)
    here = wl.compile(model, target=target, context=32, chunks=[4], sample="none")
    assert there.picks and there.draws == (0 if how == "softmax" else int(how[4:])) and here.draws is None
    texts = set()
    for seed, temperature in [(0, 0.7), (1, 0.7), (2 ** 31 + 5, 1.5), (7, 0.0)]:
        for prompt in ([3], [1, 30, 36, 0], [2, 9, 9, 4, 1]):
            options = {"max_tokens": 12, "temperature": temperature, "seed": seed, "top_k": top_k}
            drawn = there.session().generate(prompt, **options)
            tokens = list(drawn)
            assert tokens == list(here.session().generate(prompt, **options))
            assert not drawn.steps[0].outputs, "no logits left the wafer"
            texts.add(tuple(tokens))
    assert len(texts) == 12


def test_draws_follow_the_probabilities(model):
    """Chi-square of 1,500 seeds on the wafer, and of 20,000 of the same draw on the host."""
    program, temperature, top_k = wl.compile(model, target="grid-2x2,sram=256KiB", context=4, sample="top-8"), 0.8, 8
    logits = program.run({"input_ids": [[5]]}).outputs["logits"][0, 0]
    likely = np.sort(np.argsort(logits)[-top_k:])
    weights = np.exp(logits[likely].astype(np.float64) / temperature)
    session, drawn = program.session(), []
    for seed in range(1500):
        session.reset()
        drawn.append(session.pick({"input_ids": [[5]]}, temperature, seed, top_k)[0])
    assert drawn[:200] == [sample(logits, temperature, seed, 1, top_k) for seed in range(200)]
    drawn_here = [sample(logits, temperature, seed, 1, top_k) for seed in range(20000)]
    for tokens in (drawn, drawn_here):
        counts = np.array([tokens.count(token) for token in likely])
        assert counts.sum() == len(tokens), "others were drawn"
        wanted = len(tokens) * weights / weights.sum()
        # 7 degrees of freedom: above 24.3 once in a thousand times; the seeds are fixed.
        assert ((counts - wanted) ** 2 / wanted).sum() < 24.3, (counts, wanted)


def test_neighbouring_draws_are_independent():
    """Two positions, and two seeds, of equal probabilities: all pairs come equally often."""
    logits, count = np.zeros(4, np.float32), 8000
    for pairs in ([(sample(logits, 1.0, 3, i), sample(logits, 1.0, 3, i + 1)) for i in range(count)],
                  [(sample(logits, 1.0, i, 3), sample(logits, 1.0, i + 1, 3)) for i in range(count)]):
        table = np.bincount([4 * a + b for a, b in pairs], minlength=16)
        assert ((table - count / 16) ** 2 / (count / 16)).sum() < 37.7  # 15 degrees of freedom, once in a thousand


def test_both_engines_draw_alike(model):
    session = BothEngines(wl.compile(model, target="grid-5x3,sram=128KiB", context=8, sample="top-4"))
    for token in (1, 5):
        session.run({"input_ids": [[token]], "wafer.temperature": np.float32(0.9), "wafer.seed": np.int32(4)})


def test_logits_that_are_no_numbers():
    """A row of the head that is NaN: no token, in every way of sampling."""
    arrays = zoo.weights(SHAPE, seed=5)
    arrays["lm_head.weight"] = arrays["lm_head.weight"].copy()
    arrays["lm_head.weight"][:, 11] = np.nan
    broken = zoo.build(SHAPE, arrays).SerializeToString()
    for how, top_k in [("greedy", 0), ("softmax", 0), ("top-3", 3)]:
        program = wl.compile(broken, target="grid-5x3,sram=128KiB", context=8, sample=how)
        with pytest.raises(wl.ExecutionError, match="not a number"):
            list(program.session().generate([4], 3, temperature=0.0 if how == "greedy" else 1.0, top_k=top_k))
