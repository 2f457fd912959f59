"""The sweep itself."""

import inspect
import os

from .. import _native
from ..program import compile, model_file
from . import on_dask, workers
from .measure import named
from .points import AXES, PointError, grid
from .rows import Rows, digest


class LostPoints(RuntimeError):
    """Processes ended before their points were done: `lost` has these points, with how each ended, `rows` the others.
    The same sweep again does what is missing."""

    def __init__(self, lost, rows):
        self.lost, self.rows = lost, rows
        point, how = lost[0]
        super().__init__(f"{len(lost)} point{'s' * (len(lost) > 1)} lost with the process, the first by {how}: {point}; the "
                         "same sweep again does what is missing")


def sweep(model, region=AXES["region"], target=AXES["target"], context=AXES["context"], precision=AXES["precision"],
          stages=AXES["stages"], chunk=AXES["chunk"], objective=AXES["objective"], points=None, jobs=1, output=None, dask=None,
          weights=False, progress=None, **options):
    """Compiles a model at many points and counts the cycles of a step (docs/sweep.md).

        rows = wl.sweep("m.onnx", region=["auto", "32x32"], target="wse3,hop=1..3", context=["1k", "4k"], jobs=2)

    Args:
        model: path of a model, or its serialized bytes.
        region, target, context, precision, stages, chunk, objective: a value or several, as `compile` has them; also texts
            as the command line has them. All combinations are points.
        points: a list of dictionaries, each with what a point has instead of the options above. Other options of `compile` may be among them, a mapping as "mapping_text".
        jobs: processes.
        output: a .csv, .json or .parquet file. Each row is on disk as soon as it is done; a sweep that was broken off, or
            has more points than the file, does those that are missing.
        dask: "tcp://HOST:PORT" or "local": the points are done on a Dask cluster.
        weights: whether the bytes of weights are read; cycles do not need them.
        progress: callable(done, total, row), for every row that is not on disk yet.
        options: of `compile`, the same for all points.

    Returns:
        The rows in the order of the points, as dictionaries. Points that do not fit are rows with the reason.

    Raises:
        LostPoints: processes were killed.
        PointError: an option has a value that no point can have (a ValueError).
    """
    axes = dict(region=region, target=target, context=context, precision=precision, stages=stages, chunk=chunk,
                objective=objective)
    if points is None:
        points = grid(**axes)
    else:
        points = [only(**(axes | point)) for point in points]
    points = [options | point for point in points]
    known = {*AXES, "mapping_text", *inspect.signature(compile).parameters} - {"model", "progress", "weights"}
    for point in points:
        if unknown := sorted(set(point) - known):
            raise PointError(f"there is no option '{unknown[0]}' of a point; there are {', '.join(sorted(known))}")
    with model_file(model) as path:
        return _run(os.fspath(path), points, jobs, output, dask, weights, progress)


def only(**given):
    """A point of options that have one value each, and of others of `compile`."""
    point, *others = grid(**{name: given[name] for name in AXES})
    if others:
        raise PointError("each of `points` has one value of each option")
    return {name: value for name, value in given.items() if name not in AXES} | point


def _run(model, points, jobs, output, dask, weights, progress):
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    table = Rows(output, {"model": digest(model), "version": _native.version})
    try:
        rows = [table.find(named(point)) for point in points]
        missing = [index for index, row in enumerate(rows) if row is None]
        todo, lost = [points[index] for index in missing], []
        done = (on_dask.rows(model, todo, weights, jobs, dask) if dask else workers.rows(model, todo, weights, jobs))
        if not todo:
            done = ()
        for count, (index, row, how) in enumerate(done, 1):
            if row is None:
                lost.append((todo[index], how))
                continue
            rows[missing[index]] = table.add(row)
            if progress:
                progress(len(points) - len(missing) + count, len(points), rows[missing[index]])
        rows = [row for row in rows if row is not None]
        table.finish(rows)
    finally:
        table.close()
    if lost:
        raise LostPoints(lost, rows)
    return rows
