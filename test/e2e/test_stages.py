"""Layers on several regions: the same bits as on one, on odd regions, in rows and columns of stages and in strips that
turn around, in both precisions, with shares that are not equal, with chunks, and with the token fed back."""

import numpy as np
import pytest
from conftest import BothEngines

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=6, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)
IDS = [3, 77, 14, 60, 1, 42]


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=4)).SerializeToString()


def compile(model, stages, region, target="wse3,sram=512KiB", **options):
    return wl.compile(model, target=target, context=24, region=region, stages=stages, **options)


def logits(program, ids=IDS):
    session = BothEngines(program)
    results = [session.run({"input_ids": [[token]]}) for token in ids]
    return np.array([result.outputs["logits"] for result in results])


@pytest.mark.parametrize("region, precision", [((6, 6), "f32"), ((5, 3), "f16"), ((7, 4), "f32"), ((1, 5), "f32"),
                                               ((6, 1), "f16"), ((1, 1), "f32")])
def test_stages_change_no_bit(model, region, precision):
    """The layouts of a region are those of a stage, so every sum is taken in the same order."""
    one = compile(model, 1, region, precision=precision)
    expected = logits(one)
    for stages in (2, 4, 5, 7):
        program = compile(model, stages, region, precision=precision)
        assert program.summary["stages"] == program.summary["regions"] == stages
        assert program.summary["pes_used"] == stages * region[0] * region[1]
        assert program.summary["fit"]["weights"] < one.summary["fit"]["weights"]
        np.testing.assert_array_equal(logits(program), expected)


def test_stages_stand_in_a_column_where_the_fabric_is_high(model):
    wide = compile(model, 4, (6, 6), target="grid-24x6,sram=512KiB")
    high = compile(model, 4, (6, 6), target="grid-6x24,sram=512KiB")
    assert [(region.x, region.y) for region in wide.regions] == [(0, 0), (6, 0), (12, 0), (18, 0)]
    assert [(region.x, region.y) for region in high.regions] == [(0, 0), (0, 6), (0, 12), (0, 18)]
    assert {(region.width, region.height) for region in wide.regions + high.regions} == {(6, 6)}
    # Rows of PEs of the one are columns of the other.
    np.testing.assert_allclose(logits(wide), logits(high), rtol=1e-4, atol=1e-5)


def neighbours(program):
    """How the regions of stages follow each other: "e", "w", "s" or "n" for each, "." where neither."""
    ways = {(1, 0): "e", (-1, 0): "w", (0, 1): "s", (0, -1): "n"}
    places = [(region.x // region.width, region.y // region.height) for region in program.regions]
    return "".join(ways.get((b[0] - a[0], b[1] - a[1]), ".") for a, b in zip(places, places[1:]))


@pytest.mark.parametrize("region, grid, stages, precision", [
    ((6, 6), (2, 2), 4, "f32"), ((5, 3), (2, 3), 6, "f32"), ((3, 5), (3, 2), 6, "f16"), ((7, 4), (2, 2), 4, "f32"),
    ((1, 1), (2, 2), 4, "f32"), ((1, 5), (3, 2), 6, "f32"), ((6, 1), (2, 3), 6, "f32"), ((2, 9), (2, 2), 4, "f16"),
    ((9, 2), (2, 2), 4, "f32")])
def test_strips_turn_around(model, region, grid, stages, precision):
    """Where neither a row nor a column has room: the same values as on one region, whose layouts it has."""
    target = f"grid-{grid[0] * region[0]}x{grid[1] * region[1]},sram=2048KiB"
    program = compile(model, stages, region, target=target, precision=precision)
    assert program.summary["stages"] == stages
    ways = neighbours(program)
    assert "." not in ways and ("w" in ways or "n" in ways)
    for chunks in ({}, {"chunks": [4]}):
        one = compile(model, 1, region, target=target, precision=precision, **chunks)
        many = compile(model, stages, region, target=target, precision=precision, **chunks)
        np.testing.assert_allclose(logits(many), logits(one), rtol=1e-3 if precision == "f16" else 1e-4, atol=1e-3)
        if chunks:
            ids = {"input_ids": [IDS]}
            results = [BothEngines(each).run(ids, logits="last").outputs["logits"] for each in (one, many)]
            np.testing.assert_allclose(*results, rtol=1e-3 if precision == "f16" else 1e-4, atol=1e-3)


def test_random_grids_give_the_same_text(model):
    """Grids, shapes and shares as they come: the text is that of one region."""
    random = np.random.default_rng(7)
    expected = list(compile(model, 1, (4, 4)).session().generate(IDS[:2], max_tokens=8))
    for _ in range(6):
        region = tuple(int(side) for side in random.integers(1, 7, 2))
        columns, rows = [(2, 2), (2, 3), (3, 2), (2, 1), (1, 5), (7, 1)][random.integers(6)]
        target = f"grid-{columns * region[0]}x{rows * region[1]},sram=2048KiB"
        program = compile(model, columns * rows, region, target=target)
        assert list(program.session().generate(IDS[:2], max_tokens=8)) == expected, (region, columns, rows)


def test_chunks_and_reset(model):
    program = compile(model, 3, (5, 4), chunks=[4])
    session = BothEngines(program)
    whole = session.run({"input_ids": [IDS]}, logits="last").outputs["logits"][0, -1]
    session.reset()
    for token in IDS:
        single = session.run({"input_ids": [[token]]}).outputs["logits"][0, -1]
    np.testing.assert_allclose(whole, single, rtol=1e-4, atol=1e-5)


def test_the_token_is_fed_back(model):
    generated = [list(compile(model, stages, (5, 4)).session().generate(IDS[:2], max_tokens=12)) for stages in (1, 4)]
    assert generated[0] == generated[1] and len(generated[0]) == 12


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_tokens_of_top_n_are_drawn_by_stage_0(model, precision):
    """The values of top-N are found in a second loop, which is not the layers': the same draws on 1, 2 and 3 stages."""
    programs = [compile(model, stages, (5, 4), sample="top-5", precision=precision, chunks=[4]) for stages in (1, 2, 3)]
    assert [program.summary["stages"] for program in programs] == [1, 2, 3]
    texts = []
    for seed, temperature, top_k in [(0, 0.9, 0), (11, 1.4, 0), (11, 1.4, 2), (5, 0.0, 0)]:
        options = {"max_tokens": 10, "temperature": temperature, "seed": seed, "top_k": top_k}
        drawn = [list(program.session().generate(IDS, **options)) for program in programs]
        assert drawn[1:] == drawn[:1] * 2 and len(drawn[0]) == 10
        texts.append(tuple(drawn[0]))
    assert len(set(texts)) == 4


def test_too_large_for_one_region_takes_several(model):
    """Without stages by hand: as many as are needed."""
    one = compile(model, 1, (4, 4)).summary["sram_used_max"]
    memory = f"wse3,sram={one * 2 // 3 // 1024}KiB"
    program = wl.compile(model, target=memory, context=24, region=(4, 4))
    assert program.summary["stages"] > 1
    np.testing.assert_allclose(logits(program), logits(compile(model, 1, (4, 4))), rtol=1e-4, atol=1e-5)


def test_what_is_in_no_layer_takes_no_room_of_the_layers():
    """The tables of many words lie in stage 0 alone: with just the memory that a mapping takes it is found again."""
    shape = zoo.Shape(layers=6, width=64, heads=8, kv_heads=2, head_dim=8, hidden=512, vocabulary=2000, positions=64)
    model = zoo.build(shape, zoo.weights(shape, seed=4)).SerializeToString()
    ample = compile(model, 3, (8, 8), precision="f16").summary
    kib = -(-ample["sram_used_max"] // 1024)
    just = compile(model, 3, (8, 8), target=f"wse3,sram={kib}KiB", precision="f16").summary
    assert just["fit"] == ample["fit"]
    assert just["cycles_estimated"] == ample["cycles_estimated"]


@pytest.mark.parametrize("stages, message", [(9, "one of 9 stages has what stands around the 6 layers, .* at most 7 stages"),
                                             (401, "stages 401 is not between 1 and 400"),
                                             (7, "needs 42 by 6 PEs but the fabric has 20 by 20|needs 6 by 42 PEs")])
def test_what_cannot_be_shared_is_refused(model, stages, message):
    with pytest.raises(wl.CompileError, match=message):
        compile(model, stages, (6, 6), target="grid-20x20,sram=512KiB")


def test_one_layer_is_not_shared():
    shape = zoo.Shape(layers=1, width=10, heads=2, kv_heads=2, head_dim=4, hidden=12, vocabulary=30, positions=64)
    model = zoo.build(shape, zoo.weights(shape, seed=1)).SerializeToString()
    with pytest.raises(wl.CompileError, match="2 stages share equal layers .* compile it for one stage") as refused:
        compile(model, 2, (4, 4))
    assert "func.func" not in str(refused.value)
