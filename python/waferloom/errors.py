"""What can go wrong, as data."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Diagnostic:
    """One finding: severity ("error" or "warning"), message, ONNX node ("" if it
    is about none), notes (the number, the limit, a way out) and the file that it is
    about where that is not the model (a mapping, whose line the message begins with)."""

    severity: str
    message: str
    node: str = ""
    notes: list = field(default_factory=list)
    file: str = ""

    def __str__(self):
        where = f"{self.file}: " if self.file else ""
        where += f"node '{self.node}': " if self.node and "node '" not in self.message else ""
        return "\n".join([f"{self.severity}: {where}{self.message}", *(f"note: {note}" for note in self.notes)])


class WaferloomError(RuntimeError):
    """Carries `.diagnostics`, a list of Diagnostic."""

    def __init__(self, diagnostics):
        self.diagnostics = list(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class CompileError(WaferloomError):
    """A model was refused, or an image could not be read."""


class ExecutionError(WaferloomError):
    """A step was refused (it changed nothing), or the wafer stopped."""
