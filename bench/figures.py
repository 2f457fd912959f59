#!/usr/bin/env python3
"""Cycles of one token, of models as `compile` maps them by itself, with bounds and shared link cycles: the table "Cycles
on the wafer" of docs/benchmarks.md.

    PYTHONPATH=build/python python bench/figures.py MODELS [--smollm2 FOLDER] [NAME ...]

MODELS is the folder with shapes/llama3.1-8b-fp16.onnx and stories260k/stories260k-primitives-opset17.onnx, FOLDER one
that `waferloom.zoo.smollm2.write` filled; without it SmolLM2 is left out. Where names are given, these alone are counted.
No value is computed, and cycles are the same on every host. A layer is one of the critical path, hand-over included.
"""

import argparse
import tempfile
from pathlib import Path

import waferloom as wl
from waferloom import zoo

# Three layers of an 8B: the published layer of docs/mapping.md.
LAYERS = zoo.Shape(layers=3, width=4096, heads=32, kv_heads=8, head_dim=128, hidden=14336, vocabulary=512, positions=2048)


def figures(args, folder):
    """Name, model and options of each."""
    stories = args.models / "stories260k/stories260k-primitives-opset17.onnx"
    yield "8B f16, context 4,096", args.models / "shapes/llama3.1-8b-fp16.onnx", dict(context=4096, weights=False)
    layers = zoo.write_shapes(LAYERS, folder, "primitives", "f16")
    on_wse2 = dict(target="wse2", region=(420, 420), context=2048, weights=False)
    yield "8B f16, 3 layers, context 2,048", layers, on_wse2
    yield "the same, `--mapping waferllm`", layers, on_wse2 | {"mapping": "waferllm"}
    if args.smollm2:
        for precision in ("f16", "f32"):
            yield f"SmolLM2 {precision}, context 256", args.smollm2 / "model.onnx", dict(context=256, precision=precision)
    for target in ("wse3", "grid-16x16", "grid-8x8"):
        yield "stories260k, context 256", stories, dict(target=target, context=256)


def row(name, model, options):
    program = wl.compile(model, **({"target": "wse3"} | options))
    path = program.critical_path()
    part = next(part for part in path.parts if part.name == "layer")
    layer = sum(part.cycles.values()) / part.repeats
    bounds = program.bounds[0]
    shared = sum(links.cycles for links in program.shared_links())
    waits = sum(part.cycles.get("links", 0) for part in path.parts)
    regions = [f"{region.width} x {region.height}" for region in program.regions]
    where = regions[-1] if len(regions) == 1 else f"{len(regions)} of {regions[-1]}"
    return (f"| {name} | {options.get('target', 'wse3')} | {where} | {program.count()[1]:,} | {layer:,.0f} "
            f"| {layer / bounds['layer_hard']:.2f} | {shared:,} | {waits:,} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--smollm2", type=Path)
    parser.add_argument("names", nargs="*", help="parts of names, as '8B'")
    args = parser.parse_args()
    print("| | target | PEs | cycles | a layer | of its hard bound | shared link cycles | waited for links |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, model, options in figures(args, folder):
            if not args.names or any(wanted in name for wanted in args.names):
                print(row(name, model, options), flush=True)


if __name__ == "__main__":
    main()
