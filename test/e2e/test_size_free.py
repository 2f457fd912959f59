"""Neither the IR nor the image grows with the number of cores: 16 of them, four
thousand, 630,000."""

import json
import os
import re
import subprocess

import pytest
from waferloom import zoo

from conftest import BIN

WAFERLOOM = BIN / "waferloom"
# One memory for all: the region alone differs. Given by hand, it is taken as it is.
REGIONS = ["4x4", "64x64", "700x900"]
SRAM = "sram=1MiB"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    shape = zoo.Shape(layers=2, width=128, heads=16, kv_heads=16, head_dim=8, hidden=256, vocabulary=256)
    path = tmp_path_factory.mktemp("size") / "model.onnx"
    path.write_bytes(zoo.build(shape, zoo.weights(shape)).SerializeToString())
    return path


def operations(text):
    """Operations of a module in text: lines that name one."""
    return len(re.findall(r"^\s*(?:%[\w:#, ]+ = )?\"?[a-z_]+\.[a-z_.]+", text, re.M))


@pytest.fixture(scope="module")
def compiled(model, tmp_path_factory):
    """Per region the bytes of the image and the operations of every level."""
    found = {}
    for region in REGIONS:
        folder = tmp_path_factory.mktemp(region)
        subprocess.run([WAFERLOOM, "compile", model, "-o", folder / "x.wafer", "--target", f"grid-{region},{SRAM}",
                        "--region", region, "--context=64", "--quiet", "--save-ir", folder,
                        "--disable-rewrite=shared-roots"], check=True) # which depends on what one root has to do
        info = subprocess.run([WAFERLOOM, "info", "--json", folder / "x.wafer"], check=True, capture_output=True)
        facts = json.loads(info.stdout)["regions"][0]
        assert f"{facts['width']}x{facts['height']}" == region
        found[region] = {path.name: operations(path.read_text()) for path in sorted(folder.glob("*.mlir"))}
        found[region]["instructions"] = facts["instructions"]
        found[region]["image bytes"] = os.path.getsize(folder / "x.wafer")
    return found


def test_every_level_has_the_same_size(compiled):
    levels = [what for what in compiled["4x4"] if what.endswith(".mlir")]
    assert len(levels) == 6
    for what in [*levels[:5], "image bytes"]:
        sizes = [compiled[region][what] for region in REGIONS]
        assert min(sizes) > 10
        assert max(sizes) <= 1.1 * min(sizes), (what, sizes)


def test_instructions_follow_the_algorithm_of_lines_not_their_number(compiled):
    """A line of 4 PEs is reduced by a chain, which has few kinds of PEs, a line of 64 by a tree, which has more: the
    program of a region lists the instructions of every kind. Beyond that no line adds any."""
    for what in ["instructions", "6-image.mlir"]:
        counts = [compiled[region][what] for region in REGIONS]
        assert counts[2] <= 1.1 * counts[1] <= 3 * counts[0], (what, counts)
