"""The critical path of a step: what each of its cycles waited for (docs/critical-path.md)."""

import json
from dataclasses import dataclass
from typing import NamedTuple


class PathTrip(NamedTuple):
    """A layer or token on the path: the stage of the program that computes it, which it is
    there, and its cycles by kind."""

    stage: int
    trip: int
    cycles: dict


class PathPart(NamedTuple):
    """Cycles by kind of all layers, or tokens, of the path, and of what is in none. name:
    "layer", "token" or "outside". repeats: how many the path goes through. instructions: that
    begin on it, in all of them. trips: each of them, as PathTrip, in the order of the path."""

    name: str
    repeats: int
    instructions: int
    cycles: dict
    trips: list


class PathItem(NamedTuple):
    """The vector instructions of an ONNX node, or a collective: what crossed wires between two
    vector instructions of the path. part: index into `parts`. repeats: layers or tokens of its
    loop that the path goes through. times: instructions that begin on it; of a collective, how
    often it is on it. what: "reduce", "all-reduce", or "message" where nothing is folded. words, along ("x", "y"): of a collective."""

    node: str
    part: int
    repeats: int
    times: int
    collective: bool
    total: int
    cycles: dict
    what: str = ""
    words: int = 0
    along: str = ""


class PathStep(NamedTuple):
    """Cycles of one kind of one instruction, at core (x, y). `instruction` is an index into the
    program of its region. Words on their way belong to the instruction that waits for them.
    stage, trip: of the layer or token it is of; None in none."""

    begin: int
    cycles: int
    kind: str
    x: int
    y: int
    region: int
    instruction: int
    op: str
    node: str
    stage: int | None = None
    trip: int | None = None


@dataclass(frozen=True)
class CriticalPath:
    """cycles: of the step, equal to the sum of `kinds`, of all `parts`, of all `items` and of
    all `steps`. items: those with the most cycles first. steps: the first first. As a string it
    is the table that `waferloom run --critical` prints."""

    cycles: int
    kinds: dict
    parts: list
    items: list
    steps: list
    text: str = ""

    def __str__(self):
        return self.text

    @classmethod
    def read(cls, told, text):
        """From what `waferloom run --critical` prints of an entry: with --json, and without."""
        told = json.loads(told)
        parts = [PathPart(part["name"], part["repeats"], part["instructions"], part["cycles"],
                          [PathTrip(**trip) for trip in part["trips"]])
                 for part in told["parts"]]
        return cls(told["cycles"], told["kinds"], parts, [PathItem(**item) for item in told["items"]],
                   [PathStep(**step) for step in told["path"]], text)
