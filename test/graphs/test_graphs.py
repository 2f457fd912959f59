"""Random graphs of all operators of import's table are right, or refused by import: none is wrong, none ends the process,
none fails in a phase behind import but for memory. A seeded part runs in the check; WAFERLOOM_GRAPHS=N draws N graphs,
from WAFERLOOM_SEED on. To see one, and what it comes down to: python test/graphs/graphs.py --show SEED."""

import collections
import os
import subprocess
from pathlib import Path

import graphs
import nodes

COUNT = int(os.environ.get("WAFERLOOM_GRAPHS", 600))
SEED = int(os.environ.get("WAFERLOOM_SEED", 1))
BIN = Path(os.environ.get("WAFERLOOM_BUILD", Path(__file__).resolve().parents[2] / "build")) / "bin"

# Not drawn: what draws numbers, has values that are no tensors, or decides which graph runs; what states of decoders are
# for, which test/e2e tests; and BitCast and CumProd, which came with version 26.
NOT_DRAWN = {"Bernoulli", "BitCast", "CausalConvWithState", "Constant", "CumProd", "If", "LinearAttention", "Loop",
             "NonZero", "Scan", "SequenceMap"}


def test_every_operator_of_the_table_is_drawn():
    told = subprocess.run([BIN / "waferloom", "operators"], check=True, capture_output=True, text=True).stdout
    supported = {line.split()[0] for line in told.splitlines() if "native" in line or "by its body" in line}
    assert supported - graphs.operators() == NOT_DRAWN


def test_graphs_are_right_or_refused_by_import():
    tally, wrong = collections.Counter(), []
    for found in graphs.run(range(SEED, SEED + COUNT)):
        tally[found["verdict"]] += 1
        if found["verdict"] not in ("right", "refused", "undrawn"):
            wrong.append(f"{found['verdict']}: seed {found['name']} ({found['form']}): {found['reason']}")
    assert not wrong, "\n".join(wrong)
    if COUNT >= 300:  # most are what they were drawn for
        assert tally["right"] > 0.7 * COUNT and tally["undrawn"] < 0.12 * COUNT, tally


def test_a_wrong_value_is_noticed():
    import numpy as np

    import judge
    wanted = np.array([1, 2], np.float32)
    still, stable = np.zeros(2), np.ones(2, bool)
    assert not judge.mistake(wanted * (1 + 1e-5), wanted, still, stable)
    assert "1 of 2 elements differ, at (1,)" in judge.mistake(np.array([1, 2.01], np.float32), wanted, still, stable)
    assert "has type" in judge.mistake(wanted.astype(np.int32), wanted, still, stable)
    assert not judge.mistake(np.array([1, 2.01], np.float32), wanted, np.array([0, 0.01]), stable)
    assert nodes.summary("error: node 'a' (Neg): no") == "(Neg): no"
