"""Where weights lie: inside the file, in a file beside it, nowhere; and where they may not."""

import re

import numpy as np
import onnx
import pytest

import session
from test_operators import dump


def model(values):
    weight = onnx.numpy_helper.from_array(values, "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [1, 5, 6])], [value("y", 1, [1, 5, 7])], [weight])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def external(folder, location, values, offset=0):
    proto = model(values)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(values.nbytes))):
        tensor.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    onnx.save(proto, path)
    return path


@pytest.fixture
def values():
    return np.arange(42, dtype=np.float32).reshape(6, 7)


def check(tool, path, values):
    x = np.linspace(-1, 1, 30, dtype=np.float32).reshape(1, 5, 6)
    (got,), _ = session.run(tool, path, [(1, 0, {"x": x})])
    np.testing.assert_allclose(got["y"].reshape(1, 5, 7), x @ values, atol=1e-4)


def test_bytes_inside_the_file(tool, tmp_path, values):
    path = tmp_path / "model.onnx"
    onnx.save(model(values), path)
    at = int(re.search(r"wafer.weight @w from .* at (\d+)", dump(tool, path)).group(1))
    assert path.read_bytes()[at:at + values.nbytes] == values.tobytes()
    check(tool, path, values)


def test_bytes_beside_the_file(tool, tmp_path, values):
    (tmp_path / "data.bin").write_bytes(b"junk" + values.tobytes())
    check(tool, external(tmp_path, "data.bin", values, offset=4), values)


def test_a_missing_file_is_refused_at_its_node(tool, tmp_path, values):
    with pytest.raises(session.Refused, match=r"node 'product' \(MatMul\): tensor 'w': .*gone.bin' cannot be read: No such"):
        dump(tool, external(tmp_path, "gone.bin", values))


def test_a_short_file_is_refused(tool, tmp_path, values):
    (tmp_path / "data.bin").write_bytes(values.tobytes()[:-1])
    with pytest.raises(session.Refused, match=r"tensor 'w'.* 168 bytes at 0 of .*, which has 167"):
        dump(tool, external(tmp_path, "data.bin", values))


@pytest.mark.parametrize("location", ["../data.bin", "/etc/passwd", "sub/../../data.bin", ""])
def test_paths_that_leave_the_folder_are_refused(tool, tmp_path, values, location):
    (tmp_path / "data.bin").write_bytes(values.tobytes())
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(session.Refused, match="leaves the folder of the model"):
        dump(tool, external(inner, location, values))


def test_links_that_leave_the_folder_are_refused(tool, tmp_path, values):
    (tmp_path / "data.bin").write_bytes(values.tobytes())
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.bin").symlink_to(tmp_path / "data.bin")
    with pytest.raises(session.Refused, match="leaves the folder of the model"):
        dump(tool, external(inner, "link.bin", values))


def test_functions_of_the_file_are_inlined_and_cycles_refused(tool, tmp_path):
    def text(body):
        return f'''<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
            g (float[2, 3] x) => (float[2, 3] y) {{ y = own.twice(x) }}
            <domain: "own", opset_import: ["" : 17, "own" : 1]> twice (a) => (b) {{ {body} }}'''
    path = tmp_path / "m.onnxtxt"
    path.write_text(text("b = Add(a, a)"))
    assert "arith.addf" in dump(tool, path)
    path.write_text(text("b = own.twice(a)"))
    with pytest.raises(session.Refused, match="function 'twice' calls itself"):
        dump(tool, path)


def test_truncated_files_are_refused(tool, tmp_path, values):
    path = tmp_path / "model.onnx"
    onnx.save(model(values), path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 13):
        path.write_bytes(whole[:size])
        with pytest.raises(session.Refused, match="error:"):
            dump(tool, path)
