"""Links that words of two colors want in one cycle: both engines find the same ones, let the same words wait, and every
door tells them."""

import json
import subprocess

import pytest
from conftest import BIN

import waferloom as wl

MODEL = "stories260k/stories260k-primitives-opset17.onnx"
PLANS = {"8x8": "--target grid-8x8 --context 256",
         "row": "--target grid-24x1,sram=256KiB --context 64",
         "7x5": "--target grid-7x5,sram=128KiB --context 128 --precision f16",
         "stages": "--target wse3 --context 128 --region 16x16 --stages 6 --chunk 16"}


def tool(*arguments):
    done = subprocess.run([BIN / "waferloom", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=PLANS)
def image(request, models, tmp_path_factory):
    path = tmp_path_factory.mktemp("links") / "m.wafer"
    tool("compile", models / MODEL, "-o", path, *PLANS[request.param].split(), "--quiet")
    return path


def test_both_engines_find_the_same(image):
    ours, theirs = (json.loads(tool("run", image, "--cycles", "--json", "--engine", engine))["entries"]
                    for engine in ("lockstep", "reference"))
    for one, other in zip(ours, theirs, strict=True):
        assert one["shared_links"] == other["shared_links"]
        assert one["cycles"] == other["cycles"] and one["shared_links"]["arbitrated"]
        pairs = one["shared_links"]["pairs"]
        assert sum(pair["cycles"] for pair in pairs) == one["shared_links"]["cycles"]
        assert all(pair["colors"][0] < pair["colors"][1] and pair["cycles"] >= pair["links"] > 0 for pair in pairs)


def test_python_and_text_have_the_same(image):
    program = wl.load(image)
    text = tool("run", image, "--cycles")
    for tokens, entry in zip(program.entries, json.loads(tool("run", image, "--cycles", "--json"))["entries"],
                             strict=True):
        links = program.shared_links(tokens)
        assert [(list(pair.colors), list(pair.nodes), pair.cycles, pair.links) for pair in links] == [
            (pair["colors"], pair["nodes"], pair["cycles"], pair["links"]) for pair in entry["shared_links"]["pairs"]]
        assert f"{entry['shared_links']['cycles']:,} shared link cycles" in text
    result = program.run({"input_ids": [[1]]})
    assert result.shared_link_cycles == sum(pair.cycles for pair in program.shared_links())


def test_grown_trees_share_links(models, tmp_path):
    """A figure in which words wait for links says so."""
    path = tmp_path / "m.wafer"
    tool("compile", models / MODEL, "-o", path, *PLANS["row"].split(), "--quiet")
    assert wl.load(path).shared_links(), "no pair on a row of 24: the row no longer shows what this is about"
