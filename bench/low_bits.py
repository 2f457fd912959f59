"""Bytes of weights on a PE and cycles of a token, by how weights are held (docs/Rationale/PackedWeights.md):

    python bench/low_bits.py
    python bench/low_bits.py SmolLM2 FOLDER       on its smallest regions; FOLDER as zoo.smollm2 writes it
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import waferloom as wl
from waferloom import zoo

sys.path.insert(0, str(Path(__file__).parents[1] / "test/e2e"))
from kinds import in_blocks  # noqa: E402

LARGE = zoo.Shape(layers=4, width=256, heads=8, kv_heads=4, head_dim=32, hidden=768, vocabulary=512, positions=256)
SMALL = zoo.Shape(layers=5, width=64, heads=8, kv_heads=4, head_dim=8, hidden=172, vocabulary=512, positions=512)
SHAPES = {"few large shards": (LARGE, dict(target="wse3,sram=4MiB", region=(4, 4))),
          "small shards": (SMALL, dict(target="wse2,sram=96KiB", region=(8, 8)))}


def figures(model, **options):
    program = wl.compile(model if isinstance(model, bytes) else model.SerializeToString(), context=256, stages=1, **options)
    return f"{program.summary['fit']['weights']:9,}{program.count()[1]:10,}"


def smollm2(folder):
    """Of shapes alone, so that no byte of it is read."""
    for region, *how in (("108x96",), ("96x72", "--weights=int4"), ("96x64", "--weights=int4", "--block=channel"),
                         ("96x58", "--weights=int4", "--block=channel")):
        with tempfile.TemporaryDirectory() as made:
            image = Path(made) / "model.wafer"
            told = subprocess.run(
                ["waferloom", "compile", str(Path(folder) / "model.onnx"), "-o", str(image), "--target=wse3", "--stages=1",
                 "--context=256", "--precision=f16", "--no-weights", "--json", f"--region={region}", *how],
                check=True, capture_output=True, text=True).stdout
            print(region, *how, json.loads(told)["fit"]["weights"], wl.load(image).count()[1])


def main():
    if sys.argv[1:2] == ["SmolLM2"]:
        return smollm2(sys.argv[2])
    for name, (shape, where) in SHAPES.items():
        model = zoo.build(shape, zoo.weights(shape, seed=1))
        files = {bits: in_blocks(model, bits, 32)[0] for bits in (4, 8)}
        for precision in ("f16", "f32"):
            print(f"{name}, {precision}, numbers", figures(model, precision=precision, **where))
            for how in ("expanded", "kept"):
                for bits, file in files.items():
                    print(f"{name}, {precision}, {bits} bits with zeros {how:8}",
                          figures(file, precision=precision, weights=how, **where))
            for how in ("int8", "int4", "fp8", "mxfp4"):
                print(f"{name}, {precision}, rounded to {how:14}", figures(model, precision=precision, weights=how, **where))


if __name__ == "__main__":
    main()
