"""What docs/from-pytorch.md says, done: decoders that PyTorch and transformers export are the same on the wafer. Only
where torch is installed, which the build does without; where it is not, the module says how to have it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FORMS = ["dynamo", "torchscript", "transformers"]
PAGE = (Path(__file__).resolve().parents[2] / "docs/from-pytorch.md").read_text()
HAS_TORCH = importlib.util.find_spec("torch") is not None
torch_only = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed: pip install 'waferloom[torch]'")


@torch_only
@pytest.mark.parametrize("form", FORMS)
def test_exported_decoders_are_right(form, tmp_path):
    from waferloom import from_pytorch

    if form == "transformers":
        pytest.importorskip("transformers", reason="transformers is not installed: pip install 'waferloom[torch]'")
    assert list(from_pytorch.FORMS) == FORMS
    tokens, worst = from_pytorch.compare(from_pytorch.write(form, tmp_path), "grid-7x5,sram=256KiB")
    assert len(set(tokens)) > 5 and 0 < worst < 1e-5


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_without_torch_it_says_how_to_have_it():
    done = subprocess.run([sys.executable, "-m", "waferloom.from_pytorch"], capture_output=True, text=True)
    assert done.returncode == 1 and "No module named 'torch'; pip install 'waferloom[torch]'" in done.stderr
    assert "'.[torch]'" in PAGE and all(f"`{form}`" in PAGE for form in FORMS)
