"""Sums the JUnit files of suites, summary.py FOLDER SUITE...: what failed, what was
skipped and why, then one closing line. Exits with 1 when something failed or a suite is
missing."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

def outcomes(path):
    """Yields (name, outcome, reason) for every test case in a JUnit file."""
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")
        found = {child.tag: child for child in case}
        for tag, outcome in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
            if tag in found:
                yield name, outcome, (found[tag].get("message") or "").splitlines()[:1]
                break
        else:
            yield name, "passed", []


def main(folder, suites):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for suite in suites:
        path = Path(folder) / f"{suite}.xml"
        if not path.exists():
            print(f"{suite}: left no results")
            counts["failed"] += 1
            continue
        cases = list(outcomes(path))
        if not cases:
            print(f"{suite}: ran no test")
            counts["failed"] += 1
        for name, outcome, reason in cases:
            counts[outcome] += 1
            if outcome != "passed":
                print(f"{outcome}: {suite}: {name}" + (f": {reason[0]}" if reason else ""))
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
