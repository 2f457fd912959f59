#!/usr/bin/env python3
"""Compile time and the time of one decode step, side by side with ONNX Runtime, in
one run: the table of docs/benchmarks.md.

    PYTHONPATH=build-release/python python bench/speed.py MODEL.onnx [--target T] [--context N]

The ratio is the figure: seconds of two programs on the same cores in the same
minutes. Each is the least of several runs, taken in turns.
"""

import argparse
import os
import platform
import time

import numpy as np
import onnxruntime

import waferloom as wl


def least(runs, *functions):
    """The least seconds of each function, called in turns."""
    best = [float("inf")] * len(functions)
    for _ in range(runs):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


class Decoder:
    """ONNX Runtime, one token after the other, caches kept by the caller as its models have it."""

    def __init__(self, model, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.runtime = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.runtime.get_outputs()]
        self.caches = {i.name: np.zeros([d if isinstance(d, int) else (1 if n == 0 else 0)
                                         for n, d in enumerate(i.shape)], np.float32)
                       for i in self.runtime.get_inputs() if "past" in i.name}
        self.given = [i.name for i in self.runtime.get_inputs() if i.name not in self.caches]
        self.length = 0

    def step(self, token):
        self.length += 1
        rules = {"attention_mask": np.ones((1, self.length), np.int64),
                 "position_ids": np.array([[self.length - 1]])}
        feeds = {name: rules.get(name, np.array([[token]])) for name in self.given}
        values = dict(zip(self.names, self.runtime.run(None, feeds | self.caches)))
        self.caches = dict(zip(self.caches, [values[name] for name in self.names if "present" in name]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--target", default="grid-8x8")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    def compile_it():
        return wl.compile(args.model, target=args.target, context=args.context, threads=args.threads)

    ours, theirs = least(args.runs, compile_it, lambda: Decoder(args.model, args.threads))
    program = compile_it()
    session = program.session(threads=args.threads)
    runtime = Decoder(args.model, args.threads)
    cycles = session.run({"input_ids": np.array([[1]])}).cycles
    runtime.step(1)
    step, their_step = least(args.runs, lambda: session.run({"input_ids": np.array([[1]])}), lambda: runtime.step(1))
    fit = program.summary
    print(f"{os.path.basename(args.model)}: {fit['parameters']} parameters, f32, context {args.context}, on "
          f"{fit['width']} x {fit['height']} PEs of {args.target}, {fit['sram_used_max']} bytes on the fullest, "
          f"{cycles} cycles for the first token; {args.threads} threads on {platform.machine()}, "
          f"least of {args.runs} runs")
    print()
    print("| | Waferloom | ONNX Runtime | ratio |")
    print("|---|---|---|---|")
    for name, mine, other in [("compile / create a session", ours, theirs),
                              ("one decode step", step, their_step)]:
        print(f"| {name} | {mine * 1e3:.2f} ms | {other * 1e3:.2f} ms | {mine / other:.1f} |")


if __name__ == "__main__":
    main()
