"""Pictures of the rows of a sweep (docs/sweep.md): `pip install 'waferloom[plot]'`.

    rows = wl.sweep("m.onnx", region=["8x8", "16x16", "32x32"])
    wl.plot.latency(rows).savefig("latency.png")

Each function gives a matplotlib Figure. Rows without cycles are left out. Colors are told apart by color-blind readers.
"""

import io

# Kinds of cycles of the critical path that a reader tells apart; one color each, of Okabe and Ito.
GROUPS = {"arithmetic": ("work", "conflict"), "issue of vector instructions": ("vector issue", "rewrite"),
          "issue of streams": ("stream issue", "forwarding"), "words": ("words",), "hops, ramps, turns": ("hops", "ramp", "turns"),
          "waits for links and others": ("links", "credits", "threads")}
COLORS = ("#0072B2", "#56B4E9", "#CC79A7", "#E69F00", "#D55E00", "#999999")
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # alike ones far apart
MARKS = "os^Dv<>Ph*"
AXES = ("target", "region", "stages", "context", "chunk", "precision", "objective", "options")


def _figure(width, height):
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need the extra 'plot': pip install 'waferloom[plot]'") from None
    class Picture(Figure):
        def _repr_png_(self):
            """Notebooks show it without pyplot."""
            image = io.BytesIO()
            self.savefig(image, format="png")
            return image.getvalue()

    figure = Picture(figsize=(width, height), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _counted(rows):
    rows = [row for row in rows if row["outcome"] == "counted"]
    if not rows:
        raise ValueError("no point of these rows was counted: there is nothing to draw")
    return rows


def _differing(rows, but=()):
    """Columns of points that have several values, without those of which one tells the other."""
    names, seen = [], set()
    for name in AXES:
        column = tuple(str(row[name]) for row in rows)
        if len(set(column)) > 1 and column not in seen and name not in but:
            names.append(name)
            seen.add(column)
    return names


def _name(row, names):
    said = {"context": "context {}", "stages": "{} stages", "chunk": "chunk {}"}
    return ", ".join(said.get(name, "{}").format(f"{row[name]:,}" if name == "context" and row[name] else row[name])
                     for name in names if row[name] is not None)


def _where(row):
    """Its region, as people say it."""
    return f"{row['width']}x{row['height']}" + (f" x{row['regions']}" if row["regions"] > 1 else "")


def front(rows):
    """The rows that no other beats in both PEs and cycles, with the fewest PEs first."""
    best, found = None, []
    for row in sorted(_counted(rows), key=lambda row: (row["pes"], row["cycles"])):
        if best is None or row["cycles"] < best:
            found.append(row)
            best = row["cycles"]
    return found


def latency(rows, by=None, title=None):
    """Cycles of a step against the PEs that they take: one color for each value of the columns `by` (those that differ, but
    regions and stages), the Pareto front of each, and the bounds, below which no program of the same layouts is."""
    rows = _counted(rows)
    by = _differing(rows, but=("region", "stages")) if by is None else [by] if isinstance(by, str) else list(by)
    series = {}
    for row in rows:
        series.setdefault(_name(row, by), []).append(row)
    figure, axes = _figure(7, 4.8)
    for i, (name, some) in enumerate(series.items()):
        color, best = LINES[i % len(LINES)], front(some)
        axes.plot([row["pes"] for row in some], [row["cycles"] for row in some], MARKS[i % len(MARKS)], color=color, alpha=0.45,
                  markersize=5, markeredgewidth=0)
        axes.plot([row["pes"] for row in best], [row["cycles"] for row in best], "-" + MARKS[i % len(MARKS)], color=color,
                  markersize=5, linewidth=1.5, label=name or "counted, with the Pareto front")
        bounds = [row for row in best if row["floor_bound"]]
        axes.plot([row["pes"] for row in bounds], [row["floor_bound"] for row in bounds], ":", color=color, linewidth=1.2)
    axes.plot([], [], ":", color="#444444", linewidth=1.2, label="bound of the points on the front")
    least = min(rows, key=lambda row: row["cycles"])
    axes.annotate(f"{_where(least)}: {least['cycles']:,}", (least["pes"], least["cycles"]), xytext=(4, -8),
                  textcoords="offset points", ha="right", va="top", fontsize=8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _numbers(axis)
    axes.set_xlabel("PEs")
    axes.set_ylabel("cycles of a step")
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(title or "", loc="left")
    return figure


def _numbers(axis):
    """Plain numbers at a logarithmic axis, as many as can be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    low, high = axis.get_view_interval()
    narrow = high / low < 300
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def stacked(rows, name=None, title=None):
    """Where the cycles of each point go, by kind of the critical path, beside its bound. `name`: a function that gives a row's
    label; else what differs."""
    rows = [row for row in _counted(rows) if row["on path: work"] is not None]
    if not rows:
        raise ValueError("no point of these rows has a critical path: there is nothing to draw")
    names = _differing(rows)
    labels = [name(row) if name else _name(row | {"region": _where(row)}, names) or _where(row) for row in rows]
    figure, axes = _figure(8, 1.6 + 0.32 * len(rows))
    left = [0] * len(rows)
    for (group, kinds), color in zip(GROUPS.items(), COLORS, strict=True):
        cycles = [sum(row[f"on path: {kind}"] for kind in kinds) for row in rows]
        if any(cycles):
            axes.barh(range(len(rows)), cycles, left=left, color=color, label=group, height=0.75)
        left = [a + b for a, b in zip(left, cycles, strict=True)]
    bounds = [(row["floor_bound"], i) for i, row in enumerate(rows) if row["floor_bound"]]
    for at, i in bounds:
        axes.plot([at, at], [i - 0.42, i + 0.42], color="black", linewidth=1.6, label="bound" if (at, i) == bounds[0] else None)
    for i, total in enumerate(left):
        axes.text(total, i, f" {total:,}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(left) * 1.1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("cycles of a step, on its critical path", fontsize=9)
    handles, said = axes.get_legend_handles_labels()
    order = sorted(range(len(said)), key=lambda i: said[i] == "bound")  # which matplotlib puts first
    axes.legend([handles[i] for i in order], [said[i] for i in order], fontsize=8, frameon=False, ncols=3, loc="lower left",
                bbox_to_anchor=(0, 1.0))
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def heat(rows, x="width", y="height", value="cycles", title=None):
    """A map of `value` over two columns, the least of several rows in a place; places without a row are empty."""
    rows = [row for row in _counted(rows) if row[value] is not None and row[x] is not None and row[y] is not None]
    if not rows:
        raise ValueError(f"no row has {value}, {x} and {y}: there is nothing to draw")
    columns, lines = (sorted({row[name] for row in rows}) for name in (x, y))
    cells = {}
    for row in rows:
        place = (row[x], row[y])
        cells[place] = min(cells.get(place, row[value]), row[value])
    low, high = min(cells.values()), max(cells.values())
    figure, axes = _figure(2.2 + 0.75 * len(columns), 1.6 + 0.5 * len(lines))
    grid = [[cells.get((column, line), float("nan")) for column in columns] for line in lines]
    image = axes.imshow(grid, cmap="viridis_r", origin="lower", aspect="auto")
    for i, line in enumerate(lines):
        for j, column in enumerate(columns):
            if (column, line) in cells:
                dark = cells[column, line] > (low + high) / 2
                axes.text(j, i, f"{cells[column, line]:,.4g}" if isinstance(cells[column, line], float)
                          else f"{cells[column, line]:,}", ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xticks(range(len(columns)), [f"{c:,}" if isinstance(c, int) else c for c in columns], fontsize=8)
    axes.set_yticks(range(len(lines)), [f"{c:,}" if isinstance(c, int) else c for c in lines], fontsize=8)
    said = {"width": "columns of a region", "height": "rows of a region", "cycles": "cycles of a step"}
    axes.set_xlabel(said.get(x, x))
    axes.set_ylabel(said.get(y, y))
    bar = figure.colorbar(image, ax=axes, label=said.get(value, value))
    bar.ax.yaxis.set_major_formatter(lambda number, _: f"{number:,.6g}")
    axes.set_title(title or "", loc="left")
    return figure


PICTURES = {"latency": latency, "stacked": stacked, "heat": heat}
