"""The house keeps its walls: which room may include which, how large a file may
grow, and that every link in the docs leads somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]

# What every room may include: element formats and, where it knows MLIR, scalar functions.
OPEN = {"Format", "Scalar", "Spelling"}

# A room and the rooms whose headers it may include (besides its own).
ROOMS = {
    "Format": set(),
    "Scalar": set(),
    "Spelling": set(),
    "Dialect/Onnx": set(),
    "Dialect/Wafer": set(),
    "Dialect/Fabric": set(),
    "Dialect/Core": set(),
    "Target": {"Image", "Dialect/Wafer"},
    "Machine": {"Image"},
    "Import": {"Dialect/Onnx", "Dialect/Wafer"},
    "Mapping": {"Dialect/Wafer", "Image"},
    "Algebra": {"Dialect/Wafer"},
    "Partition": {"Dialect/Wafer", "Algebra", "Collectives", "Machine", "Mapping", "Target"},
    "Sampling": {"Dialect/Wafer"},
    "Collectives": {"Machine"},
    "Placement": set(),
    "Routing": {"Collectives", "Machine", "Mapping"},
    "Interpret": {"Dialect/Wafer"},
    "Codegen": {"Dialect/Wafer", "Dialect/Fabric", "Dialect/Core", "Collectives", "Routing", "Image", "Machine", "Target"},
    "Files": set(),
    "Image": {"Files"},
    "Executor": {"Image", "Machine"},
    "Report": {"Image", "Executor"},
    "Measure": {"Collectives", "Image", "Executor", "Machine", "Target"},
    "Compile": {"Dialect/Onnx", "Dialect/Wafer", "Dialect/Fabric", "Dialect/Core", "Import", "Algebra", "Partition",
                "Collectives", "Placement", "Routing", "Sampling", "Codegen", "Image", "Target",
                "Executor", "Files", "Machine", "Mapping"},
}

# Solver rooms know no dialect, except in their passes (`Pass.cpp`, `ConvertPass.cpp`), in what those hold
# their enumerations together with (`Mirrors.h`) and in what they know of ops of level 4 (`Crossings.h`).
PASSES = {
    "Placement": {"Dialect/Wafer", "Dialect/Fabric", "Mapping", "Target"},
    "Routing": {"Dialect/Wafer", "Dialect/Fabric", "Target"},
}

LIMIT = 500  # lines

# Who may say "exception": the wall around the ONNX library, and the Python module.
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "impl"}


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", *patterns], cwd=TOP, check=True,
                         capture_output=True, text=True).stdout
    return [TOP / line for line in out.splitlines() if (TOP / line).exists()]


def room_of(path):
    parts = path.relative_to(TOP).parts
    if parts[0] == "include":
        parts = parts[2:]
    elif parts[0] == "lib":
        parts = parts[1:]
    else:
        return None
    if parts[0] == "Dialect":
        return "/".join(parts[:2])
    return parts[0]


def wrong_includes(path, text, rooms=ROOMS):
    room = room_of(path)
    passes = path.name.endswith(("Pass.cpp", "Mirrors.h", "Crossings.h"))
    known = rooms[room] | OPEN | (PASSES.get(room, set()) if passes else set())
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'#include "waferloom/((?:Dialect/)?\w+)/', line)
        if match and match.group(1) != room and match.group(1) not in known:
            yield f"{path.relative_to(TOP)}:{number}: {room} must not know {match.group(1)}"
        # What the IR says of a target is read beside the machines themselves.
        plain = (room in ("Target", "Files", "Image", "Executor", "Machine", "Report", "Collectives")
                 and path.parent.name != "IR")
        if plain and '#include "mlir/' in line:
            yield f"{path.relative_to(TOP)}:{number}: {room} must not know MLIR"


def test_rooms_know_only_whom_they_may():
    found = []
    for path in tracked("include/waferloom/*.h", "lib/*.h", "lib/*.cpp"):
        room = room_of(path)
        assert room in ROOMS, f"{path.relative_to(TOP)}: room {room} is not in the plan of the house"
        found += wrong_includes(path, path.read_text())
    assert not found, "\n".join(found)


def test_a_wrong_include_is_noticed():
    path = TOP / "lib/Executor/Example.cpp"
    assert list(wrong_includes(path, '#include "waferloom/Codegen/Codegen.h"\n'))
    assert list(wrong_includes(path, '#include "mlir/IR/Builders.h"\n'))
    assert not list(wrong_includes(path, '#include "waferloom/Image/Image.h"\n'))
    fabric = '#include "waferloom/Dialect/Fabric/Fabric.h"\n'
    assert list(wrong_includes(TOP / "lib/Placement/Place.cpp", fabric))
    assert not list(wrong_includes(TOP / "lib/Placement/Pass.cpp", fabric))


@pytest.mark.parametrize("pattern", ["*.cpp", "*.h", "*.td", "*.py", "*.fbs"])
def test_files_stay_small(pattern):
    found = []
    for path in tracked(pattern):
        lines = len(path.read_text().splitlines())
        name = str(path.relative_to(TOP))
        if lines > LIMIT:
            found.append(f"{name} has {lines} lines, the limit is {LIMIT}: split it by idea")
    assert not found, "\n".join(found)


def test_no_drawers():
    for path in tracked():
        for part in path.relative_to(TOP).with_suffix("").parts:
            assert part.lower() not in DRAWERS, f"{path.relative_to(TOP)}: name the thing instead"


def links(text):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def test_links_in_docs_lead_somewhere():
    dead = []
    for path in tracked("*.md"):
        for target in links(path.read_text()):
            if not (path.parent / target).exists():
                dead.append(f"{path.relative_to(TOP)} links {target}")
    assert not dead, "\n".join(dead)


def test_sources_are_formatted():
    files = [str(p) for p in tracked("include/*.h", "lib/*.h", "lib/*.cpp", "tools/*.cpp",
                                     "python/*.cpp", "test/*.cpp", "bench/*.cpp")]
    done = subprocess.run(["clang-format-22", "--dry-run", "-Werror", *files],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def figures(macro):
    text = (TOP / "include/waferloom/Target/Figures.def").read_text()
    return re.findall(rf'^{macro}\(\w+, (\w+), "([\w-]+)"', text, re.MULTILINE)


def readers_of(member):
    """Whether a room other than Target reads a figure, or its like in the image's table."""
    names = [member, *re.findall(rf"to->(\w+) = target\.{member};", (TOP / "lib/Target/ImageTarget.cpp").read_text())]
    pattern = re.compile(rf"(\.|->)({'|'.join(names)})\b")
    formats = (TOP / "include/waferloom/Format/Formats.def").read_text()
    # Check.cpp looks at every figure of an image, whatever it is for.
    return [path for path in tracked("lib/*.cpp", "lib/*.h", "include/waferloom/*.h", "tools/*.cpp", "python/*.cpp")
            if room_of(path) != "Target" and path.name != "Check.cpp" and pattern.search(path.read_text())
            ] + [name for name in names if re.search(rf"\b{name.removeprefix('rate_')}\b", formats)]


def test_figures_are_marked_as_what_they_are():
    """One that acts is read by a room; one for information only is read by none."""
    assert len(figures("FIGURE")) > 30 and len(figures("INFORMATION")) > 10
    for member, key in figures("FIGURE"):
        assert readers_of(member), f"nothing reads {key}: mark it INFORMATION in Figures.def"
    for member, key in figures("INFORMATION"):
        assert not readers_of(member), f"{readers_of(member)[0]} reads {key}, which is marked INFORMATION"


def promised_of_functions():
    """The rows of docs/add-a-scalar-function.md, from the list of scalar functions."""
    text = (TOP / "include/waferloom/Scalar/Functions.def").read_text()
    for name, error, values in re.findall(r'^SPECIAL\((\w+), "([^"]*)", (.*)\)$', text, re.MULTILINE):
        cells = [re.sub(r"(?<=\d)f$", "", value.strip()) for value in values.split(",")]
        yield " | ".join([f"| {name}", error, *({"nan": "NaN", "-0.0": "-0"}.get(cell, cell) for cell in cells)]) + " |"


def test_docs_have_what_the_list_of_functions_promises():
    rows = list(promised_of_functions())
    page = (TOP / "docs/add-a-scalar-function.md").read_text()
    assert len(rows) > 8
    assert "\n".join(rows) in page, "the table of docs/add-a-scalar-function.md is:\n" + "\n".join(rows)


def test_facts_have_one_home():
    """No room looks an attribute of the wafer dialect up by its name: ops and `wafer::get...` say these things."""
    # Tensors of ours have names with a dot, too: constants and bindings, not attributes.
    lookup = re.compile(r'(?:[gs]et|has|remove)(?:Discardable|Inherent)?Attr(?:OfType<[^>]*>)?\(\s*"(wafer\.[a-z_]+)"')
    for path in tracked("lib/*.cpp", "lib/*.h", "include/*.h", "tools/*.cpp", "test/*.cpp"):
        if "Dialect/Wafer" not in str(path):
            assert not lookup.search(path.read_text()), f"{path}: looks {lookup.search(path.read_text())[1]} up by name"
