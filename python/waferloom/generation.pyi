from collections.abc import Iterator
from typing import Any

from .facts import Result
from .program import Session

class Generation(Iterator[int]):
    session: Session
    ids: list[int]
    max_tokens: int
    seed: int
    top_k: int
    temperature: float
    stop: frozenset[int]
    tokens: list[int]
    prefill: list[Result]
    steps: list[Result]
    reason: str | None
    def __init__(self, session: Session, ids: Any, max_tokens: int, temperature: float, seed: int, top_k: int, stop: Any, progress: Any,
                 inputs: Any, top_p: float = 1.0, logprobs: int | None = None) -> None: ...
    def __iter__(self) -> Generation: ...
    def __next__(self) -> int: ...
