"""Mappings: what the compiler chose comes back as the same image; what a person changes is done, with the same values,
or refused with its line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, TOP, BothEngines

import waferloom as wl
from waferloom import zoo

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=5, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)
IDS = [3, 77, 14, 60]
TARGET = "grid-24x18,sram=512KiB"


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=4)).SerializeToString()


@pytest.fixture(scope="module")
def expected(model):
    reference = zoo.Reference(model)
    return np.array([reference.run([[token]]) for token in IDS])


@pytest.fixture(scope="module")
def chosen(model):
    """The mapping of 8 x 6 cores, with three axes to speak of."""
    return wl.compile(model, target=TARGET, context=24, region=(8, 6)).mapping


def compile(model, mapping, target=TARGET, **options):
    if isinstance(mapping, str):
        mapping = wl.Mapping(mapping, "m.yaml")
    return wl.compile(model, target=target, context=24, mapping=mapping, **options)


def check_values(program, expected):
    session = BothEngines(program)
    logits = np.array([session.run({"input_ids": [[token]]}).outputs["logits"] for token in IDS])
    np.testing.assert_allclose(logits.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4)


def image(program, tmp_path):
    program.save(tmp_path / "image")
    return (tmp_path / "image").read_bytes()


@pytest.mark.parametrize("options", [
    {"target": "grid-8x6,sram=512KiB"}, {"target": "grid-7x5,sram=512KiB", "precision": "f16"},
    {"target": "grid-1x12,sram=512KiB"}, {"target": "grid-13x1,sram=512KiB"}, {"target": "grid-1x1,sram=4MiB"},
    {"target": "wse3,sram=512KiB", "region": (6, 5), "stages": 4, "chunks": [4]},
    {"target": "wse3,sram=512KiB,user-width=20,user-height=20", "region": (6, 6), "stages": 6},
    {"target": "wse3,sram=512KiB", "region": (6, 5), "ends": (4, 5), "stages": 4, "chunks": [4]},
    {"target": "wse3,sram=512KiB", "region": (4, 6), "ends": (4, 9), "stages": 3, "sample": "top-5"},
    {"target": "wse3", "chunks": [5], "prefill": "block"},
    {"target": "grid-9x4,sram=512KiB", "disable_rewrites": ["middle-root", "deferred-norm"], "sample": "top-5"},
    {"target": "grid-6x6,sram=512KiB", "dims": {"batch": 2, "batch_size": 2}},
], ids=str)
def test_written_read_written(model, tmp_path, options):
    dims = options.get("dims")
    if dims:
        names = {dim.dim_param for value in __import__("onnx").load_from_string(model).graph.input
                 for dim in value.type.tensor_type.shape.dim}
        options = options | {"dims": {name: size for name, size in dims.items() if name in names}}
        assert options["dims"], names
    first = wl.compile(model, context=24, **options)
    free = {key: value for key, value in options.items() if key not in ("region", "ends", "stages", "prefill", "disable_rewrites")}
    again = wl.compile(model, context=24, mapping=first.mapping, **free)
    assert again.mapping == first.mapping
    assert image(again, tmp_path) == image(first, tmp_path)


def test_exported_models_whose_layers_are_not_rolled(models, tmp_path):
    for name, options in [("bert-dynamo-op18", {"dims": {"batch": 1, "sequence": 8}}),
                          ("gpt2-dynamo-op18", {"dims": {"batch": 1}, "context": 32})]:
        path = models / f"exporters/{name}.onnx"
        first = wl.compile(path, target="grid-7x5,sram=256KiB", **options)
        again = wl.compile(path, target="grid-7x5,sram=256KiB", mapping=first.mapping, **options)
        assert again.mapping == first.mapping
        assert image(again, tmp_path) == image(first, tmp_path)


def edited(chosen, pattern, replacement, count=0):
    text, edits = re.subn(pattern, replacement, chosen.text, count=count, flags=re.MULTILINE)
    assert edits, pattern
    return text


def test_collectives_go_as_they_are_told(model, chosen, expected):
    """Roots at the edge, chains and two phases: other cycles, the same values."""
    cycles = {compile(model, chosen).count()[1]}
    for algorithm in ("chain, root: 0", "two-phase, group: 2, root: 1", "star, root: auto", "tree, root: 0", "two-phase"):
        program = compile(model, edited(chosen, r"algorithm: .*, root: \d+, color: \d+", f"algorithm: {algorithm}"))
        assert set(re.findall(r"algorithm: ([\w-]+)", program.mapping.text)) == {algorithm.split(",")[0]}
        if "root: 0" in algorithm:
            assert set(re.findall(r", root: (\w+)", program.mapping.text)) == {"0"}
        check_values(program, expected)
        cycles |= {program.count()[1]}
    assert len(cycles) >= 4


def test_patterns_and_the_first_that_matches(model, chosen, expected):
    program = compile(model, "waferloom-mapping: 1\nregion: {x: 8, y: 6}\ncollectives:\n"
                             '  - {at: "*", along: x, algorithm: chain}\n  - {at: "*", algorithm: star, root: 2}\n')
    lines = [line for line in program.mapping.text.splitlines() if "algorithm" in line]
    assert all(("chain" if "along: x" in line else "star") in line for line in lines) and len(lines) > 4
    assert all("root: 2," in line for line in lines if "along: y" in line)
    check_values(program, expected)


def test_colors_and_places(model, chosen, expected, tmp_path):
    program = compile(model, edited(chosen, r"at: \[0, 0\]", "at: [5, 11]"))
    assert program.regions[0][:2] == (5, 11)
    assert program.count() == compile(model, chosen).count()
    text = edited(chosen, r"color: (\d+)", lambda found: f"color: {int(found[1]) + 3}")
    program = compile(model, text)
    assert re.findall("color.*", program.mapping.text) == re.findall("color.*", text)
    check_values(program, expected)


@pytest.mark.parametrize("split", ["x0", "[x0, x1]", "none", "x", "y", "[x, y]"])
def test_layouts_as_they_are_told(model, expected, split):
    """The rest is chosen around it."""
    program = compile(model, "waferloom-mapping: 1\nregion: {x: [2, 4], y: [6]}\nlayouts:\n"
                             f'  - {{dim: "model.layers.*.mlp.up_proj.weight.1", split: {split}}}\n')
    line = re.search(r"gate_proj.weight.1.*", program.mapping.text)[0]
    assert f"split: {'[x0, x1]' if split == 'x' else '[x0, x1, y]' if split == '[x, y]' else split}}}" in line
    check_values(program, expected)


def test_only_rewrites(model, expected):
    program = compile(model, "waferloom-mapping: 1\nrewrites: {packed-messages: off, middle-root: auto}\n", target="grid-8x6,sram=512KiB")
    assert "packed-messages: off" in program.mapping.text and "middle-root: on" in program.mapping.text
    check_values(program, expected)


def test_stages_where_they_are_told(model, expected):
    program = wl.compile(model, target=TARGET, context=24, region=(6, 6), stages=6)
    places = re.findall(r"at: \[(\d+), (\d+)\]", program.mapping.text)
    assert len(places) == 6
    other = [(0, 0), (6, 0), (12, 0), (12, 6), (6, 6), (0, 6)]
    turned = [(y, x) for x, y in other]
    for wanted in (other, turned):
        stages = "".join(f"  - {{at: [{x}, {y}]}}\n" for x, y in wanted)
        program = compile(model, f"waferloom-mapping: 1\nregion: {{x: 6, y: 6}}\nstages:\n{stages}")
        assert [region[:2] for region in program.regions] == wanted
        check_values(program, expected)


LINES = [
    (r"parameters: \d+", "parameters: 7", "line 4: the mapping is of a model of 7 parameters, this one has"),
    (r"layers: 5", "layers: 4", "of a model of 4 equal layers, this one has 5"),
    (r"target: .*", "target: wse2", "line 5: the mapping is for 'wse2', not for"),
    (r"deferred-norm", "deferred-nerm", "line 7: there is no rewrite 'deferred-nerm'"),
    (r"region: .*", "region: {x: 800, y: 2}", "line 19: a region of 800 x 2 PEs is too wide"),
    (r"region: .*", "region: {x: 4}", "line 19: a region has x and y"),
    (r"at: \[0, 0\]", "at: [20, 0]", r"line 21: a region of 8 x 6 PEs at \(20, 0\) is too wide"),
    (r"at: \[0, 0\]", "at: [0, 0], trips: [0, 4]", "stage 0 cannot have the layers from 0 to 4.* from 0 to 5"),
    (r"size: 36", "size: 40", "has 36 elements, not 40: is this the mapping of another model"),
    (r"(?s)dim: (\S+), size: 90, split: \w+", r"dim: \1, size: 90, split: x7", "axis 'x7' is factor 7 but the mapping's region has"),
    (r"dim: .*, size: 90, split: .*}", 'dim: "nothing", split: x}', "the model has no dimension 'nothing'"),
    (r"split: .*}", "split: z}", "there is no axis 'z'"),
    (r"split: .*}", "split: [y, x]}", "axes stand in the order"),
    (r"split: .*}", "split: [y, y1]}", "axis 'y1' is part of 'y'"),
    (r"words: \d+", "words: 999", "words, not 999"),
    (r"algorithm: [\w-]+.*, root", "algorithm: fast, root", "cannot go by 'fast'; there are chain, tree, star"),
    (r"algorithm: [\w-]+.*, root", "algorithm: two-phase, group: 99, root", "groups of 99 PEs do not fit a line of"),
    (r"algorithm: [\w-]+.*, root", "group: 2, root", "has groups or levels of no algorithm"),
    (r"root: \d+", "root: 70", "and has no PE 70 to be its root: say 0 to"),
    (r"color: \d+", "color: 24", "cannot begin at color 24: there are 21 for collectives"),
    (r"color: \d+", "color: 1", "cannot begin at color 1: some of its colors are those of a collective with other routes"),
    (r'at: "tokens1:\S+"', 'at: "tokens9:x"', "there is no collective at 'tokens9:x'"),
]


@pytest.mark.parametrize("pattern, replacement, message", LINES)
def test_what_cannot_be_is_refused_with_its_line(model, chosen, pattern, replacement, message):
    text = edited(chosen, pattern, replacement)
    with pytest.raises(wl.CompileError, match=message) as caught:
        compile(model, text)
    found = caught.value.diagnostics
    assert len(found) == 1 and found[0].file == "m.yaml"
    line = int(re.match(r"line (\d+): ", found[0].message)[1])
    changed = {i for i, (a, b) in enumerate(zip(chosen.text.splitlines(), text.splitlines()), 1) if a != b}
    assert line in changed


def test_an_axis_splits_one_dimension_of_an_op(model):
    text = ("waferloom-mapping: 1\nregion: {x: 4, y: 3}\nlayouts:\n"
            '  - {dim: "*.up_proj.weight.0", split: x}\n  - {dim: "*.up_proj.weight.1", split: x}\n')
    with pytest.raises(wl.CompileError, match=r"line (4|5): '\S+' and '\S+' \(line [45]\) are dimensions of one op, and both are split along 'x'"):
        compile(model, text)


def test_options_that_say_otherwise(model, chosen):
    for options, message in [({"region": (4, 6)}, "--region says 4x6"), ({"stages": 2}, "--stages says 2"),
                             ({"disable_rewrites": ["middle-root"]}, "--disable-rewrite leaves it out")]:
        with pytest.raises(wl.CompileError, match=message):
            compile(model, chosen, **options)
    assert compile(model, chosen, region=(8, 6), stages=1).mapping == chosen


def test_a_region_that_is_too_small_says_what_would_do(model):
    with pytest.raises(wl.CompileError, match=r"m.yaml: line 2: no layout found on 2 x 1 PEs") as caught:
        compile(model, "waferloom-mapping: 1\nregion: {x: 2, y: 1}\n", target="grid-24x18,sram=20KiB")
    assert "`auto` gives a choice back" in str(caught.value)


def test_the_target_comes_from_the_mapping_if_nobody_gives_one(model, chosen):
    assert wl.compile(model, context=24, mapping=chosen).fabric == (24, 18)


def test_texts_of_levels_keep_the_mapping(model, chosen, tmp_path):
    (tmp_path / "m.onnx").write_bytes(model)
    wl.Mapping(edited(chosen, r"algorithm: .*, root", "algorithm: chain, root")).save(tmp_path / "m.yaml")

    def run(*arguments):
        return subprocess.run([WAFERLOOM, "compile", *map(str, arguments), "--quiet"], capture_output=True, text=True, cwd=tmp_path)

    done = run("m.onnx", "--context=24", "--mapping=m.yaml", "-o", "a.wafer", "--save-ir=ir")
    assert done.returncode == 0, done.stderr
    for level in sorted((tmp_path / "ir").glob("*.mlir")):
        assert run(level, "-o", "b.wafer").returncode == 0
        assert (tmp_path / "a.wafer").read_bytes() == (tmp_path / "b.wafer").read_bytes(), level.name
    done = run("ir/3-layouts.mlir", "-o", "c.wafer", "--write-mapping=c.yaml")
    assert done.returncode == 1 and "had its layouts already" in done.stderr
    assert not (tmp_path / "c.wafer").exists() and not (tmp_path / "c.yaml").exists()


def test_the_page_does_what_it_says(tmp_path):
    """The commands of docs/mapping.md run, and the outcome is the one that it tells of."""
    page = (TOP / "docs/mapping.md").read_text()
    commands = re.search(r"```sh\n(.*?)```", page, re.DOTALL)[1]
    hand = re.search(r"```yaml\n# by-hand.yaml\n(.*?)```", page, re.DOTALL)[1]
    (tmp_path / "by-hand.yaml").write_text(hand)
    path = f"{BIN}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PATH": path})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.wafer").read_bytes() == (tmp_path / "again.wafer").read_bytes()
    chosen = (tmp_path / "by-hand-whole.yaml").read_text()
    assert "algorithm: chain" in chosen and "region: {x: [2, 4], y: [6]}" in chosen
    for line in re.search(r"```yaml\n# chosen.yaml\n(.*?)```", page, re.DOTALL)[1].splitlines():
        assert line in (tmp_path / "chosen.yaml").read_text().splitlines()


def test_files(model, chosen, tmp_path):
    (tmp_path / "m.onnx").write_bytes(model)
    chosen.save(tmp_path / "m.yaml")
    assert wl.Mapping.load(tmp_path / "m.yaml") == chosen
    with pytest.raises(OSError):
        chosen.save(tmp_path / "no/such/folder")
    with pytest.raises(wl.CompileError, match="there is no mapping .*those that are built in are waferllm"):
        wl.Mapping.load(tmp_path / "none")
    with pytest.raises(wl.CompileError, match="option 'mapping' is a Mapping"):
        compile(model, 3)

    def run(*arguments):
        return subprocess.run([WAFERLOOM, "compile", "m.onnx", "--context=24", *arguments], capture_output=True, text=True, cwd=tmp_path)

    done = run("--mapping=m.yaml", "-o", "a.wafer", "--write-mapping=m.yaml")
    assert done.returncode == 1 and "m.yaml: error" in done.stderr
    assert (tmp_path / "m.yaml").read_text() == chosen.text and not (tmp_path / "a.wafer").exists()
    done = run("-o", "x", "--write-mapping", "x")
    assert done.returncode == 2
    (tmp_path / "bad.yaml").write_text(chosen.text + "  - {at: a, colour: 3}\n")
    done = run("--mapping=bad.yaml", "-o", "a.wafer")
    number = chosen.text.count("\n") + 1
    assert done.returncode == 1 and f"bad.yaml: error: line {number}: a collective has no field 'colour'" in done.stderr
    assert not (tmp_path / "a.wafer").exists()
