"""What every rewrite is worth: cycles per token with all, without each, without any.

    python bench/rewrites.py                                      two models of the zoo
    python bench/rewrites.py --model M.onnx --target grid-8x8     a model of yours

Cycles are those of the programs, not estimated, on one region, and the same on every host. Prints a table in
Markdown; docs/algebra.md has one.
"""

import argparse
import tempfile
from pathlib import Path

import waferloom as wl
from waferloom import zoo

# The shapes of stories260k (5 layers) and of three layers of SmolLM2-135M, with seeded weights.
MODELS = {
    "width 64, 5 layers": (zoo.Shape(layers=5, width=64, heads=8, kv_heads=4, head_dim=8, hidden=172, vocabulary=512,
                                     positions=512), "grid-16x16"),
    "width 576, 3 layers": (zoo.Shape(layers=3, width=576, heads=9, kv_heads=3, head_dim=64, hidden=1536,
                                      vocabulary=49152, positions=2048), "grid-112x112,sram=56KiB"),
}


def rows(model, target, context):
    program = wl.compile(model, target=target, context=context, measure_rewrites=True)
    base = program.count()[1]
    yield "all", base, 0
    for name, worth, saved in program.rewrites:
        yield f"without {name}", None if worth == "unfit" else base + saved, saved
    regions = program.regions
    none = wl.compile(model, target=target, context=context, disable_rewrites=[name for name, *_ in program.rewrites],
                      region=(regions[0].width, regions[0].height), stages=len(regions)).count()[1]
    yield "none", none, none - base


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="an ONNX file instead of the zoo's models")
    parser.add_argument("--target", default="grid-8x8")
    parser.add_argument("--context", type=int, default=256)
    args = parser.parse_args()
    print("| model | target | rewrites | cycles per token | more |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        if args.model:
            jobs = [(Path(args.model).stem, args.model, args.target)]
        else:
            jobs = []
            for number, (name, (shape, target)) in enumerate(MODELS.items()):
                path = Path(folder) / str(number)
                zoo.write(shape, zoo.weights(shape, seed=1), path)
                jobs.append((name, path / "model.onnx", target))
        for name, model, target in jobs:
            for what, count, more in rows(model, target, args.context):
                share = f"{more:+,} ({100 * more / count:+.1f} %)" if count and more else ""
                print(f"| {name} | {target} | {what} | {f'{count:,}' if count else 'does not fit'} | {share} |", flush=True)


if __name__ == "__main__":
    main()
