from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

_Row = dict[str, Any]

class LostPoints(RuntimeError):
    lost: list[tuple[dict[str, Any], str]]
    rows: list[_Row]
    def __init__(self, lost: list[tuple[dict[str, Any], str]], rows: list[_Row]) -> None: ...

def sweep(model: str | PathLike[str] | bytes | bytearray, region: Any = "auto", target: str | Sequence[str] = "wse3",
          context: int | str | Sequence[int | str] | None = None, precision: str | Sequence[str] = "model", stages: Any = "auto",
          chunk: Any = "none", objective: str | Sequence[str] = "balanced", points: Sequence[dict[str, Any]] | None = None, jobs: int = 1,
          output: str | PathLike[str] | None = None, dask: str | None = None, weights: bool = False,
          progress: Callable[[int, int, _Row], object] | None = None, **options: Any) -> list[_Row]: ...
