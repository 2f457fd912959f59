"""The node tests of the pinned `onnx` wheel, compiled and run on a small grid.

    python test/nodes/nodes.py              all of them: a tally, and what is not right by reason
    python test/nodes/nodes.py --write      the same, and refused.txt
    python test/nodes/nodes.py NAME...      those whose names begin so, one line each
"""

import collections
import json
import queue
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
REFUSED = HERE / "refused.txt"
LONGEST = 120  # seconds of one test


def cases():
    """All tests, in the order of their names."""
    import onnx
    from onnx.backend.test.loader import load_model_tests

    found = []
    for case in load_model_tests(kind="node"):
        graph = onnx.load(Path(case.model_dir) / "model.onnx", load_external_data=False).graph
        found.append({"name": case.name.removeprefix("test_"), "folder": case.model_dir, "rtol": case.rtol,
                      "operator": graph.node[-1].op_type})
    return sorted(found, key=lambda case: case["name"])


def refused():
    """Reasons by name, of the tests that are refused."""
    known = {}
    for line in REFUSED.read_text().splitlines():
        if line.startswith("    "):
            known |= dict.fromkeys(line.split(), reason)
        elif line and not line.startswith("#"):
            reason = line
    return known


def write(results):
    """refused.txt, of what is refused; a reason, and under it the tests."""
    by_reason = collections.defaultdict(list)
    for result in results:
        if result["verdict"] == "refused":
            by_reason[summary(result["reason"])].append(result["name"])
    lines = ["# Node tests of the onnx wheel that are refused, by reason: python test/nodes/nodes.py --write"]
    for reason in sorted(by_reason):
        lines += ["", reason, *textwrap.wrap(" ".join(sorted(by_reason[reason])), 116, initial_indent="    ",
                                             subsequent_indent="    ", break_on_hyphens=False)]
    REFUSED.write_text("\n".join(lines) + "\n")


def summary(reason):
    """The reason without the names of nodes and values."""
    reason = re.sub(r"^(error: |run: )*", "", reason)
    reason = re.sub(r"^node '[^']*' ", "", reason)
    reason = re.sub(r"^(input|output) '[^']*'(:| has)", r"\1\2", reason)
    return re.sub(r"^'[^']*': ", "", reason)


def run(todo, worker=HERE / "worker.py"):
    """Verdicts of the tests, in their order, as dicts of name, verdict, form and reason."""
    todo = collections.deque(todo)
    while todo:
        process = subprocess.Popen([sys.executable, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=feed, args=(process, list(todo)), daemon=True).start()
        lines = queue.Queue()
        threading.Thread(target=drain, args=(process, lines), daemon=True).start()
        begun = None
        while todo:
            try:
                line = lines.get(timeout=LONGEST)
            except queue.Empty:
                process.kill()
                yield todo.popleft() | {"verdict": "hang", "form": "", "reason": f"after {LONGEST} s"}
                break
            if line is None:
                process.wait()
                yield todo.popleft() | {"verdict": "crashed", "form": "", "reason": f"exit {process.returncode}"}
                break
            said = json.loads(line)
            if "begin" in said:
                begun = said["begin"]
                continue
            assert said["name"] == todo[0]["name"] == begun
            yield todo.popleft() | said
        process.kill()
        process.wait()


def feed(process, todo):
    try:
        for case in todo:
            process.stdin.write(json.dumps(case) + "\n")
        process.stdin.close()
    except (BrokenPipeError, ValueError):
        pass  # the worker is gone


def drain(process, lines):
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def main(names):
    writes = names == ["--write"]
    names = [] if writes else names
    todo = [case for case in cases() if not names or any(case["name"].startswith(name) for name in names)]
    tally, reasons = collections.Counter(), collections.defaultdict(list)
    results = []
    for result in run(todo):
        results.append(result)
        tally[result["verdict"]] += 1
        if names or result["verdict"] not in ("right", "refused"):
            print(f"{result['verdict']:8} {result['name']} ({result['form']}): {result['reason']}", flush=True)
        if result["verdict"] != "right":
            reasons[result["verdict"], summary(result["reason"])].append(result["name"])
    if not names:
        for (verdict, reason), which in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
            print(f"{len(which):4} {verdict}: {reason[:150]}   {' '.join(which[:4])}")
    if writes:
        write(results)
    print(" ".join(f"{verdict} {count}" for verdict, count in tally.most_common()), f"of {sum(tally.values())}")


if __name__ == "__main__":
    main(sys.argv[1:])
