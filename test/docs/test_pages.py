"""What the docs take from the program is as the program gives it today."""

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
    assert commands and all(f"<!-- from: cli {command} -->" in page for command in commands)


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
