"""Random graphs, compiled and run on small grids beside ONNX Runtime.

    python test/graphs/graphs.py [COUNT [FIRST]]      so many seeds, from FIRST on: a tally, and what is not right
    python test/graphs/graphs.py --show SEED          the graph of a seed as text, and its verdict
    python test/graphs/graphs.py --operators A,B ...  of these operators only
"""

import argparse
import collections
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "nodes"))

import nodes  # noqa: E402


def operators():
    """All that are drawn."""
    import judge  # noqa: F401: its makers are registered
    from draw import MAKERS
    return set(MAKERS)


def run(seeds, only=None):
    """Verdicts of the graphs of seeds, as of node tests; `only` of these operators."""
    return nodes.run([{"name": str(seed), "seed": seed, "operators": only} for seed in seeds], HERE / "judge.py")


def without(graph, names):
    """The model without some of its outputs, and what only they need."""
    import onnx

    left = onnx.ModelProto()
    left.CopyFrom(graph)
    needed, nodes = set(), []
    for value in list(left.graph.output):
        if value.name in names:
            left.graph.output.remove(value)
    needed |= {value.name for value in left.graph.output}
    for node in reversed(left.graph.node):
        if needed & set(node.output):
            nodes.insert(0, node)
            needed |= set(node.input)
    del left.graph.node[:]
    left.graph.node.extend(nodes)
    for kept in (left.graph.input, left.graph.initializer):
        for value in [value for value in kept if value.name not in needed]:
            kept.remove(value)
    return left


def show(seed, operators):
    """The graph, less the outputs that the verdict does without."""
    import onnx.printer

    import judge
    model, feed, weights = judge.draw(seed, operators)
    grid = judge.GRIDS[seed % len(judge.GRIDS)]
    wanted = judge.expected(model, feed, weights)
    print(verdict := judge.judge(model, feed, wanted, grid))
    for value in list(model.graph.output) if verdict[0] != "right" else []:
        less = without(model, {value.name})
        known = {name: wanted[name] for name in wanted if name != value.name}
        if less.graph.output and judge.judge(less, feed, known, grid)[::2] == verdict[::2]:
            model, wanted = less, known
    print(onnx.printer.to_text(model))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--show", type=int)
    parser.add_argument("--operators", type=lambda text: text.split(","))
    options = parser.parse_args()
    if options.show is not None:
        return show(options.show, options.operators)
    count, first = [*options.numbers, *(1000, 1)[len(options.numbers):]]
    tally, reasons = collections.Counter(), collections.defaultdict(list)
    for found in run(range(first, first + count), options.operators):
        tally[found["verdict"]] += 1
        if found["verdict"] not in ("right", "refused", "undrawn"):
            print(f"{found['verdict']:8} {found['name']} ({found['form']}): {found['reason']}", flush=True)
        elif found["verdict"] != "right":
            reasons[found["verdict"], nodes.summary(found["reason"])].append(found["name"])
    for (verdict, reason), which in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        print(f"{len(which):4} {verdict}: {reason[:150]}   {' '.join(which[:4])}")
    print(" ".join(f"{verdict} {count}" for verdict, count in tally.most_common()), f"of {sum(tally.values())}")
    return None


if __name__ == "__main__":
    sys.exit(main())
