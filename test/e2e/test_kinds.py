"""Embedding and head on a region of another shape than the layers' stages (--ends): the values of one region, on odd
regions, in rows and columns, with shares that are not equal, prompts that stream, and tokens that are fed back."""

import re
import subprocess

import numpy as np
import pytest
from conftest import BIN, BothEngines

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=6, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)
IDS = [3, 77, 14, 60, 1, 42]
FABRIC = "wse3,sram=512KiB"


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=4)).SerializeToString()


def compile(model, region, ends=None, stages=None, target=FABRIC, **options):
    return wl.compile(model, target=target, context=24, region=region, ends=ends, stages=stages, **options)


def logits(program, ids=IDS):
    session = BothEngines(program)
    return np.array([session.run({"input_ids": [[token]]}).outputs["logits"] for token in ids])


# Rows and columns of PEs, one PE across, sizes that divide nothing, ends that are larger, an unequal share of layers.
CASES = [((6, 6), (3, 6), 4, "f32"), ((5, 3), (9, 3), 3, "f16"), ((7, 4), (7, 9), 5, "f32"), ((6, 5), (6, 1), 7, "f16"),
         ((1, 5), (4, 5), 2, "f32"), ((6, 1), (1, 1), 3, "f32"), ((1, 1), (1, 3), 4, "f32"), ((8, 7), (5, 7), 2, "f16")]


@pytest.mark.parametrize("region, ends, stages, precision", CASES)
def test_ends_of_another_shape_give_the_same_values(model, region, ends, stages, precision):
    one = logits(compile(model, region, stages=1, precision=precision))
    program = compile(model, region, ends, stages, precision=precision)
    first, *others = program.regions
    assert (first.width, first.height) == ends
    assert {(other.width, other.height) for other in others} == {region} and len(others) == stages - 1
    # Each begins where the one before ends.
    along = 0 if ends[1] == region[1] else 1
    places = [(r.x, r.y)[along] for r in program.regions]
    assert places == [0, *(ends[along] + i * region[along] for i in range(stages - 1))]
    assert program.summary["pes_used"] == ends[0] * ends[1] + (stages - 1) * region[0] * region[1]
    np.testing.assert_allclose(logits(program), one, rtol=1e-3 if precision == "f16" else 1e-4, atol=1e-3)


def test_weights_of_which_layers_read_parts():
    """Heads of ten elements, halves of which are rotated: products of parts of a weight, whose bytes are the whole's."""
    shape = zoo.Shape(layers=3, width=20, heads=2, kv_heads=1, head_dim=10, hidden=23, vocabulary=37, positions=32)
    model = zoo.build(shape, zoo.weights(shape, seed=1)).SerializeToString()
    one, other = (logits(wl.compile(model, target=FABRIC, context=17, region=(5, 4), **options), [3, 36, 14, 1])
                  for options in ({"stages": 1}, {"stages": 3, "ends": (7, 4)}))
    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("region, stages", [((6, 6), 4), ((5, 4), 3), ((4, 1), 5)])
def test_ends_of_the_same_shape_cost_nothing(model, region, stages):
    """Two programs instead of one: what stages give each other moves no further."""
    ends = compile(model, region, region, stages, chunks=[4])
    assert {(r.width, r.height) for r in ends.regions} == {region}
    for tokens, cycles in compile(model, region, stages=stages, chunks=[4]).count().items():
        assert ends.count()[tokens] <= 1.01 * cycles


@pytest.mark.parametrize("region, ends, stages", [((5, 4), (3, 4), 3), ((4, 5), (4, 2), 5), ((6, 6), (9, 6), 2)])
def test_prompts_stream(model, region, ends, stages):
    """Chunks give what single tokens give; stages work on several tokens at a time."""
    program = compile(model, region, ends, stages, chunks=[4])
    session = BothEngines(program)
    whole = session.run({"input_ids": [IDS]}, logits="last").outputs["logits"][0, -1]
    np.testing.assert_allclose(whole, logits(program)[-1, 0, -1], rtol=1e-4, atol=1e-5)
    cycles = program.count()
    assert cycles[4] < (3.6 if stages > 2 else 4) * cycles[1]


def test_the_token_is_fed_back(model):
    texts = [list(compile(model, (5, 4), ends, stages, **more).session().generate(IDS[:2], max_tokens=12))
             for ends, stages, more in [(None, 1, {}), ((3, 4), 3, {}), ((5, 7), 4, {"chunks": [4]})]]
    assert texts[1:] == texts[:1] * 2 and len(texts[0]) == 12


@pytest.mark.parametrize("ends", [(3, 4), (5, 9)])
def test_tokens_of_top_n_are_drawn_by_the_ends(model, ends):
    """The loop of the largest is in the ends, and is none of layers."""
    options = {"max_tokens": 8, "temperature": 0.9, "seed": 11}
    drawn = [list(compile(model, (5, 4), shape, stages, sample="top-5").session().generate(IDS, **options))
             for shape, stages in [(None, 1), (ends, 3)]]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 8


def test_stages_are_chosen_where_none_are_given(model):
    """As few as will do, two at least."""
    program = compile(model, (5, 4), (3, 4))
    assert program.summary["stages"] == 2
    least = program.summary["sram_used_max"]
    tight = compile(model, (5, 4), (9, 4), target=f"wse3,sram={least * 3 // 4 // 1024}KiB")
    assert tight.summary["stages"] > 2


@pytest.mark.parametrize("options, message", [
    (dict(region=(6, 6), ends=(4, 5)), "ends of 4 x 5 PEs cannot stand in a strip with regions of 6 x 6: "
                                       "give them the same height, or the same width"),
    (dict(region=(6, 6), ends=(3, 6), stages=1), "at least --stages 2"),
    (dict(region=None, ends=(3, 6)), "say --region, too"),
    (dict(region=(6, 6), ends=(0, 6)), "ends of 0 x 6 PEs have none"),
    (dict(region=(6, 6), ends=(6, 2000)), "6 x 2000 PEs is too high"),
    (dict(region=(6, 6), ends=(3, 6), stages=5, target="grid-20x20,sram=512KiB"),
     r"4 stages of 6 x 6 beside ends of 3 x 6 PEs of .* no room, where programs may take 20 x 20 PEs"),
    (dict(region=(6, 6), ends=(3, 6), stages=9), "at most 7 stages"),
    (dict(region=(6, 6), ends=(1, 6), stages=3, target="grid-40x20,sram=8KiB"),
     "needs .* bytes of SRAM on the fullest PE of 2 stages of 6 x 6 beside ends of 1 x 6|no layout")])
def test_what_cannot_be_had_is_refused(model, options, message):
    with pytest.raises(wl.CompileError, match=message):
        wl.compile(model, context=24, **{"target": FABRIC, **options})


@pytest.fixture(scope="module")
def chosen(model):
    return compile(model, (6, 6), (3, 6), 4).mapping.text


@pytest.mark.parametrize("old, new, message", [
    (r"ends: \{x: \[3\], y: .*\}", "ends: {x: 3}", "ends have x and y, or are auto as a whole"),
    (r"ends: .*", "ends: {x: 3, y: 5}", "ends of 3 x 5 PEs cannot stand in a strip with regions of 6 x 6"),
    (r"ends: .*", "ends: {x: 3, y: 6, z: 1}", "ends has no field 'z'; there are x, y"),
    (r"ends: .*", "ends: {x: [3], y: [3, 2]}", "cuts the ends otherwise than the layers across their strip"),
    (r"ends: .*\n", "", "this is about the program of the ends, but there is none"),
    (r"kind: ends", "kind: both", "kind is ends or layers or auto, not 'both'"),
    (r"- \{at: \[9, 0\]", "- {at: [10, 0]", r"stage 2 stands at \(9, 0\), beside the one before it"),
    (r"kind: ends, dim: \"[^\"]*\"", 'kind: ends, dim: "model.layers.0.*"', "the model has no dimension 'model.layers.0")])
def test_a_mapping_of_kinds_is_done_or_refused(model, chosen, old, new, message):
    text, edits = re.subn(old, new, chosen, count=1)
    assert edits
    with pytest.raises(wl.CompileError, match=message):
        wl.compile(model, context=24, mapping=wl.Mapping(text, "m.yaml"))


def test_a_mapping_of_kinds_decides(model, chosen):
    """Another root and another place: other cycles or regions, the same values."""
    expected = logits(compile(model, (6, 6), (3, 6), 4))
    text = chosen.replace("{at: [0, 0]}", "{at: [7, 2]}")
    text = re.sub(r"at: \[(\d+), 0\], trips", lambda found: f"at: [{int(found[1]) + 7}, 2], trips", text)
    moved = wl.compile(model, context=24, mapping=wl.Mapping(text, "m.yaml"))
    assert [(r.x, r.y) for r in moved.regions] == [(7, 2), (10, 2), (16, 2), (22, 2)]
    np.testing.assert_array_equal(logits(moved), expected)
    text = re.sub(r"(kind: ends, at: .*along: y.*), root: \d+, color: \d+", r"\1, root: 0", chosen)
    other = wl.compile(model, context=24, mapping=wl.Mapping(text, "m.yaml"))
    assert other.count() != compile(model, (6, 6), (3, 6), 4).count()
    np.testing.assert_allclose(logits(other), expected, rtol=1e-4, atol=1e-5)


def test_the_texts_of_its_levels_compile_on(model, tmp_path):
    """Byte for byte, from each level; texts that were broken by hand are refused."""
    (tmp_path / "model.onnx").write_bytes(model)

    def compiled(path, *options):
        done = subprocess.run([BIN / "waferloom", "compile", path, "-o", tmp_path / "out.wafer", "--quiet", *options],
                              capture_output=True, text=True)
        return done.stderr or (tmp_path / "out.wafer").read_bytes()

    image = compiled(tmp_path / "model.onnx", "--target=grid-24x9,sram=512KiB", "--context=24", "--region=6x4",
                     "--ends=3x4", "--stages=3", "--chunk=4", f"--save-ir={tmp_path / 'ir'}")
    assert isinstance(image, bytes), image
    levels = sorted((tmp_path / "ir").glob("*.mlir"))
    assert len(levels) == 6
    for level in levels:
        assert compiled(level) == image, level.name
    text = levels[2].read_text()
    for old, new, message in [("kind ends", "kind layers", "not the program of the ends and that of the layers"),
                              ("stages <3 x 1> kind ends", "stages <4 x 1> kind ends", "has stages .* but the ends have"),
                              ('wafer.entry "tokens4"', 'wafer.entry "others"', "has other entries than the ends")]:
        assert old in text
        broken = tmp_path / "ir" / "broken.mlir"
        broken.write_text(text.replace(old, new, 1))
        said = compiled(broken)
        assert isinstance(said, str) and re.search(message, said), said
