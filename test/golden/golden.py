"""What a set of compilations gave when it was last looked at: digests of images,
cycles of every entry, and digests of what one step computes.

A change that is not meant to change programs leaves golden.json as it is. One that
is meant to writes it again and says in its commit which figures moved, and why:

    python test/golden/golden.py --write [NAME ...]
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TOP = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("WAFERLOOM_SHARED", TOP.parent / "shared"))
TOOL = Path(os.environ.get("WAFERLOOM_BUILD", TOP / "build")) / "bin/waferloom"
RECORD = Path(__file__).with_name("golden.json")


class Missing(Exception):
    """The model of a case is not on this machine."""


@dataclass(frozen=True)
class Case:
    """A compilation. options: of `waferloom compile`; step: whether one step is
    computed, too; file: a model under the shared models, or SmolLM2."""

    name: str
    file: str
    options: str
    step: bool = True
    inputs: dict = field(default_factory=dict)


STORIES = "stories260k/stories260k-primitives-opset17.onnx"
GENAI = "stories260k/stories260k-genai-opset21.onnx"
EXPORTERS = ["gpt2-dynamo-op18", "llama-optimum-op18", "llama-torchscript-op17", "mistral-dynamo-op18",
             "qwen3-dynamo-op18"]

CASES = [
    *(Case(f"stories260k {grid}", STORIES, f"--target {grid} --context {context}")
      for grid, context in [("grid-8x8", 256), ("grid-16x16", 256), ("grid-10x7", 256),
                            ("grid-1x12,sram=256KiB", 64), ("grid-5x3,sram=192KiB", 201)]),
    Case("stories260k genai 7x5", GENAI, "--target grid-7x5,sram=128KiB --context 128"),
    Case("stories260k f16 chunk", STORIES, "--target grid-8x8,sram=96KiB --context 128 --precision f16 --chunk 8 --prefill block"),
    Case("stories260k wse3", STORIES, "--target wse3 --context 256", step=False),
    Case("stories260k stages", STORIES, "--target wse3 --context 128 --region 16x16 --stages 6 --chunk 16", step=False),
    Case("stories260k ends", STORIES, "--target wse3 --context 128 --region 16x16 --ends 9x16 --stages 4 --chunk 16"),
    *(Case(f"{name} 8x8", f"exporters/{name}.onnx", f"--target grid-8x8,sram=256KiB --context 32 "
           f"--dim {'batch_size' if 'optimum' in name else 'batch'}=1") for name in EXPORTERS),
    Case("bert-dynamo-op18 7x5", "exporters/bert-dynamo-op18.onnx",
         "--target grid-7x5,sram=256KiB --dim batch=1 --dim sequence=8", step=False),
    Case("smollm2 f32", "smollm2", "--target wse3 --context 256", step=False),
    Case("smollm2 f16", "smollm2", "--target wse3 --context 256 --precision f16", step=False),
    Case("smollm2 f32 stages", "smollm2", "--target wse3 --context 256 --region 96x96 --stages 11 --chunk 16 --chunk 32",
         step=False),
    Case("smollm2 f16 stages", "smollm2", "--target wse3 --context 256 --precision f16 --region 96x96 --stages 4 --chunk 16",
         step=False),
    Case("8b", "shapes/llama3.1-8b-fp16.onnx", "--no-weights --target wse3 --context 4096", step=False),
]
VALIDATION = ["reduce chain 64 64 wse2", "all-reduce two-phase 96 16 wse3"]


def run(*command):
    """stdout of the tool; its message where it refuses."""
    done = subprocess.run([TOOL, *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stderr}")
    return done.stdout


def model(case, folder):
    """The path of a case's model; SmolLM2 is written once per folder."""
    if case.file == "smollm2":
        from waferloom.zoo import smollm2
        path = folder / "smollm2" / "model.onnx"
        if not path.exists():
            try:
                smollm2.write(path.parent)
            except smollm2.FetchError as error:
                raise Missing(str(error).splitlines()[-1]) from None
        return path
    path = SHARED / "models" / case.file
    if not path.exists():
        raise Missing("the shared model files are not here")
    return path


def digest(*parts):
    """The first 16 digits of the SHA-256 of bytes behind each other."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()[:16]


def file_digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def step_digest(image, folder):
    """Of the outputs of one step with small ids; inputs that are left out follow
    from the session."""
    tensors = json.loads(run("info", image, "--json"))["entries"][0]["tensors"]
    name, shape = next((t["name"], t["shape"]) for t in tensors if t["role"] == "input" and t["name"].endswith("input_ids"))
    ids = (np.arange(np.prod(shape)) % 7 + 3).reshape(shape).astype(np.int64)
    np.savez(folder / "in.npz", **{name: ids})
    run("run", image, "--input", folder / "in.npz", "--output", folder / "out.npz")
    arrays = np.load(folder / "out.npz")
    return digest(*(arrays[key].tobytes() for key in sorted(arrays.files)))


def measure(case, folder):
    """What a case gives today, as golden.json has it."""
    image = folder / "case.wafer"
    run("compile", model(case, folder), "-o", image, "--quiet", *case.options.split())
    try:
        told = json.loads(run("run", image, "--cycles", "--json"))
        record = {"image": file_digest(image), "cycles": {e["name"]: e["cycles"] for e in told["entries"]}}
        if any(e["live_lengths"] for e in told["entries"]):  # caches are full above
            told = json.loads(run("run", image, "--cycles", "--position", "0", "--json"))
            record["cycles_at_0"] = {e["name"]: e["cycles"] for e in told["entries"]}
        if case.step:
            record["outputs"] = step_digest(image, folder)
        return record
    finally:
        image.unlink()


def collective(line):
    """Executed cycles of a published collective."""
    kind, algorithm, length, words, target = line.split()
    told = json.loads(run("collective", "--kind", kind, "--algorithm", algorithm, "--length", length, "--words", words,
                          "--target", target, "--json"))
    return {"cycles": told["cycles"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="record what is found")
    parser.add_argument("names", nargs="*", help="cases, all when none is named")
    args = parser.parse_args()
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        todo = [(case.name, lambda case=case: measure(case, Path(folder))) for case in CASES]
        todo += [(line, lambda line=line: collective(line)) for line in VALIDATION]
        for name, measured in todo:
            if args.names and not any(wanted in name for wanted in args.names):
                continue
            try:
                found = measured()
            except Missing as error:
                print(f"{name}: skipped, {error}")
                continue
            except RuntimeError as error:
                print(f"{name}: FAILED {error}", file=sys.stderr)
                different += 1
                continue
            same = known.get(name) == found
            different += not same
            print(f"{name}: {'same' if same else f'{known.get(name)} -> {found}'}", flush=True)
            known[name] = found
    if args.write:
        RECORD.write_text(json.dumps(known, indent=1) + "\n")
    return 0 if args.write or not different else 1


if __name__ == "__main__":
    sys.exit(main())
