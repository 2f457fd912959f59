"""Rules of an op live on the op. Partitioning and algebra ask interfaces; no
function of theirs tells ops apart by their classes, and ops of the wafer dialect
that only import and code generation know are named in one file of each room."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROOMS = ["lib/Partition", "lib/Algebra"]

# Op classes that one function may ask for. A pass about one form (sums of
# products, a root behind a sum) asks for its two or three members.
MOST = 2

# Functions that ask for more, and why each is no switch.
EXCEPTIONS = {
}

# Where each op may be named besides its dialect, import and code generation.
HOMES = {
    "LookupOp": {"lib/Partition/Ops/Lookup.cpp"},
    "AppendOp": {"lib/Partition/Ops/Append.cpp"},
    "StoreOp": {"lib/Partition/Ops/Store.cpp"},
}

ASKS = re.compile(r"\b(?:isa|isa_and_nonnull|isa_and_present|dyn_cast|dyn_cast_or_null|dyn_cast_if_present"
                  r"|getDefiningOp|Case)<([^;(]*?)>\s*\(")
CASES = re.compile(r"\.Case\(\[[^\]]*\]\((\w+(?:::\w+)*)\b")
# Interfaces and structure, which are asked of any op.
OPEN = {"LinalgOp", "FuncOp", "ModuleOp"}


def strip_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def functions(text):
    """(name, body) of each function of a formatted file; methods that stand in
    their class are functions of their own."""
    lines, end = [], "}"
    for line in strip_comments(text).splitlines():
        line = line.rstrip()
        if not lines and re.match(r"(namespace\b.*\{|\}|#.*|using\b.*;|)$", line):
            continue
        if not lines or (end == "}" and "{" not in "".join(lines)):
            if re.match(r"(struct|class)\b", line):
                end = "  }"
        lines.append(line)
        closed = line in ("}", "};")
        if closed or line == end:
            yield name_of(lines), "\n".join(lines)
            lines = []
        if closed:
            end = "}"


def name_of(lines):
    for line in lines:
        match = re.search(r"([\w:]+)\s*\(", line)
        if match and match.group(1) not in ("if", "for", "while", "switch"):
            return match.group(1)
    return "?"


def asked(body):
    """The op classes that a function asks for."""
    names = [name.split("::")[-1].strip() for group in ASKS.findall(body) for name in group.split(",")]
    names += [name.split("::")[-1] for name in CASES.findall(body)]
    return {name for name in names if name.endswith("Op") and name not in OPEN}


def switches(text):
    for name, body in functions(text):
        found = asked(body)
        if len(found) > MOST:
            yield name, sorted(found)


def sources():
    for room in ROOMS:
        yield from sorted((TOP / room).rglob("*.cpp"))
        yield from sorted((TOP / room).rglob("*.h"))


def test_no_function_tells_ops_apart_by_class():
    found = []
    for path in sources():
        for name, classes in switches(path.read_text()):
            where = f"{path.relative_to(TOP)}:{name}"
            if where not in EXCEPTIONS:
                found.append(f"{where} asks for {', '.join(classes)}: ask an interface")
    assert not found, "\n".join(found)


def test_exceptions_are_needed():
    for where in EXCEPTIONS:
        path, name = where.split(":", 1)
        assert name in dict(switches((TOP / path).read_text())), f"{where} needs no exception any more"


@pytest.mark.parametrize("op, homes", HOMES.items())
def test_ops_are_named_at_home(op, homes):
    for path in sources():
        name = str(path.relative_to(TOP))
        if name not in homes:
            assert not re.search(rf"\b{op}\b", strip_comments(path.read_text())), f"{name} names {op}"


def test_a_switch_is_noticed():
    chain = """
static bool isSource(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return true;
  for (Value value : op->getOperands()) {
    if (value.getDefiningOp<tensor::EmptyOp>())
      return true;
  }
  return isa<linalg::FillOp, wafer::IotaOp>(op);
}
"""
    assert list(switches(chain)) == [("isSource", ["ConstantOp", "EmptyOp", "FillOp", "IotaOp"])]
    table = """
double weigh(Operation *op) {
  return TypeSwitch<Operation *, double>(op)
      .Case([&](math::ExpOp) { return 1.0; })
      .Case([&](math::LogOp) { return 2.0; })
      .Case<math::SinOp, math::CosOp>([&](auto) { return 3.0; });
}
"""
    assert list(switches(table)) == [("weigh", ["CosOp", "ExpOp", "LogOp", "SinOp"])]
    model = """
namespace {
struct OneModel : Interface::ExternalModel<OneModel, OneOp> {
  bool first(Operation *op) const {
    return isa<AOp, BOp>(op);
  }
  bool second(Operation *op) const {
    return isa<COp, LinalgOp>(op);
  }
};
} // namespace
"""
    assert not list(switches(model))
