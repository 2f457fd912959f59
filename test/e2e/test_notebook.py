"""The notebooks run from top to bottom, without a network, and are kept without their
outputs."""

import base64
import struct

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import TOP

# Of each what it says, and how many pictures it shows.
NOTEBOOKS = {
    "first_look": (["bytes on the fullest core", "tokens/s for one user", "one of 4 layers"], 3),
    "wafer_study": (["of the bound", "hops on the path", "cycles beyond the bound. Lever:"], 3),
}


def read(name):
    return nbformat.read(TOP / "docs/notebooks" / f"{name}.ipynb", as_version=4)


def test_all_notebooks_are_here():
    assert {path.stem for path in (TOP / "docs/notebooks").glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_is_kept_without_outputs(name):
    for cell in read(name).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None, cell.source[:60]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs(name):
    notebook, (said, shown) = read(name), NOTEBOOKS[name]
    client = NotebookClient(notebook, timeout=300, kernel_name="python3",
                            resources={"metadata": {"path": str(TOP / "docs/notebooks")}})
    client.execute()  # raises when a cell does
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert all(piece in text for piece in said), text
    pictures = [base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == shown
    for picture in pictures:
        width, height = struct.unpack(">II", picture[16:24])
        assert width > 500 and height > 150 and len(picture) > 5000
