"""Draws docs/rooms.svg from the table of rooms that test/house enforces.

A room stands in the row below all rooms whose headers it may include. An arrow that
follows from two others is left out.
"""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PICTURE = TOP / "docs/rooms.svg"
sys.path.insert(0, str(TOP / "test/house"))

from test_house import PASSES, ROOMS  # noqa: E402

WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 108, 30, 122, 84, 20
# Rooms that only tests have.
ELSEWHERE = {"Interpret"}


def arrows():
    """For each room those that it knows, without what follows from others."""
    knows = {room: set(of) | PASSES.get(room, set()) for room, of in ROOMS.items() if room not in ELSEWHERE}

    def reach(room):
        return set().union(*({other} | reach(other) for other in knows[room]))

    return {room: sorted(of - set().union(*(reach(other) for other in of))) for room, of in knows.items()}


def rows(to):
    """Rooms by the longest way down, rooms that know nobody last."""
    def depth(room):
        return 1 + max((depth(other) for other in to[room]), default=-1)

    found = [[] for _ in range(1 + max(map(depth, to)))]
    for room in to:
        found[depth(room)].append(room)
    return found[::-1]


def order(levels, to):
    """Within a row, rooms stand near the middle of those that know them."""
    place = {room: float(i) for level in levels for i, room in enumerate(level)}
    above = {room: [other for other in to if room in to[other]] for room in to}
    for _ in range(8):
        for level in levels:
            def middle(room):
                near = above[room] + to[room]
                return sum(place[other] for other in near) / len(near) if near else place[room]
            level.sort(key=lambda room: (middle(room), room))
            left = -(len(level) - 1) / 2
            place.update({room: left + i for i, room in enumerate(level)})
    return place


def draw():
    """The picture, as SVG."""
    to = arrows()
    levels = rows(to)
    place = order(levels, to)
    widest = max(map(len, levels))
    width, height = widest * ACROSS + 2 * MARGIN, (len(levels) - 1) * DOWN + HEIGHT + 2 * MARGIN
    at = {room: (width / 2 + place[room] * ACROSS, MARGIN + HEIGHT / 2 + row * DOWN)
          for row, level in enumerate(levels) for room in level}
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="12" text-anchor="middle">',
             '<title>Rooms, and whose headers each may include</title>',
             '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
             '<path d="M0 0L8 4L0 8z" fill="#678"/></marker></defs>',
             f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for room, others in to.items():
        for other in others:
            (x0, y0), (x1, y1) = at[room], at[other]
            y0, y1 = y0 + HEIGHT / 2, y1 - HEIGHT / 2
            bend = min(40, (y1 - y0) / 2)
            parts.append(f'<path d="M{x0:.0f} {y0:.0f}C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}" '
                         'fill="none" stroke="#678" stroke-opacity="0.7" marker-end="url(#tip)"/>')
    for room, (x, y) in at.items():
        fill = "#e8f0fb" if room.startswith("Dialect/") else "#eef6ea" if not to[room] else "#fdf6e3"
        parts.append(f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="5" '
                     f'fill="{fill}" stroke="#345"/><text x="{x:.0f}" y="{y + 4:.0f}">{room}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
