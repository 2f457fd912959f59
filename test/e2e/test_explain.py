"""What `explain` tells is what the search, the mapping, the bounds and the critical path say."""

import json
import subprocess

import pytest
from conftest import BIN

import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=3, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("explain") / "m.onnx"
    path.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=4)).SerializeToString())
    return path


def run(*args):
    return subprocess.run([BIN / "waferloom", *map(str, args)], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("options", [{"target": "grid-7x9"}, {"target": "grid-1x9"}, {"target": "grid-8x4", "region": (4, 2), "stages": 2},
                                     {"target": "grid-9x9", "chunks": [3]}])
def test_the_parts_are_the_gap(model, options):
    program = wl.compile(model, context=24, **options)
    facts, bound = program.explain().facts["gap"], program.bounds[0]
    assert facts["cycles"] == program.count()[1] and facts["bound"] == bound["floor"]
    assert sum(part["gap"] for part in facts["parts"]) == facts["cycles"] - bound["floor"]
    assert sum(part["cycles"] for part in facts["parts"]) == facts["cycles"]
    gaps = [part["gap"] for part in facts["parts"]]
    assert gaps == sorted(gaps, reverse=True) and len(gaps) == 4
    path = program.critical_path()
    for part in facts["parts"]:
        for item in part["items"]:
            assert item["cycles"] <= part["cycles"] and any(item["node"] == other.node for other in path.items)


def test_every_choice_is_told(model):
    program = wl.compile(model, target="grid-7x9", context=24)
    facts = program.explain().facts
    assert facts["search"] == program.summary["considered"]
    assert facts["memory"]["bytes"] == sum(facts["memory"]["parts"].values()) == program.summary["sram_used_max"]
    assert len(facts["layouts"]) == program.mapping.text.count("  - {dim: ") > 5
    told = [item["algorithm"] for part in facts["gap"]["parts"] for item in part["items"] if item["what"] in ("reduce", "all-reduce")]
    assert told and all(told)
    sides = {"x": 1, "y": 1}
    for axes, cut in facts["region"]["factors"].items():
        for factor in cut.split(" x "):
            sides[axes[0]] *= int(factor)
    assert sides == {"x": facts["region"]["width"], "y": facts["region"]["height"]}


def test_rewrites_that_cost_are_named(model):
    program = wl.compile(model, target="grid-7x9", context=24, measure_rewrites=True)
    told = str(program.explain())
    for name, _, cycles in program.rewrites:
        assert (f"--disable-rewrite {name}" in told) == (cycles < 0)


def test_the_command(model, tmp_path):
    done = run("explain", model, "--target", "grid-7x9", "--context", 24)
    program = wl.compile(model, target="grid-7x9", context=24, weights=False)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout == f"{program.explain()}\n"
    for piece in ("the search looked at", "chosen", "layouts:", "split along", "of its bound of", "lever:"):
        assert piece in done.stdout
    assert json.loads(run("explain", model, "--target", "grid-7x9", "--context", 24, "--json").stdout) == program.explain().facts
    given = run("explain", model, "--target", "grid-7x9", "--context", 24, "--region", "3x3").stdout
    assert given.startswith("region: 3 x 3 PEs\n  no search is known")


def test_an_image_tells_what_it_has(model, tmp_path):
    program = wl.compile(model, target="grid-7x9", context=24)
    program.save(tmp_path / "m.wafer")
    done = run("explain", tmp_path / "m.wafer")
    assert done.returncode == 0 and "explain the model itself" in done.stdout and "layouts:" not in done.stdout
    facts = wl.load(tmp_path / "m.wafer").explain().facts
    ours = program.explain().facts
    for part in ours["gap"]["parts"]:
        for item in part["items"]:
            item["algorithm"] = ""
    assert facts["gap"] == ours["gap"] and facts["search"] is None and facts["memory"] is None


def test_levers_are_counted(model):
    options = {"target": "grid-6x6", "context": 24, "region": (4, 3)}
    program = wl.compile(model, weights=False, **options)
    found = wl.sweeps.levers(program, model, jobs=2, **options)
    cycles = [lever["cycles"] for lever in found if lever["cycles"] is not None]
    assert cycles == sorted(cycles) and {"--region 2x3", "--region 4x1", "--region 8x3", "--region 4x6", "--precision f16",
                                         "--disable-rewrite middle-root"} <= {lever["lever"] for lever in found}
    by = {lever["lever"]: lever for lever in found}
    assert by["--region 8x3"]["cycles"] is None and "too wide" in by["--region 8x3"]["reason"]
    for lever, more in (("--region 4x6", {"region": (4, 6)}), ("--disable-rewrite middle-root", {"disable_rewrites": ["middle-root"]}),
                        ("--precision f16", {"precision": "f16"})):
        there = wl.compile(model, weights=False, **(options | more)).count()[1]
        assert (by[lever]["cycles"], by[lever]["saves"]) == (there, program.count()[1] - there)
    told = run("explain", model, "--target=grid-6x6", "--context=24", "--region=4x3", "--try").stdout
    assert told.startswith(f"{program.explain()}\nwhat levers bring, each counted alone:\n  {found[0]['lever']}: {found[0]['cycles']:,} cycles")
    assert len(told.splitlines()) == len(str(program.explain()).splitlines()) + 1 + len(found)


def test_the_text_of_a_level_is_explained(model, tmp_path):
    assert subprocess.run([BIN / "waferloom", "compile", model, "-o", tmp_path / "m.wafer", "--target", "grid-4x3", "--context", "24",
                           "--save-ir", tmp_path / "ir"], capture_output=True).returncode == 0
    done = run("explain", next((tmp_path / "ir").glob("*layouts.mlir")))
    assert done.returncode == 0 and "of its bound of" in done.stdout, done.stderr


@pytest.mark.parametrize("args, message", [(["--context", "x"], "a number of tokens"), (["--region", "3"], "auto or WxH"),
                                           (["--stages", "0"], "a number of regions"),
                                           (["--try", "--mapping", "waferllm"], "--mapping says it"), (["--jobs", "0"], "at least 1"), (["--traget", "wse3"], "did you mean '--target'?")])
def test_wrong_usage(model, args, message):
    done = run("explain", model, *args)
    assert done.returncode == 2 and message in done.stderr and not done.stdout
