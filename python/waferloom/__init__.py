"""Waferloom: ONNX transformers on a wafer-scale machine, compiled and executed.

    import waferloom as wl
    program = wl.compile("model.onnx", target="grid-8x8", context=64)
    session = program.session()
    result = session.run({"input_ids": [[1]]})
    result.outputs["logits"], result.cycles
"""

from . import _native, plot
from .critical import CriticalPath
from .errors import CompileError, Diagnostic, ExecutionError
from .explain import Explanation
from .facts import Account, Region, Result, TensorInfo, Trace
from .generation import Generation
from .mapping import Mapping
from .program import Program, Session, compile, load
from .sweeps import LostPoints, sweep
from .text import Text, TextError

__version__ = _native.version
__all__ = ["Account", "CompileError", "CriticalPath", "Diagnostic", "ExecutionError", "Explanation", "Generation",
           "LostPoints", "Mapping", "Program", "Region", "Result", "Session", "TensorInfo", "Text", "TextError", "Trace",
           "compile", "load", "plot", "sweep"]
