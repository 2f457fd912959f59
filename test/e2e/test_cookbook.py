"""Every command of docs/cookbook.md does what the page says, in its order."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BIN, TOP

PAGE = (TOP / "docs/cookbook.md").read_text()


def steps():
    """(question, "python" or "command", text): fenced blocks are Python, indented lines commands."""
    question = ""
    lines = iter(PAGE.splitlines())
    for line in lines:
        if line.startswith("#"):
            question = line.lstrip("# ")
        elif line == "```python":
            block = []
            while (line := next(lines)) != "```":
                block.append(line)
            yield question, "python", "\n".join(block)
        elif line.startswith("    "):
            yield question, "command", line.strip()


def test_all(tmp_path):
    pytest.importorskip("matplotlib")
    env = os.environ | {"PATH": os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ["PATH"]])}
    told = []
    for question, kind, text in steps():
        command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{question}\n{text}\n{done.stdout}{done.stderr}"
        told.append(done.stdout)
        for name in re.findall(r"(?:-o|--trace|--write-mapping) (\S+\.\w+)", text):
            assert (tmp_path / name).stat().st_size > 100, text
    everything = "\n".join(told)
    for piece in ("bytes of SRAM on the fullest PE of 2 x 2", "what differs from wse3:\n  hop: 1 -> 2 cycles", "why not 2x2: the search",
                  "critical path", "lever:", "closed form"):
        assert piece in everything, piece
    assert len(json.loads((tmp_path / "machines.json").read_text())) == 4


def test_every_question_but_the_last_has_a_command():
    asked = [line[3:] for line in PAGE.splitlines() if line.startswith("## ")]
    answered = {question for question, *_ in steps()}
    assert asked[-1] == "No answer yet" and set(asked[:-1]) <= answered and len(asked) > 8
