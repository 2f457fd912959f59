"""Compiles a model at many points and counts the cycles of a step: one row per point. Options with several values, in
commas, make a point of every combination. A sweep that was broken off goes on where it was."""

import json
import sys
import time

from ..errors import WaferloomError
from ..sweeps import LostPoints, sweep
from ..sweeps.points import AXES, grid
from .parser import Parser, tell


def parser():
    options = Parser("sweep", description=__doc__)
    options.add_argument("model", metavar="MODEL", help="an ONNX model")
    options.add_argument("-o", "--output", metavar="FILE", help="a .csv, .json or .parquet file for the rows")
    options.add_argument("--region", metavar="auto|WxH,...", default="auto", help="auto (default): chosen")
    options.add_argument("--target", metavar="NAME|FILE", action="append",
                         help="as of compile; key=1..3 and key=1|4 are several; repeatable")
    options.add_argument("--context", metavar="N,...", help="capacities of the KV caches, such as 1k,4k")
    options.add_argument("--precision", metavar="P,...", default="model", help="model (default), f32, f16; int8, int4, fp8 or "
                         "mxfp4 weights in f16 where they can be had")
    options.add_argument("--stages", metavar="auto|N,...", default="auto", help="regions that share the layers")
    options.add_argument("--chunk", metavar="none|N,...", default="none", help="entries of N tokens; 16+64: two entries")
    options.add_argument("--objective", metavar="O,...", default="balanced", help="what a region is chosen for")
    options.add_argument("--dim", metavar="NAME=SIZE", action="append", default=[], help="binds a symbolic dimension; repeatable")
    options.add_argument("--search-plans", metavar="N", type=int, help="regions to look at where none is given")
    options.add_argument("--jobs", metavar="N", type=int, default=1, help="processes; default 1")
    options.add_argument("--dask", metavar="tcp://...|local", help="do the points on a Dask cluster")
    options.add_argument("--read-weights", action="store_true", help="cycles do not need the bytes of weights")
    options.add_argument("--json", action="store_true", help="print one JSON object: the rows")
    options.add_argument("--quiet", action="store_true", help="no progress, no table")
    return options


class Bar:
    """A line on a terminal: what is done, how quickly, how long the rest takes."""

    def __init__(self, shown):
        self.shown = shown and sys.stderr.isatty()
        self.start, self.count, self.refused = time.monotonic(), 0, 0

    def __call__(self, done, total, row):
        self.count += 1
        self.refused += row["outcome"] != "counted"
        if not self.shown:
            return
        rate = self.count / max(time.monotonic() - self.start, 1e-9)
        left = round((total - done) / rate)
        full = round(30 * done / total)
        print(f"\r\033[K[{'#' * full}{'-' * (30 - full)}] {done}/{total}, {rate:.2g} points/s, {left // 60}:{left % 60:02} left"
              f"{f', {self.refused} without cycles' if self.refused else ''}", end="", file=sys.stderr, flush=True)

    def end(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def table(rows):
    """For a reader: the axes that differ, and what came out."""
    axes = [axis for axis in AXES if len({row[axis] for row in rows}) > 1] or ["region"]
    lines = [[*axes, "PEs", "cycles", "of the bound", ""]]
    for row in rows:
        if row["outcome"] == "counted":
            where = f"{row['width']} x {row['height']}" + (f", {row['regions']} times" if row["regions"] > 1 else "")
            ratio = f"{row['cycles'] / row['floor_bound']:.2f}" if row["floor_bound"] else ""
            lines.append([*(str(row[axis]) for axis in axes), where, f"{row['cycles']:,}", ratio, ""])
        else:
            lines.append([*(str(row[axis]) for axis in axes), "", "", "", (row["reason"] or row["outcome"])[:100]])
    widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[:-1]]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[-1]]).rstrip() for line in lines)


def ended(rows):
    """The closing line."""
    counted = [row for row in rows if row["outcome"] == "counted"]
    text = f"{len(rows)} points, {len(counted)} of them counted"
    if counted:
        best = min(counted, key=lambda row: row["cycles"])
        text += f"; the least: {best['cycles']:,} cycles, {best['regions']} of {best['width']} x {best['height']} PEs of {best['target']}"
    return text


def main(argv=None):
    options = parser()
    args = options.parse_args(argv)
    where = "waferloom sweep"
    axes = {name: getattr(args, name) for name in AXES if getattr(args, name) is not None}
    more = {"search_plans": args.search_plans} if args.search_plans is not None else {}
    try:
        if args.dim:
            more["dims"] = {name: int(size) for name, _, size in (text.rpartition("=") for text in args.dim)}
        points = grid(**axes)
        if args.jobs < 1:
            raise ValueError(f"--jobs needs a whole number of at least 1, not '{args.jobs}'")
    except ValueError as error:
        options.error(str(error))
    bar, status = Bar(not args.quiet and not args.json), 0
    try:
        try:
            rows = sweep(args.model, points=points, jobs=args.jobs, output=args.output, dask=args.dask, weights=args.read_weights,
                         progress=bar, **more)
        finally:
            bar.end()
    except LostPoints as error:
        rows, status = error.rows, 1
        tell(str(error), where, as_json=args.json)
    except (WaferloomError, ImportError, OSError, ValueError) as error:
        tell(str(error), where, as_json=args.json)
        return 1
    except KeyboardInterrupt:
        if args.output:
            tell("interrupted; the same command again does what is missing", where, as_json=args.json)
        return 130
    if args.json and not status:
        print(json.dumps({"rows": rows}))
    elif not args.quiet and not args.json and rows:
        print(f"{table(rows)}\n{ended(rows)}" if not args.output else f"{args.output}: {ended(rows)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
