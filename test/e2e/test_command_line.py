"""The command line as a person meets it: version, help, completion, what was meant, what takes long."""

import json
import os
import re
import subprocess
import tomllib

import pytest
from conftest import BIN, TOP, on_terminal

import waferloom as wl
from waferloom import zoo

WAFERLOOM = BIN / "waferloom"
SLOW = BIN.parent / "test/faults/libfailing-calls.so"
SHAPE = zoo.Shape(layers=1, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)


def run(*args, **options):
    return subprocess.run([WAFERLOOM, *map(str, args)], capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="module")
def table():
    return json.loads(run("help", "--json").stdout)["commands"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("line") / "m.onnx"
    path.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString())
    return path


def test_version():
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    pattern = project["tool"]["scikit-build"]["metadata"]["version"]["regex"]
    version = re.search(pattern, (TOP / "CMakeLists.txt").read_text())["value"]
    assert run("--version").stdout == f"waferloom {version}\n"
    assert wl.__version__ == version


def test_help(table):
    overview = run("help").stdout
    assert overview == run("--help").stdout
    for command in table:
        assert f"  {command['name']} " in overview and command["summary"] in overview
        told = run("help", command["name"])
        assert told.returncode == 0 and told.stdout.startswith(f"usage: waferloom {command['name']}")
        assert told.stdout == run(command["name"], "--help").stdout
        assert max(map(len, told.stdout.splitlines())) <= 101


def test_help_names_phases_and_rewrites():
    words = " ".join(run("help", "compile").stdout.split())
    assert "phases are: onnx, tensors, layouts, shards, fabric, image" in words
    assert "deferred-norm, deferred-softmax" in words


def test_help_names_every_value(table):
    """A value that the table knows stands in the help; `top-40` is an example of top-N."""
    for command in table:
        for option in command["options"]:
            if option["name"] != "target":
                assert all(choice in option["help"] for choice in option["choices"]), option


@pytest.mark.parametrize("line, meant", [
    ("comple", "did you mean 'compile'?"),
    ("raport", "did you mean 'report'?"),
    ("compile m.onnx --traget wse3", "did you mean '--target'?"),
    ("run m.wafer --critcal", "did you mean '--critical'?"),
    ("generate m.wafer --promt x", "did you mean '--prompt'?"),
    ("completion bsh", "did you mean 'bash'?"),
    ("collective --length 3 --words 3 --algorithm two-fase", "did you mean 'two-phase'?"),
    ("collective --length 3 --words 3 --root midle", "did you mean 'middle'?"),
])
def test_what_was_meant(line, meant):
    done = run(*line.split())
    assert done.returncode == 2 and meant in done.stderr and not done.stdout


@pytest.mark.parametrize("option, value, meant", [
    ("objective", "prefil", "did you mean 'prefill'?"), ("target", "wse33", "did you mean 'wse3'?"),
    ("target", "wse3,srm=3", "did you mean 'sram'?"), ("stop-after", "layout", "did you mean 'layouts'?"),
    ("disable-rewrite", "defered-norm", "did you mean 'deferred-norm'?"), ("prefill", "blok", "did you mean 'block'?"),
])
def test_which_value_was_meant(model, option, value, meant):
    done = run("compile", model, "-o", model.with_suffix(".x"), f"--{option}={value}")
    assert done.returncode == 1 and meant in done.stderr


@pytest.mark.parametrize("line", ["qwertz", "compile m.onnx --qwertz", "collective --length 3 --words 3 --kind qwertz"])
def test_nothing_near_is_no_guess(line):
    done = run(*line.split())
    assert done.returncode == 2 and "did you mean" not in done.stderr


def complete(folder, *words):
    """What bash offers behind `words`, of which the last is being typed."""
    script = f'eval "$({WAFERLOOM} completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _waferloom; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", "waferloom", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def test_bash_completes(tmp_path, table):
    (tmp_path / "model.onnx").touch()
    assert complete(tmp_path, "com") == ["compile", "completion"]
    assert {"--target", "--tokenizer"} & set(complete(tmp_path, "compile", "--t")) == {"--target"}
    assert complete(tmp_path, "generate", "--tok") == ["--tokenizer"]
    assert complete(tmp_path, "compile", "--objective", "pre") == ["prefill"]
    assert complete(tmp_path, "compile", "--objective", "=", "pre") == ["prefill"]
    assert complete(tmp_path, "compile", "--stop-after", "") == ["onnx", "tensors", "layouts", "shards", "fabric", "image"]
    assert complete(tmp_path, "run", "--engine", "l") == ["lockstep"]
    assert complete(tmp_path, "compile", "mo") == ["model.onnx"]
    assert complete(tmp_path, "compile", "--context", "") == []
    assert complete(tmp_path, "help", "gen") == ["generate"]
    for command in table:
        offered = complete(tmp_path, command["name"], "--")
        assert {f"--{option['name']}" for option in command["options"]} <= set(offered)


def test_zsh_gets_every_option(table):
    script = run("completion", "zsh").stdout
    assert script.startswith("#compdef waferloom\n")
    for command in table:
        assert f"    {command['name']}) _arguments" in script
        for option in command["options"]:
            assert f"'*--{option['name']}{'=' if option['value'] else ''}[" in script
    assert "--tokenizer" in script and "(balanced decode prefill)" in script


def test_what_takes_long_says_so(model, tmp_path):
    image = tmp_path / "m.wafer"
    assert run("compile", model, "-o", image, "--target", "grid-4x4", "--context", 12).returncode == 0
    lines = [["run", image, "--cycles"], ["report", image, "-o", tmp_path / "r.html"],
             ["generate", image, "--ids", "1", "--max-tokens", "1"]]
    for line, what in zip(lines, ("counting cycles of tokens1: 0 s", "counting cycles: 0 s", f"reading {image}"), strict=True):
        told = on_terminal([WAFERLOOM, *line], WAFERLOOM_PATIENCE=0)
        assert what in told, (line, told)
        assert told.endswith("\r\x1b[K")  # and is gone
        assert what not in on_terminal([WAFERLOOM, *line], WAFERLOOM_PATIENCE=60)


@pytest.mark.skipif(not SLOW.exists(), reason="a build with sanitizers has no slow calls")
def test_compiled_in_has_the_writing(model, tmp_path):
    args = ["compile", model, "-o", tmp_path / "m.wafer", "--target", "grid-4x4", "--context", 12, "--json"]
    done = run(*args, env=os.environ | {"LD_PRELOAD": str(SLOW), "WAFERLOOM_SLOW": "3000"})
    assert json.loads(done.stdout)["compile_seconds"] > 3


def test_a_target_file_is_a_difference(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("base: wse3\nname: first\nhop: 3\nlink-bits: 64\n")
    second.write_text(f"base: {first}\nname: second\nsram: 96KiB\ndefects: [{{x: 1, y: 2, width: 3, height: 4}}]\n")
    told = run("targets", second).stdout
    assert told.startswith("what differs from wse3:\n  hop: 1 -> 3 cycles\n  link-bits: 32 -> 64 bits/cycle, which changes "
                           "nothing\n  sram: 48KiB -> 96KiB\n  defect: 3 x 4 PEs at (1, 2)\n\ntarget second\n")
    assert "differs" not in run("targets", "wse3").stdout
    facts = json.loads(run("targets", second, "--json").stdout)
    changed = {figure["key"]: (figure["preset"], figure["value"]) for figure in facts["figures"] if "preset" in figure}
    assert facts["preset"] == "wse3" and changed == {"hop": (1, 3), "link-bits": (32, 64), "sram": (49152, 98304)}
    assert facts["defects"] == [{"x": 1, "y": 2, "width": 3, "height": 4}]


def test_figures_are_told_as_they_are_marked():
    told = json.loads(run("targets", "wse3", "--json").stdout)["figures"]
    text = (TOP / "include/waferloom/Target/Figures.def").read_text()
    for macro, acts in (("FIGURE", True), ("INFORMATION", False)):
        keys = re.findall(rf'^{macro}\(\w+, \w+, "([\w-]+)"', text, re.MULTILINE)
        assert keys == [figure["key"] for figure in told if figure["acts"] is acts]
