"""Every line that a model of the zoo sums along takes, over all its messages, little
more than the best tree of two children would, and each message what its closed form
says."""

import functools
import json
import re
import subprocess

import pytest
from waferloom import zoo

from conftest import BIN

WAFERLOOM = BIN / "waferloom"
# Sizes, target, region.
MODELS = {
    "stories": (zoo.Shape(layers=2, width=64, heads=8, kv_heads=4, head_dim=8, hidden=172, vocabulary=512), "grid-8x8",
                "8x8"),
    "odd": (zoo.Shape(layers=1, width=60, heads=6, kv_heads=3, head_dim=10, hidden=98, vocabulary=130),
            "grid-19x13,sram=64KiB", "19x13"),
    "row": (zoo.Shape(layers=1), "grid-1x12,sram=256KiB", "1x12"),
    "smollm2": (zoo.Shape(layers=2, width=576, heads=9, kv_heads=3, head_dim=64, hidden=1536, vocabulary=4096), "wse3",
                "144x96"),
    "larger": (zoo.Shape(layers=2, width=1024, heads=16, kv_heads=8, head_dim=128, hidden=3072, vocabulary=4096), "wse3",
               "512x256"),
}
REDUCTION = re.compile(r"fabric\.(all_reduce|reduce) .* along <([xy]), length = (\d+), stride = (\d+), segments = \d+> "
                       r"by (\w+)(?: group (\d+))?(?: levels (\d+))? root (\d+).*: \(([^)]*)\) ->")


def words_of(types):
    """Elements of all tensors of a list of types."""
    words = 0
    for sizes in re.findall(r"tensor<((?:\d+x)*)\w+>", types):
        count = 1
        for size in filter(None, sizes.split("x")):
            count *= int(size)
        words += count
    return words


@functools.cache
def measured(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("name", MODELS)
def test_lines_are_close_to_the_best_tree(name, tmp_path):
    shape, target, region = MODELS[name]
    model = tmp_path / "model.onnx"
    model.write_bytes(zoo.build(shape, zoo.weights(shape)).SerializeToString())
    subprocess.run([WAFERLOOM, "compile", model, "-o", tmp_path / "x.wafer", "--target", target, "--region", region,
                    "--context=64", "--quiet", "--save-ir", tmp_path], check=True)
    lines = {}  # executed cycles and bounds of all messages of each line
    for match in REDUCTION.finditer((tmp_path / "5-fabric.mlir").read_text()):
        kind, direction, length, stride, algorithm, group, levels, root, types = match.groups()
        if int(stride) > 1:
            continue  # interleaved groups share links: the bound is of neighbours
        assert int(root) == int(length) // 2
        command = [WAFERLOOM, "collective", "--kind", kind.replace("_", "-"), "--algorithm", algorithm.replace("_", "-"),
                   "--length", length, "--words", str(words_of(types)), "--root", "middle", "--json", "--target",
                   target if target == "wse3" else "wse2"]
        command += ["--group", group] if group else []
        command += ["--levels", levels] if levels else []
        run = measured(tuple(command))
        assert run["hard_bound_cycles"] <= run["cycles"], run
        assert abs(run["cycles"] - run["estimated_cycles"]) <= 0.06 * run["cycles"] + 3, run
        lines.setdefault((direction, length), []).append((run["cycles"], run["grown_bound_cycles"]))
    assert lines
    for line, messages in lines.items():
        executed, bound = map(sum, zip(*messages))
        assert executed <= 1.15 * bound, (line, messages)
