"""A point becomes a row."""

from ..errors import CompileError, ExecutionError
from ..mapping import Mapping
from ..program import compile
from .points import AXES, options_of

# Kinds of cycles of the critical path (docs/critical-path.md), each a column "on path: KIND".
KINDS = ("vector issue", "work", "conflict", "rewrite", "stream issue", "words", "hops", "ramp", "forwarding", "turns",
         "links", "credits", "threads")
RESULTS = ("outcome", "reason", "width", "height", "regions", "pes", "sram", "colors", "cycles", "seconds", "chunk_tokens",
           "chunk_cycles", "hard_bound", "floor_bound", "wires_bound", "estimated")
COLUMNS = (*AXES, "options", *RESULTS, *(f"on path: {kind}" for kind in KINDS))


def reason_of(error):
    """The first error with its notes, on one line."""
    first = next((d for d in error.diagnostics if d.severity == "error"), None)
    if first is None:
        return str(error)
    where = f"node '{first.node}': " if first.node and "node '" not in first.message else ""
    return "; ".join([where + first.message, *first.notes]).replace("\n", " ")


def counted(program):
    """Cycles of a step of one token, by kind if the path can be followed, and of the longest chunk."""
    first = program.entries[0]
    try:
        path = program.critical_path()
        facts = {"cycles": path.cycles} | {f"on path: {kind}": path.kinds.get(kind, 0) for kind in KINDS}
    except ExecutionError:
        facts = {"cycles": program.count()[first]}
    if len(program.entries) > 1:
        cycles = program.count()
        facts |= {"cycles": cycles[first], "chunk_tokens": max(cycles), "chunk_cycles": cycles[max(cycles)]}
    return facts


def named(point):
    """The columns of a row that say which point it is of."""
    more = {key: value for key, value in point.items() if key not in AXES}
    return {name: point[name] for name in AXES} | {
        "options": ", ".join(f"{key}={value}" for key, value in sorted(more.items())) or None}


def row(model, point, weights=False):
    """What a point costs: its options, and of RESULTS those that there are. outcome: "counted", "refused" (it does not
    fit, or an option is wrong; `reason` says which), or "not counted" (it is compiled, but counting is refused)."""
    facts = dict.fromkeys(COLUMNS) | named(point)
    options = {"weights": weights} | options_of(point)
    if "mapping_text" in options:
        options["mapping"] = Mapping(options.pop("mapping_text"))
    try:
        program = compile(model, **options)
    except CompileError as error:
        return facts | {"outcome": "refused", "reason": reason_of(error)}
    region, summary, bounds = program.regions[-1], program.summary, program.bounds
    facts |= {"width": region.width, "height": region.height, "regions": len(program.regions), "pes": summary["pes_used"],
              "sram": summary["sram_used_max"], "colors": summary["colors_used_max"], "estimated": summary["cycles_estimated"]}
    if bounds:
        facts |= {f"{kind}_bound": bounds[0][kind] for kind in ("hard", "floor", "wires")}
    try:
        facts |= counted(program)
    except ExecutionError as error:
        return facts | {"outcome": "not counted", "reason": reason_of(error)}
    return facts | {"outcome": "counted", "seconds": facts["cycles"] / (program.clock_ghz * 1e9)}
