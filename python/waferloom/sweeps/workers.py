"""Processes that turn points into rows. One that ends takes the point that it had with it, and no other."""

import json
import os
import selectors
import subprocess
import sys
from pathlib import Path

from .. import _native

# Where the package is imported from: of links, the folder that they are in.
PACKAGE = Path(_native.__file__).parents[1]


class Worker:
    """A process, and the point that it is at."""

    def __init__(self):
        path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
        self.point = None
        self.process = subprocess.Popen([sys.executable, "-m", "waferloom.sweeps.worker"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path})

    def give(self, index, job):
        self.point = index
        try:
            print(json.dumps(job), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # the end of its answers tells

    def take(self):
        """The row of the point that it had; None: it has ended."""
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def end(self):
        """Its exit status; negative: the signal that ended it."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        return self.process.wait()

    def status(self):
        """How a process ended whose answers have."""
        status = self.process.wait()
        self.end()
        return f"signal {-status}" if status < 0 else f"exit status {status}"


def rows(model, points, weights, jobs):
    """Yields (index of the point, row, None), or (index, None, how its process ended), as they are done."""
    waiting = list(enumerate(points))[::-1]
    with selectors.DefaultSelector() as selector:
        workers = set()

        def next_job(worker=None):
            if not waiting:
                return
            if worker is None:
                worker = Worker()
                workers.add(worker)
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            index, point = waiting.pop()
            worker.give(index, {"model": os.fspath(model), "point": point, "weights": weights})

        try:
            for _ in range(min(jobs, len(waiting))):
                next_job()
            left = len(points)
            while left:
                for key, _ in selector.select():
                    worker = key.data
                    index, row = worker.point, worker.take()
                    left -= 1
                    if row is not None:
                        next_job(worker)
                        yield index, row, None
                        continue
                    selector.unregister(key.fileobj)
                    workers.discard(worker)
                    how = worker.status()
                    next_job()
                    yield index, None, how
        finally:
            for worker in workers:
                worker.end()
