"""`pip install .` gives a package and a tool that work without the build folder's."""

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import waferloom
from waferloom import zoo
assert waferloom.__file__.startswith(sys.argv[1]), waferloom.__file__
shape = zoo.Shape(layers=1, width=12, heads=2, kv_heads=1, head_dim=4, hidden=10, vocabulary=9, positions=8)
model = zoo.build(shape, zoo.weights(shape))
program = waferloom.compile(model.SerializeToString(), target="grid-2x3", context=8)
assert program.session().run({"input_ids": [[3]]}).outputs["logits"].shape == (1, 1, 9)
"""


def test_pip_install(tmp_path):
    # The objects of the build folder serve, so that this takes seconds.
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation",
         "--no-deps", "--config-settings", "build-dir=build", "--target", str(tmp_path), str(TOP)],
        cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run([sys.executable, "-I", "-c", PROGRAM, str(tmp_path)], check=True, cwd=tmp_path)
    listed = subprocess.run([str(tmp_path / "bin/waferloom"), "targets"], check=True, capture_output=True, text=True)
    assert "wse3" in listed.stdout
