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

    # A worker that a point has ended is not to be ended by it again.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = None
        if address == "local":
            cluster = distributed.LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=":0")
        with distributed.Client(cluster or address, set_as_default=False) as client:
            try:
                futures = {client.submit(row, os.path.abspath(model), point, weights, pure=False): index
                           for index, point in enumerate(points)}
                for future in distributed.as_completed(futures, loop=client.loop):
                    error = future.exception()
                    if error is None:
                        yield futures[future], future.result(), None
                    else:
                        yield futures[future], None, f"{type(error).__name__}: {error}"
            finally:
                if cluster:
                    cluster.close()
