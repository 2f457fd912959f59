"""Calls that fail: each write, open, rename, link and sync, each start of a thread, each large
allocation. Whatever the program did, nothing is half written and nothing is left behind; it
ends well, or with a message of ours."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from waferloom import zoo

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build"))
FAILING = BUILD / "test/faults/libfailing-calls.so"
SHAPE = zoo.Shape(layers=2, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)
MOST = 40  # calls of a kind

pytestmark = pytest.mark.skipif(not FAILING.exists(), reason="a build with sanitizers has no failing calls")


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A model and its image."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "model.onnx").write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString())
    tool("compile", folder / "model.onnx", "-o", folder / "model.wafer", "--target", "grid-4x4", "--context", 8)
    np.savez(folder / "in.npz", input_ids=np.array([[1]]))
    return folder


def tool(*args, fail="", failed=""):
    env = dict(os.environ)
    if fail:
        env |= {"LD_PRELOAD": str(FAILING), "WAFERLOOM_FAIL": fail, "WAFERLOOM_FAILED": str(failed)}
    return subprocess.run([BUILD / "bin/waferloom", *map(str, args)], capture_output=True, text=True, env=env, timeout=120)


def commands(before, folder):
    """What writes files: the file that it writes, and the command."""
    model, image = before / "model.onnx", before / "model.wafer"
    return {
        "compile": ("x.wafer", ["compile", model, "-o", folder / "x.wafer", "--target", "grid-4x4", "--context", 8]),
        "report": ("x.html", ["report", image, "-o", folder / "x.html"]),
        "outputs": ("x.npz", ["run", image, "--input", before / "in.npz", "--output", folder / "x.npz"]),
        "trace": ("x.json", ["run", image, "--input", before / "in.npz", "--trace", folder / "x.json"]),
    }


COMMANDS = ["compile", "report", "outputs", "trace"]
KINDS = ["open", "write", "sync", "link", "rename", "thread"]


@pytest.mark.parametrize(
    "command, kind", [(c, k) for c in COMMANDS for k in KINDS if (c, k) != ("compile", "thread")]  # it starts none
)
def test_nothing_is_half_written(before, tmp_path, command, kind):
    out = tmp_path / "out"
    out.mkdir()
    name, args = commands(before, out)[command]
    assert tool(*args).returncode == 0
    whole = (out / name).read_bytes()
    failed = tmp_path / "failed"
    for call in range(1, MOST):
        failed.unlink(missing_ok=True)
        old = b"what was there before" if call % 2 else None
        (out / name).unlink(missing_ok=True)
        if old:
            (out / name).write_bytes(old)
        done = tool(*args, fail=f"{kind}:{call}", failed=failed)
        there = (out / name).read_bytes() if (out / name).exists() else None
        where = f"{kind} {call}: status {done.returncode}, {done.stderr[-500:]}"
        assert done.returncode in (0, 1), where
        assert there == (whole if done.returncode == 0 else old), where
        assert [path.name for path in out.iterdir()] == ([name] if there is not None else []), where
        if done.returncode:
            assert "error: " in done.stderr and done.stderr.count("\n") <= 3, where
        if not failed.exists():
            assert done.returncode == 0
            assert call > 1, f"{command} makes no call of the kind"
            return


@pytest.mark.parametrize("command", COMMANDS)
def test_no_memory_is_an_error(before, tmp_path, command):
    """From the n-th large allocation on there is none."""
    name, args = commands(before, tmp_path)[command]
    for call in range(1, MOST):
        failed = tmp_path / "failed"
        failed.unlink(missing_ok=True)
        done = tool(*args, fail=f"memory:{call}+", failed=failed)
        if done.returncode == 0:
            assert (tmp_path / name).exists() and call > 1
            return
        assert done.returncode == 1 and failed.exists(), done.stderr
        assert re.search("error: .*(no more memory|Cannot allocate memory|Malloc failure)", done.stderr), done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["failed"]
    pytest.fail(f"{command} makes more than {MOST} large allocations: raise MOST")
