"""docs/add-a-target.md, followed: its file is a target that compiles and runs."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from waferloom import zoo

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs/add-a-target.md").read_text()
SHAPE = zoo.Shape(layers=2, width=16, heads=2, kv_heads=1, head_dim=4, hidden=24, vocabulary=40, positions=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("target")
    (folder / "sandbox.yaml").write_text(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL).group(1))
    (folder / "model.onnx").write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString())
    return folder


def follow(folder, number):
    """The commands of a step of the page, as they stand there; their output."""
    step = re.search(rf"^## {number}\..*?(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE).group(0)
    output = ""
    for command in re.findall(r"^    waferloom (.*)$", step, re.MULTILINE):
        done = subprocess.run([TOP / "build/bin/waferloom", *command.split()], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        output += done.stdout
    assert output
    return output


def test_the_table_names_the_file_as_the_source(folder):
    table = follow(folder, 2)
    assert re.search(r"^width +12 PEs +U  given in sandbox.yaml", table, re.MULTILINE)
    assert re.search(r"^sram +96KiB +U  what if", table, re.MULTILINE)
    assert re.search(r"^issue +6 cycles +H", table, re.MULTILINE), "what the file does not say is the base's"


def test_a_model_compiles_and_runs(folder):
    assert "sandbox" in follow(folder, 3)
    told = subprocess.run([TOP / "build/bin/waferloom", "info", "model.wafer", "--json"], cwd=folder, capture_output=True,
                          text=True, check=True)
    region = json.loads(told.stdout)["regions"][0]
    assert region["width"] <= 10 and region["height"] <= 8


def test_figures_of_the_file_act(folder):
    """Without issue a step takes less, on the same region."""
    def cycles(target):
        subprocess.run([TOP / "build/bin/waferloom", "compile", "model.onnx", "-o", "x.wafer", "--quiet",
                        "--region", "4x4", "--context", "16",
                        "--target", target], cwd=folder, check=True)
        told = subprocess.run([TOP / "build/bin/waferloom", "run", "x.wafer", "--cycles", "--json"], cwd=folder, check=True,
                              capture_output=True, text=True)
        return json.loads(told.stdout)["entries"][0]["cycles"]
    assert cycles("sandbox.yaml,issue=0") < cycles("sandbox.yaml") < cycles("sandbox.yaml,issue=20")
