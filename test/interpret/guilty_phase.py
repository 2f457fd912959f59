#!/usr/bin/env python3
"""Names the phase of a compilation that made a wrong number.

    waferloom compile MODEL.onnx --save-ir DIR -o DIR/model.wafer ...
    python test/interpret/guilty_phase.py MODEL.onnx DIR

Every level that was saved is executed, from the model down; the first that is
wrong was made by the guilty phase (docs/debugging.md). Caches must be named
past.../present..., in the same order.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build")) / "bin"
sys.path.insert(0, str(TOP / "test/level2"))
import session  # noqa: E402

TOKENS = 4
TOLERANCE = 1e-3


class Reference:
    """ONNX Runtime fed one step after the other, and what it was fed."""

    def __init__(self, model):
        self.runtime = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        self.outputs = [o.name for o in self.runtime.get_outputs() if "present" not in o.name]
        self.caches = {i.name: np.zeros([d if isinstance(d, int) else (1 if n == 0 else 0)
                                         for n, d in enumerate(i.shape)], np.float32)
                       for i in self.runtime.get_inputs() if "past" in i.name}
        self.given = [i for i in self.runtime.get_inputs() if i.name not in self.caches]

    def step(self, ids, position):
        """Feeds and outputs of one step of `ids` [1, n] after `position` tokens."""
        n = ids.shape[1]
        rules = {"attention_mask": np.ones((1, position + n)), "position_ids": np.arange(position, position + n)[None],
                 "token_type_ids": np.zeros((1, n))}
        feeds = {i.name: rules.get(i.name, ids).astype(np.int32 if "32" in i.type else np.int64) for i in self.given}
        values = dict(zip([o.name for o in self.runtime.get_outputs()], self.runtime.run(None, feeds | self.caches)))
        presents = [values[o.name] for o in self.runtime.get_outputs() if "present" in o.name]
        self.caches = dict(zip(self.caches, presents))
        return feeds, {name: values[name] for name in self.outputs}


def entry_of(text):
    """The smallest entry of a level-2 module: its tokens and the shapes of its inputs."""
    entries = sorted((int(m.group(1)), m.start()) for m in re.finditer(r"func\.func @tokens(\d+)", text))
    tokens, start = entries[0]
    ends = [at for _, at in entries if at > start] + [len(text)]
    inputs = re.findall(r'wafer\.input "([^"]+)".*? : tensor<([0-9x]*?)x?i\d+', text[start:min(ends)])
    return tokens, {name: [int(d) for d in shape.split("x")] for name, shape in inputs}


def padded(array, shape):
    """`array` in the corner of ones."""
    whole = np.ones(shape, array.dtype)
    whole[tuple(slice(0, n) for n in array.shape)] = array
    return whole


def worst(ours, theirs):
    """The largest difference over steps and outputs, relative to the largest number."""
    found = 0.0
    for mine, wanted in zip(ours, theirs):
        for name, value in wanted.items():
            got = mine[name].reshape(value.shape)
            error = np.abs(got - value).max() / max(1.0, np.abs(value).max())
            found = max(found, float("inf") if np.isnan(error) else float(error))
    return found


class Bisection:
    def __init__(self, model, folder, seed=0):
        self.folder = folder
        text = (folder / "2-tensors.mlir").read_text()
        tokens, self.shapes = entry_of(text)
        reference = Reference(model)
        limit = re.search(r'wafer\.input "input_ids".*?limit = (\d+)', text)
        ids = np.random.default_rng(seed).integers(0, int(limit.group(1)) if limit else 2, (1, TOKENS * tokens))
        steps = TOKENS if reference.caches else 1
        self.tokens = tokens
        pairs = [reference.step(ids[:, k * tokens:(k + 1) * tokens], k * tokens) for k in range(steps)]
        self.feeds, self.wanted = zip(*pairs)

    def tensors(self):
        """Level 2, through upstream's JIT, against ONNX Runtime."""
        steps = [(self.tokens, k * self.tokens, {name: padded(array, self.shapes[name])
                                                 for name, array in feeds.items() if name in self.shapes})
                 for k, feeds in enumerate(self.feeds)]
        try:
            with contextlib.chdir(self.folder):  # weights are named from where the text lies
                outputs, _ = session.run(BIN / "waferloom-level2", "2-tensors.mlir", steps)
        except session.Refused as refused:
            return str(refused).strip().splitlines()[0]
        error = worst(outputs, self.wanted)
        return None if error < TOLERANCE else f"off by {error:.1e}"

    def lowered(self, file):
        """Level 3 or 4: every PE, interpreted, against level 2 on random weights."""
        done = subprocess.run([BIN / "compare-levels", self.folder / "2-tensors.mlir",
                               f"--lowered={self.folder / file}"], capture_output=True, text=True)
        if done.returncode == 0:
            return None
        lines = [line for line in done.stdout.splitlines() if "DIFFERENT" in line] or done.stderr.splitlines()
        return lines[0].split(": ", 1)[-1] if lines else f"status {done.returncode}"

    def layouts(self):
        """Level 3: what its types say is proven first."""
        return self.verified("3-layouts.mlir", "--pass-pipeline=builtin.module(func.func(partition-verify))") \
            or self.lowered("3-layouts.mlir")

    def shards(self):
        return self.lowered("4-shards.mlir")

    def verified(self, file, *passes):
        done = subprocess.run([BIN / "waferloom-opt", self.folder / file, *passes, "-o", "/dev/null"],
                              capture_output=True, text=True)
        errors = [line for line in done.stderr.splitlines() if "error:" in line]
        return None if done.returncode == 0 else (errors or ["refused"])[0].split("error: ", 1)[-1]

    def fabric(self):
        """Level 5 is not executed: its routes are lifted back to streams and compared with what was asked."""
        return self.verified("5-fabric.mlir", "--fabric-verify-placement", "--fabric-verify-routes")

    def image(self):
        """The image, by the executor, against ONNX Runtime."""
        with tempfile.TemporaryDirectory() as scratch:
            words = []
            for k, feeds in enumerate(self.feeds):
                np.savez(f"{scratch}/in{k}.npz", **{name: array for name, array in feeds.items()
                                                    if name not in ("attention_mask", "position_ids")})
                words += ["--input", f"{scratch}/in{k}.npz", "--output", f"{scratch}/out{k}.npz"]
            done = subprocess.run([BIN / "waferloom", "run", self.folder / "model.wafer", *words],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                return done.stderr.strip().splitlines()[0]
            error = worst([np.load(f"{scratch}/out{k}.npz") for k in range(len(self.feeds))], self.wanted)
        return None if error < TOLERANCE else f"off by {error:.1e}"


PHASES = [("tensors", "import: 2-tensors.mlir by the JIT against ONNX Runtime"),
          ("layouts", "planning: every PE of 3-layouts.mlir against level 2"),
          ("shards", "partition-to-per-pe: every PE of 4-shards.mlir against level 2"),
          ("fabric", "placement and routing: 5-fabric.mlir verified"),
          ("image", "code generation: the image by the executor against ONNX Runtime")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path, help="what --save-ir wrote, and model.wafer")
    args = parser.parse_args()
    bisection = Bisection(args.model, args.folder)
    for phase, what in PHASES:
        fault = getattr(bisection, phase)()
        print(f"{phase:8} {'right' if fault is None else 'WRONG'}  {what}" + (f": {fault}" if fault else ""))
        if fault is not None:
            print(f"the guilty phase is '{phase}'")
            return 1
    print("every level is right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
