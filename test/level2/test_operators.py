"""Every operator of the import table on a tiny model, against ONNX Runtime; and what is
refused, with its message. Values of `x` have size 0, of `past` are a cache."""

import re

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest

import session

ort.set_default_logger_severity(3)
RNG = np.random.default_rng(1)


def model(body, inputs="float[2,3,4] x", outputs="float[A,B,C] y", opset=18):
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => ({outputs}) {{ {body} }}'
    return onnx.parser.parse_model(text)


def check(tool, tmp_path, proto, feed, options=(), tolerance=1e-5):
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    reference = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [o.name for o in reference.get_outputs()]
    want = dict(zip(names, reference.run(None, feed)))
    tokens = re.search(r"@tokens(\d+)", dump(tool, path, options)).group(1)
    (got,), _ = session.run(tool, path, [(tokens, 0, feed)], options=options)
    for name, value in want.items():
        dtype = {"i": np.int32, "b": np.int8}.get(value.dtype.kind, value.dtype)
        result = got[name].view(dtype).reshape(value.shape)
        np.testing.assert_allclose(result.astype(value.dtype), value, rtol=tolerance, atol=tolerance, err_msg=name)


def dump(tool, path, options=()):
    import subprocess
    done = subprocess.run([str(tool), str(path), *options], capture_output=True, text=True)
    if done.returncode:
        raise session.Refused(done.stderr)
    return done.stdout


# name: graph body, with x float[2,3,4] in and y out; and the rank of y if not 3
UNARY = {
    "Abs": "y = Abs(x)", "Ceil": "y = Ceil(x)", "Cos": "y = Cos(x)", "Erf": "y = Erf(x)", "Exp": "y = Exp(x)",
    "Floor": "y = Floor(x)", "Log": "a = Abs(x) y = Log(a)", "Neg": "y = Neg(x)", "Reciprocal": "y = Reciprocal(x)",
    "Relu": "y = Relu(x)", "Sigmoid": "y = Sigmoid(x)", "Sin": "y = Sin(x)", "Sqrt": "a = Abs(x) y = Sqrt(a)",
    "Tanh": "y = Tanh(x)", "Identity": "a = Identity(x) y = Neg(a)",
    "LogSoftmax": "y = LogSoftmax (x)", "LogSoftmax far": "k = Constant <value = float {40.0}> () a = Mul(x, k) y = LogSoftmax <axis = 1> (a)",
    "Softmax": "y = Softmax <axis = -1> (x)", "Softmax middle": "y = Softmax <axis = 1> (x)",
    "ReduceMean": "y = ReduceMean(x, m1)", "ReduceMean two": "y = ReduceMean(x, a12)",
    "ReduceSum": "y = ReduceSum(x, m1)", "ReduceMax": "y = ReduceMax(x, one)", "ReduceMin": "y = ReduceMin(x, one)",
    "Transpose": "y = Transpose <perm = [2,0,1]> (x)", "Transpose default": "y = Transpose(x)",
    "Concat": "y = Concat <axis = 1> (x, x)", "Concat last": "n = Neg(x) y = Concat <axis = -1> (x, n)",
    "Slice": "y = Slice(x, one, i3, i2)", "Slice strided": "y = Slice(x, zero, i4, i2, i2)",
    "Slice two": "y = Slice(x, s2, e2, a12)",
    "Slice to the end": "y = Slice(x, m2, huge, m1)",
    "Gather row": "i = Constant <value = int64[2] {1, 0}> () y = Gather <axis = 0> (x, i)",
    "Gather middle": "i = Constant <value = int64[2] {2, -3}> () y = Gather <axis = 1> (x, i)",
    "Gather one": "i = Constant <value = int64 {-1}> () a = Gather <axis = 1> (x, i) y = Unsqueeze(a, one)",
    "Expand": "a = ReduceSum(x, m1) t = Constant <value = int64[3] {2, 3, 5}> () y = Expand(a, t)",
    "Tile": "t = Constant <value = int64[3] {1, 2, 1}> () y = Tile(x, t)",
    "Where": "z = Constant <value = float {0.0}> () c = Less(x, z) n = Neg(x) y = Where(c, n, x)",
    "Clip": "a = Constant <value = float {-0.5}> () b = Constant <value = float {0.25}> () y = Clip(x, a, b)",
    "Clip above": "b = Constant <value = float {0.25}> () y = Clip(x, , b)",
    "Pow 2": "e = Constant <value = float {2.0}> () y = Pow(x, e)",
    "Pow 3 int": "e = Constant <value = int64 {3}> () y = Pow(x, e)",
    "Pow": "a = Abs(x) e = Constant <value = float {1.7}> () y = Pow(a, e)",
    "Reshape merge": "t = Constant <value = int64[3] {1, 6, 4}> () y = Reshape(x, t)",
    "Reshape split": "t = Constant <value = int64[3] {6, -1, 2}> () y = Reshape(x, t)",
    "Reshape zero": "t = Constant <value = int64[3] {0, 2, -1}> () y = Reshape(x, t)",
    "Reshape transposed": "a = Transpose <perm = [1,0,2]> (x) t = Constant <value = int64[3] {3, 8, 1}> () y = Reshape(a, t)",
    "Add broadcast": "b = Constant <value = float[3,1] {1.0, 2.0, 3.0}> () y = Add(x, b)",
    "Div small": "s = ReduceSum(x, m1) y = Div(x, s)", "Div constant": "s = Constant <value = float {3.0}> () y = Div(x, s)",
    "Div full": "s = Exp(x) y = Div(x, s)", "Sub": "s = ReduceMax(x, m1) y = Sub(x, s)",
    "Max three": "n = Neg(x) z = Constant <value = float {0.1}> () y = Max(x, n, z)", "Min": "n = Neg(x) y = Min(x, n)",
    "MatMul": "t = Transpose <perm = [0,2,1]> (x) y = MatMul(x, t)",
    "MatMul weight": "w = Constant <value = float[4,2] {1.,2.,3.,4.,5.,6.,7.,8.}> () y = MatMul(x, w)",
    "LayerNormalization": "s = Constant <value = float[4] {1.,2.,3.,4.}> () b = Constant <value = float[4] {4.,3.,2.,1.}> () "
                          "y = LayerNormalization <axis = -1> (x, s, b)",
    "IsNaN": "z = Constant <value = float {0.0}> () s = Sqrt(x) c = IsNaN(s) y = Where(c, z, s)",
    "Trilu": "o = Constant <value = float[3,4] {1.,1.,1.,1.,1.,1.,1.,1.,1.,1.,1.,1.}> () t = Trilu <upper = 0> (o) y = Mul(x, t)",
    "Range": "l = Constant <value = int64 {4}> () s = Constant <value = int64 {0}> () d = Constant <value = int64 {1}> () "
             "r = Range(s, l, d) f = Cast <to = 1> (r) y = Add(x, f)",
    "ConstantOfShape": "s = Shape(x) o = ConstantOfShape <value = float[1] {2.0}> (s) y = Mul(x, o)",
    "Shape": "s = Shape <start = 1> (x) f = Cast <to = 1> (s) u = Unsqueeze(f, zero) p = ReduceSum(u, m1) y = Add(x, p)",
    "Size": "s = Size(x) f = Cast <to = 1> (s) y = Mul(x, f)",
    "CumSum": "s = Shape(x) o = ConstantOfShape <value = int64[1] {1}> (s) a = Constant <value = int64 {2}> () "
              "c = CumSum(o, a) f = Cast <to = 1> (c) y = Add(x, f)",
    "CastLike": "k = Constant <value = int64 {3}> () f = CastLike(k, x) y = Mul(x, f)",
    "Cast int": "k = Cast <to = 7> (x) f = Cast <to = 1> (k) y = Add(x, f)",
    "Mod": "r = Constant <value = int64[4] {-3, -1, 5, 7}> () k = Constant <value = int64 {3}> () m = Mod(r, k) "
           "f = Cast <to = 1> (m) y = Add(x, f)",
    "Div integers": "r = Constant <value = int64[4] {-3, -1, 5, 7}> () k = Constant <value = int64 {2}> () m = Div(r, k) "
                    "f = Cast <to = 1> (m) y = Add(x, f)",
    "And Or Xor Not": "z = Constant <value = float {0.0}> () h = Constant <value = float {0.5}> () a = Greater(x, z) "
                      "b = LessOrEqual(x, h) c = And(a, b) d = Xor(c, a) e = Not(d) f = Or(e, b) y = Cast <to = 1> (f)",
    "LSTM": "w = Constant <value = float[1,8,4] {" + ", ".join(f"{i % 7 / 9 - 0.3}" for i in range(32)) + "}> () "
            "r = Constant <value = float[1,8,2] {" + ", ".join(f"{i % 5 / 7 - 0.3}" for i in range(16)) + "}> () "
            "a, l = LSTM <hidden_size = 2> (x, w, r) y = Squeeze(a, one)",
    "LRN": "u = Unsqueeze(x, zero) n = LRN <size = 3> (u) y = Squeeze(n, zero)",
    "ReverseSequence": "l = Constant <value = int64[3] {1, 2, 2}> () y = ReverseSequence(x, l)",
    "GridSample": "u = Unsqueeze(x, zero) g = Constant <value = float[1,1,3,2] {-1., 0.3, 0.1, 1.2, 0.9, -0.4}> () "
                  "s = GridSample <mode = \"bicubic\", padding_mode = \"reflection\"> (u, g) y = Squeeze(s, zero)",
    "Col2Im": "i = Constant <value = int64[2] {1, 6}> () b = Constant <value = int64[2] {1, 3}> () c = Col2Im(x, i, b) y = Squeeze(c, one)",
    "ConvTranspose grouped": "t = Constant <value = int64[3] {1, 6, 4}> () r = Reshape(x, t) "
                             "w = Constant <value = float[6,1,2] {1., 2., 3., 4., 5., 6., 7., 8., 9., 1., 2., 3.}> () y = ConvTranspose <group = 3> (r, w)",
    "DFT": "u = Unsqueeze(x, m1) d = DFT <axis = 2, onesided = 1> (u) y = ReduceSum <keepdims = 0> (d, m1)",
    "STFT": "t = Constant <value = int64[3] {2, 12, 1}> () r = Reshape(x, t) n = Constant <value = int64 {3}> () l = Constant <value = int64 {5}> () "
            "d = STFT(r, n, , l) y = ReduceSum <keepdims = 0> (d, m1)",
    "GreaterOrEqual Equal": "z = Constant <value = float {0.0}> () a = GreaterOrEqual(x, z) b = Equal(x, z) c = Or(a, b) "
                            "y = Cast <to = 1> (c)",
}
OTHER_RANK = {
    "Flatten": ("y = Flatten <axis = 2> (x)", 2), "Squeeze": ("a = ReduceSum(x, m1) y = Squeeze(a, m1)", 2),
    "Unsqueeze": ("y = Unsqueeze(x, s2)", 5), "Reshape flat": ("t = Constant <value = int64[1] {-1}> () y = Reshape(x, t)", 1),
    "Reduce all": ("y = ReduceMean <keepdims = 0> (x)", 0), "Reduce drop": ("y = ReduceSum <keepdims = 0> (x, one)", 2),
    "Gemm": ("f = Flatten <axis = 2> (x) w = Constant <value = float[2,4] {1.,2.,3.,4.,5.,6.,7.,8.}> () "
             "b = Constant <value = float[2] {1., -1.}> () y = Gemm <alpha = 0.5, beta = 2.0, transB = 1> (f, w, b)", 2),
    "MatMul vector": ("w = Constant <value = float[4] {1.,2.,3.,4.}> () y = MatMul(x, w)", 2),
    "GatherND": ("i = Constant <value = int64[2,1] {1, 0}> () y = GatherND(x, i)", 3),
}
CONSTANTS = ("m1 = Constant <value = int64[1] {-1}> () one = Constant <value = int64[1] {1}> () zero = Constant <value = int64[1] {0}> () "
             "i2 = Constant <value = int64[1] {2}> () i3 = Constant <value = int64[1] {3}> () i4 = Constant <value = int64[1] {4}> () "
             "m2 = Constant <value = int64[1] {-2}> () huge = Constant <value = int64[1] {9223372036854775807}> () "
             "a12 = Constant <value = int64[2] {1, 2}> () s2 = Constant <value = int64[2] {0, 1}> () e2 = Constant <value = int64[2] {2, -1}> () ")


@pytest.mark.parametrize("case", UNARY)
def test_operator(tool, tmp_path, case):
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    check(tool, tmp_path, model(CONSTANTS + UNARY[case]), {"x": x})


@pytest.mark.parametrize("case", OTHER_RANK)
def test_operator_of_other_rank(tool, tmp_path, case):
    body, rank = OTHER_RANK[case]
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    shape = f"float[{','.join('ABCDE'[:rank])}]" if rank else "float"
    check(tool, tmp_path, model(CONSTANTS + body, outputs=f"{shape} y"), {"x": x})


def test_gelu_and_rms_norm_of_newer_versions(tool, tmp_path):
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    for attributes in ("", '<approximate = "tanh">'):
        check(tool, tmp_path, model(f"y = Gelu {attributes} (x)", opset=20), {"x": x})


def test_split_into_uneven_parts(tool, tmp_path):
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    check(tool, tmp_path, model("a, b = Split <axis = 2, num_outputs = 2> (x) c = Neg(b) y = Concat <axis = 2> (c, a)"), {"x": x})
    check(tool, tmp_path, model("t = Constant <value = int64[2] {1, 3}> () a, b = Split <axis = 2> (x, t) y = Add(a, b)"), {"x": x})


def test_integer_outputs_and_ids(tool, tmp_path):
    proto = model("t = Constant <value = float[3,2] {1.,2.,3.,4.,5.,6.}> () e = Gather(t, ids) k = Constant <value = int64 {2}> () "
                  "j = Mul(ids, k) y = Identity(e) z = Identity(j)",
                  inputs="int64[2,3] ids", outputs="float[A,B,C] y, int64[A,B] z")
    check(tool, tmp_path, proto, {"ids": np.array([[0, 1, 2], [2, 2, 0]])})


REFUSED = {
    "two nodes": ("a = Unique(x) y = Det(a)", {},
                  [r"node '\w+' \(Unique\): the operator is not supported \(domain ai.onnx, version 18\)", r"\(Det\)", "2 nodes"]),
    "data decides a shape": ("s = Cast <to = 7> (x) i = Constant <value = int64[1] {0}> () f = Reshape(s, m1) t = Gather(f, i) y = Reshape(x, t)", {},
                             [r"\(Reshape\): the target shape depends on data"]),
    "inner sizes": ("w = Constant <value = float[3,2] {1.,2.,3.,4.,5.,6.}> () y = MatMul(x, w)", {},
                    [r"\(MatMul\): inner sizes 4 and 3 differ"]),
    "sizes differ": ("w = Constant <value = float[3] {1.,2.,3.}> () y = Add(x, w)", {}, [r"\(Add\): sizes 4 and 3 differ"]),
    "reshape": ("t = Constant <value = int64[3] {5, 1, -1}> () y = Reshape(x, t)", {}, [r"-1 stands for 24 / 5, which does not divide"]),
    "axis": ("a = Constant <value = int64[1] {7}> () y = ReduceSum(x, a)", {}, ["axis 7 of a value of rank 3"]),
    "index": ("i = Constant <value = int64[1] {9}> () y = Gather(x, i)", {}, ["the index 9 lies outside of the 2 elements"]),
    "index from the end": ("i = Constant <value = int64[2] {1, -3}> () y = Gather(x, i)", {},
                           ["the index -3 lies outside of the 2 elements"]),
    "attribute twice": ("y = Softmax <axis = 1, axis = 2> (x)", {}, ["'axis' appeared multiple times"]),
    "operator set": ("y = Neg(x)", {"opset": 99}, ["of operator set 99, the newest that is known is"]),
    "large blocks": ("i = Constant <value = int64[2] {70, 70}> () y = Col2Im(x, i, i)", {}, ["of blocks of more than 4096 elements"]),
    "parts of a number": ("y = DFT(x)", {}, [r"\(DFT\): of a signal that is no float whose last dimension is 1 or 2"]),
    "long spectrum": ("s = Constant <value = int64[1] {1}> () r = ReduceSum(x, m1) n = Constant <value = int64 {9000000}> () y = DFT(r, n)", {},
                      ["from 3 to 9000000 numbers; its matrix has at most 16777216 elements"]),
    "no elements": ("s = Constant <value = int64[3] {0, 2, 3}> () e = ConstantOfShape(s) w = Constant <value = float[1,2,3] {1.,1.,1.,1.,1.,1.}> () "
                    "r = Constant <value = float[1,2,2] {1.,1.,1.,1.}> () h, l = RNN <hidden_size = 2> (e, w, r) a = Constant <value = int64 {0}> () "
                    "c = CumProd(e, a) y = LRN <size = 3> (e)", {"opset": 26},
                    ["of a sequence or a state without elements", "multiplies .0. elements"]),
    "divide by zero": ("a = Constant <value = int64 {1}> () b = Constant <value = int64 {0}> () c = Div(a, b) f = Cast <to = 1> (c) y = Add(x, f)", {},
                       ["divides by zero"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tool, tmp_path, case):
    body, options, messages = REFUSED[case]
    path = tmp_path / "m.onnx"
    onnx.save(model(CONSTANTS + body, **options), path)
    with pytest.raises(session.Refused) as refusal:
        dump(tool, path)
    for message in messages:
        assert re.search(message, str(refusal.value)), str(refusal.value)


INTEGERS = {
    "int32": (6, np.int32, 2**40 + 7), "int8": (3, np.int8, 300), "uint8": (2, np.uint8, -1), "int16": (5, np.int16, 2**15),
    "int64 stays": (7, np.int64, 2**40),
}


@pytest.mark.parametrize("case", INTEGERS)
def test_constants_wrap_as_their_type_does(tool, tmp_path, case):
    number, dtype, value = INTEGERS[case]
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    body = (f"a = Constant <value = int64 {{{value}}}> () b = Cast <to = {number}> (a) c = Cast <to = 7> (b) k = Constant <value = int64 {{1000}}> () "
            "d = Mod(c, k) y0 = Cast <to = 1> (d) y = Add(x, y0)")
    check(tool, tmp_path, model(CONSTANTS + body), {"x": x})


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
def test_arithmetic_on_constants_wraps(tool, tmp_path, operator):
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    body = (f"a = Constant <value = int32 {{2147483647}}> () b = Constant <value = int32 {{-77777}}> () c = {operator}(a, b) d = {operator}(c, b) "
            "e = Cast <to = 7> (d) k = Constant <value = int64 {1000}> () f = Mod(e, k) y0 = Cast <to = 1> (f) y = Add(x, y0)")
    check(tool, tmp_path, model(CONSTANTS + body), {"x": x})


@pytest.mark.parametrize("kind", ["int64[1] {7}", "bool[1] {1}", "int32[1] {7}", "float[1] {7.}", "int64[1,1] {7}"])
def test_constants_that_double_are_bounded(tool, tmp_path, kind):
    """A small file, values of 2^40 elements: refused, soon and with little memory."""
    import resource
    import subprocess
    axes = "m1" if "[1]" in kind else "a01"
    body = (f"t0 = Constant <value = {kind}> () a01 = Constant <value = int64[2] {{0, 1}}> () " +
            " ".join(f"t{i + 1} = Concat <axis = 0> (t{i}, t{i})" for i in range(40)) +
            f" n = Cast <to = 1> (t40) s = ReduceSum <keepdims = 0> (n, {axes}) y = Add(x, s)")
    path = tmp_path / "m.onnx"
    onnx.save(model(CONSTANTS + body), path)
    done = subprocess.run([str(tool), str(path)], capture_output=True, text=True, timeout=60,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)))
    assert done.returncode == 1 and "error: node '" in done.stderr, done.stderr


def test_an_unknown_dimension_is_refused(tool, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(model("y = Neg(x)"), path)
    with pytest.raises(session.Refused, match="no input has a dimension 'nothing'"):
        dump(tool, path, ["--dim=nothing=3"])
