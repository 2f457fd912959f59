"""A chat with a compiled model in the terminal. Ctrl-C interrupts an answer, which stays as far as it came; Ctrl-D
ends. /reset begins anew, /stats says what the last answer cost, /help lists these."""

import sys

from .commands.parser import Parser
from .dialogue import Dialogue, Keeper, TooLong, room_for
from .errors import WaferloomError
from .generate import Interrupts, add_drawing, number, show_progress
from .program import load
from .text import Text, TextError

HELP = ("/reset begins anew, /stats says what the last answer cost, /help is this; Ctrl-C interrupts an answer, "
        "Ctrl-D ends")


def parser():
    whole = "a whole number"
    options = Parser("chat", description=__doc__)
    options.add_argument("image", metavar="IMAGE", help="what waferloom compile wrote")
    options.add_argument("--tokenizer", metavar="FILE|DIR", required=True,
                         help="tokenizer.json, or the folder it is in")
    options.add_argument("--system", metavar="TEXT", help="what the model is told first")
    options.add_argument("--context-policy", choices=("error", "slide"), default="slide",
                         help="a chat that outgrows the context: an error, or the oldest messages go (default)")
    options.add_argument("--max-tokens", metavar="N", type=number(int, 1, whole), default=512,
                         help="of an answer; default 512")
    add_drawing(options)
    options.add_argument("--threads", metavar="N", type=number(int, 0, whole), default=0,
                         help="threads of this host; 0 chooses")
    return options


class Chat:
    """One conversation in a terminal."""

    def __init__(self, args):
        self._args, self._text, self._program = args, Text(args.tokenizer), load(args.image)
        self._keeper = Keeper(self._program.session(threads=args.threads))
        self._options = {"max_tokens": args.max_tokens, "temperature": args.temperature, "seed": args.seed,
                         "top_k": args.top_k, "stop": self._text.ends()}
        self.reset()

    def reset(self):
        self._dialogue, self._last = Dialogue(self._text, self._args.system), None

    def stats(self):
        """What the last answer cost, as a line."""
        if not self._last:
            return "nothing was said yet"
        generation, kept = self._last
        costs = generation.costs()
        speed = f", {costs['tokens_per_second']:,.0f} tokens/s" if costs["tokens_per_second"] else ""
        return (f"{len(generation.ids)} tokens were fed, {kept} were there already, {len(generation.tokens)} said; "
                f"on the wafer: first token after {costs['first_token_cycles']:,} cycles, {costs['cycles']:,} in "
                f"all{speed}; "
                f"{self._keeper.session.length} of {self._program.capacity} tokens of context are taken")

    def answer(self, question):
        """Streams the answer to a question."""
        slide, capacity = self._args.context_policy == "slide", self._program.capacity
        ids = self._dialogue.ask(question, room_for(capacity, self._args.max_tokens, slide), slide)
        if self._dialogue.left_out:
            print(f"(the context is full: the oldest {self._dialogue.left_out} messages are left out from now on)")
        stream = self._text.stream()
        with Interrupts() as interrupts:
            generation, kept = self._keeper.begin(ids, exact=False, **self._options)
            self._last = generation, kept
            try:
                self._read(generation, interrupts)
                for token in generation.tokens:  # the first one
                    print(stream(token), end="", flush=True)
                while not interrupts.seen:
                    print(stream(generation.advance()), end="", flush=True)
            except StopIteration:
                pass
            interrupted = interrupts.seen
        print(stream(None), flush=True)
        self._dialogue.answered(generation.tokens, stream.text)
        if interrupted:
            print("(interrupted)")
        elif generation.reason == "capacity":
            print("(the context is full)")

    def _read(self, generation, interrupts):
        """Reads the prompt, up to the first token, and says how far that is."""
        kept = self._keeper.session.length
        try:
            while not generation.tokens and not interrupts.seen:
                show_progress(self._keeper.session.length - kept, len(generation.ids))
                generation.advance()
        finally:
            show_progress(1, 1)

    def take(self, line):
        """Does what a line says."""
        if not line.startswith("/"):
            self.answer(line)
        elif line == "/reset":
            self.reset()
            print("a new conversation")
        elif line == "/stats":
            print(self.stats())
        else:
            print(HELP if line == "/help" else f"there is no {line.split()[0]}; {HELP}")


def run(args):
    """The subcommand; returns the exit status."""
    chat = Chat(args)
    if sys.stdin.isatty():
        import readline  # noqa: F401  arrows, and what was typed before
        print(HELP)
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            print()
            return 0
        except KeyboardInterrupt:
            print("\nCtrl-D ends")
            continue
        try:
            if line:
                chat.take(line)
        except TooLong as error:
            print(f"{error}; /reset begins anew", file=sys.stderr)


def main(argv=None):
    args = parser().parse_args(argv)
    try:
        return run(args)
    except WaferloomError as error:
        print("\n".join(f"{args.image}: {line}" if line.startswith("error:") else line
                        for line in str(error).splitlines()), file=sys.stderr)
    except TextError as error:
        print(f"waferloom chat: error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
    return 1


if __name__ == "__main__":
    sys.exit(main())
