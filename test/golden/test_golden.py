"""Images, cycles and outputs are those that were recorded. golden.py says how to
record anew."""

import json

import pytest

import golden

KNOWN = json.loads(golden.RECORD.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("golden")


@pytest.mark.parametrize("case", golden.CASES, ids=lambda case: case.name)
def test_compilation(case, folder):
    try:
        found = golden.measure(case, folder)
    except golden.Missing as error:
        pytest.skip(str(error))
    assert found == KNOWN[case.name], f"python test/golden/golden.py --write '{case.name}' if this is meant"


@pytest.mark.parametrize("line", golden.VALIDATION)
def test_collective(line):
    assert golden.collective(line) == KNOWN[line]


def test_nothing_else_is_recorded():
    assert set(KNOWN) == {case.name for case in golden.CASES} | set(golden.VALIDATION)
