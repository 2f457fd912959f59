"""Bytes of weights on a PE and cycles of a token, by how weights are held (docs/Rationale/PackedWeights.md):

    python bench/low_bits.py
"""

import sys
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


def main():
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
