"""Compiles a small Llama and runs it beside ONNX Runtime: both rows of tokens,
the cycles of every token on the wafer, and where they go."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import waferloom as wl
from waferloom import zoo

TOKENS = 32


class Reference:
    """ONNX Runtime with the cache fed back by hand."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(path)
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.past = {name: np.zeros([d if isinstance(d, int) else (1 if i == 0 else 0)
                                     for i, d in enumerate(value.shape)], np.float32)
                     for name, value in self.inputs.items() if name.startswith("past")}
        self.length = 0

    def step(self, token):
        """The most likely token after `token`."""
        total = self.length + 1
        feeds = {"input_ids": np.array([[token]]), "attention_mask": np.ones((1, total), np.int64),
                 "position_ids": np.array([[self.length]])}
        feeds = {name: value for name, value in feeds.items() if name in self.inputs} | self.past
        values = dict(zip(self.outputs, self.session.run(None, feeds)))
        self.past = {name.replace("present", "past_key_values"): value
                     for name, value in values.items() if name.startswith("present")}
        self.length = total
        return int(values["logits"][0, -1].argmax())


def kind_of(instruction):
    """Words for a reader: what an instruction is for."""
    if instruction in ("send", "recv", "recv_fold", "recv_fold_send"):
        return "collectives"
    return "products" if instruction in ("fma", "mul", "add") else "other arithmetic"


def print_cycles(accounts, cycles):
    """Where the cycles of one token go, on the core that ends last."""
    spent = Counter()
    for _, instruction, busy, wait in accounts:
        spent[kind_of(instruction)] += busy
        spent["waits for words"] += wait
    print("\nwhere the cycles of the last token go (the core that ends last):")
    for what, count in spent.most_common():
        print(f"  {what:<18}{count:>8}  {100 * count / cycles:5.1f} %  {'#' * round(40 * count / cycles)}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("model", nargs="?", help="an ONNX decoder; by default a seeded Llama of the zoo")
    parser.add_argument("target", nargs="?", default="grid-8x8", help="the machine (default grid-8x8)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.model
        if not path:
            shape = zoo.Shape(layers=4, width=48, heads=6, kv_heads=3, head_dim=8, hidden=100, vocabulary=160)
            path = str(Path(folder) / "llama.onnx")
            onnx.save(zoo.build(shape, zoo.weights(shape)), path)
            print(f"a seeded Llama: {shape.layers} layers, width {shape.width}, {shape.heads} heads on "
                  f"{shape.kv_heads} KV heads, hidden {shape.hidden}, vocabulary {shape.vocabulary}")
        try:
            program = wl.compile(path, target=args.target, context=64)
        except wl.CompileError as error:
            sys.exit(str(error))
        facts = program.summary
        print(f"compiled in {facts['compile_seconds']:.2f} s for {facts['width']} x {facts['height']} cores of "
              f"{args.target}: {facts['sram_used_max']} of {facts['sram_limit']} bytes of SRAM on the fullest, "
              f"{facts['colors_used_max']} colors\n")
        session, reference = program.session(), Reference(path)
        ours, theirs, cycles, result = [1], [1], [], None
        for _ in range(TOKENS):
            result = session.run({"input_ids": [[ours[-1]]]})
            ours.append(int(result.outputs["logits"][0, -1].argmax()))
            theirs.append(reference.step(theirs[-1]))
            cycles.append(result.cycles)
            if sys.stderr.isatty():
                print(f"\rtoken {len(cycles)} of {TOKENS}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print("wafer        ", *ours[1:])
    print("ONNX Runtime ", *theirs[1:])
    print(f"\n{np.mean(cycles):.0f} cycles per token = {1e6 * result.seconds:.1f} us on the wafer, "
          f"{1 / result.seconds:.0f} tokens/s for one user; this host simulates a token in "
          f"{result.host_seconds:.3f} s")
    print_cycles(result.accounts, result.cycles)
    if ours != theirs:
        sys.exit("the tokens differ")


if __name__ == "__main__":
    main()
