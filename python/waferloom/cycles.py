"""Where the cycles of a step go: products, collectives, waits, the rest; in one of
the model's equal layers, and outside of them; in each stage of the program."""

from dataclasses import dataclass

STREAMS = ("send", "recv", "recv_fold", "recv_fold_send")
KINDS = ("products", "other arithmetic", "collectives", "waits")


def kind_of(account):
    """The kind of an account's busy cycles."""
    if account.instruction in STREAMS:
        return "collectives"
    return "products" if account.product else "other arithmetic"


@dataclass(frozen=True)
class Part:
    """Cycles of one trip of a part of a step, and how often it runs.

    name: "layer", "token", or "outside". kinds: cycles by kind (KINDS). nodes: the same for
    each ONNX node, {node: {kind: cycles}}, in program order.
    """

    name: str
    repeats: int
    kinds: dict
    nodes: dict

    @property
    def cycles(self):
        return sum(self.kinds.values())


def parts(accounts):
    """Splits the accounts of a step (Result.accounts) into Parts: one per loop over
    layers or tokens, averaged over its trips, then what is in none. The cycles of
    all parts, times their repeats, are those of the step."""
    loops = {account.loop: account.trip for account in accounts if account.trip}
    found = [_part(loops[loop], [a for a in accounts if a.loop == loop]) for loop in sorted(loops)]
    return found + [_part("outside", [a._replace(repeats=1) for a in accounts if a.loop not in loops])]


def _part(name, accounts):
    repeats = accounts[0].repeats if accounts else 1
    kinds, nodes = dict.fromkeys(KINDS, 0), {}
    for account in accounts:
        of_node = nodes.setdefault(account.node, dict.fromkeys(KINDS, 0))
        for kind, cycles in ((kind_of(account), account.busy), ("waits", account.wait)):
            kinds[kind] += cycles / repeats
            of_node[kind] += cycles / repeats
    return Part(name, repeats, kinds, nodes)


def shown(stages):
    """Numbers of the stages that a reader wants: 0, which also does what is not repeated,
    and of the others the first that works most."""
    busy = [sum(account.busy for account in stage.accounts) for stage in stages]
    return [0, max(range(1, len(stages)), key=busy.__getitem__)] if len(stages) > 1 else list(range(len(stages)))


def table(step):
    """The parts of a step (a Result, or accounts) as lines of text; with stages, a block
    for each of those that `shown` names."""
    if not hasattr(step, "stages"):
        return _table(step)
    if len(step.stages) < 2:
        return _table(step.accounts)
    blocks = []
    for number in shown(step.stages):
        stage = step.stages[number]
        blocks.append(f"stage {number} of 0 to {len(step.stages) - 1}{', the busiest but 0' if number else ''}, "
                      f"at the core that ends last, ({stage.x}, {stage.y}):\n{_table(stage.accounts)}")
    return "\n".join(blocks)


def facts(result):
    """All stages of a step, as `waferloom run --cycles --json` has them."""
    return [{"x": stage.x, "y": stage.y, "cycles": stage.cycles,
             "parts": [{"name": part.name, "repeats": part.repeats,
                        "cycles": {kind: round(cycles * part.repeats) for kind, cycles in part.kinds.items()}}
                       for part in parts(stage.accounts)]} for stage in result.stages]


def rewrites(program, step=None):
    """A line for each rewrite and what it saves, or one on how to measure that. `step`:
    cycles of a step of the first entry, for shares."""
    if not program.rewrites:
        return "rewrites: 'waferloom compile --measure-rewrites' tells what each saves"
    why = {"unused": "0 cycles: it changes nothing here", "left_out": "left out",
           "unfit": "not known: without it the programs do not fit the region"}
    lines = ["rewrites, and what each saves in a step of one token:"]
    for name, worth, cycles in program.rewrites:
        share = f", {cycles / (step + cycles):.1%} of a step without it" if step else ""
        lines.append(f"  {name:<18}" + why.get(worth, f"{cycles:,} cycles{share}"))
    return "\n".join(lines)


def _table(accounts):
    found = parts(accounts)
    total = sum(part.cycles * part.repeats for part in found)
    over = " and ".join(dict.fromkeys(f"{part.name}s" for part in found[:-1])) or "layers"
    names = [*(f"one of {part.repeats} {part.name}s" for part in found[:-1]), f"outside of {over}"]
    lines = [" " * 18 + "".join(f"{name:>20}" for name in names) + f"{'of the step':>14}"]
    for kind in KINDS:
        share = sum(part.kinds[kind] * part.repeats for part in found) / total
        lines.append(f"{kind:<18}" + "".join(f"{part.kinds[kind]:>20,.0f}" for part in found)
                     + f"{share:>13.1%}  {'#' * round(40 * share)}".rstrip())
    return "\n".join([*lines, f"{'cycles':<18}" + "".join(f"{part.cycles:>20,.0f}" for part in found)
                      + f"{total:>13,.0f}"])
