"""What a person could change of a program, each counted: its region's sides halved or doubled, halves instead of singles, each
rewrite left out."""

import re

from .sweep import sweep


def points(program, precision):
    """(option of the command line, point) of each lever."""
    region, stages = program.regions[-1], len(program.regions)
    width, height, given = region.width, region.height, {"region": f"{region.width}x{region.height}", "stages": stages}
    for w, h in ((width // 2, height), (width, height // 2), (2 * width, height), (width, 2 * height)):
        if w and h:
            yield f"--region {w}x{h}", given | {"region": f"{w}x{h}"}
    if precision != "f16":
        yield "--precision f16", given | {"precision": "f16"}
    rewrites = re.search(r"^rewrites:\n((?:  .*\n)*)", program.mapping.text, re.MULTILINE)
    for name in re.findall(r"^  ([\w-]+): on$", rewrites[1] if rewrites else "", re.MULTILINE):
        yield f"--disable-rewrite {name}", given | {"disable_rewrites": [name]}


def levers(program, model, jobs=1, progress=None, **options):
    """A list of dictionaries, the one with the fewest cycles first: `lever`, an option of the command line; `cycles`, of a step
    with it, and `saves`, how many these are fewer; or `reason`, why it cannot be had. `program`: compiled of `model` with
    `options`, of which region and stages are left out."""
    options = {name: value for name, value in options.items() if name not in ("region", "stages")}
    cycles = program.critical_path().cycles
    named = list(points(program, options.get("precision", "model")))
    rows = sweep(model, points=[point for _, point in named], jobs=jobs, progress=progress, **options)
    told = [{"lever": name, "cycles": row["cycles"], "saves": None if row["cycles"] is None else cycles - row["cycles"],
             "reason": row["reason"]} for (name, _), row in zip(named, rows, strict=True)]
    return sorted(told, key=lambda lever: (lever["cycles"] is None, lever["cycles"] or 0))
