"""Small models of the kinds that exporters write, and their comparison with ONNX Runtime."""

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import waferloom as wl
from conftest import BothEngines

ort.set_default_logger_severity(3)
GRIDS = ["grid-6x6,sram=256KiB", "grid-1x7,sram=1MiB"]


class Graph:
    """Collects nodes, weights, inputs and outputs; values are names."""

    def __init__(self, seed=1):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def weight(self, *shape, scale=0.4):
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def op(self, kind, *operands, results=1, names=None, domain="", **attributes):
        names = names or [f"v{len(self.nodes)}_{i}" for i in range(results)]
        self.nodes.append(helper.make_node(kind, list(operands), names, name=f"{kind}_{len(self.nodes)}",
                                           domain=domain, **attributes))
        return names[0] if len(names) == 1 else names

    def input(self, name, shape, kind=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name, shape, kind=TensorProto.FLOAT):
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def model(self, opset=18):
        graph = helper.make_graph(self.nodes, "g", self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)])


def expected_of(data, steps, caches):
    """What ONNX Runtime answers, step by step; `caches`: past -> (present, shape at first)."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    taken = {input.name for input in session.get_inputs()}
    past = {name: np.zeros(shape, np.float32) for name, (_, shape) in caches.items()}
    for step in steps:
        results = dict(zip(names, session.run(None, {k: v for k, v in (step | past).items() if k in taken})))
        yield results
        past = {name: results[present] for name, (present, _) in caches.items()}


def compare(model, steps, caches=None, grids=GRIDS, tolerance=1e-4, reference=None, **options):
    """Compiles the model for some grids and runs the steps on both engines. `reference`:
    what ONNX Runtime runs, where it has no kernel for the model's own operators."""
    caches = caches or {}
    data = model.SerializeToString()
    expected = list(expected_of((reference or model).SerializeToString(), steps, caches))
    presents = {present for present, _ in caches.values()}
    for grid in grids:
        program = wl.compile(data, target=grid, **options)
        session = BothEngines(program)
        taken = {info.name for info in program.inputs}
        for i, (step, results) in enumerate(zip(steps, expected)):
            outputs = session.run({k: v for k, v in step.items() if k in taken}).outputs
            for name in results.keys() - presents:
                where = f"{grid}, step {i}, {name}"
                assert outputs[name].shape == results[name].shape, where
                largest = max(1.0, np.abs(results[name]).max())
                assert np.abs(outputs[name] - results[name]).max() <= tolerance * largest, where


def tokens(graph, lengths, batch=1, vocabulary=31, mask=True):
    """Steps of so many tokens each."""
    done = 0
    for n in lengths:
        done += n
        step = {"input_ids": graph.random.integers(0, vocabulary, (batch, n))}
        if mask:
            step["attention_mask"] = np.ones((batch, done), np.int64)
        yield step


def in_blocks(model, bits, block, zeros="packed"):
    """The model with its MatMul weights as integers in blocks along what is summed, and the same with these numbers
    written out. `zeros`: "packed", integers of their own, or "scaled", numbers."""
    import onnx

    small, numbers = onnx.ModelProto(), onnx.ModelProto()
    small.CopyFrom(model)
    numbers.CopyFrom(model)
    arrays = {tensor.name: tensor for tensor in small.graph.initializer}
    each = 8 // bits
    pack = lambda codes: sum(codes[..., i::each].astype(int) << (i * bits) for i in range(each)).astype(np.uint8)
    for node in small.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in arrays:
            continue
        name = node.input[1]
        weight = numpy_helper.to_array(arrays[name]).T
        rows, columns = weight.shape
        blocks = np.pad(weight, ((0, 0), (0, -columns % block))).reshape(rows, -1, block)
        scales = (np.ptp(blocks, axis=2) / (2**bits - 1) + 1e-6).astype(np.float32)
        zero = (-blocks.min(2) / scales).astype(np.float32)
        if zeros == "packed":
            zero = np.clip(np.rint(zero), 0, 2**bits - 1)
        codes = np.clip(np.rint(blocks / scales[..., None] + zero[..., None]), 0, 2**bits - 1)
        rounded = ((codes - zero[..., None]) * scales[..., None]).reshape(rows, -1)[:, :columns].astype(np.float32)
        next(tensor for tensor in numbers.graph.initializer if tensor.name == name).CopyFrom(
            numpy_helper.from_array(np.ascontiguousarray(rounded.T), name))
        small.graph.initializer.remove(arrays[name])
        in_file = pack(np.pad(zero, ((0, 0), (0, -zero.shape[1] % each)))) if zeros == "packed" else zero
        for part, array in (("", pack(codes)), (".scales", scales), (".zeros", in_file)):
            small.graph.initializer.append(numpy_helper.from_array(array, name + part))
        node.op_type, node.domain = "MatMulNBits", "com.microsoft"
        node.input.extend([name + ".scales", name + ".zeros"])
        node.attribute.extend(helper.make_attribute(key, number) for key, number in
                              dict(K=columns, N=rows, bits=bits, block_size=block).items())
    if not any(known.domain == "com.microsoft" for known in small.opset_import):
        small.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return small.SerializeToString(), numbers.SerializeToString()
