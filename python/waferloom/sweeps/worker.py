"""A process that turns points into rows: one job per line of stdin, one row per line of stdout."""

import json
import os
import signal
import sys


def main():
    # Ctrl-C is for the process that hands out the points.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What anybody prints must not come between the rows.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from waferloom.sweeps.measure import row
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(row(job["model"], job["point"], job["weights"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
