"""The stubs of the package say what it is: mypy's stubtest compares them, and a caller's mistakes are found by them."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TOP

import waferloom as wl

pytest.importorskip("mypy")
PACKAGE = Path(wl._native.__file__).parent
STUBS = sorted(".".join(path.relative_to(TOP / "python").with_suffix("").parts) for path in (TOP / "python/waferloom").rglob("*.pyi"))

RIGHT = """
import waferloom as wl

program = wl.compile("m.onnx", context=64, region=(4, 4), weights=False)
cycles: int = program.critical_path().cycles
names: list[str] = [info.name for info in program.inputs]
for token in program.session(threads=2).generate([1, 2], max_tokens=4):
    following: int = token + 1
rows = wl.sweep("m.onnx", region=["auto", (4, 4)], jobs=2)
wl.plot.latency(rows).savefig("x.png")
print(program.explain().facts["gap"])
"""
WRONG = """
import waferloom as wl

wl.compile("m.onnx", contxt=64)
wl.compile("m.onnx", region="4x4")
wl.load("m.wafer").session(engine="lockstp")
text: str = wl.load("m.wafer").capacity
"""


def mypy(tmp_path, text):
    (tmp_path / "caller.py").write_text(text)
    return subprocess.run([sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", tmp_path / "cache", "caller.py"],
                          cwd=tmp_path, capture_output=True, text=True, env={"MYPYPATH": str(PACKAGE.parent)})


def test_callers(tmp_path):
    done = mypy(tmp_path, RIGHT)
    assert done.returncode == 0, done.stdout + done.stderr
    done = mypy(tmp_path, WRONG)
    assert [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line] == [4, 5, 6, 7], done.stdout


def test_stubs_are_as_the_package_is():
    assert len(STUBS) > 4 and (PACKAGE / "py.typed").exists()
    done = subprocess.run([sys.executable, "-m", "mypy.stubtest", "--ignore-missing-stub", "--ignore-disjoint-bases", "--concise", *STUBS],
                          cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
