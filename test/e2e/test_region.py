"""The region is the fabric's best, not its largest: found by cost, overruled by hand."""

import numpy as np
import pytest

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=3, width=48, heads=6, kv_heads=3, head_dim=8, hidden=100, vocabulary=160, positions=64)


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=2)).SerializeToString()


def test_a_wafer_is_not_used_up(model):
    """On 893,064 cores a small model takes a region on which it is quicker than on less."""
    program = wl.compile(model, target="wse3", context=32)
    region = program.regions[0]
    assert 64 <= region.width * region.height <= 192 * 192
    step = {"input_ids": [[5]]}
    result = program.session().run(step)
    small = wl.compile(model, target="wse3", context=32, region=(8, 8)).session().run(step)
    assert result.cycles < small.cycles
    np.testing.assert_allclose(result.outputs["logits"], small.outputs["logits"], rtol=1e-4, atol=1e-4)


def test_a_region_by_hand_is_kept(model):
    program = wl.compile(model, target="wse3", context=32, region=(10, 7))
    assert (program.regions[0].width, program.regions[0].height) == (10, 7)


@pytest.mark.parametrize("target, width, height, options", [("grid-12x11,user-width=5", 5, 11, {}),
                                                            ("wse3,user-height=6", 755, 6, {}),
                                                            ("grid-24x24,user-width=9,user-height=12", 9, 12,
                                                             {"stages": 4, "region": (3, 3)})])
def test_programs_keep_to_the_users_rectangle(model, target, width, height, options):
    region = wl.compile(model, target=target, context=32, **options).regions[0]
    assert region.x + region.width <= width and region.y + region.height <= height


def test_more_than_the_users_rectangle_is_refused(model):
    with pytest.raises(wl.CompileError, match="too wide for programs of 'wse3': user-width is 755"):
        wl.compile(model, target="wse3", context=32, region=(756, 4))


@pytest.mark.parametrize("target", ["grid-1x12,sram=64KiB", "grid-13x1,sram=64KiB", "grid-9x11"])
def test_regions_lie_on_the_fabric(model, target):
    width, height = (int(part) for part in target.split(",")[0][5:].split("x"))
    region = wl.compile(model, target=target, context=32).regions[0]
    assert region.width <= width and region.height <= height
