"""The same model gives the same bytes, wherever its file lies and however it is named."""

import os

from waferloom import zoo

import waferloom as wl

SHAPE = zoo.Shape(layers=2, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=32)


def image_of(path, to, **options):
    wl.compile(path, target="grid-5x3", context=12, **options).save(to)
    return to.read_bytes()


def test_an_image_does_not_depend_on_where_the_model_lies(tmp_path):
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=1)).SerializeToString()
    paths = [tmp_path / "model.onnx", tmp_path / "a longer name" / "another.onnx"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model)
    images = {image_of(path, tmp_path / "m.wafer") for path in [*paths, os.path.relpath(paths[0])]}
    assert len(images) == 1
    assert str(tmp_path).encode() not in images.pop()


def test_twice_is_the_same(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=1)).SerializeToString())
    images = {image_of(path, tmp_path / "m.wafer", chunks=[4], precision="f16") for _ in range(3)}
    assert len(images) == 1
