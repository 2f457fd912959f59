"""Mappings: the choices of a compilation, as text."""

import os
from dataclasses import dataclass, field

from . import _native
from .errors import CompileError, Diagnostic


@dataclass(frozen=True)
class Mapping:
    """What was chosen, or is to be (docs/mapping.md): regions, places, layouts, collectives,
    colors, rewrites. `Program.mapping` has one, `compile(mapping=...)` takes one.

        mapping = wl.Mapping(program.mapping.text.replace("middle-root: on", "middle-root: auto"))

    text: YAML. name: of the file, in messages; two mappings of one text are equal.
    """

    text: str
    name: str = field(default="mapping", compare=False)

    @classmethod
    def load(cls, path):
        """Reads a file, or a mapping that is built in by its name ("waferllm").

        Raises:
            CompileError: it cannot be read.
        """
        name = os.fspath(path)
        try:
            return cls(_native.load_mapping(os.fsencode(name)), name)
        except _native.Failure as error:
            raise CompileError([Diagnostic("error", str(error))]) from None

    def save(self, path):
        """Writes the text: whole or not at all.

        Raises:
            OSError: the file cannot be written; what was there stays.
        """
        try:
            _native.write_text(os.fsencode(os.fspath(path)), self.text)
        except _native.Failure as error:
            raise OSError(str(error)) from None

    def __str__(self):
        return self.text


def as_pair(mapping):
    """Name and text for the compiler, of whatever `compile` takes as a mapping."""
    if mapping is None:
        return "", ""
    if isinstance(mapping, (str, os.PathLike)):
        mapping = Mapping.load(mapping)
    if not isinstance(mapping, Mapping):
        raise CompileError([Diagnostic("error", f"option 'mapping' is a Mapping, or the path or name of one, not {mapping!r}")])
    return mapping.name, mapping.text or "\n"
