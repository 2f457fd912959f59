"""Options and files that make no sense: each ends with a message that says what is
wrong, the right exit status, and no output file."""

import subprocess
from pathlib import Path

import pytest
from waferloom import zoo

from conftest import BIN

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=1, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)

REFUSED, USAGE = 1, 2
OPTIONS = [
    ("--dim nosuch", USAGE, "--dim needs NAME=SIZE with a size of at least 1, not 'nosuch'"),
    ("--dim batch=0", USAGE, "--dim needs NAME=SIZE with a size of at least 1, not 'batch=0'"),
    ("--dim batch=99999999999999999999", USAGE, "--dim needs NAME=SIZE"),
    ("--dim batch=2 --dim batch=3", USAGE, "--dim gives 'batch' both 2 and 3"),
    ("--region 0x5", USAGE, "--region needs WxH, not '0x5'"),
    ("--region 4x4x4", USAGE, "--region needs WxH, not '4x4x4'"),
    ("--region 5x4", REFUSED, "a region of 5 x 4 PEs is too wide for programs of 'grid-4x4': user-width is 4;"),
    ("--region 750x995 --target wse2", REFUSED,
     "a region of 750 x 995 PEs is too high for programs of 'wse2': user-height is 994; the largest region is 750 x 994"),
    ("--target grid-4x4,user-width=5", REFUSED, "user-width is 5; it must be at most width, which is 4"),
    ("--chunk 0", USAGE, "--chunk needs a number of tokens, not '0'"),
    ("--chunk 13", REFUSED, "a step of 13 tokens does not fit a context of 12"),
    ("--context 0", USAGE, "--context needs a whole number of at least 1, not '0'"),
    ("--context 100000000000", REFUSED, "a context of 100000000000 is not between 1 and 16777216"),
    ("--context 16777216", REFUSED, "nearest options that fit"),
    ("--set nosuch=1", REFUSED, "no input is called 'nosuch'"),
    ("--set input_ids=x", USAGE, "--set needs INPUT=VALUE with a number, not 'input_ids=x'"),
    ("--state a=b", REFUSED, "'b'"),
    ("--stop-after nowhere", REFUSED, "there is no phase 'nowhere'; there are onnx, tensors, layouts"),
    ("--precision f8", REFUSED, "precision 'f8'"),
    ("--save-ir /dev/null/x", REFUSED, "cannot make the folder '/dev/null/x': Not a directory"),
    ("--target nosuch", REFUSED, "unknown target 'nosuch'"),
    ("--target grid-0x4", REFUSED, "width is 0; it must be at least 1"),
    ("--target grid-70000x4", REFUSED, "width is 70000; it must be at most 65535"),
    ("--target grid-4x4,sram=99999999999", REFUSED, "'99999999999' is not below 2^32"),
    ("--target grid-4x4,sram=4096", REFUSED, "4096 bytes reserved of 4096 bytes of sram leave nothing"),
    ("--target grid-4x4,nosuch=1", REFUSED, "unknown target parameter 'nosuch'"),
    ("--target grid-4x4,colors=1", REFUSED, "needs 3 colors of 1 that are left"),
    ("--threads -1", USAGE, "--threads needs a whole number of at least 0, not '-1'"),
    ("--bogus", USAGE, "there is no option '--bogus'"),
]


def run(*args):
    return subprocess.run([WAFERLOOM, *map(str, args)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "model.onnx"
    path.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString())
    return path


def test_a_figure_that_does_not_act_is_a_warning(model, tmp_path):
    target = tmp_path / "mine.yaml"
    target.write_text("base: wse3\nname: mine\nlink-bits: 64\n")
    for specification in (target, "grid-4x4,link-bits=64"):
        done = run("compile", model, "-o", tmp_path / "x.wafer", "--target", specification, "--region", "4x4", "--context", 12)
        assert done.returncode == 0
        assert done.stderr == (f"model.onnx: warning: target '{specification}': link-bits is set, but no decision of the "
                               "compiler and no cycle depends on it\n")


@pytest.mark.parametrize("options, status, message", OPTIONS)
def test_options(model, tmp_path, options, status, message):
    done = run("compile", model, "-o", tmp_path / "x.wafer", "--target", "grid-4x4", "--context", 12, *options.split())
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert not done.stdout and not list(tmp_path.iterdir())


def test_one_chunk_twice_is_one_entry(model, tmp_path):
    image = tmp_path / "x.wafer"
    assert run("compile", model, "-o", image, "--target", "grid-4x4", "--context", 12, "--chunk", 4, "--chunk", 4,
               "--chunk", 1).returncode == 0
    assert [line for line in run("info", image).stdout.splitlines() if line.startswith("entry")] == [
        "entry tokens1: 1 tokens per step", "entry tokens4: 4 tokens per step"]


@pytest.mark.parametrize("output, message", [
    ("nowhere/x.wafer", "No such file or directory"),
    ("folder", "Is a directory"),
    ("/dev/full", "/dev/full"),
])
def test_outputs_that_cannot_be_written(model, tmp_path, output, message):
    (tmp_path / "folder").mkdir()
    done = run("compile", model, "-o", tmp_path / output, "--target", "grid-4x4", "--context", 12)
    assert (done.returncode, message in done.stderr) == (REFUSED, True), done.stderr
    assert not Path("/dev/full").is_file()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_the_model_is_not_overwritten(model, tmp_path):
    copy = tmp_path / "model.onnx"
    copy.write_bytes(model.read_bytes())
    done = run("compile", copy, "-o", tmp_path / "." / "model.onnx", "--target", "grid-4x4", "--context", 12)
    assert (done.returncode, "over the model" in done.stderr) == (USAGE, True), done.stderr
    assert copy.read_bytes() == model.read_bytes()


def test_files_that_are_no_models(model, tmp_path):
    image = tmp_path / "x.wafer"
    assert run("compile", model, "-o", image, "--target", "grid-4x4", "--context", 12).returncode == 0
    whole = model.read_bytes()
    for name, content in [("cut.onnx", whole[:len(whole) // 2]), ("empty.onnx", b""), ("image.onnx", image.read_bytes()),
                          ("text.onnx", b"not a model at all\n" * 100)]:
        (tmp_path / name).write_bytes(content)
        done = run("compile", tmp_path / name, "-o", tmp_path / "y.wafer", "--target", "grid-4x4", "--context", 12)
        assert done.returncode == REFUSED and done.stderr.startswith(f"{name}: error: the file "), done.stderr
    for path in (tmp_path, tmp_path / "nosuch.onnx"):
        done = run("compile", path, "-o", tmp_path / "y.wafer", "--target", "grid-4x4")
        assert done.returncode == REFUSED and "the file cannot be read" in done.stderr
    assert not (tmp_path / "y.wafer").exists()


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "text.wafer").write_text("not an image\n")
    (tmp_path / "text.onnx").write_text("not a model\n")
    for path, message in [(tmp_path / "text.wafer", "this is not a wafer image"), (tmp_path, "Is a directory"),
                          (tmp_path / "text.onnx", "not an ONNX model"),
                          (tmp_path / "nosuch", "No such file or directory")]:
        done = run("info", path)
        assert (done.returncode, message in done.stderr, done.stdout) == (REFUSED, True, ""), done.stderr


@pytest.mark.parametrize("args, status", [
    ("targets nosuch", REFUSED), ("targets grid-0x0", REFUSED), ("targets wse2 wse3", USAGE), ("info", USAGE),
    ("compile", USAGE), ("compile a.onnx", USAGE), ("compile a.onnx b.onnx -o x", USAGE), ("compile a.onnx -o", USAGE),
])
def test_usage(args, status):
    done = run(*args.split())
    assert done.returncode == status and done.stderr and not done.stdout
