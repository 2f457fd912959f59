"""Where the cycles of a step go: products, collectives, waits, the rest; in one of
the model's equal layers, and outside of them."""

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

    name: "layer", or "outside". kinds: cycles by kind (KINDS). nodes: the same for
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
    equal layers, averaged over its trips, then what is in none. The cycles of
    all parts, times their repeats, are those of the step."""
    nodes = {}
    for account in accounts:
        nodes.setdefault(account.loop, set()).add(account.node)
    # Other loops walk over the elements of one node.
    layers = {loop for loop, names in nodes.items() if loop and len(names) > 1}
    found = [_part("layer", [a for a in accounts if a.loop == loop]) for loop in sorted(layers)]
    return found + [_part("outside", [a._replace(repeats=1) for a in accounts if a.loop not in layers])]


def _part(name, accounts):
    repeats = accounts[0].repeats if accounts else 1
    kinds, nodes = dict.fromkeys(KINDS, 0), {}
    for account in accounts:
        of_node = nodes.setdefault(account.node, dict.fromkeys(KINDS, 0))
        for kind, cycles in ((kind_of(account), account.busy), ("waits", account.wait)):
            kinds[kind] += cycles / repeats
            of_node[kind] += cycles / repeats
    return Part(name, repeats, kinds, nodes)


def table(accounts):
    """The parts of a step as lines of text."""
    found = parts(accounts)
    total = sum(part.cycles * part.repeats for part in found)
    names = [f"one of {part.repeats} layers" if part.name == "layer" else "outside of layers" for part in found]
    lines = [" " * 18 + "".join(f"{name:>20}" for name in names) + f"{'of the step':>14}"]
    for kind in KINDS:
        share = sum(part.kinds[kind] * part.repeats for part in found) / total
        lines.append(f"{kind:<18}" + "".join(f"{part.kinds[kind]:>20,.0f}" for part in found)
                     + f"{share:>13.1%}  {'#' * round(40 * share)}".rstrip())
    return "\n".join([*lines, f"{'cycles':<18}" + "".join(f"{part.cycles:>20,.0f}" for part in found)
                      + f"{total:>13,.0f}"])
