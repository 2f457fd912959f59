"""What takes long says so on a terminal, as tools/waferloom/Waiting.cpp does."""

import os
import sys
import threading
import time


class Waiting:
    """After two seconds a line says what is being done and for how long; it is gone in the end.

        with Waiting("reading m.wafer"):
            program = wl.load("m.wafer")
    """

    def __init__(self, what):
        self.what = what
        self._ended = threading.Event()
        self._thread = None

    def __enter__(self):
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _show(self):
        start = time.monotonic()
        patience = float(os.environ.get("WAFERLOOM_PATIENCE", 2))
        if patience > 0 and self._ended.wait(patience):  # without any even what has ended is told
            return
        while True:
            print(f"\r\033[K{self.what}: {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)
            if self._ended.wait(1):
                break
        print("\r\033[K", end="", file=sys.stderr, flush=True)
