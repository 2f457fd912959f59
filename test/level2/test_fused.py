"""The fused operators of com.microsoft, written out in primitives, against ONNX Runtime's
own kernels: sizes that are no powers of two, chunks, windows, caches full of junk."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import session
from test_models import JUNK, replay, relative
from test_operators import check, dump

ort.set_default_logger_severity(3)
RNG = np.random.default_rng(5)
VOCABULARY = 19


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def save(folder, nodes, inputs, outputs, weights):
    graph = helper.make_graph(nodes, "g", inputs, outputs,
                              [numpy_helper.from_array(array, name) for name, array in weights.items()])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21),
                                                                  helper.make_opsetid("com.microsoft", 1)])
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


class Attention:
    """A model of one GroupQueryAttention whose operands are rows of tables, by token."""

    def __init__(self, folder, heads=6, kv=2, size=16, packed=False, rotary=8, positions=False, rows=64,
                 cache_dim=None, **attributes):
        widths = [(heads + 2 * kv) * size] if packed else [heads * size, kv * size, kv * size]
        self.kv, self.size, self.heads = kv, size, heads
        self.positions = positions
        weights = {f"table{i}": random(VOCABULARY, width) for i, width in enumerate(widths)}
        weights["one"] = np.array([1])
        weights["at1"] = np.array(1)
        nodes = [helper.make_node("Gather", [f"table{i}", "input_ids"], [f"x{i}"]) for i in range(len(widths))]
        nodes += [helper.make_node("ReduceSum", ["attention_mask", "one"], ["sum"], keepdims=0),
                  helper.make_node("Sub", ["sum", "one"], ["less"]),
                  helper.make_node("Cast", ["less"], ["seqlens_k"], to=6),
                  helper.make_node("Shape", ["attention_mask"], ["shape"]),
                  helper.make_node("Gather", ["shape", "at1"], ["length"]),
                  helper.make_node("Cast", ["length"], ["total"], to=6)]
        operands = ["x0", "", ""] if packed else ["x0", "x1", "x2"]
        operands += ["past.key", "past.value", "seqlens_k", "total"]
        if rotary:
            angles = RNG.uniform(0, 6, (rows, rotary))
            weights |= {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
            operands += ["cos", "sin"]
            attributes["do_rotary"] = 1
        if positions:
            operands += ["position_ids"]
        nodes.append(helper.make_node("GroupQueryAttention", operands, ["y", "present.key", "present.value"],
                                      name="attention", domain="com.microsoft", num_heads=heads, kv_num_heads=kv,
                                      **attributes))
        inputs = [value("input_ids", ["b", "n"], TensorProto.INT64), value("attention_mask", ["b", "L"], TensorProto.INT64)]
        if positions:
            inputs.append(value("position_ids", ["b", "n"], TensorProto.INT64))
        inputs += [value(f"past.{k}", ["b", kv, "p", cache_dim or size]) for k in ("key", "value")]
        outputs = [value("y", ["b", "n", heads * size])]
        outputs += [value(f"present.{k}", ["b", kv, "L", cache_dim or size]) for k in ("key", "value")]
        self.path = save(folder, nodes, inputs, outputs, weights)

    def compare(self, tool, rows, chunks, context, tolerance=1e-5):
        reference = ort.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
        caches = {f"past.{k}": np.zeros((rows, self.kv, 0, self.size), np.float32) for k in ("key", "value")}
        ids = RNG.integers(0, VOCABULARY, (rows, sum(chunks)))
        steps, want, position = [], [], 0
        for n in chunks:
            end = position + n
            inputs = {"input_ids": ids[:, position:end]}
            if self.positions:
                inputs["position_ids"] = np.tile(np.arange(position, end), (rows, 1))
            steps.append((n, position, inputs))
            y, key, values = reference.run(None, inputs | caches | {"attention_mask": np.ones((rows, end), np.int64)})
            caches = {"past.key": key, "past.value": values}
            want.append(y)
            position = end
        options = [f"--context={context}", f"--dim=b={rows}", *[f"--chunk={n}" for n in sorted(set(chunks) - {1})]]
        outputs, states = session.run(tool, self.path, steps, options=options, fill=JUNK)
        for step, (ours, theirs) in enumerate(zip(outputs, want)):
            assert relative(ours["y"].reshape(theirs.shape), theirs) < tolerance, f"step {step}"
        for name, theirs in caches.items():
            mine = states[name].reshape(rows, self.kv, context, self.size)
            assert (mine[:, :, position:] == np.float32(JUNK)).all()
            assert relative(mine[:, :, :position], theirs) < tolerance


VARIANTS = {
    "halves": {}, "neighbours": dict(rotary_interleaved=1), "packed": dict(packed=True),
    "part of the head": dict(size=32, rotary=8), "part, neighbours": dict(size=32, rotary=8, rotary_interleaved=1),
    "no rotation": dict(rotary=0, size=24), "one key head": dict(kv=1, heads=5),
    "no groups": dict(kv=3, heads=3), "scale": dict(scale=0.37), "window": dict(local_window_size=3),
    "softcap": dict(softcap=1.7), "positions": dict(positions=True), "open cache": dict(cache_dim="kv_cache_dim"),
    "all at once": dict(packed=True, local_window_size=4, softcap=2.5, rotary_interleaved=1, positions=True,
                        cache_dim="kv_cache_dim", heads=9, kv=3),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_attention(tool, tmp_path, variant):
    model = Attention(tmp_path, **VARIANTS[variant])
    model.compare(tool, 1, [5, 1, 1, 3, 1], 11)


@pytest.mark.parametrize("chunks", [[1] * 7, [7], [3, 1, 1]])
def test_rows_of_equal_length(tool, tmp_path, chunks):
    """The last step ends exactly at the capacity."""
    Attention(tmp_path).compare(tool, 3, chunks, sum(chunks))


def test_attention_without_a_past(tool, tmp_path):
    weights = {"table": random(VOCABULARY, 10 * 16), "lengths": np.array([4], np.int32), "total": np.array(5, np.int32)}
    nodes = [helper.make_node("Gather", ["table", "ids"], ["x"]),
             helper.make_node("GroupQueryAttention", ["x", "", "", "", "", "lengths", "total"], ["y", "k", "v"],
                              domain="com.microsoft", num_heads=6, kv_num_heads=2)]
    path = save(tmp_path, nodes, [value("ids", [1, 5], TensorProto.INT64)],
                [value("y", [1, 5, 96]), value("k", [1, 2, 5, 16]), value("v", [1, 2, 5, 16])], weights)
    check(tool, tmp_path, onnx.load(path), {"ids": RNG.integers(0, VOCABULARY, (1, 5))})


REFUSED = {
    "sliding window cache": (dict(sliding_window_cache=1), "sliding_window_cache without a local_window_size"),
    "both directions": (dict(causal=0), "causal = 0 is not supported"),
    "quantized": (dict(k_quant_type="PER_TENSOR"), "k_quant_type = PER_TENSOR is not supported"),
    "heads": (dict(heads=5, kv=2), "num_heads 5 is no multiple of kv_num_heads 2"),
    "window": (dict(local_window_size=0), "local_window_size 0 is not positive"),
    "table": (dict(rotary=16, size=16), r"a table of shape \[64, 16\] has no angles for heads of 16"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tool, tmp_path, case):
    attributes, message = REFUSED[case]
    with pytest.raises(session.Refused, match=r"node 'attention' \(GroupQueryAttention\): " + message):
        dump(tool, Attention(tmp_path, **attributes).path, ["--context=8"])


def test_a_table_shorter_than_the_capacity_is_refused(tool, tmp_path):
    with pytest.raises(session.Refused, match="reaches 7, the table has 6 rows; lower --context"):
        dump(tool, Attention(tmp_path, rows=6).path, ["--context=8"])


def test_lengths_that_depend_on_data_are_refused(tool, tmp_path):
    model = onnx.load(Attention(tmp_path).path)
    node = next(n for n in model.graph.node if n.op_type == "GroupQueryAttention")
    node.input[5] = "lengths"
    model.graph.input.append(value("lengths", ["b"], TensorProto.INT32))
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(session.Refused, match=r"its seqlens_k is lengths\[d0\] and must be p: all rows of a batch are equally long"):
        dump(tool, tmp_path / "other.onnx", ["--context=8"])


# ---------------------------------------------------------------- norms and rotation
def norm(folder, op, shape, operands, outputs, domain="com.microsoft", **attributes):
    names = ["x", *operands]
    node = helper.make_node(op, names, outputs, name="norm", domain=domain, **attributes)
    inputs = [value(name, shape) for name in names if name in ("x", "skip")]
    weights = {name: array for name, array in operands.items() if name != "skip"}
    return save(folder, [node], inputs, [value(name, [f"{name}{i}" for i in range(len(shape))]) for name in outputs if name], weights)


@pytest.mark.parametrize("case", ["plain", "sum", "bias", "layer", "layer all", "no epsilon"])
def test_skip_norms(tool, tmp_path, case):
    shape, width = (2, 3, 13), 13
    operands = {"skip": random(*shape), "gamma": random(width)}
    op, outputs, attributes = "SkipSimplifiedLayerNormalization", ["y", "", "", "sum"], {"epsilon": 1e-5}
    if case == "plain":
        outputs = ["y"]
    if case == "no epsilon":
        attributes = {}
    if case == "bias":
        operands["bias"] = random(width)
    if case.startswith("layer"):
        op = "SkipLayerNormalization"
        operands["beta"] = random(width)
    if case == "layer all":
        operands["bias"] = random(width)
    path = norm(tmp_path, op, shape, operands, outputs, **attributes)
    check(tool, tmp_path, onnx.load(path), {"x": random(*shape), "skip": operands["skip"]})


@pytest.mark.parametrize("shape, outputs, attributes", [((2, 3, 13), ["y"], {}), ((5, 7), ["y", "inverse"], dict(epsilon=1e-6)),
                                                        ((2, 3, 4, 5), ["y"], dict(axis=3))])
def test_simplified_norm(tool, tmp_path, shape, outputs, attributes):
    path = norm(tmp_path, "SimplifiedLayerNormalization", shape, {"scale": random(shape[-1])}, outputs, domain="",
                **attributes)
    check(tool, tmp_path, onnx.load(path), {"x": random(*shape)})


def test_outputs_for_training_are_refused(tool, tmp_path):
    path = norm(tmp_path, "SkipSimplifiedLayerNormalization", (2, 3, 13), {"skip": random(2, 3, 13), "gamma": random(13)},
                ["y", "mean"], epsilon=1e-5)
    with pytest.raises(session.Refused, match="its output 'mean' is not supported"):
        dump(tool, path)


@pytest.mark.parametrize("case", ["flat", "heads", "neighbours", "part", "part, neighbours", "rows"])
def test_rotary_embedding(tool, tmp_path, case):
    heads, tokens, size, pairs = 3, 5, 10, 5
    shape = (2, heads, tokens, size) if case == "heads" else (2, tokens, heads * size)
    attributes = {"interleaved": int("neighbours" in case)}
    if case.startswith("part"):
        pairs = 2
        attributes |= {"num_heads": heads, "rotary_embedding_dim": 2 * pairs}
    angles = RNG.uniform(0, 6, (12, pairs))
    positions = np.array([[3, 1, 4, 11, 5], [9, 2, 6, 5, 0]]) if case == "rows" else np.array([4])
    weights = {"positions": positions, "cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
    node = helper.make_node("RotaryEmbedding", ["x", "positions", "cos", "sin"], ["y"], domain="com.microsoft", **attributes)
    path = save(tmp_path, [node], [value("x", shape)], [value("y", shape)], weights)
    check(tool, tmp_path, onnx.load(path), {"x": random(*shape)})


@pytest.mark.parametrize("attributes, message", [(dict(is_packed_batching=1), "is_packed_batching is not supported"),
                                                 (dict(scale=2.0), "scale 2.0* is not supported"),
                                                 (dict(num_heads=3, rotary_embedding_dim=4), "rotary_embedding_dim")])
def test_rotary_embedding_refused(tool, tmp_path, attributes, message):
    weights = {"positions": np.array([4]), "cos": random(12, 5), "sin": random(12, 5)}
    node = helper.make_node("RotaryEmbedding", ["x", "positions", "cos", "sin"], ["y"], domain="com.microsoft", **attributes)
    path = save(tmp_path, [node], [value("x", (2, 5, 30))], [value("y", (2, 5, 30))], weights)
    with pytest.raises(session.Refused, match=message):
        dump(tool, path)


# ---------------------------------------------------------------- whole models
def test_recorded_runs_of_an_exporter(tool, models):
    import json
    name = "phi3-genai-op22-fp32"
    facts = json.loads((models / "exporters" / f"{name}.json").read_text())
    for case in facts["cases"]:
        assert replay(tool, models / "exporters", name, case["name"], 24) < 1e-4, case["name"]


def test_a_trained_model_for_64_tokens(tool, models):
    golden = np.load(models / "stories260k/golden.npz")
    steps = [(1, p, {"input_ids": golden["token_ids"][p].reshape(1, 1)}) for p in range(64)]
    outputs, _ = session.run(tool, models / "stories260k/stories260k-genai-opset21.onnx", steps,
                             options=["--context=64"], fill=JUNK)
    for ours, theirs in zip(outputs, golden["logits"]):
        np.testing.assert_allclose(ours["logits"], theirs, atol=1e-3, rtol=0)


def test_the_harness_catches_padding_that_is_kept(tool, tmp_path):
    from unittest import mock
    run = session.run
    with mock.patch.object(session, "run", lambda *a, options, **k: run(*a, options=[*options, "--mistake-padding-is-kept"], **k)):
        with pytest.raises(AssertionError, match="step 0"):
            Attention(tmp_path).compare(tool, 1, [1] * 7, 9)


# ---------------------------------------------------------------- packed weights
def packed_product(folder, columns, rows, bits, block, zeros, bias=False, external=False, **attributes):
    blocks = -(-columns // block)
    weights = {"w": RNG.integers(0, 256, (rows, blocks, block * bits // 8)).astype(np.uint8),
               "scales": RNG.uniform(0.01, 0.1, (rows, blocks)).astype(np.float32)}
    inputs = ["x", "w", "scales"]
    if zeros == "packed":
        weights["zeros"] = RNG.integers(0, 256, (rows, -(-blocks * bits // 8))).astype(np.uint8)
    elif zeros == "numbers":
        weights["zeros"] = RNG.uniform(4, 11, (rows, blocks)).astype(np.float32)
    inputs.append("zeros" if zeros else "")
    if bias:
        weights["bias"] = random(rows)
        inputs += ["", "bias"]
    node = helper.make_node("MatMulNBits", inputs, ["y"], name="product", domain="com.microsoft", K=columns, N=rows,
                            bits=bits, block_size=block, **attributes)
    path = save(folder, [node], [value("x", [2, 3, columns])], [value("y", [2, 3, rows])], weights)
    if external:
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


@pytest.mark.parametrize("zeros", [None, "packed", "numbers"])
@pytest.mark.parametrize("columns, rows, block", [(96, 7, 32), (70, 13, 32), (32, 1, 32), (130, 5, 64), (17, 3, 16)])
def test_four_bits(tool, tmp_path, columns, rows, block, zeros):
    path = packed_product(tmp_path, columns, rows, 4, block, zeros)
    check(tool, tmp_path, onnx.load(path), {"x": random(2, 3, columns)}, tolerance=1e-4)


@pytest.mark.parametrize("zeros", [None, "packed"])
def test_eight_bits(tool, tmp_path, zeros):
    path = packed_product(tmp_path, 70, 9, 8, 32, zeros)
    check(tool, tmp_path, onnx.load(path), {"x": random(2, 3, 70)}, tolerance=1e-3)


def test_bias_and_weights_beside_the_file(tool, tmp_path):
    path = packed_product(tmp_path, 70, 9, 4, 32, "packed", bias=True, external=True)
    x = random(2, 3, 70)
    want = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    (got,), _ = session.run(tool, path, [(1, 0, {"x": x})])
    np.testing.assert_allclose(got["y"].reshape(want.shape), want, atol=1e-4, rtol=0)


def test_integers_do_not_enter_the_text(tool, tmp_path):
    text = dump(tool, packed_product(tmp_path, 256, 256, 4, 32, "packed"))
    assert "ui8" not in text and len(text) < 4000
    assert 'tensor<256x256xf32>' in text and "blocks <256 by 256 bits 4" in text


PACKED_REFUSED = {
    "bits": (dict(bits=5), "bits 5 is none of 2, 4 and 8"),
    "block": (dict(block_size=24), "block_size 24 is no power of two"),
    "sizes": (dict(N=8), "its integers have 432 bytes, and the node says 384"),
    "prepacked": (dict(weight_prepacked=1), "weight_prepacked is not supported"),
}


@pytest.mark.parametrize("case", PACKED_REFUSED)
def test_packed_weights_refused(tool, tmp_path, case):
    attributes, message = PACKED_REFUSED[case]
    model = onnx.load(packed_product(tmp_path, 70, 9, 4, 32, None))
    node = model.graph.node[0]
    kept = [a for a in node.attribute if a.name not in attributes]
    del node.attribute[:]
    node.attribute.extend(kept + [helper.make_attribute(name, number) for name, number in attributes.items()])
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(session.Refused, match=r"node 'product' \(MatMulNBits\): " + message):
        dump(tool, tmp_path / "other.onnx")
