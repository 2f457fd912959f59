"""K10: the published engine that was written by hand, as a mapping, takes what is published for it."""

import re

import pytest
from conftest import TOP

import waferloom as wl
from waferloom import zoo

PUBLISHED = 1.1e9 / 2699.9 / 32  # cycles per layer: tokens per second at 1.1 GHz, 32 layers
SHAPE = dict(width=4096, heads=32, kv_heads=8, head_dim=128, hidden=14336, vocabulary=512, positions=2048)


def layer(tmp_path, mapping, form="primitives"):
    """A program of three layers of an 8B, and the cycles of one on the critical path."""
    path = zoo.write_shapes(zoo.Shape(layers=3, **SHAPE), tmp_path, form, "f16")
    program = wl.compile(path, target="wse2", region=(420, 420), context=2048, weights=False, mapping=mapping)
    critical = program.critical_path()
    return program, round(sum(sum(part.cycles.values()) for part in critical.parts if part.name == "layer") / 3)


@pytest.mark.parametrize("form, row", [("primitives", "exporter"), ("genai", "builder")])
def test_k10(tmp_path, form, row):
    program, cycles = layer(tmp_path, "waferllm", form)
    assert abs(cycles - PUBLISHED) <= 0.25 * PUBLISHED, cycles
    assert check_page(row, cycles)
    text = program.mapping.text
    assert set(re.findall(r"algorithm: ([\w-]+)", text)) == {"two-phase"} and set(re.findall(r", root: (\d+)", text)) == {"0"}
    # Ten on the way through a layer: two of norms, q k v, scores, maximum, sum, values, out, gate and up, down.
    inside = [line for line in text.splitlines() if "at: \"" in line and "layer0/" in line or "ReduceMean_25" in line]
    assert len(inside) >= 9


def test_what_the_compiler_chooses(tmp_path):
    _, cycles = layer(tmp_path, None)
    assert cycles < 0.55 * PUBLISHED and check_page("the compiler chooses", cycles)


def check_page(row, cycles):
    """The page's figure is that of some commit: it may be 5 % off before somebody counts it again."""
    page = (TOP / "docs/mapping.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("|") and row in line and "| published |" not in line
                and re.search(r"\| ([\d,]+) \| \d+ % \|", line))
    told = int(re.search(r"\| ([\d,]+) \| \d+ % \|", line)[1].replace(",", ""))
    return abs(told - cycles) <= 0.05 * cycles
