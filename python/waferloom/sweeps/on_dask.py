"""Points on a Dask cluster: `tcp://HOST:PORT` of a scheduler whose workers have the package and see the model's file
under the same path, or "local"."""

import os


def rows(model, points, weights, jobs, address):
    """As `workers.rows`."""
    try:
        import dask
        import distributed
    except ImportError:
        raise ImportError("a sweep on Dask needs the extra 'dask': pip install 'waferloom[dask]'") from None
    from .measure import row

    # Of a cluster of ours: a worker that a point has ended is not to be ended by it again.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = None
        if address == "local":
            cluster = distributed.LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=":0")
        try:
            with distributed.Client(cluster or address, set_as_default=False) as client:
                yield from _rows(client, distributed.as_completed([], loop=client.loop), row, os.path.abspath(model), points, weights)
        finally:
            if cluster:
                cluster.close()


def _rows(client, done, row, model, points, weights):
    """No worker has points waiting, which would be lost with it."""
    waiting, at_work = list(enumerate(points))[::-1], {}
    while waiting or at_work:
        while waiting and len(at_work) < max(1, sum(client.nthreads().values())):
            index, point = waiting.pop()
            future = client.submit(row, model, point, weights, pure=False)
            at_work[future] = index
            done.add(future)
        future = next(done)
        index, error = at_work.pop(future), future.exception()
        if error is None:
            yield index, future.result(), None
        else:
            yield index, None, f"{type(error).__name__}: {error}"
