"""The node tests of the ONNX wheel: each is right, or refused for the reason that refused.txt
says. A seeded part runs in the check; WAFERLOOM_NODES=all runs all, a number that many, from
WAFERLOOM_SEED on. To see what a change does to all of them, and to write refused.txt:

    python test/nodes/nodes.py [--write]
"""

import os
import random
import subprocess

import onnx.defs
import pytest

import nodes
import page

COUNT = os.environ.get("WAFERLOOM_NODES", "160")
SEED = int(os.environ.get("WAFERLOOM_SEED", 1))


@pytest.fixture(scope="module")
def cases():
    return nodes.cases()


def check(todo):
    known = nodes.refused()
    wrong = []
    for found in nodes.run(todo):
        expected = known.get(found["name"])
        if found["verdict"] != ("refused" if expected else "right"):
            wrong.append(f"{found['name']}: {found['verdict']}: {found['reason']}"
                         + (f" (was refused: {expected})" if expected else ""))
    assert not wrong, "\n".join(wrong)


def test_cases_are_right_or_refused(cases):
    todo = cases
    if COUNT != "all":
        todo = random.Random(SEED).sample(cases, min(int(COUNT), len(cases)))
    check(todo)


def test_every_operator_with_a_body_agrees_with_it(cases):
    """Of each operator that the library writes in terms of others: a test of the node itself, native
    or expanded here, and the same test after the library expanded it."""
    bodies = {case["name"].partition("_expanded")[0]: case for case in cases if "_expanded" in case["name"]}
    pairs = {}
    for case in cases:
        if case["name"] in bodies:
            pairs.setdefault(case["operator"], (case, bodies[case["name"]]))
    known = {schema.name for schema in onnx.defs.get_all_schemas()
             if not schema.domain and (schema.has_function or schema.has_context_dependent_function)}
    assert known & set(pairs) >= known - WITHOUT_A_TEST
    check([case for pair in pairs.values() for case in pair])


# The wheel has no expanded test of these.
WITHOUT_A_TEST = set()


def test_the_page_of_operators_is_up_to_date():
    assert page.PAGE.read_text() == page.text(), "python test/nodes/page.py --write"


def test_one_operator_is_told():
    def told(*names):
        return subprocess.run([page.BIN / "waferloom", "operators", *names], capture_output=True, text=True)

    assert "native" in told("Softmax").stdout
    assert "23   by its body" in told("Attention").stdout
    assert "refused: the size of its result depends on data" in told("NonZero").stdout
    assert "no operator 'Nothing'" in told("Nothing").stderr
