"""docs/operators.md: what `waferloom operators` says, and how many node tests of each operator are right.

    python test/nodes/page.py            says whether the page is stale
    python test/nodes/page.py --write    brings it up to date
"""

import collections
import os
import subprocess
import sys
from pathlib import Path

import nodes

TOP = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build")) / "bin"
PAGE = TOP / "docs/operators.md"

INTRO = """# Operators

What import makes of each operator of ONNX, by its versions: *native*, by a lowering of its own
([import](import.md)); *body*, by what the ONNX library says that it stands for; *refused*. The same in a shell:
`waferloom operators [NAME]`. This page is made by `python test/nodes/page.py --write`; a test compares.

Node tests are those of the ONNX wheel that `scripts/requirements.txt` pins. A graph takes what decides a shape (axes, a
target shape, pads) from its file, so where a test gives them as inputs they are put into the file; so are the weights of
DequantizeLinear. `python test/nodes/nodes.py NAME` runs those whose names begin so, and `test/nodes/refused.txt` says of
each that is refused why.

{right} of {all} node tests are right, {refused} are refused with a reason, none is wrong.

| operator | versions | how | node tests right | refused |
|---|---|---|---|---|
"""


def support():
    """{name: {how: [versions]}, and reasons by name, as the tool says."""
    told = subprocess.run([BIN / "waferloom", "operators"], check=True, capture_output=True, text=True).stdout
    known, reasons = collections.defaultdict(lambda: collections.defaultdict(list)), {}
    for line in told.splitlines():
        name, version, how = line[:50].rstrip(), line[51:56].strip(), line[56:].strip()
        how, _, reason = how.partition(": ")
        known[name][{"by its body": "body"}.get(how, how)].append(version)
        reasons[name] = reason
    return known, reasons


def text():
    known, reasons = support()
    refused = nodes.refused()
    tests, turned_down = collections.Counter(), collections.defaultdict(list)
    cases = nodes.cases()
    for case in cases:
        tests[case["operator"]] += 1
        if case["name"] in refused:
            turned_down[case["operator"]].append(refused[case["name"]])
    rows = []
    for name in known:
        for i, (how, versions) in enumerate(known[name].items()):
            count = tests[name] if i + 1 == len(known[name]) else 0
            why = collections.Counter(turned_down[name]).most_common(1) if count else []
            why = why[0][0] if why else reasons[name] if how == "refused" else ""
            right = f"{count - len(turned_down[name])} of {count}" if count else ""
            rows.append(f"| {name} | {' '.join(versions)} | {how} | {right} | {why.replace('|', '/')[:150]} |")
    count = len([case for case in cases if case["name"] in refused])
    return INTRO.format(right=len(cases) - count, all=len(cases), refused=count) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    now = text()
    stale = not PAGE.exists() or PAGE.read_text() != now
    if "--write" in sys.argv[1:]:
        PAGE.write_text(now)
    elif stale:
        sys.exit(f"{PAGE} is stale: python test/nodes/page.py --write")
