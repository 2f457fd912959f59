"""The commands of `waferloom` that are done in Python. The tool hands over to `main`."""

import importlib

# Commands whose module is in this folder; that of any other is beside it.
HERE = ("completion", "explain", "plot", "sweep")


def module(name):
    """Of a command: has `parser()`, and `main(argv)`, which returns the exit status."""
    return importlib.import_module(f"waferloom.commands.{name}" if name in HERE else f"waferloom.{name}")


def main(name, argv):
    """Does a command; returns the exit status."""
    return module(name).main(argv)
