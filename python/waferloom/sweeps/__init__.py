"""Many compilations of a model, counted: one row per point (docs/sweep.md).

    points.py    options with several values become points, each a dictionary of options
    measure.py   a point becomes a row: what it cost, or why it does not fit
    levers.py    points around a program: what a person could change of it
    workers.py   processes that do this; on_dask.py: a cluster that does
    rows.py      rows on disk
"""

from .levers import levers
from .sweep import LostPoints, sweep

__all__ = ["LostPoints", "levers", "sweep"]
