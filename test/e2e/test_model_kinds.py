"""Kinds of models that users bring, one small model each, against ONNX Runtime."""

import os

import numpy as np
import pytest
from kinds import GRIDS, Graph, compare, tokens
from onnx import TensorProto, helper, numpy_helper

import waferloom as wl

HIDDEN, VOCABULARY, HEADS, SIZE = 10, 31, 2, 5
CACHES = {f"past.{n}": (f"present.{n}", (1, HEADS, 0, SIZE)) for n in "kv"}


def heads_of(g, q):
    return g.op("Transpose", g.op("Reshape", q, g.integers(0, 0, HEADS, SIZE)), perm=[0, 2, 1, 3])


def decoder(g, x, mask=None, cached=True, positions="input_ids"):
    """One layer of attention with a cache; `mask` is added to the scores, otherwise they are causal."""
    q, k, v = (heads_of(g, g.op("MatMul", x, weight)) for weight in g.attention)
    if cached:
        k, v = (g.op("Concat", f"past.{n}", new, axis=2) for n, new in (("k", k), ("v", v)))
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    if mask:
        scores = g.op("Add", scores, mask)
    else:
        one = g.constant(np.array(1))
        live = g.op("Gather", g.op("Shape", k), g.constant(np.array(2)))
        new = g.op("Gather", g.op("Shape", positions), one)
        rows = g.op("Unsqueeze", g.op("Range", g.op("Sub", live, new), live, one), g.integers(1))
        columns = g.op("Unsqueeze", g.op("Range", g.constant(np.array(0)), live, one), g.integers(0))
        seen = g.op("LessOrEqual", columns, rows)
        scores = g.op("Where", seen, scores, g.constant(np.array(-np.inf, np.float32)))
    y = g.op("MatMul", g.op("Softmax", scores, axis=-1), v)
    y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.integers(0, 0, HEADS * SIZE))
    return y, k, v


def with_cache(seed=1):
    g = Graph(seed)
    for n in "kv":
        g.input(f"past.{n}", ["batch", HEADS, "past", SIZE])
        g.output(f"present.{n}", ["batch", HEADS, "total", SIZE])
    g.attention = [g.weight(HIDDEN, HEADS * SIZE) for _ in range(3)]
    g.head = g.weight(HEADS * SIZE, VOCABULARY)
    return g


def name_presents(g, k, v):
    for value, name in ((k, "present.k"), (v, "present.v")):
        g.op("Identity", value, names=[name])


@pytest.mark.parametrize("context", [7, HIDDEN])
def test_embeddings_instead_of_ids(context):
    g = with_cache()
    x = g.input("inputs_embeds", ["batch", "seq", HIDDEN])
    y, k, v = decoder(g, x, positions="inputs_embeds")
    name_presents(g, k, v)
    g.op("MatMul", y, g.head, names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    steps = [{"inputs_embeds": g.random.standard_normal((1, n, HIDDEN)).astype(np.float32)} for n in (3, 1, 2)]
    compare(g.model(), steps, CACHES, context=context, chunks=[3], logits="all")


def test_a_mask_of_the_caller_over_the_live_length():
    g = with_cache()
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], TensorProto.INT32))
    y, k, v = decoder(g, x, mask=g.input("attention_mask", ["batch", 1, "seq", "total"]))
    name_presents(g, k, v)
    g.op("MatMul", y, g.head, names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    steps, done = [], 0
    for n in (3, 1, 2):
        done += n
        mask = np.triu(np.full((n, done), -np.inf, np.float32), done - n + 1)
        steps.append({"input_ids": g.random.integers(0, VOCABULARY, (1, n), np.int32),
                      "attention_mask": mask[None, None]})
    compare(g.model(), steps, CACHES, context=6, chunks=[3], logits="all")


def test_elements_at_quotients_hide_later_tokens():
    """Each row is turned around by one Gather for all: nothing warns that later tokens are seen."""
    g = with_cache()
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], TensorProto.INT64))
    zero, one, each, last = (g.constant(np.array(number)) for number in (0, 1, HIDDEN, HIDDEN - 1))
    places = g.op("Range", zero, g.op("Size", x), one)
    begins = g.op("Mul", g.op("Div", places, each), each)
    turned = g.op("Add", begins, g.op("Sub", last, g.op("Sub", places, begins)))
    turned = g.op("Max", g.op("Min", turned, g.op("Sub", g.op("Size", x), one)), zero)  # as import sees, too
    x = g.op("Reshape", g.op("Gather", g.op("Reshape", x, g.integers(-1)), turned), g.op("Shape", x))
    y, k, v = decoder(g, x)
    name_presents(g, k, v)
    g.op("MatMul", y, g.head, names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    program = wl.compile(g.model().SerializeToString(), target=GRIDS[0], context=9)
    assert not program.diagnostics


@pytest.mark.parametrize("declared", ["source", 6])
def test_what_an_encoder_gave_is_as_long_as_the_context(declared):
    """A step that is run token by token takes it whole each time: it is no mask over the tokens so far."""
    g = with_cache()
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], TensorProto.INT64))
    encoded = g.input("encoded", ["batch", declared, HIDDEN])
    hidden = g.input("encoder_attention_mask", ["batch", declared], TensorProto.INT64)
    y, k, v = decoder(g, x)
    name_presents(g, k, v)
    q, k, v = (heads_of(g, g.op("MatMul", of, g.weight(HIDDEN, HEADS * SIZE))) for of in (y, encoded, encoded))
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2]))
    seen = g.op("Unsqueeze", g.op("Cast", hidden, to=TensorProto.BOOL), g.integers(1, 2))
    scores = g.op("Where", seen, scores, g.constant(np.array(-1e9, np.float32)))
    cross = g.op("MatMul", g.op("Softmax", scores, axis=-1), v)
    cross = g.op("Reshape", g.op("Transpose", cross, perm=[0, 2, 1, 3]), g.integers(0, 0, HEADS * SIZE))
    g.op("MatMul", cross, g.head, names=["logits"])
    g.output("logits", ["batch", "seq", VOCABULARY])
    steps = [{"input_ids": g.random.integers(0, VOCABULARY, (1, n)),
              "encoded": g.random.standard_normal((1, 6, HIDDEN)).astype(np.float32),
              "encoder_attention_mask": np.array([[1, 1, 0, 1, 1, 1]])} for n in (2, 4)]
    dims = {"source": 6} if declared == "source" else {}
    compare(g.model(), steps, CACHES, context=6, dims=dims, logits="all")




def test_a_norm_of_one_element_is_1_exactly():
    g = Graph()
    x = g.input("x", [53, 1])
    g.op("Floor", g.op("LpNormalization", x, axis=1), names=[g.output("y", [53, 1])])
    step = {"x": g.random.standard_normal((53, 1)).astype(np.float32)}
    compare(g.model(), [step], tolerance=0)
    step["x"][:5, 0] = [0, 1e30, -np.inf, np.nan, 1e-30]
    found = wl.compile(g.model().SerializeToString(), target=GRIDS[0]).run(step).outputs["y"]
    np.testing.assert_array_equal(found[:5, 0], [0, 1, np.nan, np.nan, 1])


@pytest.mark.parametrize("chunks", [[], [3]], ids=str)
@pytest.mark.parametrize("logits", ["all", "last"])
def test_a_model_that_takes_the_last_token_itself(chunks, logits):
    g = with_cache()
    x = g.op("Gather", g.weight(VOCABULARY, HIDDEN), g.input("input_ids", ["batch", "seq"], TensorProto.INT64))
    y, k, v = decoder(g, x)
    name_presents(g, k, v)
    last = g.op("Slice", y, g.integers(-1), g.integers(2**40), g.integers(1))
    g.op("MatMul", last, g.head, names=["logits"])
    g.output("logits", ["batch", 1, VOCABULARY])
    compare(g.model(), list(tokens(g, (3, 1, 4), mask=False)), CACHES, context=9, chunks=chunks, logits=logits)


def merged(g):
    """A branch with and one without a cache, as merged decoders have it."""
    g.input("input_ids", ["batch", "seq"], TensorProto.INT64)
    g.input("use_cache_branch", [1], TensorProto.BOOL)
    table = g.weight(VOCABULARY, HIDDEN)
    branches = []
    for cached in (True, False):
        outside, g.nodes = g.nodes, []
        start = len(outside) + 100 * (2 - cached)
        g.nodes = [None] * start  # names of their own
        x = g.op("Gather", table, "input_ids")
        y, k, v = decoder(g, x, cached=cached)
        results = [g.op("MatMul", y, g.head), k, v]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results]
        branches.append(helper.make_graph(g.nodes[start:], f"branch{int(cached)}", [], outputs))
        g.nodes = outside
    condition = g.op("Squeeze", "use_cache_branch")
    g.op("If", condition, names=["logits", "present.k", "present.v"], then_branch=branches[0],
         else_branch=branches[1])
    g.output("logits", ["batch", "seq", VOCABULARY])


def test_a_branch_that_is_fixed():
    g = with_cache()
    merged(g)
    steps = [step | {"use_cache_branch": np.array([True])} for step in tokens(g, (3, 1, 2), mask=False)]
    compare(g.model(), steps, CACHES, context=7, chunks=[3], logits="all", sets={"use_cache_branch": 1})
    # With empty caches the branch with a cache computes what the other does: it is the program.
    compare(g.model(), steps, CACHES, context=7, chunks=[3], logits="all")


def test_a_branch_that_nothing_fixes():
    g = Graph()
    x, condition = g.input("x", [4]), g.input("negative", [], TensorProto.BOOL)
    branches = []
    for op in ("Neg", "Abs"):
        node = helper.make_node(op, [x], [op], name=op)
        branches.append(helper.make_graph([node], op, [], [helper.make_tensor_value_info(op, TensorProto.FLOAT, [4])]))
    g.op("If", condition, names=[g.output("y", [4])], then_branch=branches[0], else_branch=branches[1])
    with pytest.raises(wl.CompileError, match=r"node 'If_\d+' \(If\): input 'negative' decides which branch runs; "
                                              "fix it: --set negative=1"):
        wl.compile(g.model().SerializeToString(), target=GRIDS[0])


def test_a_branch_by_shape_and_one_by_data():
    """A squeeze of a dimension that may be one; a choice between two values by an input."""
    g = Graph()
    x = g.input("x", [1, 4, 6])
    size = g.op("Gather", g.op("Shape", x), g.constant(np.array(0)))
    is_one = g.op("Equal", size, g.constant(np.array(1)))
    node = helper.make_node
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("a", "b", "c", "d")]
    yes = helper.make_graph([node("Squeeze", [x, g.integers(0)], ["a"])], "yes", [], info[:1])
    no = helper.make_graph([node("Unique", [x], ["b"])], "no", [], info[1:2])
    flat = g.op("If", is_one, then_branch=yes, else_branch=no)
    flag = g.op("Greater", g.input("flag", [1], TensorProto.INT64), g.integers(0))
    twice = helper.make_graph([node("Add", [flat, flat], ["c"])], "twice", [], info[2:3])
    power = helper.make_graph([node("Tanh", [flat], ["d"])], "power", [], info[3:])
    g.op("If", g.op("Not", flag), names=["y"], then_branch=twice, else_branch=power)
    g.output("y", [4, 6])
    values = g.random.standard_normal((1, 4, 6)).astype(np.float32)
    program = wl.compile(g.model().SerializeToString(), target=GRIDS[1])  # Unique is not supported, and not taken
    for n in (0, 3):
        result = program.session().run({"x": values, "flag": np.array([n])}).outputs["y"]
        np.testing.assert_allclose(result, np.tanh(values[0]) if n else 2 * values[0], atol=1e-6)


# ---------------------------------------------------------------- dimensions that do not nest
@pytest.mark.parametrize("cuts, heads, act", [((18, 6, 6), (3, 2, 3), None), ((12, 6), (4, 2), "Tanh"),
                                              ((5, 7, 3), (1, 1, 1), None), ((8, 8, 8), (2, 4, 8), "Sigmoid")], ids=str)
def test_a_product_cut_into_parts(cuts, heads, act):
    g = Graph()
    x = g.input("x", [2, 3, 10])
    y = g.op("Add", g.op("MatMul", x, g.weight(10, sum(cuts))), g.weight(sum(cuts)))
    y = g.op(act, y) if act else y
    for i, (part, width, n) in enumerate(zip(g.op("Split", y, g.integers(*cuts), results=len(cuts), axis=2), cuts, heads)):
        part = g.op("Softmax", g.op("Reshape", part, g.integers(2, 3, n, width // n)), axis=-1)
        g.op("Reshape", part, g.integers(2, 3, width), names=[g.output(f"y{i}", [2, 3, width])])
    compare(g.model(), [{"x": g.random.standard_normal((2, 3, 10)).astype(np.float32)}])


def reshaped_both_ways(g, x):
    x = g.op("Softmax", g.op("Reshape", x, g.integers(2, 3, 4, 3)), axis=-1)
    x = g.op("Softmax", g.op("Reshape", x, g.integers(2, 3, 3, 4)), axis=-1)
    return g.op("Reshape", x, g.integers(2, 3, 12))


def cut_and_joined_elsewhere(g, x):
    x = g.op("Reshape", g.op("Softmax", g.op("Reshape", x, g.integers(2, 3, 6, 2)), axis=-1), g.integers(2, 3, 12))
    a, b, c = g.op("Split", x, g.integers(3, 4, 5), results=3, axis=2)
    x = g.op("Softmax", g.op("Reshape", g.op("Concat", c, a, b, axis=2), g.integers(2, 3, 3, 4)), axis=-1)
    return g.op("Reshape", x, g.integers(2, 3, 12))


def strides_of_five_and_three(g, x):
    x = g.op("Tanh", x)
    fifth = g.op("Slice", x, g.integers(1), g.integers(12), g.integers(2), g.integers(5))
    third = g.op("Slice", x, g.integers(0), g.integers(12), g.integers(2), g.integers(3))
    return g.op("Concat", fifth, g.op("Softmax", third, axis=-1), fifth, g.op("Slice", x, g.integers(0), g.integers(2),
                                                                            g.integers(2)), axis=2)


def rotated(part):
    """The first `part` elements by halves, the others not, as partial rotary embeddings do."""
    def build(g, x):
        turned, rest = g.op("Split", g.op("Tanh", x), g.integers(part, 12 - part), results=2, axis=2)
        low, high = g.op("Split", turned, g.integers(part // 2, part // 2), results=2, axis=2)
        other = g.op("Concat", g.op("Neg", high), low, axis=2)
        turned = g.op("Add", g.op("Mul", turned, g.weight(part)), g.op("Mul", other, g.weight(part)))
        return g.op("Concat", turned, rest, axis=2)
    build.__name__ = f"rotated_{part}"
    return build


@pytest.mark.parametrize("build", [reshaped_both_ways, cut_and_joined_elsewhere, strides_of_five_and_three, rotated(6),
                                   rotated(8), rotated(10)], ids=lambda build: build.__name__)
def test_boundaries_that_do_not_nest(build):
    g = Graph()
    x = g.op("MatMul", g.input("x", [2, 3, 10]), g.weight(10, 12))
    g.op("MatMul", build(g, x), g.weight(12, 7), names=[g.output("y", [2, 3, 7])])
    compare(g.model(), [{"x": g.random.standard_normal((2, 3, 10)).astype(np.float32)}], grids=[*GRIDS, "grid-5x3"])


# ---------------------------------------------------------------- convolutions
@pytest.mark.parametrize("shape, results, kernel, attributes", [
    ((2, 5, 11), 7, (3,), dict(pads=[1, 1])), ((1, 6, 12), 4, (3,), dict(pads=[1, 1], strides=[2])),
    ((1, 3, 12, 12), 5, (4, 4), dict(strides=[4, 4])), ((2, 3, 35, 33), 5, (16, 16), dict(strides=[16, 16])),
    ((1, 3, 10), 4, (4,), dict(strides=[4], pads=[0, 1])), ((1, 3, 10), 4, (4,), dict(strides=[4], pads=[0, 2])),
    ((1, 6, 9), 6, (3,), dict(group=3)),
    ((1, 2, 7, 9), 3, (2, 3), dict(dilations=[2, 1], pads=[1, 0, 1, 2])),
    ((1, 4, 9), 4, (3,), dict(group=4, auto_pad="SAME_UPPER"))], ids=str)
def test_convolutions(shape, results, kernel, attributes):
    g = Graph()
    weight = g.weight(results, shape[1] // attributes.get("group", 1), *kernel)
    g.op("Conv", g.input("x", shape), weight, g.weight(results), names=["y"], **attributes)
    g.output("y", [None] * len(shape))
    compare(g.model(), [{"x": g.random.standard_normal(shape).astype(np.float32)}])


@pytest.mark.parametrize("kind, attributes", [
    ("MaxPool", dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 0])), ("GlobalAveragePool", {}),
    ("AveragePool", dict(kernel_shape=[2, 3], strides=[2, 3])), ("AveragePool", dict(kernel_shape=[3, 3], pads=[1] * 4)),
    ("AveragePool", dict(kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)), ("GlobalMaxPool", {})], ids=str)
def test_pools(kind, attributes):
    g = Graph()
    g.op(kind, g.input("x", [2, 3, 8, 6]), names=[g.output("y", [None] * 4)], **attributes)
    compare(g.model(), [{"x": g.random.standard_normal((2, 3, 8, 6)).astype(np.float32)}])


# ---------------------------------------------------------------- files that runtimes load
def small():
    g = Graph()
    y = g.op("Relu", g.op("MatMul", g.input("x", [3, 4]), g.weight(4, 5)))
    g.op("Add", y, g.weight(5), names=[g.output("y", [3, 5])])
    return g.model(), {"x": g.random.standard_normal((3, 4)).astype(np.float32)}


def unsorted(model):
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def shapeless(model):
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model.graph.value_info.append(helper.make_tensor_value_info("v0_0", TensorProto.FLOAT, None))


@pytest.mark.parametrize("spoil", [unsorted, shapeless], ids=lambda spoil: spoil.__name__)
def test_files_that_the_checker_dislikes(spoil):
    model, inputs = small()
    spoil(model)
    compare(model, [inputs], grids=GRIDS[1:])


def test_a_cache_of_hugging_face(tmp_path):
    """Links inside the folder of a repository open; data that leaves it does not."""
    model, inputs = small()
    expected = wl.compile(model.SerializeToString(), target=GRIDS[1]).session().run(inputs).outputs["y"]
    weight = model.graph.initializer[0]
    (tmp_path / "hub/blobs").mkdir(parents=True)
    folder = tmp_path / "hub/snapshots/abc/onnx"
    folder.mkdir(parents=True)
    (tmp_path / "hub/blobs/data").write_bytes(numpy_helper.to_array(weight).tobytes())
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="model.onnx_data")
    os.symlink("../../../blobs/data", folder / "model.onnx_data")
    for linked in (True, False):
        where = tmp_path / "hub/blobs/graph" if linked else folder / "copy.onnx"
        where.write_bytes(model.SerializeToString())
        path = folder / "model.onnx" if linked else where
        if linked:
            os.symlink("../../../blobs/graph", path)
        outputs = wl.compile(path, target=GRIDS[1]).session().run(inputs).outputs
        assert outputs["y"].tobytes() == expected.tobytes()
    (tmp_path / "elsewhere").write_bytes((tmp_path / "hub/blobs/data").read_bytes())
    os.remove(folder / "model.onnx_data")
    os.symlink("../../../../elsewhere", folder / "model.onnx_data")
    with pytest.raises(wl.CompileError, match="leaves the folder of the model"):
        wl.compile(folder / "model.onnx", target=GRIDS[1])


def test_layers_behind_a_sum_that_is_worked_on(models):
    """The loop over layers is no local op that a sum's root could compute."""
    path = models / "exporters2" / "whisper-torchscript-op17.onnx"
    arrays = np.load(path.with_suffix(".npz"))
    program = wl.compile(path, target="grid-16x8,sram=256KiB", region=(8, 8), stages=2, dims={"batch": 1})
    outputs = program.run({"input_features": arrays["batch1/00/in/input_features"]}).outputs
    want = arrays["batch1/00/out/last_hidden_state"]
    assert np.abs(outputs["last_hidden_state"] - want).max() < 1e-4 * np.abs(want).max()
