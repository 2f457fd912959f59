"""What tools write is there whole or not at all, and lies over nothing that was read."""

import resource
import signal
import subprocess
import zipfile

import numpy as np
import onnx
import pytest
import waferloom as wl
from conftest import BIN
from onnx import TensorProto, helper, numpy_helper
from waferloom import zoo

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=1, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)


def run(*args, **more):
    return subprocess.run([WAFERLOOM, *map(str, args)], capture_output=True, text=True, timeout=300, **more)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An image, and a step's inputs."""
    folder = tmp_path_factory.mktemp("files")
    model = zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString()
    program = wl.compile(model, target="grid-3x2", context=12, chunks=[8])
    program.save(folder / "a.wafer")
    np.savez(folder / "in.npz", input_ids=np.array([[1, 2]], np.int64))
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """The same in a folder of the test's own."""
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("option", ["--output", "--trace"])
@pytest.mark.parametrize("name", ["a.wafer", "in.npz", "link"])
def test_run_writes_over_nothing_that_it_reads(folder, option, name):
    (folder / "link").symlink_to("a.wafer")
    before = contents(folder)
    done = run("run", folder / "a.wafer", "--input", folder / "in.npz", option, folder / name)
    assert (done.returncode, "which was read" in done.stderr, done.stdout) == (1, True, ""), done.stderr
    assert contents(folder) == before


def test_one_file_is_not_written_twice(folder):
    done = run("run", folder / "a.wafer", "--input", folder / "in.npz", "--output", folder / "o", "--trace", folder / "o")
    assert (done.returncode, "is to be written twice" in done.stderr) == (1, True), done.stderr
    assert not (folder / "o").exists()


def external(folder):
    """A model whose weight lies in a file of its own."""
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)


def test_compile_writes_over_no_weights(tmp_path):
    external(tmp_path)
    before = contents(tmp_path)
    done = run("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.data", "--target", "grid-2x2")
    assert (done.returncode, "which was read" in done.stderr) == (1, True), done.stderr
    assert contents(tmp_path) == before
    assert run("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.wafer", "--target", "grid-2x2").returncode == 0


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


@pytest.mark.parametrize("args", ["run a.wafer --input in.npz --trace old", "report a.wafer -o old",
                                  "compile m.onnx -o old --target grid-2x2", "compile m.onnx -o x --save-ir old.d"])
def test_a_full_disk_leaves_what_was_there(folder, args):
    """A limit on the size of files takes the same way as a full disk."""
    external(folder)
    (folder / "old").write_text("old")
    before = contents(folder)
    done = run(*args.split(), cwd=folder, preexec_fn=limited)
    if "--save-ir" in args:  # small files fit
        assert not [path for path in (folder / "old.d").iterdir() if path.suffix != ".mlir"]
        return
    assert (done.returncode, "File too large" in done.stderr) == (1, True), done.stderr
    assert "LLVM" not in done.stderr and contents(folder) == before


def test_a_disk_that_is_really_full(folder):
    command = "mount -t tmpfs -o size=64k none full && cp old full/old && exec \"$0\" run a.wafer --input in.npz --trace full/old"
    (folder / "full").mkdir()
    (folder / "old").write_text("old")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", f"{command}; ", str(WAFERLOOM)], cwd=folder, capture_output=True,
                          text=True, timeout=300)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this host lets nobody mount")
    assert (done.returncode, "No space left on device" in done.stderr) == (1, True), done.stderr


def test_modes_and_links_stay(folder):
    (folder / "real.npz").write_bytes(b"old")
    (folder / "real.npz").chmod(0o600)
    (folder / "link.npz").symlink_to("real.npz")
    assert run("run", folder / "a.wafer", "--input", folder / "in.npz", "--output", folder / "link.npz").returncode == 0
    assert (folder / "link.npz").is_symlink() and (folder / "real.npz").stat().st_mode & 0o777 == 0o600
    assert np.load(folder / "real.npz")["logits"].shape == (1, 2, 31)
    program = wl.load(folder / "a.wafer")
    (folder / "a.wafer").chmod(0o640)
    program.save(folder / "a.wafer")
    assert (folder / "a.wafer").stat().st_mode & 0o777 == 0o640


def test_outputs_replace_what_was_there(folder):
    external(folder)
    (folder / "o.npz").write_bytes(b"old")
    assert run("compile", folder / "m.onnx", "-o", folder / "m.wafer", "--target", "grid-2x2").returncode == 0
    np.savez(folder / "x.npz", x=np.ones((2, 4), np.float32))
    assert run("run", folder / "m.wafer", "--input", folder / "x.npz", "--output", folder / "o.npz").returncode == 0
    with np.load(folder / "o.npz") as arrays:
        assert (arrays["y"] == 4).all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_no_temporary_file(folder, number):
    """The trace goes into a pipe's buffer of a file system that is slow: stopped while it is written."""
    before = set(contents(folder))
    process = subprocess.Popen([WAFERLOOM, "run", "a.wafer", "--input", "in.npz", "--engine", "reference", "--trace", "t.json"],
                               cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=0.15)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    process.wait(timeout=60)
    assert set(contents(folder)) - before in (set(), {"t.json"})


def member(shape, size):
    """An .npy of zeros that says so."""
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(size)


@pytest.mark.parametrize("name, shape, message", [
    ("input_ids", (1, 20_000_000), "has a shape that no step takes"),
    ("other", (1, 20_000_000), "is not an input"),
    ("input_ids", (1, 2**40), "does not have as many bytes as its shape says"),
    ("input_ids", (2**40, 2**40), "has more elements than fit"),
])
def test_large_arrays_are_refused_before_they_are_unpacked(folder, name, shape, message):
    path = folder / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", member(shape, 160_000_000))
    assert path.stat().st_size < 1_000_000

    def small():
        resource.setrlimit(resource.RLIMIT_DATA, (150_000_000, 150_000_000))
    done = run("run", folder / "a.wafer", "--input", path, preexec_fn=small)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr


def test_work_has_a_limit(folder):
    done = run("run", folder / "a.wafer", "--input", folder / "in.npz", "--work-limit", 1000)
    assert (done.returncode, "more than the limit of 1000; a higher work limit" in done.stderr) == (1, True), done.stderr
    assert run("run", folder / "a.wafer", "--input", folder / "in.npz", "--work-limit", 0).returncode == 0
    assert run("run", folder / "a.wafer", "--cycles", "--work-limit", 1).returncode == 0, "closed forms need no limit"
    assert run("run", folder / "a.wafer", "--cycles", "--work-limit", -1).returncode == 2


def test_a_damaged_image_is_refused(folder):
    image = bytearray((folder / "a.wafer").read_bytes())
    image[-100] ^= 4
    (folder / "a.wafer").write_bytes(image)
    for command in ("info", "report -o r.html", "run --cycles"):
        name, *rest = command.split()
        done = run(name, folder / "a.wafer", *rest, cwd=folder)
        assert (done.returncode, "the file is damaged or cut off" in done.stderr) == (1, True), done.stderr
    with pytest.raises(wl.CompileError, match="damaged or cut off"):
        wl.load(folder / "a.wafer")
