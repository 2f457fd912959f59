"""Writes what the docs take from the program itself: between the marks
`<!-- from: NAME -->` and `<!-- end -->` of a page stands what NAME gives today.

    python test/docs/pages.py            says which pages are stale
    python test/docs/pages.py --write    brings them up to date

Names: `cli COMMAND`, the help of a command; `level N`, the N-th level of
docs/read-a-program.md's model; `step`, what one step of it gives. docs/rooms.svg
is drawn by rooms.py.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import rooms

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build")) / "bin"
BLOCK = re.compile(r"(<!-- from: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def run(*command, cwd=None):
    return subprocess.run(list(map(str, command)), cwd=cwd, check=True, capture_output=True, text=True).stdout


def model():
    """A product and a softmax: y = softmax(x w), x of 6 and y of 4 elements."""
    weights = (np.arange(24, dtype=np.float32).reshape(6, 4) - 12) / 8
    nodes = [helper.make_node("MatMul", ["x", "w"], ["scores"], name="scores"),
             helper.make_node("Softmax", ["scores"], ["y"], name="weights", axis=-1)]
    graph = helper.make_graph(nodes, "tiny", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
                              [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def without_locations(text):
    """Locations are needed to compile a level, not to read it."""
    lines = [line for line in text.splitlines() if not line.startswith("#loc")]
    return "\n".join(re.sub(r" loc\(#loc\d*\)", "", line) for line in lines).strip("\n")


@cache
def levels():
    """The text of every level of the model on 2 x 2 PEs, and what a step gives."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(model(), folder / "tiny.onnx")
        run(BIN / "waferloom", "compile", "tiny.onnx", "-o", "tiny.wafer", "--target", "grid-2x2", "--save-ir", "ir",
            "--quiet", cwd=folder)
        texts = [without_locations(path.read_text()) for path in sorted(folder.glob("ir/*.mlir"))]
        np.savez(folder / "x.npz", x=np.arange(6, dtype=np.float32).reshape(1, 6) / 4)
        told = run(BIN / "waferloom", "run", "tiny.wafer", "--input", "x.npz", "--output", "y.npz", cwd=folder)
        y = np.load(folder / "y.npz")["y"]
        cycles = re.search(r"([\d,]+) cycles", told).group(1)
        return texts, f"y = {np.array2string(y[0], precision=4, separator=', ')}, in {cycles} cycles"


def content(name):
    kind, _, rest = name.partition(" ")
    if kind == "cli":
        return f"```text\n{run(BIN / 'waferloom', *rest.split(), '--help').rstrip()}\n```\n"
    if kind == "level":
        return f"```mlir\n{levels()[0][int(rest) - 1]}\n```\n"
    if kind == "step":
        return f"```text\n{levels()[1]}\n```\n"
    raise ValueError(f"no block is called '{name}'")


def updated(page):
    """The text of a page with its blocks as they are today."""
    return BLOCK.sub(lambda match: match[1] + content(match[2]) + match[3], page.read_text())


def pages():
    """The pages that have blocks."""
    return [page for page in sorted(TOP.glob("docs/**/*.md")) if BLOCK.search(page.read_text())]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write what is stale")
    write, stale = parser.parse_args().write, []
    for page, text in [*((page, updated(page)) for page in pages()), (rooms.PICTURE, rooms.draw())]:
        if not page.exists() or page.read_text() != text:
            stale.append(page)
            if write:
                page.write_text(text)
    for page in stale:
        print(f"{page.relative_to(TOP)}: {'written' if write else 'stale'}")
    return 0 if write or not stale else 1


if __name__ == "__main__":
    sys.exit(main())
