"""What programs say of themselves, and of their steps."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as the model names it: name, shape (tuple of int; for inputs and
    outputs of one token per step), dtype (numpy)."""

    name: str
    shape: tuple
    dtype: np.dtype


class Region(NamedTuple):
    """A rectangle of cores: its north-west corner on the fabric and its size, in
    cores; memory: bytes of SRAM that it uses on each. stages: how many equal ones stand
    side by side from west to east, and from north to south."""

    x: int
    y: int
    width: int
    height: int
    memory: int
    stages: tuple


class Rewrite(NamedTuple):
    """What a rewrite saves in a step of the first entry (docs/algebra.md). worth:
    "measured"; or "unused", it changes nothing here; "unfit", without it the programs
    do not fit; "left_out", the program is without it: cycles are then 0."""

    name: str
    worth: str
    cycles: int


class Trace(NamedTuple):
    """What every core did: arrays with an element per executed instruction. x and y
    are on the fabric; thread is -1 for a core's program, else the microthread; begin
    and end are cycles, busy is how many of them were work. left_out counts what
    was too much to keep."""

    x: np.ndarray
    y: np.ndarray
    thread: np.ndarray
    instruction: np.ndarray
    node: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    busy: np.ndarray
    left_out: int


class Account(NamedTuple):
    """Cycles of a step for one ONNX node and kind of instruction. Equal layers of
    a model are trips of one loop: such accounts are over all trips, under the
    names of the first layer.

    product: part of a matrix product. loop: number of the innermost loop over
    layers or tokens, else of the outermost; 0 in none. repeats: its trips, over all loops
    around it. trip: what each of them is, "layer" or "token"; "" else.
    """

    node: str
    instruction: str
    busy: int
    wait: int
    product: bool
    loop: int
    repeats: int
    trip: str


class Stage(NamedTuple):
    """A stage of the program during a step: the core of it that ended last, the cycle at
    which it did, and its accounts."""

    x: int
    y: int
    cycles: int
    accounts: list


class SharedLinks(NamedTuple):
    """Words of two colors that want links in the same cycles. nodes: whose they are. cycles:
    of all links together. links: how many; the first leaves the router (x, y) by `side`."""

    colors: tuple
    nodes: tuple
    cycles: int
    links: int
    x: int
    y: int
    side: str


@dataclass(frozen=True)
class Result:
    """What a step gave.

    outputs: arrays by name, shapes as in the model. cycles: on the wafer.
    seconds: the same by the target's clock. host_seconds: on this machine.
    accounts: where they went on the core that ended last, as Account.
    stages: the same for each stage, stage 0 first, as Stage.
    shared_link_cycles: cycles of links that words of two colors want at once, so that one
    waits (docs/executor.md); None where they are not known.
    trace: what every core did, if asked for.
    bytes_moved: of states, to the host and back before the step, where an input says whose
    each row goes on with (docs/import.md): no cycle of the wafer, but of its link to the host.
    """

    outputs: dict
    cycles: int
    seconds: float
    host_seconds: float
    accounts: list
    stages: list
    shared_link_cycles: int | None = None
    trace: Trace | None = None
    bytes_moved: int = 0
