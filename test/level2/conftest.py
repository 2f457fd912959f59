"""The tool under test, and where the model files are (as in test/e2e)."""

import os
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("WAFERLOOM_SHARED", TOP.parent / "shared"))


@pytest.fixture(scope="session")
def tool():
    path = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build")) / "bin/waferloom-level2"
    if not path.exists():
        pytest.skip("waferloom-level2 is not built")
    return path


@pytest.fixture(scope="session")
def models():
    """The folder of shared model files."""
    folder = SHARED / "models"
    if not folder.is_dir():
        pytest.skip("the shared model files are not here (WAFERLOOM_SHARED names their folder)")
    return folder
