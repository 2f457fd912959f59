#!/usr/bin/env python3
"""The mapping that `compile` chooses by itself against the best of many drawn ones, all counted: docs/benchmarks.md has
the results.

    PYTHONPATH=build/python python bench/sweep.py MODEL.onnx [--target wse3] [--context 256] [--precision f16]
        [--points 200] [--seed 1] [--no-weights] [--region 420x420] [--jobs 1]

A point is a compilation that differs from the chosen one in a way that is drawn: another region of any aspect ratio, a
quarter to four times as large; other numbers of stages; a rewrite left out; the region's sides cut into other factors,
and classes of dimensions split along other ones; and, written into the chosen mapping or into that of the best point so
far, other roots, algorithms, sizes and levels of trees, other axes for a class of dimensions. With --region all points
are on that region. Points that cannot be had are counted and drawn again. With --jobs so many are drawn at a time, and counted
side by side. The last line has the ratio; Ctrl-C ends the sweep
with that of the points so far.
"""

import argparse
import math
import random
import re
from collections import Counter
from pathlib import Path

import waferloom as wl

ALGORITHMS = ("chain", "two-phase", "tree", "grown")


def drawn_region(draw, area, limit):
    """Sides of about an area and any aspect ratio."""
    size = area * 4 ** draw.uniform(-1, 1)
    aspect = 8 ** draw.uniform(-1, 1)
    sides = math.sqrt(size * aspect), math.sqrt(size / aspect)
    return tuple(max(1, min(most, round(side))) for side, most in zip(sides, limit, strict=True))


def other_collective(draw, line):
    """A line of a mapping's collectives with another root or another algorithm."""
    root = re.search(r"root: (\d+)", line)
    if root and draw.random() < 0.5:
        moved = max(0, int(root[1]) + draw.choice((-1, 1)) * draw.choice((1, 2, 4, 8)))
        return line.replace(root[0], f"root: {moved}")
    line = re.sub(r", (group|levels): \d+", "", line)
    said = draw.choice(ALGORITHMS)
    if said == "grown":
        said += f", group: {draw.choice((1, 2, 4, 8, 12, 16, 24, 32, 48, 64))}, levels: {draw.randint(1, 5)}"
    return re.sub(r"algorithm: [\w-]+", f"algorithm: {said}", line)


def other_mapping(draw, text):
    """A mapping with one to three other choices."""
    lines = text.splitlines()
    of = {"collective": [i for i, line in enumerate(lines) if "algorithm: " in line],
          "layout": [i for i, line in enumerate(lines) if "split: [" in line]}
    for _ in range(draw.randint(1, 3)):
        kind = draw.choice([kind for kind, at in of.items() if at])
        at = draw.choice(of[kind])
        if kind == "collective":
            lines[at] = other_collective(draw, lines[at])
        else:
            other = draw.choice(of[kind])
            mine, theirs = (re.search(r"split: \[.*?\]", lines[i])[0] for i in (at, other))
            lines[at], lines[other] = lines[at].replace(mine, theirs), lines[other].replace(theirs, mine)
    # Colors follow from the rest.
    return "\n".join(re.sub(r", color: \d+", "", line) for line in lines) + "\n"


def cut(draw, side):
    """A side in one to three factors."""
    factors = []
    for _ in range(draw.randint(0, 2)):
        factors.append(draw.choice([n for n in range(1, min(side, 48) + 1) if side % n == 0]))
        side //= factors[-1]
    factors = [n for n in factors if n > 1] + [side]
    draw.shuffle(factors)
    return factors


def other_cuts(draw, chosen):
    """The chosen region, cut otherwise, with drawn splits for one to three classes of dimensions."""
    region = chosen.regions[0]
    cuts = {"x": cut(draw, region.width), "y": cut(draw, region.height)}
    axes = [f"{side}{i}" if len(factors) > 1 else side for side, factors in cuts.items() for i in range(len(factors))]
    dims = re.findall(r'dim: "(.*?)"', chosen.mapping.text)
    lines = ["waferloom-mapping: 1", f"region: {{x: {cuts['x']}, y: {cuts['y']}}}", f"stages: {len(chosen.regions)}",
             "layouts:"]
    for dim in draw.sample(dims, min(len(dims), draw.randint(1, 3))):
        split = [axis for axis in axes if draw.random() < 0.5]
        lines.append(f'  - {{dim: "{dim}", split: [{", ".join(split)}]}}' if split else f'  - {{dim: "{dim}", split: none}}')
    return "\n".join(lines) + "\n"


def point(draw, chosen, best, args):
    """What the point changes, and its options."""
    kinds = {"mapping": 5, "cuts": 4, "rewrite": 1} if args.region else {"region": 4, "stages": 2, "rewrite": 1,
                                                                        "mapping": 5, "cuts": 2}
    kind = draw.choices(list(kinds), kinds.values())[0]
    region, stages = chosen.regions[0], len(chosen.regions)
    if kind == "mapping":
        return kind, {"mapping_text": other_mapping(draw, draw.choice((chosen, best)).mapping.text)}
    if kind == "cuts":
        return kind, {"mapping_text": other_cuts(draw, chosen)}
    if kind == "rewrite":
        return kind, {"region": (region.width, region.height), "stages": stages,
                      "disable_rewrites": [draw.choice(chosen.rewrites)[0]]}
    options = {"region": drawn_region(draw, region.width * region.height, args.limit), "stages": stages}
    if kind == "stages":
        options["stages"] = draw.choice((1, 2, 3, 4, 5, 6, 8, 12))
    return kind, options


def again(model, options):
    """The program of a point."""
    text = options.pop("mapping_text", None)
    return wl.compile(model, **options, mapping=text and wl.Mapping(text))


def sides(text):
    width, height = text.split("x")
    return int(width), int(height)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default="wse3")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--precision", default="model")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--region", type=sides, help="WxH, of all points")
    parser.add_argument("--limit", type=sides, default=(750, 994), help="the largest sides")
    parser.add_argument("--no-weights", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    common = dict(target=args.target, context=args.context, precision=args.precision, weights=not args.no_weights)
    if args.region:
        common["region"] = args.region
    chosen = wl.compile(args.model, measure_rewrites=True, **common)
    cycles = least = chosen.count()[1]
    best, how = chosen, "chosen"
    region = chosen.regions[-1]
    print(f"chosen: {cycles:,} cycles on {len(chosen.regions)} of {region.width} x {region.height}", flush=True)
    draw, counted, refused = random.Random(args.seed), Counter(), Counter()
    try:
        while counted.total() < args.points and refused.total() < 10 * args.points:
            drawn = [point(draw, chosen, best, args) for _ in range(args.jobs)]
            rows = wl.sweep(args.model, points=[options for _, options in drawn], jobs=args.jobs, **common)
            for (kind, options), row in zip(drawn, rows, strict=True):
                if row["outcome"] != "counted":
                    refused[kind] += 1
                    continue
                counted[kind] += 1
                if row["cycles"] < least:
                    least, best, how = row["cycles"], again(args.model, common | options), kind
                    told = options["mapping_text"] if kind == "cuts" else options if kind != "mapping" else ""
                    print(f"point {counted.total()}: {least:,} cycles, {kind} {told}", flush=True)
    except KeyboardInterrupt:
        pass
    print(f"counted {dict(counted)}, refused {dict(refused)}")
    print(f"{cycles:,} chosen, {least:,} the best of {counted.total()} points ({how}): {cycles / least:.3f}")


if __name__ == "__main__":
    main()
