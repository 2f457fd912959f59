"""Weights whose bytes are not where the model says: refused, unless a shape-only image is
asked for, which counts the same cycles and computes no values."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import waferloom as wl
from conftest import BIN
from waferloom import zoo

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=1, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)
OPTIONS = {"target": "grid-4x4", "context": 12}
DATA = "model.onnx_data"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with model.onnx and its external data."""
    folder = tmp_path_factory.mktemp("package")
    onnx.save(zoo.build(SHAPE, zoo.weights(SHAPE)), folder / "model.onnx", save_as_external_data=True, location=DATA,
              size_threshold=64)
    return folder


@pytest.fixture
def folder(package, tmp_path):
    return Path(shutil.copytree(package, tmp_path / "m"))


def relocate(model, key, value):
    """Every tensor outside of the file gets another location, offset or length."""
    proto = onnx.load(model, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == key:
                entry.value = value
    model.write_bytes(proto.SerializeToString())


def forget(folder):
    (folder / DATA).unlink()


def wrong_case(folder):
    (folder / DATA).rename(folder / DATA.upper())


def loop_of_links(folder):
    forget(folder)
    (folder / DATA).symlink_to("other")
    (folder / "other").symlink_to(DATA)


def folder_itself(folder):
    relocate(folder / "model.onnx", "location", ".")


def pipe(folder):
    forget(folder)
    os.mkfifo(folder / DATA)


def truncated(folder):
    os.truncate(folder / DATA, (folder / DATA).stat().st_size - 1)


def empty(folder):
    os.truncate(folder / DATA, 0)


def beyond(folder):
    relocate(folder / "model.onnx", "offset", str(2**63))


def negative(folder):
    relocate(folder / "model.onnx", "offset", "-4")


def short(folder):
    relocate(folder / "model.onnx", "length", "4")


def outside(folder):
    shutil.move(folder / DATA, folder.parent / DATA)
    relocate(folder / "model.onnx", "location", f"../{DATA}")


def linked_outside(folder):
    shutil.move(folder / DATA, folder.parent / DATA)
    (folder / DATA).symlink_to(folder.parent / DATA)


def sibling_of_like_name(folder):
    other = folder.with_name(folder.name + "-more")
    other.mkdir()
    shutil.move(folder / DATA, other / DATA)
    (folder / DATA).symlink_to(other / DATA)


@pytest.mark.parametrize("damage, says", [
    (forget, "No such file"), (wrong_case, "No such file"), (loop_of_links, "symbolic links"),
    (folder_itself, "not a regular file"), (pipe, "not a regular file"), (truncated, "bytes at"), (empty, "bytes at"),
    (beyond, "bytes at"), (negative, "'-4' as its offset"), (short, "is 4 bytes at"), (outside, "leaves the folder"),
    (linked_outside, "leaves the folder"), (sibling_of_like_name, "leaves the folder"),
])
def test_damaged_data_are_refused_at_their_node(folder, damage, says):
    damage(folder)
    with pytest.raises(wl.CompileError, match=says) as refused:
        wl.compile(folder / "model.onnx", **OPTIONS)
    (found,) = refused.value.diagnostics
    assert found.node and f"node '{found.node}' (" in found.message and "tensor '" in found.message
    assert found.node in {node.name or node.output[0] for node in
                          onnx.load(folder / "model.onnx", load_external_data=False).graph.node}
    done = subprocess.run([WAFERLOOM, "compile", folder / "model.onnx", "-o", folder / "x.wafer", "--target", "grid-4x4",
                           "--context", "12"], capture_output=True, text=True)
    assert done.returncode == 1 and says in done.stderr and not (folder / "x.wafer").exists()


def saved(program, folder):
    program.save(folder / "saved.wafer")
    return (folder / "saved.wafer").read_bytes()


@pytest.mark.parametrize("layout", ["cache", "cache below", "one folder"])
def test_links_inside_one_repository_open(package, tmp_path, layout):
    """A cache of Hugging Face: snapshots hold links to blobs, named after their content."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc" / ("onnx" if layout == "cache below" else ".")
    if layout == "one folder":
        blobs, snapshot = tmp_path / "all" / "blobs", tmp_path / "all"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True, exist_ok=True)
    for name, blob in (("model.onnx", "c6ed"), (DATA, "b879")):
        shutil.copy(package / name, blobs / blob)
        (snapshot / name).symlink_to(os.path.relpath(blobs / blob, snapshot))
    want = wl.compile(package / "model.onnx", **OPTIONS)
    got = wl.compile(snapshot / "model.onnx", **OPTIONS)
    assert saved(got, tmp_path) == saved(want, tmp_path)


@pytest.mark.parametrize("there", [True, False])
def test_shape_only(package, folder, there):
    whole = wl.compile(package / "model.onnx", **OPTIONS)
    if not there:
        forget(folder)
    program = wl.compile(folder / "model.onnx", weights=False, **OPTIONS)
    assert program.summary["shape_only"] and not whole.summary["shape_only"]
    assert program.count() == whole.count()
    assert program.summary["fit"] == whole.summary["fit"]
    assert len(saved(program, folder)) < len(saved(whole, folder)) - (package / DATA).stat().st_size // 2
    for refused in (lambda: program.run({"input_ids": np.array([[1]])}),
                    lambda: list(program.session().generate([1], max_tokens=2))):
        with pytest.raises(wl.ExecutionError, match="shapes of its weights only"):
            refused()


def test_shape_only_on_the_command_line(folder, tmp_path):
    forget(folder)
    image = tmp_path / "x.wafer"

    def run(*args):
        return subprocess.run([WAFERLOOM, *map(str, args)], capture_output=True, text=True)

    done = run("compile", folder / "model.onnx", "-o", image, "--target", "grid-4x4", "--context", 12, "--no-weights")
    assert done.returncode == 0, done.stderr
    assert "shapes of weights only" in run("info", image).stdout
    assert '"shape_only":true' in run("info", image, "--json").stdout
    assert "weights 0" not in run("info", image).stdout
    assert run("run", image, "--cycles").returncode == 0
    assert run("report", image, "-o", tmp_path / "r.html").returncode == 0
    assert "shapes only" in (tmp_path / "r.html").read_text()
    np.savez(tmp_path / "in.npz", input_ids=np.array([[1]]))
    for refused in (run("run", image, "--input", tmp_path / "in.npz", "--output", tmp_path / "out.npz"),
                    run("generate", image, "--ids", "1,2")):
        assert (refused.returncode, "shapes of its weights only" in refused.stderr) == (1, True), refused.stderr
    assert not (tmp_path / "out.npz").exists()
    loaded = wl.load(image)
    assert loaded.summary["shape_only"]
