"""Draws the rows of a sweep: latency against PEs, with the Pareto front and the bounds; cycles of each point by kind,
stacked; or a map over two columns."""

import os
import sys

from .. import plot
from ..sweeps import rows
from .parser import Parser, tell

FORMATS = (".png", ".svg", ".pdf")


def parser():
    options = Parser("plot", description=__doc__)
    options.add_argument("rows", metavar="ROWS", help="the .csv, .json or .parquet file of a sweep")
    options.add_argument("-o", "--output", metavar="FILE", required=True, help="a .png, .svg or .pdf file")
    options.add_argument("--kind", metavar="K", choices=tuple(plot.PICTURES), default="latency",
                         help="latency (default), stacked or heat")
    options.add_argument("--by", metavar="COLUMN,...", help="of latency: a color for each value; usual: what differs")
    options.add_argument("--x", metavar="COLUMN", default="width", help="of a heat map; width (default)")
    options.add_argument("--y", metavar="COLUMN", default="height", help="of a heat map; height (default)")
    options.add_argument("--value", metavar="COLUMN", default="cycles", help="of a heat map; cycles (default)")
    options.add_argument("--where", metavar="COLUMN=VALUE", action="append", default=[], help="these rows alone; repeatable")
    options.add_argument("--title", metavar="TEXT", help="above the picture")
    return options


def chosen(table, conditions):
    """The rows for which all conditions hold."""
    for text in conditions:
        name, equals, value = text.partition("=")
        if not equals or name not in table[0]:
            raise ValueError(f"--where needs COLUMN=VALUE with one of {', '.join(table[0])}, not '{text}'")
        table = [row for row in table if str(row[name]) == value]
        if not table:
            raise ValueError(f"no row has {text}")
    return table


def main(argv=None):
    options = parser()
    args = options.parse_args(argv)
    if os.path.splitext(args.output)[1] not in FORMATS:
        options.error(f"-o needs a file that ends in one of {', '.join(FORMATS)}, not '{args.output}'")
    try:
        table = rows.read(args.rows)
        if not table:
            raise ValueError(f"'{args.rows}' has no rows")
        columns = [args.x, args.y, args.value] if args.kind == "heat" else args.by.split(",") if args.by else []
        for name in columns:
            if name not in table[0]:
                raise ValueError(f"there is no column '{name}'; there are {', '.join(table[0])}")
        more = {"heat": {"x": args.x, "y": args.y, "value": args.value},
                "latency": {"by": columns or None}}.get(args.kind, {})
        figure = plot.PICTURES[args.kind](chosen(table, args.where), title=args.title, **more)
        figure.savefig(args.output, metadata={"Date": None} if args.output.endswith(".svg") else None)
    except (ImportError, OSError, ValueError, KeyError) as error:
        tell(str(error), "waferloom plot")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
