#!/usr/bin/env python3
"""Compile time and the time of one decode step, side by side with ONNX Runtime, in
one run: the table of docs/benchmarks.md.

    PYTHONPATH=build-release/python python bench/speed.py MODEL.onnx [--target T] [--context N] [--precision P]

The ratio is the figure: seconds of two programs on the same cores in the same
minutes. Each is the least of several runs, taken in turns. ONNX Runtime takes the
file as it is; --beside gives it another one, such as the same model in f32.
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
                                         for n, d in enumerate(i.shape)],
                                        np.float16 if "16" in i.type else np.float32)
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
    parser.add_argument("--precision", default="model")
    parser.add_argument("--region", help="WxH; else the compiler chooses")
    parser.add_argument("--beside", help="the file for ONNX Runtime, if it is another one")
    parser.add_argument("--no-compile", action="store_true", help="time steps only")
    args = parser.parse_args()
    region = tuple(int(size) for size in args.region.split("x")) if args.region else None
    beside = args.beside or args.model
    load = os.getloadavg()[0]

    def compile_it():
        return wl.compile(args.model, target=args.target, context=args.context, threads=args.threads,
                          precision=args.precision, region=region)

    rows = []
    if not args.no_compile:
        rows.append(("compile / create a session",
                     *least(args.runs, compile_it, lambda: Decoder(beside, args.threads))))
    program = compile_it()
    session = program.session(threads=args.threads)
    runtime = Decoder(beside, args.threads)
    cycles = session.run({"input_ids": np.array([[1]])}).cycles
    runtime.step(1)
    rows.append(("one decode step", *least(args.runs, lambda: session.run({"input_ids": np.array([[1]])}),
                                           lambda: runtime.step(1))))
    fit = program.summary
    print(f"{os.path.basename(args.model)}: {fit['parameters']} parameters, precision {args.precision}, context "
          f"{args.context}, on {fit['width']} x {fit['height']} PEs of {args.target}, {fit['sram_used_max']} bytes on "
          f"the fullest, {cycles} cycles for the first token; {args.threads} threads on {platform.machine()}, "
          f"least of {args.runs} runs, load {load:.1f} before and {os.getloadavg()[0]:.1f} after")
    if beside != args.model:
        print(f"ONNX Runtime: {beside}")
    print()
    print("| | Waferloom | ONNX Runtime | ratio |")
    print("|---|---|---|---|")
    for name, mine, other in rows:
        print(f"| {name} | {mine * 1e3:.2f} ms | {other * 1e3:.2f} ms | {mine / other:.1f} |")


if __name__ == "__main__":
    main()
