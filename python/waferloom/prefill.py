"""Prompts that the host reads: ONNX Runtime runs the model over them, and its caches are loaded into the wafer's
states. What the wafer goes on with is rounded as the host's kernels do."""

import os
import time
from typing import NamedTuple

from .errors import Diagnostic, ExecutionError


class HostPrefill(NamedTuple):
    """What it took: tokens, seconds of this host, bytes of rows that the link to the wafer carries."""

    tokens: int
    seconds: float
    link_bytes: int


def refuse(message, *notes):
    raise ExecutionError([Diagnostic("error", message, notes=list(notes))])


def read_on_host(session, model, ids):
    """Reads `ids` on the host and loads the session's states; the session must have no tokens. `model`: path of the
    ONNX file that the program was compiled from, or its bytes.

    Raises:
        ExecutionError: the package onnxruntime is missing, the model is another one, or it does not fit.
    """
    try:
        from .zoo.reference import Reference
        start = time.perf_counter()
        reference = Reference(model if isinstance(model, bytes) else os.fspath(model))
        reference.run([list(ids)])
    except ImportError as error:
        refuse(f"a prompt is read on the host by the Python package `onnxruntime`: {error}")
    except Exception as error:  # ONNX Runtime has many
        refuse(f"ONNX Runtime cannot read the prompt: {error}", "give the model that the image was compiled from")
    missing = [info.name for info in session.program.states if info.name not in reference.past]
    if missing:
        refuse(f"the model gives no state '{missing[0]}'", f"it gives {', '.join(reference.past) or 'none'}",
               "give the model that the image was compiled from")
    states = {info.name: reference.past[info.name] for info in session.program.states}
    session.load(states, len(ids))
    size = {info.name: info.dtype.itemsize for info in session.program.states}
    return HostPrefill(len(ids), time.perf_counter() - start,
                       sum(array.size * size[name] for name, array in states.items()))
