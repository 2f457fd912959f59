"""With --json a command prints one object on one line, as docs/cli.schema.json says it; what goes wrong is one object
per line of stderr."""

import json
import subprocess

import jsonschema
import numpy as np
import pytest
from conftest import BIN, TOP

from waferloom import zoo

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=1, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)
SCHEMA = json.loads((TOP / "docs/cli.schema.json").read_text())


def run(folder, line):
    return subprocess.run([WAFERLOOM, *line.split()], cwd=folder, capture_output=True, text=True, timeout=120)


def check(text, kind):
    """One line, an object of that kind."""
    assert text.endswith("\n") and text.count("\n") == 1, text
    told = json.loads(text)
    jsonschema.validate(told, {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]})
    return told


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("json")
    (path / "m.onnx").write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString())
    np.savez(path / "x.npz", input_ids=np.array([[3]], np.int64))
    (path / "half.onnx").write_bytes((path / "m.onnx").read_bytes()[:900])
    assert run(path, "compile m.onnx -o m.wafer --target grid-4x4 --context 12 --quiet").returncode == 0
    return path


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert all(SCHEMA["$defs"][line["$ref"].split("/")[-1]]["description"] for line in SCHEMA["anyOf"])


COMMANDS = [
    ("compile m.onnx -o o.wafer --target grid-4x4 --context 12", "compile"),
    ("compile m.onnx -o o.wafer --target grid-4x4 --context 12 --chunk 4 --why-not 2x2 --measure-rewrites", "compile"),
    ("compile m.onnx -o o.wafer --target grid-4x4 --context 12 --why-not 9x9", "compile"),
    ("run m.wafer --input x.npz --input x.npz", "run"),
    ("run m.wafer --cycles", "count"),
    ("run m.wafer --critical", "count"),
    ("info m.wafer", "info"),
    ("info m.onnx", "model"),
    ("generate m.wafer --ids 1,2 --max-tokens 2", "generate"),
    ("generate m.wafer --ids 1,2 --max-tokens 2 --cycles", "generate"),
    ("sweep m.onnx --target grid-4x4 --region 2x2,9x9 --context 12", "sweep"),
    ("explain m.wafer", "explain"),
    ("explain m.onnx --target grid-4x4 --context 12", "explain"),
    ("explain m.onnx --target grid-3x2 --context 12 --region 2x2 --try", "explain"),
    ("targets", "targets"),
    ("targets wse3", "target"),
    ("targets wse3,hop=2", "target"),
    ("collective --length 9 --words 3", "collective"),
    ("collective --length 9 --words 3 --algorithm two-phase --group 3", "collective"),
    ("help", "help"),
    ("help compile", "command"),
    ("help generate", "command"),
]


@pytest.mark.parametrize("line, kind", COMMANDS)
def test_an_answer(folder, line, kind):
    done = run(folder, line + " --json")
    assert (done.returncode, done.stderr) == (0, "")
    check(done.stdout, kind)


def test_every_command_with_json_is_here():
    commands = json.loads(run(None, "help --json").stdout)["commands"]
    tried = {line.split()[0] for line, _ in COMMANDS}
    missing = [command["name"] for command in commands if "--json" in run(None, f"help {command['name']}").stdout
               and command["name"] not in tried]
    assert not missing


REFUSED, USAGE = 1, 2


@pytest.mark.parametrize("line, status, message", [
    ("compile half.onnx -o o.wafer", REFUSED, "half.onnx"),
    ("compile m.onnx -o o.wafer --target grid-4x4 --context 12 --objective decod", REFUSED, "did you mean 'decode'?"),
    ("compile m.onnx -o o.wafer --contxt 12", USAGE, "did you mean '--context'?"),
    ("compile m.onnx -o o.wafer --target grid-4x4,sram=6000 --context 12", REFUSED, "bytes of SRAM on the fullest PE"),
    ("compile m.onnx -o nowhere/o.wafer", REFUSED, "No such file"),
    ("run m.onnx --cycles", REFUSED, "m.onnx"),
    ("run m.wafer --cycles --engine lockstp", USAGE, "did you mean 'lockstep'?"),
    ("run m.wafer --input nowhere.npz", REFUSED, "nowhere.npz"),
    ("info nowhere.wafer", REFUSED, "nowhere.wafer"),
    ("info half.onnx", REFUSED, "half.onnx"),
    ("generate nowhere.wafer --ids 1", REFUSED, "nowhere.wafer"),
    ("generate m.wafer --idz 1", USAGE, ""),
    ("generate m.wafer --ids 1 --max-token 2", USAGE, "did you mean '--max-tokens'?"),
    ("sweep m.onnx --target grid-4x4 --region 2", USAGE, "region wants auto or WxH, not '2'"),
    ("sweep nowhere.onnx --target grid-4x4", REFUSED, "nowhere.onnx"),
    ("explain nowhere.wafer", REFUSED, "nowhere.wafer"),
    ("explain m.wafer --context 4", USAGE, "for a model only"),
    ("targets wse33", REFUSED, "did you mean 'wse3'?"),
    ("collective --length 9 --words 3 --kind redce", USAGE, "did you mean 'reduce'?"),
    ("collective --length 9 --words 3 --target wse5", REFUSED, "unknown target 'wse5'"),
    ("comple m.onnx", USAGE, "did you mean 'compile'?"),
    ("help comple", USAGE, "did you mean 'compile'?"),
])
def test_a_refusal(folder, line, status, message):
    done = run(folder, line + " --json")
    assert (done.returncode, done.stdout) == (status, "")
    told = [check(each + "\n", "message") for each in done.stderr.splitlines()]
    assert told and told[-1]["severity"] == "error"
    assert message in json.dumps(told), told


def test_a_warning(folder):
    done = run(folder, "targets wse3,link-bits=64 --json")
    assert check(done.stderr, "message")["severity"] == "warning"
    figures = {figure["key"]: figure for figure in check(done.stdout, "target")["figures"]}
    assert not figures["link-bits"]["acts"] and figures["link-bits"]["preset"] == 32 and figures["hop"]["acts"]
