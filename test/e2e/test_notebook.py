"""The notebook runs from top to bottom, without a network, and is kept without its
outputs."""

import base64
import struct

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import TOP

PATH = TOP / "docs" / "notebooks" / "first_look.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(PATH, as_version=4)


def test_is_kept_without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None, cell.source[:60]


def test_runs(notebook):
    client = NotebookClient(notebook, timeout=300, kernel_name="python3",
                            resources={"metadata": {"path": str(PATH.parent)}})
    client.execute()  # raises when a cell does
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "bytes on the fullest core" in text and "tokens/s for one user" in text and "one of 4 layers" in text
    pictures = [base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 3, "cycles of parts, cycles of nodes, the wafer"
    for picture in pictures:
        width, height = struct.unpack(">II", picture[16:24])
        assert width > 500 and height > 150 and len(picture) > 5000
