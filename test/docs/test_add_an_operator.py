"""docs/add-an-operator.md, followed: what it says of the operator that it shows is true, and counted are the files that
name it. No operator takes more than its family's file."""

import re
import subprocess
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs/add-an-operator.md").read_text()
SHOWN = re.search(r"shown by `(\w+)`", PAGE).group(1)
LINE = re.compile(r'^ *\{"([\w.]*)", "(\w+)", \d+, \S+, (\w+)', re.MULTILINE)
FAMILIES = {path: path.read_text() for path in (TOP / "lib/Import").glob("Operators*.cpp")}


def test_the_operator_that_is_shown_is_in_two_files():
    named = subprocess.run(["git", "grep", "-lw", SHOWN, "--", "lib", "include", "tools", "python", "test/level2"], cwd=TOP,
                           check=True, capture_output=True, text=True).stdout.split()
    family = re.search(r"reduction: `(\w+\.cpp)`", PAGE).group(1)
    assert named == [f"lib/Import/{family}", "test/level2/test_operators.py"]
    source, tests = (re.sub(r"\s+", " ", (TOP / path).read_text()) for path in named)
    step = {number: re.search(rf"^{number}\. .*?(?=^\d\. |\Z)", PAGE, re.DOTALL | re.MULTILINE).group(0) for number in "234"}
    quoted = {number: re.findall(r"^ {8}(.*)$", text, re.MULTILINE) for number, text in step.items()}
    for line in quoted["2"] + quoted["3"]:
        assert line.strip() in ("...", "") or line.strip() in source, line
    assert quoted["4"][0].strip().rstrip(",") in tests


def test_the_line_of_an_operator_stands_behind_its_function():
    lines = Counter()
    for path, text in FAMILIES.items():
        for line in LINE.finditer(text):
            domain, operator, function = line.groups()
            lines[domain, operator] += 1
            assert re.search(rf"\b{function}\b", text[:line.start()]), f"{path}: {operator} has its function elsewhere"
    assert len(lines) > 130 and max(lines.values()) == 1, lines.most_common(3)
