"""Arguments of a command: argparse, with what the tool's own commands have besides."""

import argparse
import difflib
import json
import re
import sys


def tell(message, where, severity="error", notes=(), as_json=False):
    """A message on stderr, as tools/waferloom/Messages.cpp has it."""
    if as_json:
        facts = {"message": message, "node": "", "notes": list(notes), "severity": severity, "where": where}
        print(json.dumps(facts), file=sys.stderr)
    else:
        print("\n".join([f"{where}: {severity}: {message}", *(f"note: {note}" for note in notes)]), file=sys.stderr)


def tell_all(diagnostics, where, as_json=False):
    """Messages of an error of the package."""
    for diagnostic in diagnostics:
        if as_json:
            facts = {"message": diagnostic.message, "node": diagnostic.node, "notes": list(diagnostic.notes),
                     "severity": diagnostic.severity, "where": diagnostic.file or where}
            print(json.dumps(facts), file=sys.stderr)
        else:
            print(f"{where}: {diagnostic}", file=sys.stderr)


def nearest(typed, names):
    """ "; did you mean 'x'?" or nothing."""
    found = difflib.get_close_matches(typed, list(names), n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""


class Parser(argparse.ArgumentParser):
    """Wrong usage names what was meant, and is JSON with --json."""

    def __init__(self, command, **options):
        super().__init__(prog=f"waferloom {command}", allow_abbrev=False,
                         formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=31, width=100), **options)
        self._as_json = False

    def parse_args(self, args=None, namespace=None):
        args = list(sys.argv[1:] if args is None else args)
        self._as_json = "--json" in args
        # Before anything that is missing: what was meant may be just that.
        for name in (arg.split("=")[0] for arg in args[:args.index("--") if "--" in args else None]):
            if name.startswith("--") and name not in self._option_string_actions:
                self.error(f"unrecognized arguments: {name}")
        return super().parse_args(args, namespace)

    def error(self, message):
        if match := re.match(r"unrecognized arguments: (-[^ =]+)", message):
            options = [name for action in self._actions for name in action.option_strings]
            message = f"there is no option '{match[1]}'{nearest(match[1], options)}"
        elif match := re.match(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message):
            choices = match[3].replace("'", "")
            message = f"{match[1]} cannot be '{match[2]}'{nearest(match[2], choices.split(', '))} it is one of {choices}"
        if self._as_json:
            tell(message, self.prog, notes=[f"try '{self.prog} --help'"], as_json=True)
        else:
            print(f"{self.prog}: {message}\ntry '{self.prog} --help'", file=sys.stderr)
        sys.exit(2)


def describe(parser):
    """Options and operands of any ArgumentParser, as `waferloom help --json` has those of the tool's own commands."""
    options = []
    for action in parser._actions:
        if not action.option_strings or isinstance(action, argparse._HelpAction):
            continue
        letters = [name[1:] for name in action.option_strings if not name.startswith("--")]
        choices = list(map(str, action.choices or []))
        options.append({"name": action.option_strings[-1].lstrip("-"), "letter": letters[0] if letters else "",
                        "value": "" if action.nargs == 0 else action.metavar or "|".join(choices) or action.dest.upper(),
                        "help": action.help or "", "choices": choices})
    operands = [str(choice) for action in parser._actions if not action.option_strings for choice in action.choices or []]
    return {"choices": operands, "options": options}
