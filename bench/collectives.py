"""All-reduces of one line beside their bounds: what the executor counts, the closed
form that choices are made by, the best tree of two children, and what no way of
summing can be below.

    python bench/collectives.py [--target wse3] [--lengths 16 192] [--words 1 13]
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

TOOL = Path(os.environ.get("WAFERLOOM_BUILD", Path(__file__).resolve().parents[1] / "build")) / "bin/waferloom"
LENGTHS = [16, 64, 128, 192, 256, 512, 762, 1172]
WORDS = [1, 4, 16, 64, 256, 1024, 4096]


def measure(length, words, target):
    """What `waferloom collective` says of an all-reduce to the middle."""
    command = [TOOL, "collective", "--length", str(length), "--words", str(words), "--root", "middle", "--target", target,
               "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="wse3")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--words", type=int, nargs="+", default=WORDS)
    arguments = parser.parse_args()
    print("| PEs | words | algorithm | colors | executed | closed form | grown bound | executed / it | hard bound |")
    print("|---:|---:|---|---:|---:|---:|---:|---:|---:|")
    for length in arguments.lengths:
        for words in arguments.words:
            run = measure(length, words, arguments.target)
            how = run["algorithm"] + (f", {run['levels']} levels" if "levels" in run else "")
            bound = run["grown_bound_cycles"]
            print(f"| {length:,} | {words:,} | {how} | {run['colors']} | {run['cycles']:,} | {run['estimated_cycles']:,} "
                  f"| {bound:,} | {run['cycles'] / bound:.2f} | {run['hard_bound_cycles']:,} |")


if __name__ == "__main__":
    main()
