"""What the docs take from the program is as the program gives it today."""

import re

import pages
import pytest
import rooms


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.stem)
def test_page_is_up_to_date(page):
    assert page.read_text() == pages.updated(page), "python test/docs/pages.py --write"


def test_picture_of_the_rooms_is_up_to_date():
    assert rooms.PICTURE.read_text() == rooms.draw(), "python test/docs/pages.py --write"


def test_every_command_has_its_options_in_the_docs():
    overview = pages.run(pages.BIN / "waferloom", "--help")
    commands = [line.split()[0] for line in overview.splitlines() if line.startswith("  ")]
    page = (pages.TOP / "docs/cli.md").read_text()
    assert commands and re.findall(r"^## waferloom (\S+)$", page, re.MULTILINE) == commands
    table = page.split("\n## ")[0]
    assert all(f"| `{command}` |" in table for command in commands)


def test_the_docs_end_at_a_step_that_is_right():
    import numpy as np
    import onnx

    from waferloom import zoo  # noqa: F401  (the reference needs the package)
    x = np.arange(6, dtype=np.float32).reshape(1, 6) / 4
    import onnxruntime
    expected = onnxruntime.InferenceSession(pages.model().SerializeToString()).run(None, {"x": x})[0]
    assert onnx.checker.check_model(pages.model()) is None
    shown = pages.levels()[1].split("[")[1].split("]")[0]
    np.testing.assert_allclose(np.fromstring(shown, sep=","), expected[0], atol=2e-4)


ROOTS = ("lib/", "include/", "test/", "tools/", "scripts/", "bench/", "python/", "docs/")


@pytest.mark.parametrize("page", sorted(pages.TOP.glob("docs/**/*.md")), ids=lambda page: page.stem)
def test_every_path_that_a_page_names_exists(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    named = [word for word in re.findall(r"`([^`\s<>]+)`", text) if word.startswith(ROOTS)]
    missing = [word for word in named if not list(pages.TOP.glob(word.split("::")[0].split("#")[0].rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("page", sorted(pages.TOP.glob("docs/add-a*.md")), ids=lambda page: page.stem)
def test_code_that_a_walk_shows_is_in_the_sources(page):
    """Indented lines are quotations, but for commands and `...`."""
    sources = " ".join(" ".join(path.read_text().split()) for root in ("lib", "include", "test", "tools", "cmake")
                       for path in (pages.TOP / root).rglob("*")
                       if path.suffix in (".cpp", ".h", ".td", ".txt", ".def", ".py", ".mlir", ".cmake"))
    quoted = [" ".join(line.split()) for line in re.findall(r"^ {4,}(\S.*)$", page.read_text(), re.MULTILINE)]
    shown = [line for line in quoted if not line.startswith(("waferloom", "build/", "python ", "...", "$"))]
    missing = [line for line in shown if line not in sources]
    assert not missing
