"""What a region is chosen for, and that the best few plans are counted, not only estimated."""

import pytest

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=9, width=48, heads=6, kv_heads=3, head_dim=8, hidden=100, vocabulary=160, positions=64)


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=2)).SerializeToString()


def counted(program):
    return [entry for entry in program.summary["considered"] if entry["cycles_counted"] is not None]


@pytest.mark.parametrize("target", ["wse3", "grid-40x23"])
def test_the_best_counted_is_taken(model, target):
    program = wl.compile(model, target=target, context=32)
    entries = counted(program)
    assert 2 <= len(entries) <= 5
    best = min(entry["cycles_counted"] for entry in entries)
    [chosen] = [entry for entry in entries if entry["outcome"] == "chosen"]
    assert chosen["cycles_counted"] == best
    # A few layers were counted, the others added: that is what the whole program takes.
    for entry in entries:
        other = wl.compile(model, target=target, context=32, region=(entry["width"], entry["height"]), stages=entry["stages"])
        assert abs(other.count()[1] - entry["cycles_counted"]) <= 0.02 * other.count()[1]
    assert all(entry["cycles_estimated"] <= 1.13 * entries[0]["cycles_estimated"] for entry in entries)


def test_few_plans_are_only_estimated(model):
    program = wl.compile(model, target="wse3", context=32, search_plans=20)
    assert not counted(program)
    best = program.summary["considered"][0]
    assert best["outcome"] == "chosen"


def test_the_answer_is_always_the_same(model):
    mappings = {wl.compile(model, target="grid-40x23", context=32).mapping.text for _ in range(2)}
    assert len(mappings) == 1


def test_objectives(model):
    """Prompts want short stages; one token at a time wants few hand-overs."""
    options = {"target": "wse3", "context": 32, "chunks": [16], "prefill": "stream"}
    programs = {objective: wl.compile(model, objective=objective, **options) for objective in ("decode", "balanced", "prefill")}
    counts = {objective: program.count() for objective, program in programs.items()}
    pace = {objective: (count[16] - count[1]) / 15 for objective, count in counts.items()}
    assert counts["decode"][1] <= 1.02 * min(count[1] for count in counts.values())
    assert pace["prefill"] <= 1.02 * min(pace.values())
    assert pace["prefill"] < pace["decode"] and programs["prefill"].summary["stages"] > programs["decode"].summary["stages"]


@pytest.mark.parametrize("objective, message", [("speculation", "no entries yet that check several tokens at once"),
                                                ("prefill", "no entry takes several tokens: add a chunk"),
                                                ("speed", "there is no objective 'speed'; there are balanced, decode, prefill")])
def test_refusals(model, objective, message):
    with pytest.raises(wl.CompileError, match=message):
        wl.compile(model, target="grid-8x8", context=32, objective=objective)


def test_within_a_twentieth_of_a_sweep(models):
    path = models / "stories260k/stories260k-primitives-opset17.onnx"
    options = {"target": "wse3", "context": 256, "weights": False}
    sweep = [wl.compile(path, region=region, **options).count()[1]
             for region in [(16, 64), (24, 48), (32, 32), (32, 48), (40, 32), (48, 48), (64, 32), (64, 96), (128, 32), (96, 96)]]
    assert wl.compile(path, **options).count()[1] <= 1.05 * min(sweep)
