"""Commands on a terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

from conftest import BIN


class Terminal:
    """A command of the tool with its output on a terminal, and what is typed there as its input."""

    def __init__(self, *args):
        self.reader, writer = pty.openpty()
        self.process = subprocess.Popen([BIN / "waferloom", *map(str, args)], stdin=writer, stdout=writer,
                                        stderr=writer, preexec_fn=self._own)
        os.close(writer)
        self.text = ""

    @staticmethod
    def _own():
        """The terminal's own session, so that Ctrl-C typed there is a signal; one that is heard: a job in the
        background ignores it from its start."""
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def type(self, text):
        os.write(self.reader, text.encode())

    def read_until(self, pattern):
        """Reads until `pattern` came, or the end; fails after a minute."""
        until = time.monotonic() + 60
        while pattern is None or not re.search(pattern, self.text):
            ready, _, _ = select.select([self.reader], [], [], max(0, until - time.monotonic()))
            assert ready, f"{pattern!r} did not come: {self.text[-2000:]!r}"
            try:
                self.text += os.read(self.reader, 4096).decode(errors="replace")
            except OSError:
                break  # the other end is closed
        return self.text

    def finish(self):
        self.read_until(None)
        os.close(self.reader)
        return self.process.wait(timeout=60)
