"""Changed files of each kind: every one is refused with a message, or does what it says.
Seeded in builds without coverage (WAFERLOOM_FUZZ_SEED: another seed; WAFERLOOM_FUZZ_CASES=full:
many more), guided by coverage in the asan build (WAFERLOOM_FUZZ_SECONDS for each)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("WAFERLOOM_BUILD", HERE.parents[1] / "build"))
SEED = os.environ.get("WAFERLOOM_FUZZ_SEED", "1")
FULL = os.environ.get("WAFERLOOM_FUZZ_CASES") == "full"
SECONDS = os.environ.get("WAFERLOOM_FUZZ_SECONDS", "10")

# Cases in a usual check, and in a full one.
CASES = {"model": (60, 2000), "image": (400, 5000), "core": (200, 2000), "npz": (200, 20000), "target": (1000, 20000)}
LONGEST = 40  # seconds of one case: of a processor; in guided builds three times as many on the wall
MEBIBYTES = 3072


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    """The folder of small files to begin with, a folder for each target."""
    folder = tmp_path_factory.mktemp("fuzz")
    subprocess.run([sys.executable, HERE / "corpus.py", folder], check=True)
    return folder


def is_guided():
    """Whether the fuzzers of this build are libFuzzer's."""
    cache = (BUILD / "CMakeCache.txt").read_text()
    return bool(re.search(r"^LLVM_USE_SANITIZE_COVERAGE:\w+=ON$", cache, re.M))


def command(target, seeds, work):
    given = [seeds / target, HERE / "regressions" / target]
    given = [path for path in given if path.is_dir()]
    words = HERE / f"{target}.dict"
    dictionary = [f"-dict={words}"] if words.exists() else []
    program = BUILD / "test" / "fuzz" / f"fuzz-{target}"
    if is_guided():
        (work / "found").mkdir()
        return [program, *dictionary, f"-max_total_time={SECONDS}", f"-timeout={3 * LONGEST}",
                f"-rss_limit_mb={MEBIBYTES}", "-max_len=100000", "-print_final_stats=0",
                f"-artifact_prefix={work}/", work / "found", *given]
    return [program, *dictionary, f"-seed={SEED}", f"-cases={CASES[target][FULL]}", f"-timeout={LONGEST}",
            f"-memory={MEBIBYTES}", *given]


@pytest.mark.parametrize("target", CASES)
def test_changed_files(target, seeds, tmp_path):
    line = command(target, seeds, tmp_path)
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{' '.join(map(str, line))}\n{done.stderr[-4000:]}"


def test_a_broken_promise_is_noticed(tmp_path):
    """The engine itself: a case that dies ends it, and says how to have the case again."""
    if is_guided():
        pytest.skip("libFuzzer is tested elsewhere")
    (tmp_path / "seed.yaml").write_text("base: wse3\n")
    program = BUILD / "test" / "fuzz" / "fuzz-target"
    # No process is so small.
    done = subprocess.run([program, "-seed=5", "-cases=3", "-memory=1", tmp_path], capture_output=True, text=True)
    assert done.returncode != 0
    assert "too much memory: file " in done.stderr and "died: file " in done.stderr
