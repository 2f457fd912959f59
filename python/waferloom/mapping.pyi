from dataclasses import dataclass
from os import PathLike
from typing import Any

@dataclass(frozen=True)
class Mapping:
    text: str
    name: str = "mapping"
    @classmethod
    def load(cls, path: str | PathLike[str]) -> Mapping: ...
    def save(self, path: str | PathLike[str]) -> None: ...

def as_pair(mapping: Any) -> tuple[str, str]: ...
