"""Makes the seeds of the fuzzers from the zoo and from the operators' tests: a folder
for each target, of small files, each telling a different story.

    python test/fuzz/corpus.py build/fuzz"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from waferloom import zoo

TOP = Path(__file__).resolve().parents[2]
BIN = TOP / "build/bin"
sys.path.insert(0, str(TOP / "test/level2"))
import test_operators as operators  # noqa: E402

SHAPE = zoo.Shape(layers=4, width=8, heads=2, kv_heads=1, head_dim=4, hidden=9, vocabulary=11, positions=16)
# Name of an image: form of the model, options of `waferloom compile`.
IMAGES = {
    "block": ("primitives", "--target grid-2x2 --context 8 --chunk 3"),
    "f16": ("genai", "--target grid-3x2 --context 8 --precision f16 --sample none"),
    "stages": ("primitives", "--target grid-4x2 --region 2x2 --stages 2 --context 8 --chunk 2 --prefill stream"),
    "drawn": ("primitives", "--target grid-1x1 --context 4 --sample top-3"),
}
TARGETS = {
    "base": "base: wse3\nwidth: 8\nheight: 4\n",
    "figures": "name: mine\nbase: grid-2x2\nsram: {value: 48KiB, source: \"a page\", confidence: H}\ncolors: 12\n",
    "comments": "# a machine\nbase: wse2 # another\nclock: 0.85\nhop: 2\n",
    "option": "sram=96KiB,colors=9",
}


def put(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def tool(name, *args):
    return subprocess.run([BIN / name, *map(str, args)], check=True, capture_output=True).stdout


def models(folder):
    """A small Llama in each form, and the operators by themselves."""
    arrays = zoo.weights(SHAPE)
    for form in ("primitives", "genai"):
        put(folder, f"{form}.onnx", zoo.build(SHAPE, arrays, form).SerializeToString())
    for name, body in operators.UNARY.items():
        put(folder, f"op-{name.replace(' ', '-')}.onnx", operators.model(operators.CONSTANTS + body).SerializeToString())


def arrays(folder):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "ids.npz", input_ids=np.array([[1, 2]]), position=np.int32(3))
    np.savez_compressed(folder / "kinds.npz", f=np.ones((2, 3), np.float16), b=np.array([True]), e=np.zeros((0, 4), "f4"))


def main(where):
    where = Path(where)
    models(where / "model")
    for name, (form, options) in IMAGES.items():
        image = where / "image" / f"{name}.wafer"
        image.parent.mkdir(parents=True, exist_ok=True)
        tool("waferloom", "compile", where / "model" / f"{form}.onnx", "-o", image, *options.split())
        put(where / "core", f"{name}.mlir", tool("waferloom-opt", "--image-to-core", image))
    rooms = ["Executor", "Dialect/Core", "Codegen", "Codegen/Core"]
    for path in [path for room in rooms for path in TOP.glob(f"test/{room}/*.mlir")]:
        for number, part in enumerate(path.read_text().split("// -----")):
            if "core.image" in part:
                put(where / "core", f"{path.parent.name}-{path.stem}-{number}.mlir", part)
    for name, text in TARGETS.items():
        put(where / "target", f"{name}.yaml", text)
    arrays(where / "npz")


if __name__ == "__main__":
    main(sys.argv[1])
