#!/usr/bin/env python3
"""Cycles of one token, of models as `compile` maps them by itself, with bounds and shared link cycles, and of a prompt of
512 tokens on stages: the tables of "Cycles on the wafer" in docs/benchmarks.md.

    PYTHONPATH=build/python python bench/figures.py MODELS [--smollm2 FOLDER] [NAME ...]

MODELS is the folder with shapes/llama3.1-8b-fp16.onnx and stories260k/stories260k-primitives-opset17.onnx, FOLDER one
that `waferloom.zoo.smollm2.write` filled; without it SmolLM2 is left out. Where names are given, these alone are counted.
No value is computed, and cycles are the same on every host. A layer is one of the critical path, hand-over included. Of
a prompt four tokens are counted, which takes minutes and 10 GB of memory for an 8B; what each of them takes beyond the
first the others take, too.
"""

import argparse
import tempfile
from collections import Counter
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


def prompts(args):
    """The same of prompts."""
    model = args.models / "shapes/llama3.1-8b-fp16.onnx"
    common = dict(context=4096, weights=False)
    yield "8B f16, prompt", model, common
    yield "8B f16, prompt, `--objective prefill`", model, common | dict(objective="prefill")


def prompt_row(name, model, options, tokens=512):
    program = wl.compile(model, target="wse3", chunks=[4], **options)
    cycles = program.count()
    more = (cycles[4] - cycles[1]) / 3
    layers = Counter()
    for part in program.critical_path(tokens=1).parts:
        for trip in part.trips:
            layers[trip.stage] += sum(trip.cycles.values())
    slowest = max(layers.values())
    region = program.regions[-1]
    return (f"| {name} | {len(program.regions)} of {region.width} x {region.height} | {cycles[1]:,} | {more:,.0f} "
            f"| {slowest:,} | {more / slowest:.3f} | {(cycles[4] + (tokens - 4) * more) / tokens:,.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--smollm2", type=Path)
    parser.add_argument("names", nargs="*", help="parts of names, as '8B'")
    args = parser.parse_args()
    print("| | target | PEs | cycles | a layer | of its hard bound | shared link cycles | waited for links |")
    print("|---|---|---|---:|---:|---:|---:|---:|")

    def is_wanted(name):
        return not args.names or any(wanted in name for wanted in args.names)

    with tempfile.TemporaryDirectory() as folder:
        for name, model, options in figures(args, folder):
            if is_wanted(name):
                print(row(name, model, options), flush=True)
    print("\n| | PEs | one token | a token more | layers of the slowest stage | ratio | 512 tokens, each |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name, model, options in prompts(args):
        if is_wanted(name):
            print(prompt_row(name, model, options), flush=True)


if __name__ == "__main__":
    main()
