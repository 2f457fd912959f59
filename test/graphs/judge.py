"""Draws graphs, runs them on the wafer and by ONNX Runtime, and compares: seeds come on the standard input, a line of
JSON per graph goes out, as from the worker of the node tests. Values that a change of every operand by less than our
rounding moves may differ by that much."""

import json
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

import fused, pointwise, recurrent, shapes, sums  # noqa: F401, E401: they register their makers
import waferloom as wl
from draw import Unfit, draw

ort.set_default_logger_severity(4)
GRIDS = ({"target": "grid-3x2,sram=512KiB", "region": (2, 2)}, {"target": "grid-4x5,sram=128KiB", "region": (3, 4)},
         {"target": "grid-1x6,sram=256KiB"})
IMPORT = ("onnx", "tensors")
NOISE = {TensorProto.FLOAT: 3e-6, TensorProto.FLOAT16: 1e-3}
ABSOLUTE = {"Tanh": 4e-7, "Erf": 8e-7, "Sin": 3e-7, "Cos": 3e-7}  # what docs/add-a-scalar-function.md promises no better


def noisy(model, weights):
    """The model with a factor on every float that a node reads of data, a summand on what functions promise absolutely;
    their types, what they are without noise, and how much they move."""
    noisy = onnx.ModelProto()
    noisy.CopyFrom(onnx.shape_inference.infer_shapes(model))
    graph = noisy.graph
    types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}
    for weight in graph.initializer:
        if weight.name in weights:
            types[weight.name] = helper.make_tensor_type_proto(weight.data_type, weight.dims).tensor_type
    extra, nodes = {}, []

    def multiply(name, result):
        kind = types[name if name in types else result]
        extra[result + "_factor"] = (kind, 1, NOISE[kind.elem_type])
        nodes.append(helper.make_node("Mul", [name, result + "_factor"], [result]))

    def add(name, result, kind, size):
        extra[result + "_summand"] = (kind, 0, size)
        nodes.append(helper.make_node("Add", [name, result + "_summand"], [result]))

    renamed = {}
    for name in [value.name for value in graph.input] + [tensor.name for tensor in graph.initializer]:
        if name in types and types[name].elem_type in NOISE:
            multiply(name, name + "_noisy")
            renamed[name] = name + "_noisy"
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        nodes.append(copy)
        copy.input[:] = [renamed.get(name, name) for name in node.input]
        for i, name in enumerate(node.output):
            if name and name in types and types[name].elem_type in NOISE:
                copy.output[i] = name + "_exact"
                if bound := types[name].elem_type == TensorProto.FLOAT and ABSOLUTE.get(node.op_type):
                    add(name + "_exact", name + "_near", types[name], bound)
                multiply(name + ("_near" if bound else "_exact"), name)
    del graph.node[:]
    graph.node.extend(nodes)
    for node in nodes:  # ONNX Runtime 1.31 lets experts overwrite what they still read, if nobody else does
        if node.op_type in ("MoE", "QMoE"):
            kind = types[node.input[0].removesuffix("_noisy")]
            graph.output.append(helper.make_tensor_value_info(node.input[0], kind.elem_type,
                                                              [dim.dim_value for dim in kind.shape.dim]))
    del graph.value_info[:]
    for name, (kind, _, _) in extra.items():
        graph.input.append(helper.make_tensor_value_info(name, kind.elem_type,
                                                         [dim.dim_value for dim in kind.shape.dim]))
    return noisy, extra


def expected(model, feed, weights):
    """{output: (value, by how much it moves)} by ONNX Runtime; none where it does not take the graph."""
    changed, extra = noisy(model, weights)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(changed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    runs = []
    for scale in (0, 1, 1, 1):
        noise = {}
        for name, (kind, centre, size) in extra.items():
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
            shape = [dim.dim_value for dim in kind.shape.dim]
            noise[name] = np.asarray(centre + scale * size * random.standard_normal(shape)).astype(dtype)
        with np.errstate(all="ignore"):
            runs.append(session.run(None, feed | noise))
    found = {}
    for i, value in enumerate(model.graph.output):
        exact = runs[0][i].astype(np.float64)
        with np.errstate(all="ignore"):
            moved = np.max([np.abs(run[i].astype(np.float64) - exact) for run in runs[1:]], axis=0)
            stable = np.all([np.isfinite(run[i].astype(np.float64)) == np.isfinite(exact) for run in runs[1:]], axis=0)
        found[value.name] = (runs[0][i], np.where(np.isfinite(exact), np.nan_to_num(moved, nan=0), 0), stable)
    return found


def mistake(found, wanted, moved, stable):
    """What is wrong with an output; none if nothing is."""
    if found.shape != wanted.shape:
        return f"has shape {found.shape}, not {wanted.shape}"
    if found.dtype != wanted.dtype:
        return f"has type {found.dtype}, not {wanted.dtype}"
    if wanted.dtype.kind in "biu":
        wrong = (found != wanted) & (moved == 0) & stable
    else:
        a, b = found.astype(np.float64), wanted.astype(np.float64)
        finite = np.abs(b[np.isfinite(b)])
        rounding = 1e-2 if wanted.dtype.itemsize < 4 else 2e-5
        with np.errstate(all="ignore"):
            close = np.abs(a - b) <= rounding * (np.abs(b) + max(1, finite.max(initial=0))) + 8 * moved
        wrong = ~(close | (a == b) | (np.isnan(a) & np.isnan(b))) & stable
    if wrong.any():
        at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
        return f"{int(wrong.sum())} of {wrong.size} elements differ, at {at}: " \
               f"{np.atleast_1d(found)[at]}, not {np.atleast_1d(wanted)[at]}"
    return None


def text_of(error):
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def run(seed, operators=None):
    """(verdict, form, reason) of the graph of a seed."""
    try:
        model, feed, weights = draw(seed, operators)
        wanted = expected(model, feed, weights)
    except Unfit:
        return "undrawn", "", "no operands"
    except Exception as error:  # of the library or the runtime: no valid graph, or none that it has
        return "undrawn", "", text_of(error)
    return judge(model, feed, wanted, GRIDS[seed % len(GRIDS)])


def judge(model, feed, wanted, options):
    """(verdict, form, reason) of a graph whose outputs are known."""
    form = " ".join(node.op_type for node in model.graph.node)
    phases = []
    try:
        program = wl.compile(model.SerializeToString(), **options,
                             progress=lambda phase, fraction: phases.append(phase))
    except wl.CompileError as error:
        # Only code generation knows what a PE has to hold.
        behind = bool(phases) and phases[-1] not in IMPORT and "bytes of SRAM on the fullest PE" not in str(error)
        return ("behind" if behind else "refused"), form, text_of(error)
    read = {value.name for value in model.graph.input}
    try:
        outputs = program.run({name: value for name, value in feed.items() if name in read}).outputs
    except wl.ExecutionError as error:
        return "refused", form, "run: " + text_of(error)
    for name, (value, moved, stable) in wanted.items():
        if name not in outputs:
            return "wrong", form, f"output {name} is missing"
        if reason := mistake(outputs[name], value, moved, stable):
            return "wrong", form, f"output {name} {reason}"
    return "right", form, ""


def main():
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps({"begin": case["name"]}), flush=True)
        try:
            verdict, form, reason = run(case["seed"], case.get("operators"))
        except Exception as error:  # of the package: no graph may end with one
            verdict, form, reason = "error", "", f"{type(error).__name__}: {text_of(error)}"
        print(json.dumps({"name": case["name"], "verdict": verdict, "form": form, "reason": reason}), flush=True)


if __name__ == "__main__":
    main()
