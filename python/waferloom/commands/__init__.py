"""The commands of `waferloom` that are done in Python. The tool hands over to `main`."""

import importlib

# Each has `parser()` and `main(argv)`.
MODULES = {"generate": "waferloom.generate", "completion": "waferloom.commands.completion", "sweep": "waferloom.commands.sweep",
           "plot": "waferloom.commands.plot", "explain": "waferloom.commands.explain"}


def module(name):
    return importlib.import_module(MODULES[name])


def main(name, argv):
    """Does a command; returns the exit status."""
    return module(name).main(argv)
