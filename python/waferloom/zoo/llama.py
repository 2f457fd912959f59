"""A decoder as ONNX, a Llama or one of its relatives. The graph is the real thing; its weights are
drawn (shape.weights) or read from a checkpoint (checkpoint.py), its form is that
of an exporter (primitives.py) or of ONNX Runtime's builder (genai.py)."""

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from . import genai, primitives
from .graph import DataFile, Graph, NoFile
from .shape import no_weights

FORMS = {"primitives": primitives, "genai": genai}
PRECISIONS = {"f32": np.float32, "f16": np.float16}


def build(shape, arrays, form="primitives", precision="f32", data=None, packing=None):
    """Builds the ONNX model.

    Inputs: input_ids, position_ids (primitives only) int64 [batch, sequence];
    attention_mask int64 [batch, total]; past_key_values.N.key and .value [batch,
    kv_heads, past, head_dim]. Outputs: logits [batch, sequence, vocabulary] and
    present.N.key and .value; all of `precision`.

    Args:
        arrays: a mapping of names, as of `weights`, to float arrays. Each is read
            once, in order: a lazy mapping keeps memory small.
        data: where weights go (graph.DataFile); into the model if left out.
        packing: how weights are integers (packing.Packing); in the genai form.

    Raises:
        ValueError: the sizes make no model.
    """
    shape.check()
    if packing and form != "genai":
        raise ValueError(f"form '{form}' has no packed weights; genai has")
    g, dtype = Graph(data), PRECISIONS[precision]

    def add(name, array):
        array = array.astype(dtype, copy=False)
        if not packing or not packing.packs(name):
            g.weight(name, array)
            return
        for part, values in zip(("", ".scales"), packing.pack(name, array)):
            g.weight(name + part, values)

    if packing:
        packing.check()
    for name in arrays:
        add(name, arrays[name])
    if form == "genai" and shape.tied:
        add("lm_head.weight", arrays["model.embed_tokens.weight"].T)
    ids, opsets, version = FORMS[form].build(g, shape, dtype, **({"packing": packing} if packing else {}))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def values(name, length):
        return [helper.make_tensor_value_info(f"{name}.{i}.{part}", kind,
                                              ["batch", shape.kv_heads, length, shape.head_dim])
                for i in range(shape.layers) for part in ("key", "value")]

    inputs = [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, dims) for name, *dims in ids]
    logits = helper.make_tensor_value_info("logits", kind, ["batch", "sequence", shape.vocabulary])
    graph = helper.make_graph(g.nodes, "llama", inputs + values("past_key_values", "past"),
                              [logits, *values("present", "total")], g.initializers)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=version, producer_name="waferloom.zoo")
    if form == "primitives" and data is None:  # the checker knows no operator of com.microsoft
        onnx.checker.check_model(model)
    return model


def write_shapes(shape, folder, form="primitives", precision="f32", packing=None):
    """Writes folder/model.onnx without the file of its weights: cycles can be counted of it
    (`waferloom compile --no-weights`). Returns its path."""
    path = Path(folder) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = no_weights(shape, PRECISIONS[precision])
    onnx.save(build(shape, arrays, form, precision, NoFile(path.name + ".data"), packing), path)
    return path


def write(shape, arrays, folder, form="primitives", precision="f32", packing=None):
    """Builds a model into folder/model.onnx, its weights into model.onnx.data
    beside it: both whole, or no model.onnx. Returns the path of the model."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    partial = [folder / f".{path.name}.partial", folder / f".{path.name}.data.partial"]
    try:
        with open(partial[1], "wb") as file:
            model = build(shape, arrays, form, precision, DataFile(file, path.name + ".data"), packing)
        onnx.save(model, partial[0])
        path.unlink(missing_ok=True)  # never an old model beside new weights
        os.replace(partial[1], folder / (path.name + ".data"))
        os.replace(partial[0], path)
    finally:
        for file in partial:
            file.unlink(missing_ok=True)
    return path
