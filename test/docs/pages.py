"""Writes what the docs take from the program itself: between the marks
`<!-- from: NAME -->` and `<!-- end -->` of a page stands what NAME gives today.

    python test/docs/pages.py            says which pages are stale
    python test/docs/pages.py --write    brings them up to date

Names: `commands`, the help of every command; `level N`, the N-th level of
docs/read-a-program.md's model; `step`, what one step of it gives; `critical`, the
critical path of a step of stories260k, and `critical collective`, a piece of it. The
last two stay as they are where that model is not at hand. docs/rooms.svg is drawn by
rooms.py.
"""

import argparse
import json
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
STORIES = (Path(os.environ.get("WAFERLOOM_SHARED", TOP.parent / "shared"))
           / "models/stories260k/stories260k-primitives-opset17.onnx")
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


@cache
def critical():
    """The critical path of a step of stories260k: its text, and the same as an object."""
    with tempfile.TemporaryDirectory() as folder:
        run(BIN / "waferloom", "compile", STORIES, "-o", "stories.wafer", "--target", "grid-8x8", "--context", "256",
            "--quiet", cwd=folder)
        told = [run(BIN / "waferloom", "run", "stories.wafer", "--critical", *how, cwd=folder) for how in ([], ["--json"])]
        return told[0], json.loads(told[1])["entries"][0]["critical"]


def table_of_path(shown=12):
    """The text, without the items that take least."""
    lines = critical()[0].rstrip().splitlines()
    first = lines.index("nodes and collectives on it:") + 1
    last = next(i for i, line in enumerate(lines) if line.startswith("the layers"))
    rest = (last - first) // 2 - shown
    cut = [*lines[:first + 2 * shown], f"  ({rest} more)", *lines[last:]] if rest > 0 else lines
    return "\n".join(["$ waferloom compile stories260k.onnx -o stories.wafer --target grid-8x8 --context 256",
                      "$ waferloom run stories.wafer --critical", *cut])


def one_collective():
    """The stretches of a collective of the first layer: the longest one, with what is around it."""
    path = critical()[1]
    longest = max((item for item in path["items"] if item["collective"] and item["part"] == 0),
                  key=lambda item: item["total"])
    steps = path["path"]
    streams = ("send", "recv", "recv_fold", "recv_fold_send")
    last = next(i for i, step in enumerate(steps) if step["node"] == longest["node"] and step["op"] in streams
                and step.get("trip") == 0 and steps[i + 1]["op"] not in streams)
    first = last
    while steps[first - 1]["op"] in streams:
        first -= 1
    lines = ["   begin  cycles  kind          core    instruction"]
    for step in steps[first - 1:last + 2]:
        core = f"({step['x']}, {step['y']})"
        lines.append(f"{step['begin']:>8}{step['cycles']:>8}  {step['kind']:<14}{core:<8}"
                     f"#{step['instruction']} {step['op']} {step['node']}")
    return "\n".join(lines)


def commands():
    """Every command, from the table that its help and completion are made of."""
    parts = []
    for command in json.loads(run(BIN / "waferloom", "help", "--json"))["commands"]:
        told = run(BIN / "waferloom", "help", command["name"]).rstrip()
        parts.append(f"## waferloom {command['name']}\n\n{command['summary'].capitalize()}.\n\n```text\n{told}\n```\n")
    return "\n".join(parts)


def content(name):
    """None: the block stays as it is."""
    kind, _, rest = name.partition(" ")
    if kind == "commands":
        return commands()
    if kind == "level":
        return f"```mlir\n{levels()[0][int(rest) - 1]}\n```\n"
    if kind == "step":
        return f"```text\n{levels()[1]}\n```\n"
    if kind == "critical":
        return f"```text\n{one_collective() if rest else table_of_path()}\n```\n" if STORIES.exists() else None
    raise ValueError(f"no block is called '{name}'")


def updated(page):
    """The text of a page with its blocks as they are today."""
    def today(match):
        text = content(match[2])
        return match[0] if text is None else match[1] + text + match[3]

    return BLOCK.sub(today, page.read_text())


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
