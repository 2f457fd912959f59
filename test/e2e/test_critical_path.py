"""The critical path: every cycle of a step is on it once, by kind, by part of the model,
by node and collective, and instruction after instruction."""

import json
import os
import re
import subprocess

import pytest
from conftest import BIN

import waferloom as wl

MODEL = "stories260k/stories260k-primitives-opset17.onnx"
PLANS = {"8x8": "--target grid-8x8 --context 256",
         "7x5": "--target grid-7x5,sram=128KiB --context 128",
         "1x12": "--target grid-1x12,sram=256KiB --context 64",
         "one core": "--target grid-1x1,sram=4MiB --context 64",
         "stages": "--target wse3 --context 128 --region 16x16 --stages 6 --chunk 16",
         "chunk": "--target grid-8x8,sram=96KiB --context 128 --precision f16 --chunk 8 --prefill block"}


def tool(*arguments):
    done = subprocess.run([BIN / "waferloom", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=PLANS, ids=lambda name: name.replace(" ", "-"))
def image(request, models, tmp_path_factory):
    path = tmp_path_factory.mktemp("path") / "m.wafer"
    tool("compile", models / MODEL, "-o", path, *PLANS[request.param].split(), "--quiet")
    return path


def total(cycles):
    return sum(cycles.values())


def test_every_cycle_is_on_the_path_once(image):
    entries = json.loads(tool("run", image, "--critical", "--json"))["entries"]
    for entry in entries:
        path = entry["critical"]
        assert path["cycles"] == entry["cycles"] == total(path["kinds"])
        for list_ in ("parts", "items"):
            for kind, cycles in path["kinds"].items():
                assert sum(each["cycles"][kind] for each in path[list_]) == cycles, (list_, kind)
        whats = {item["what"] for item in path["items"] if item["collective"]}
        assert whats <= {"all-reduce", "reduce", "message"}
        clock = 0
        for step in path["path"]:
            assert step["begin"] == clock
            clock += step["cycles"]
        assert clock == entry["cycles"]


def test_both_engines_walk_the_same_path(image):
    ours, theirs = (json.loads(tool("run", image, "--critical", "--json", "--engine", engine))
                    for engine in ("lockstep", "reference"))
    assert ours == theirs


def test_python_has_the_same(image):
    program = wl.load(image)
    entries = json.loads(tool("run", image, "--critical", "--json"))["entries"]
    text = tool("run", image, "--critical")
    assert program.critical_path() == program.critical_path(program.entries[0])
    for tokens, entry in zip(program.entries, entries, strict=True):
        path = program.critical_path(tokens)
        assert path.cycles == entry["cycles"] == program.count()[tokens]
        assert path.kinds == entry["critical"]["kinds"]
        assert sum(item.total for item in path.items) == sum(step.cycles for step in path.steps) == path.cycles
        for part in path.parts[:-1]:
            assert sum(total(trip.cycles) for trip in part.trips) == total(part.cycles)
            assert len(part.trips) == part.repeats
        assert str(path) in text
    with pytest.raises(ValueError, match="entries of"):
        program.critical_path(tokens=7)


def test_every_layer_is_on_the_path(image):
    """Of one token: five layers one after the other, wherever they lie."""
    layers = [part for part in wl.load(image).critical_path(1).parts if part.name == "layer"]
    assert sum(part.repeats for part in layers) == 5
    places = [(trip.stage, trip.trip) for part in layers for trip in part.trips]
    assert places == sorted(places)


def test_the_path_ends_where_the_step_ends(image):
    for entry in json.loads(tool("run", image, "--critical", "--json"))["entries"]:
        last = max(entry["stages"], key=lambda stage: stage["cycles"])
        step = entry["critical"]["path"][-1]
        assert (step["x"], step["y"]) == (last["x"], last["y"])


def test_cycles_tell_what_was_waited_for(image):
    text = tool("run", image, "--cycles")
    assert "critical path, by what was waited for:" in text
    assert text.count("the 5 nodes and collectives with the most cycles on it:") == text.count("critical path")
    told = json.loads(tool("run", image, "--cycles", "--json"))["entries"][0]["critical"]
    assert "path" not in told and total(told["kinds"]) == told["cycles"]


def test_the_lint_names_every_conflict(models, tmp_path):
    """On one core every instruction is on the path."""
    tool("compile", models / MODEL, "-o", tmp_path / "m.wafer", *PLANS["one core"].split(), "--quiet", "--save-ir",
         tmp_path / "ir")
    done = subprocess.run([BIN / "waferloom-opt", tmp_path / "ir/6-image.mlir", "--core-lint", "-o", os.devnull],
                          capture_output=True, text=True, check=True)
    told = re.findall(r"(\d+) cycles where (\d+) would do(?:, (\d+) times)?: (?:source|the destination)", done.stderr)
    conflict = wl.load(tmp_path / "m.wafer").critical_path().kinds["conflict"]
    assert conflict > 0
    assert sum((int(takes) - int(best)) * int(times or 1) for takes, best, times in told) == conflict
