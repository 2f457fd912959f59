"""Lets a compiled model speak: text streams as its tokens come, then what it cost on
the wafer and on this host."""

import argparse
import json
import signal
import sys
import time

from . import cycles
from .commands.parser import Parser, tell, tell_all
from .commands.waiting import Waiting
from .errors import WaferloomError
from .prefill import read_on_host
from .program import load
from .text import Text, TextError


class Interrupted(Exception):
    """Ctrl-C came while the prompt was being read."""


class Interrupts:
    """Notes Ctrl-C instead of raising, so that a step always ends; a second one ends
    the process as usual."""

    def __enter__(self):
        self.seen = False
        self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_):
        self.seen = True
        signal.signal(signal.SIGINT, self.before)

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, self.before)


def token_ids(text):
    """"1,2,3" as a list."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"wants token ids like 1,2,3, not {text!r}") from None


def number(kind, least, words):
    """A parser of numbers that are at least `least`."""
    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"wants {words} of at least {least}, not {text!r}")
        return value
    return read


def add_drawing(options):
    """Of how tokens are drawn."""
    whole = "a whole number"
    options.add_argument("--temperature", metavar="T", type=number(float, 0, "a number"), default=0.0,
                         help="0, the default, takes the most likely token")
    options.add_argument("--seed", metavar="N", type=number(int, 0, whole), default=0, help="of sampling")
    options.add_argument("--top-k", metavar="K", type=number(int, 0, whole), default=0,
                         help="draw from the K most likely tokens; 0, the default, from all")


def parser():
    whole = "a whole number"
    options = Parser("generate", description=__doc__)
    options.add_argument("image", metavar="IMAGE", help="what waferloom compile wrote")
    options.add_argument("--tokenizer", metavar="FILE|DIR", help="tokenizer.json, or the folder it is in; --ids needs none")
    prompt = options.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--prompt", metavar="TEXT", help="text to continue")
    prompt.add_argument("--chat", metavar="TEXT", help="a question, put into the model's chat template")
    prompt.add_argument("--ids", metavar="1,2,3", type=token_ids, help="tokens to continue")
    options.add_argument("--max-tokens", metavar="N", type=number(int, 1, whole), default=64, help="default 64")
    add_drawing(options)
    options.add_argument("--prefill", choices=("wafer", "host"), default="wafer",
                         help="who reads the prompt: the wafer (default), or the host by ONNX Runtime, whose caches are "
                              "loaded; its last token goes through the wafer")
    options.add_argument("--model", metavar="MODEL.onnx", help="what the image was compiled from; for --prefill host")
    options.add_argument("--threads", metavar="N", type=number(int, 0, whole), default=0,
                         help="threads of this host; 0 chooses")
    options.add_argument("--cycles", action="store_true",
                         help="also where the cycles of the last token went, and what rewrites save")
    options.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return options


def read_prompt(args, text):
    if args.ids is not None:
        return args.ids
    return text.encode(args.prompt) if args.prompt is not None else text.chat(args.chat)


def show_progress(done, total):
    """One line on a terminal while the prompt is read, gone when it is."""
    if sys.stderr.isatty():
        line = f"reading the prompt: {done} of {total} tokens" if done < total else ""
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def speak(generation, interrupts, show):
    """Shows every token as it comes. Returns (reason, seconds of this host until the
    first token, until the last)."""
    start = time.perf_counter()
    first = None
    for token in generation:
        first = first if first is not None else time.perf_counter() - start
        show(token)
        if interrupts.seen:
            return "interrupted", first, time.perf_counter() - start
    seconds = time.perf_counter() - start
    return generation.reason, first if first is not None else seconds, seconds


def measure(generation, reason, first, seconds, clock_ghz):
    """The facts of a generation, as they go into the JSON object."""
    costs = generation.costs()
    prefill = costs.pop("first_token_cycles")
    host = sum(result.host_seconds for result in generation.steps)
    return {"prompt": generation.ids, "tokens": generation.tokens, "reason": reason,
            "clock_ghz": clock_ghz, "prefill_cycles": prefill, **costs,
            "first_token_seconds": prefill / (clock_ghz * 1e9),
            "host_seconds": seconds, "host_first_token_seconds": first,
            "host_tokens_per_second": len(generation.steps) / host if generation.steps else None}


def summary(facts):
    """The closing lines for a reader."""
    ends = {"stop": "end of text", "max_tokens": "--max-tokens", "capacity": "the KV caches are full",
            "interrupted": "interrupted"}
    count = len(facts["tokens"])
    lines = [f"{count} token{'s' * (count != 1)} after a prompt of {len(facts['prompt'])}; ended by: {ends[facts['reason']]}"]
    wafer = f"first token after {1e6 * facts['first_token_seconds']:,.1f} us ({facts['prefill_cycles']:,} cycles)"
    host = f"first token after {facts['host_first_token_seconds']:.2f} s"
    if facts["cycles_per_token"]:
        wafer = (f"{facts['tokens_per_second']:,.0f} tokens/s ({facts['cycles_per_token']:,.0f} cycles per token at "
                 f"{facts['clock_ghz']:g} GHz), {wafer}")
        host = f"{facts['host_tokens_per_second']:.3g} tokens/s, {host}"
    if "link_bytes" in facts:
        host += (f"; before that {facts['host_prefill_tokens']} tokens of the prompt in "
                 f"{facts['host_prefill_seconds']:.2f} s, {facts['link_bytes']:,} bytes of caches over the link")
    return "\n".join([*lines, f"on the wafer: {wafer}", f"on this host: {host}"])


def run(args):
    """The subcommand; returns the exit status."""
    text = Text(args.tokenizer) if args.tokenizer else None
    with Waiting(f"reading {args.image}"):
        program = load(args.image)
    ids = read_prompt(args, text)
    pieces, decode = [], text.stream() if text else None

    def show(token):
        if token is None and not decode:
            return
        piece = decode(token) if decode else f"{' ' if pieces else ''}{token}"
        pieces.append(piece)
        if not args.json:
            print(piece, end="", flush=True)

    with Interrupts() as interrupts:
        def progress(done, total):
            show_progress(done, total)
            if interrupts.seen and done < total:
                raise Interrupted

        try:
            with Waiting("giving each PE its memory"):
                session, on_host = program.session(threads=args.threads), None
            if args.prefill == "host" and len(ids) > 1:
                on_host = read_on_host(session, args.model, ids[:-1])
            generation = session.generate(
                ids[on_host.tokens if on_host else 0:], max_tokens=args.max_tokens, temperature=args.temperature,
                seed=args.seed, top_k=args.top_k, stop=text.ends() if text else (), progress=progress)
            reason, first, seconds = speak(generation, interrupts, show)
        finally:
            show_progress(1, 1)
    show(None)
    facts = measure(generation, reason, first, seconds, program.clock_ghz) | {"prompt": ids}
    if on_host:
        facts |= {"host_prefill_tokens": on_host.tokens, "host_prefill_seconds": on_host.seconds,
                  "link_bytes": on_host.link_bytes}
    last = (generation.steps or generation.prefill)[-1]
    if args.json:
        more = {"stages": cycles.facts(last), "rewrites": [r._asdict() for r in program.rewrites]} if args.cycles else {}
        print(json.dumps(facts | more | ({"text": "".join(pieces)} if text else {})))
    else:
        print(f"\n\n{summary(facts)}")
        if args.cycles:
            print(f"\n{cycles.table(last)}\n{cycles.rewrites(program, last.cycles if generation.steps else None)}")
    return 0


def main(argv=None):
    options = parser()
    args = options.parse_args(argv)
    if args.prefill == "host" and not args.model:
        options.error("--prefill host needs --model MODEL.onnx")
    if args.ids is None and not args.tokenizer:
        options.error("a text needs --tokenizer FILE|DIR; --ids 1,2,3 does without")
    try:
        return run(args)
    except WaferloomError as error:
        tell_all(error.diagnostics, args.image, args.json)
    except TextError as error:
        tell(str(error), "waferloom generate", as_json=args.json)
    except Interrupted:
        tell("interrupted while reading the prompt", "waferloom generate", as_json=args.json)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nobody wants to know
        return 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
