"""Runs a model at level 2: writes the steps of a session as raw files, calls
`waferloom-level2`, and reads what it left."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np


class Refused(Exception):
    """Import refused the model; the message is what it said."""


def run(tool, model, steps, *, options=(), fill=0.0):
    """Runs the steps of one session.

    Args:
        steps: per step the tokens of its entry, the position before it, and its inputs by
            name; integers are passed as int32.
        fill: what the slots of the states hold before they are written.

    Returns:
        Per step a dict of float32 outputs by name, flat; and the states at the end, flat.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        lines = []
        for k, (tokens, position, inputs) in enumerate(steps):
            words = [f"tokens{tokens}", str(position)]
            for name, array in inputs.items():
                if array.dtype.kind in "iub":
                    array = array.astype(np.int8 if array.dtype.kind == "b" else np.int32)
                path = folder / f"in-{k}-{name}"
                array.tofile(path)
                words.append(f"{name}={path}")
            lines.append(" ".join(words))
        (folder / "steps.txt").write_text("\n".join(lines))
        (folder / "state-fill.txt").write_text(str(fill))
        done = subprocess.run([str(tool), str(model), "--emit=nothing", f"--run={folder}", *options],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Refused(done.stderr)
        outputs = [{p.name: np.fromfile(p, np.float32) for p in (folder / str(k)).iterdir()}
                   for k in range(len(steps))]
        states = {p.name: np.fromfile(p, np.float32) for p in (folder / "state").glob("*")}
        return outputs, states
