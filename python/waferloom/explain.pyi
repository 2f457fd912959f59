from dataclasses import dataclass
from typing import Any

from .program import Program

@dataclass(frozen=True)
class Explanation:
    facts: dict[str, Any]

def explain(program: Program) -> Explanation: ...
