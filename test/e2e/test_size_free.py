"""Neither the IR nor the image grows with the number of cores."""

import pytest
from waferloom import zoo

import waferloom as wl

GRIDS = ["grid-4x4,sram=1MiB", "grid-16x16,sram=1MiB", "grid-64x64,sram=1MiB", "grid-700x900,sram=1MiB"]


@pytest.fixture(scope="module")
def model():
    shape = zoo.Shape(layers=2, width=128, heads=16, kv_heads=16, head_dim=8, hidden=256, vocabulary=256)
    return zoo.build(shape, zoo.weights(shape)).SerializeToString()


def test_image_bytes(model):
    sizes = [wl.compile(model, target=grid, context=64).summary["image_bytes"] for grid in GRIDS]
    assert max(sizes) <= 1.1 * min(sizes), sizes
