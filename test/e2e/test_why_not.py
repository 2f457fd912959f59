"""What the search looked at, and a region that it did not choose beside the one that it chose."""

import json
import subprocess

import pytest
from conftest import BIN

import waferloom as wl
from waferloom import zoo

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=5, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)
OUTCOMES = {"chosen", "slower", "too large", "impossible", "not asked"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("why") / "m.onnx"
    path.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=4)).SerializeToString())
    return path


def run(model, *arguments):
    return subprocess.run([WAFERLOOM, "compile", model, "--context=24", "-o", model.with_suffix(".wafer"), *arguments],
                          capture_output=True, text=True)


@pytest.mark.parametrize("target", ["wse3", "grid-31x7", "grid-1x40"])
def test_what_was_considered(model, target):
    program = wl.compile(model, target=target, context=24)
    considered = program.summary["considered"]
    assert {entry["outcome"] for entry in considered} <= OUTCOMES
    chosen = [entry for entry in considered if entry["outcome"] == "chosen"]
    region = program.regions[0]
    assert [(entry["width"], entry["height"], entry["stages"]) for entry in chosen] == [
        (region.width, region.height, program.summary["stages"])]
    estimates = [entry["cycles_estimated"] for entry in considered if entry["cycles_estimated"] is not None]
    assert estimates == sorted(estimates) and len({(entry["width"], entry["height"]) for entry in considered}) == len(considered)
    for entry in considered:
        assert bool(entry["reason"]) == (entry["outcome"] in ("too large", "impossible")), entry
        if entry["cycles_estimated"] is not None:
            assert 0 < entry["arithmetic_estimated"] <= entry["cycles_estimated"]
        if entry["outcome"] == "slower":
            by = "cycles_counted" if "cycles_counted" in entry else "cycles_estimated"
            assert entry[by] >= chosen[0][by]


def test_a_region_beside_the_chosen(model):
    done = run(model, "--target=wse3", "--why-not=8x6", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    other = wl.compile(model, target="wse3", context=24, region=(8, 6))
    chosen = wl.load(model.with_suffix(".wafer"))
    assert told["why_not"]["fits"]
    assert told["why_not"]["cycles"] == [chosen.count()[1], other.count()[1]]
    sums = [sum(entry["cycles"][side] for entry in told["why_not"]["differences"]) for side in (0, 1)]
    assert sums == told["why_not"]["cycles"]
    assert told["why_not"]["cycles_estimated"][1] == other.summary["cycles_estimated"]
    text = run(model, "--target=wse3", "--why-not=8x6").stdout
    assert "why not 8x6: the search" in text and "counted" in text and "where they differ most" in text
    assert f"{other.count()[1]:,}" in text


def test_stages_beside_one_region(model):
    text = run(model, "--target=wse3,sram=512KiB", "--region=6x6", "--why-not=6x6x4").stdout
    assert "6x6x4" in text and "no search: the region was given" in text


@pytest.mark.parametrize("region, reason", [("800x3", "too wide"), ("1x1", "no layout|needs"), ("6x6x9", "stages|layers|trips")])
def test_a_region_that_cannot_be_had(model, region, reason):
    done = run(model, "--target=wse3", f"--why-not={region}", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["why_not"]
    assert not told["fits"] and any(part in told["reason"] for part in reason.split("|")), told
    assert model.with_suffix(".wafer").exists()


@pytest.mark.parametrize("text", ["3", "ax3", "3x", "0x4", "1x2x3x4", "3x3x0", ""])
def test_wrong_usage(model, text):
    done = run(model, f"--why-not={text}")
    assert done.returncode == 2 and "--why-not needs WxH or WxHxN" in done.stderr
