"""The node tests of the ONNX wheel: each is right, or refused for the reason that refused.txt
says. A seeded part runs in the check; WAFERLOOM_NODES=all runs all, a number that many, from
WAFERLOOM_SEED on. To see what a change does to all of them, and to write refused.txt:

    python test/nodes/nodes.py [--write]
"""

import collections
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
    """Of each operator that the library writes in terms of others: tests of the node itself, native
    or expanded here, and the same tests after the library expanded it. Two per operator in the check."""
    bodies = {case["name"].partition("_expanded")[0]: case for case in cases if "_expanded" in case["name"]}
    pairs = collections.defaultdict(list)
    for case in cases:
        if case["name"] in bodies:
            pairs[case["operator"]].append((case, bodies[case["name"]]))
    known = {schema.name for schema in onnx.defs.get_all_schemas()
             if not schema.domain and (schema.has_function or schema.has_context_dependent_function)}
    assert known & set(pairs) >= known - WITHOUT_A_TEST
    chosen = [pair for all_ in pairs.values() for pair in (all_ if COUNT == "all" else all_[:2])]
    check([case for pair in chosen for case in pair])


# The wheel has no expanded test of these.
WITHOUT_A_TEST = set()


def test_the_page_of_operators_is_up_to_date():
    assert page.PAGE.read_text() == page.text(), "python test/nodes/page.py --write"


def test_one_operator_is_told():
    def told(*names):
        return subprocess.run([page.BIN / "waferloom", "operators", *names], capture_output=True, text=True)

    assert "native" in told("Softmax").stdout
    assert "23   by its body" in told("Attention").stdout
    assert "refused: the size of its result depends on data" in told("Compress").stdout
    assert "no operator 'Nothing'" in told("Nothing").stderr


def test_info_marks_what_is_not_supported(tmp_path):
    import onnx.parser
    onnx.save(onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 18]> g (float[2, 3] x, bool[6] c) => (float[2, 3] y) {
        [places] p = Compress(x, c) y = Neg(x) }"""), tmp_path / "m.onnx")
    told = subprocess.run([page.BIN / "waferloom", "info", tmp_path / "m.onnx"], capture_output=True, text=True).stdout
    assert "refused: node 'places' (Compress): the operator is not supported" in told
    assert "the size of its result depends on data" in told and "'y'" not in told
    onnx.save(onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 18, "own" : 1, "com.microsoft" : 1]>
        g (float[2, 3] x) => (float[2, 3] y, float[2, 3] z) {
        y = own.Strange(x) z = com.microsoft.FusedConv(x, x) }"""), tmp_path / "m.onnx")
    told = subprocess.run([page.BIN / "waferloom", "info", tmp_path / "m.onnx"], capture_output=True, text=True).stdout
    assert "(domain own, version 1); a function of the file is taken" in told
    assert "(domain com.microsoft, version 1); a model that no optimizer of a runtime went through" in told


@pytest.mark.parametrize("begin, end", [(1, 31), (2, 32), (0, 30), (3, 29)])
def test_slices_that_cut_joined_parts_are_right_or_refused(begin, end):
    """[1, 31) of 2 + 28 + 2 elements was taken for [0, 30), as both have parts of two."""
    import numpy as np
    import onnx.parser
    import waferloom as wl
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 18]> g (float[3, 28] x) => (float[3, N] y) {{
        z = Constant <value = float[3,2] {{9., 9., 9., 9., 9., 9.}}> () a = Constant <value = int64[1] {{1}}> ()
        b = Constant <value = int64[1] {{{begin}}}> () e = Constant <value = int64[1] {{{end}}}> ()
        b0 = Constant <value = int64[1] {{0}}> () e0 = Constant <value = int64[1] {{{end - begin}}}> ()
        c = Concat <axis = 1> (z, x, z) p = Slice(c, b, e, a) q = Slice(c, b0, e0, a) y = Sub(p, q) }}""")
    x = np.random.default_rng(0).standard_normal((3, 28)).astype(np.float32)
    joined = np.pad(x, ((0, 0), (2, 2)), constant_values=9)
    try:
        found = wl.compile(model.SerializeToString(), target="grid-3x2,sram=512KiB").run({"x": x}).outputs["y"]
    except wl.CompileError as error:
        assert "cuts across" in str(error)
    else:
        np.testing.assert_allclose(found, joined[:, begin:end] - joined[:, :end - begin], atol=1e-6)
