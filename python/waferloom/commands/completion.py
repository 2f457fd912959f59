"""Scripts that complete commands, options and their values in a shell, made of the table that help is made of."""

import json
import os
import re
import shutil
import subprocess
import sys

from . import module
from .parser import Parser, describe, tell

SHELLS = ("bash", "zsh")
WHERE = {"bash": "~/.local/share/bash-completion/completions/waferloom", "zsh": "a folder of $fpath, as _waferloom"}


def table():
    """Every command with its options, as a list of dictionaries."""
    tool = os.environ.get("WAFERLOOM_TOOL") or shutil.which("waferloom")
    if not tool:
        raise FileNotFoundError("there is no 'waferloom' on the PATH whose commands could be completed")
    commands = json.loads(subprocess.run([tool, "help", "--json"], check=True, capture_output=True, text=True).stdout)["commands"]
    return [command | describe(module(command["name"]).parser()) if command["python"] else command for command in commands]


def takes_file(option):
    return bool(re.search(r"FILE|DIR|IMAGE|\.\w+", option["value"]))


def of_bash(commands):
    lines = ["# Completion of waferloom for bash: source it, or put it into", f"# {WHERE['bash']}.",
             "_waferloom() {",
             '  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words= files=',
             # --option=value is three words to bash.
             '  [ "$current" = "=" ] && current=',
             '  [ "$before" = "=" ] && before=${COMP_WORDS[COMP_CWORD-2]}',
             '  if [ "$COMP_CWORD" -eq 1 ]; then', f"    words='{' '.join(c['name'] for c in commands)} --help --version'",
             "  else", '    case "${COMP_WORDS[1]} $before" in']
    for command in commands:
        for option in command["options"]:
            if option["value"]:
                names = [f"'{command['name']} --{option['name']}'"]
                names += [f"'{command['name']} -{option['letter']}'"] if option["letter"] else []
                does = f"words='{' '.join(option['choices'])}'" + (" files=1" if takes_file(option) else "")
                lines.append(f"      {'|'.join(names)}) {does};;")
    lines += ["      *)", '        case "${COMP_WORDS[1]}" in']
    for command in commands:
        options = " ".join(f"--{option['name']}" for option in command["options"])
        lines.append(f"          {command['name']}) words='{' '.join(command['choices'])} {options} --help' files=1;;")
    lines += ["        esac;;", "    esac", "  fi", '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
              '  [ -z "$files" ] || [ "${current:0:1}" = - ] || COMPREPLY+=($(compgen -f -- "$current"))', "}",
              "complete -o filenames -F _waferloom waferloom", ""]
    return "\n".join(lines)


def quoted(text):
    """Inside '...' of _arguments."""
    text = text.replace("\\", "\\\\").replace("[", "(").replace("]", ")").replace(":", "\\:")
    return text.replace("'", "'\\''")


def of_zsh(commands):
    lines = ["#compdef waferloom", "# Completion of waferloom for zsh: put it into", f"# {WHERE['zsh']}.", "_waferloom() {",
             "  if (( CURRENT == 2 )); then", "    local -a commands=("]
    lines += [f"      '{command['name']}:{quoted(command['summary'])}'" for command in commands]
    lines += ["    )", "    _describe command commands", "    return", "  fi", '  local name=${words[2]}', "  shift words",
              "  (( CURRENT-- ))", '  case "$name" in']
    for command in commands:
        lines.append(f"    {command['name']}) _arguments \\")
        for option in command["options"]:
            action = f"({' '.join(option['choices'])})" if option["choices"] else "_files" if takes_file(option) else " "
            value = f":{quoted(option['value'])}:{action}" if option["value"] else ""
            names = [f"--{option['name']}{'=' if option['value'] else ''}"]
            names += [f"-{option['letter']}"] if option["letter"] else []
            lines += [f"      '*{name}[{quoted(option['help'])}]{value}' \\" for name in names]
        operands = f"'*:name:({' '.join(command['choices'])})'" if command["choices"] else "'*:file:_files'"
        lines.append(f"      {operands};;")
    return "\n".join([*lines, "  esac", "}", '_waferloom "$@"', ""])


def parser():
    options = Parser("completion", description=__doc__)
    options.add_argument("shell", metavar="bash|zsh", choices=SHELLS, help="the shell")
    return options


def main(argv=None):
    shell = parser().parse_args(argv).shell
    try:
        print({"bash": of_bash, "zsh": of_zsh}[shell](table()), end="")
    except (OSError, subprocess.CalledProcessError) as error:
        tell(str(error), "waferloom completion")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
