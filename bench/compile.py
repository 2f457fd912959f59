#!/usr/bin/env python3
"""Compile time and memory of `waferloom compile` beside IREE's compiler for the host's CPU (llvm-cpu), of one ONNX file
in one run: the table of docs/benchmarks.md.

    python3 -m venv /tmp/iree && /tmp/iree/bin/pip install -r bench/requirements.txt
    python bench/compile.py MODEL.onnx --iree /tmp/iree/bin [--precision f16] [--context 256]

Both are processes, run in turns; IREE's are two, import and compile, whose seconds are added. Processor seconds (user
and system, all threads) are the figure: seconds on the wall depend on what else the machine does. Of each the run with
the least is told. Memory is the most at once: in all, and of that what is not a mapped file (anonymous), which is what
it takes beyond the weights where these are mapped.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

MIB = 1024 * 1024


class Cost:
    """What processes, one after the other, took: seconds, and bytes at once."""

    def __init__(self, wall=0.0, processor=0.0, resident=0, anonymous=0):
        self.wall, self.processor = wall, processor
        self.resident, self.anonymous = resident, anonymous

    def __add__(self, other):
        return Cost(self.wall + other.wall, self.processor + other.processor,
                    max(self.resident, other.resident), max(self.anonymous, other.anonymous))

    def row(self, name):
        return (f"| {name} | {self.processor:.1f} s | {self.wall:.1f} s | {self.resident / MIB:.0f} MiB | "
                f"{self.anonymous / MIB:.0f} MiB |")


def anonymous_bytes(pid):
    """Of a process, now; 0 when it has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:")), 0)


def run(command, log):
    """Runs a process to its end; what it says goes to `log` and is shown if it fails."""
    start, anonymous = time.perf_counter(), 0
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        anonymous = max(anonymous, anonymous_bytes(process.pid))
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed with {process.returncode}:\n{pathlib.Path(log).read_text()[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, anonymous)


def weights_of(model):
    """Bytes of the file and of the files of its weights, which stand beside it under its name."""
    return sum(path.stat().st_size for path in model.parent.glob(model.name + "*"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--waferloom", default="build-release/bin/waferloom", help="the tool (release build)")
    parser.add_argument("--iree", type=pathlib.Path, help="folder of iree-import-onnx and iree-compile")
    parser.add_argument("--target", default="wse3")
    parser.add_argument("--precision", default="f16")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--region", help="else the compiler chooses")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        ours = [args.waferloom, "compile", str(args.model), "--quiet", "-o", f"{folder}/model.wafer",
                "--target", args.target, "--precision", args.precision, "--context", str(args.context)]
        if args.region:
            ours += ["--region", args.region]
        commands = {"Waferloom": [ours]}
        if args.iree:
            commands["IREE"] = [
                [str(args.iree / "iree-import-onnx"), str(args.model), "-o", f"{folder}/model.mlir"],
                [str(args.iree / "iree-compile"), f"{folder}/model.mlir", "--iree-hal-target-backends=llvm-cpu",
                 "--iree-llvmcpu-target-cpu=host", "-o", f"{folder}/model.vmfb"]]
        found = {name: [] for name in commands}
        load = os.getloadavg()[0]
        for _ in range(args.runs):
            for name, steps in commands.items():
                found[name].append([run(step, f"{folder}/log") for step in steps])
    best = {name: min(runs, key=lambda parts: sum(part.processor for part in parts)) for name, runs in found.items()}
    print(f"{args.model}: {weights_of(args.model) / MIB:.0f} MiB, {args.target}, {args.precision}, context "
          f"{args.context}, least of {args.runs} runs in turns, load {load:.1f} before and {os.getloadavg()[0]:.1f} after "
          f"on {os.cpu_count()} cores")
    print()
    print("| | processor | wall | memory | of it anonymous |")
    print("|---|---|---|---|---|")
    total = {name: sum(parts, Cost()) for name, parts in best.items()}
    print(total["Waferloom"].row("`waferloom compile`"))
    if "IREE" in total:
        importing, compiling = best["IREE"]
        print(importing.row("`iree-import-onnx`"))
        print(compiling.row("`iree-compile`"))
        for name, other in [("import and compile", total["IREE"]), ("compile alone", compiling)]:
            print(f"\nIREE's {name} / Waferloom: {other.processor / total['Waferloom'].processor:.1f} in processor "
                  f"seconds, {other.wall / total['Waferloom'].wall:.1f} on the wall.")


if __name__ == "__main__":
    main()
