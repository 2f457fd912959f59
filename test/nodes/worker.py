"""Runs node tests of the ONNX wheel, one after the other, in one process: the names come on the
standard input, a line of JSON per test goes out. A test that ends the process has begun and has no
verdict, and the caller (nodes.py) goes on behind it."""

import json
import re
import sys

import numpy as np
import onnx
from onnx import numpy_helper

import waferloom as wl

TARGET = "grid-3x2,sram=512KiB"
REGION = (2, 2)
IMPORT = ("onnx", "tensors")
OP = re.compile(r"'\w+\.\w+' op ")
# Operators whose operands say how large the result is.
GENERATORS = ("BlackmanWindow", "ConstantOfShape", "HammingWindow", "HannWindow", "MelWeightMatrix", "Range")


def text_of(error):
    """Its first line that is no warning."""
    lines = [line for line in str(error).splitlines() if not line.startswith("warning:")]
    return lines[0] if lines else type(error).__name__


def tensors(folder, kind, values):
    """Arrays of a data set by name; None where one is no tensor."""
    found = {}
    for i, value in enumerate(values):
        proto = onnx.TensorProto()
        if not value.type.HasField("tensor_type"):
            return None
        proto.ParseFromString((folder / f"{kind}_{i}.pb").read_bytes())
        found[value.name] = numpy_helper.to_array(proto)
    return found


def with_constants(model, feed, names):
    """The model with some of its inputs as initializers, as an exporter leaves them."""
    bound = onnx.ModelProto()
    bound.CopyFrom(model)
    del bound.graph.input[:]
    for value in model.graph.input:
        if value.name in names:
            bound.graph.initializer.append(numpy_helper.from_array(feed[value.name], value.name))
        else:
            bound.graph.input.append(value)
    return bound


def mistake(found, wanted, rtol):
    """What is wrong with an output; none if nothing is."""
    if found.shape != wanted.shape:
        return f"has shape {found.shape}, not {wanted.shape}"
    if found.dtype != wanted.dtype:
        return f"has type {found.dtype}, not {wanted.dtype}"
    if wanted.dtype.kind in "biu":
        wrong = found != wanted
    else:
        rtol = max(rtol, 2e-2 if wanted.dtype.itemsize < 4 else 1e-3)
        wrong = ~np.isclose(found.astype(np.float64), wanted.astype(np.float64), rtol=rtol,
                            atol=1e-2 if wanted.dtype.itemsize < 4 else 1e-5, equal_nan=True)
    if wrong.any():
        at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
        return f"{int(wrong.sum())} of {wrong.size} elements differ, at {at}: " \
               f"{np.atleast_1d(found)[at]}, not {np.atleast_1d(wanted)[at]}"
    return None


def attempt(model, feed, wanted, rtol):
    """(verdict, reason) of one form of a test."""
    phases = []
    try:
        program = wl.compile(model.SerializeToString(), target=TARGET, region=REGION,
                             progress=lambda phase, fraction: phases.append(phase))
    except wl.CompileError as error:
        # What a later phase refuses must read as ours do: not as what an op of a level says.
        internal = phases and phases[-1] not in IMPORT and OP.search(str(error))
        return ("internal" if internal else "refused"), text_of(error)
    known = {value.name for value in model.graph.input}
    try:
        outputs = program.run({name: value for name, value in feed.items() if name in known}).outputs
    except wl.ExecutionError as error:
        return "refused", "run: " + text_of(error)
    for name, value in wanted.items():
        if name not in outputs:
            return "wrong", f"output {name} is missing"
        if reason := mistake(outputs[name], value, rtol):
            return "wrong", f"output {name} {reason}"
    return "right", ""


def run(case):
    """(verdict, form, reason). Forms: `as it is`; `constant integers`, where what decides sizes is in
    the file; with the conditions of branches and loops; `constant operands`, where all but the first
    operand are; `weights`, where all are."""
    from pathlib import Path

    folder = Path(case["folder"]) / "test_data_set_0"
    model = onnx.load(Path(case["folder"]) / "model.onnx")
    feed = tensors(folder, "input", model.graph.input)
    wanted = tensors(folder, "output", model.graph.output)
    if feed is None or wanted is None:
        return "refused", "", "has values that are no tensors"
    names = [value.name for value in model.graph.input]
    integers = {name for name in names if feed[name].dtype.kind in "iu"}
    forms = [("as it is", set())]
    if integers and (len(integers) < len(names) or model.graph.node[0].op_type in GENERATORS):
        forms.append(("constant integers", integers))
    if len(names) > 1:
        forms.append(("constant operands", set(names[1:])))
    kinds = {node.op_type for node in model.graph.node}
    if kinds & {"If", "Loop"}:
        forms.append(("constant integers and conditions", {name for name in names if feed[name].dtype.kind in "iub"}))
    if "DequantizeLinear" in kinds or kinds & {*GENERATORS, "Loop"}:
        forms.append(("weights", set(names)))
    told = None
    for form, constants in forms:
        bound = with_constants(model, feed, constants) if constants else model
        verdict, reason = attempt(bound, feed, wanted, case["rtol"])
        if verdict != "refused":
            return verdict, form, reason
        if told is None or "depends on data" in told[2]:  # with constants a file tells what else there is
            told = verdict, form, reason
    return told


def main():
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps({"begin": case["name"]}), flush=True)
        try:
            verdict, form, reason = run(case)
        except Exception as error:  # of the package: no test may end with one
            verdict, form, reason = "error", "", f"{type(error).__name__}: {text_of(error)}"
        print(json.dumps({"name": case["name"], "verdict": verdict, "form": form, "reason": reason}), flush=True)


if __name__ == "__main__":
    main()
