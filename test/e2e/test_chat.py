"""`waferloom chat` on a terminal and in a pipe."""

import re
import signal
import subprocess

import pytest
from serving import Expected, write_image
from speaking import letter_tokenizer
from terminal import Terminal

from conftest import BIN

CONTEXT = 1500
END_OF_LINE = "\r\n"
FIRST = r"tokens\r\x1b\[K(?!reading)."  # of an answer, where the line about the prompt was


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_image(tmp_path_factory.mktemp("chat"), context=CONTEXT, tokenizer=letter_tokenizer)


@pytest.fixture(scope="module")
def expected(files):
    return Expected(*files)


def behind(expected, content):
    return expected.text.encode(f"\nuser:{content}\nassistant:", special=False)


def piped(files, lines, *args):
    return subprocess.run([BIN / "waferloom", "chat", files[0], "--tokenizer", files[1], *map(str, args)], text=True,
                          input="".join(f"{line}\n" for line in lines), capture_output=True, timeout=120)


def test_a_conversation_in_a_pipe(files, expected):
    done = piped(files, ["one", "/stats", "two", "/stats", "/reset", "/stats", "one", "/what", ""], "--max-tokens", 9)
    first = expected.generation(ids := expected.text.chat("one"), max_tokens=9)
    second = expected.generation(longer := ids + first.tokens + behind(expected, "two"), max_tokens=9)
    lines = done.stdout.splitlines()
    words = expected.text.decode(first.tokens)
    wanted = [*words.splitlines(), f"{len(ids)} tokens were fed, 0 were there already, 9 said"]
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(words + "\n") and lines[len(wanted) - 1].startswith(wanted[-1])
    assert f"{first.costs()['first_token_cycles']:,} cycles" in done.stdout
    assert expected.text.decode(second.tokens) in done.stdout
    kept = len(ids) + 8
    assert f"\n{len(longer) - kept} tokens were fed, {kept} were there already, 9 said" in done.stdout
    assert "a new conversation\nnothing was said yet\n" + words in done.stdout
    assert "there is no /what" in done.stdout


def test_options(files, expected):
    drawn = {"temperature": 1.1, "seed": 4, "top_k": 9, "max_tokens": 8}
    done = piped(files, ["hi"], "--system", "Be odd.", *(part for name, value in drawn.items()
                                                          for part in (f"--{name.replace('_', '-')}", value)))
    messages = [{"role": "system", "content": "Be odd."}, {"role": "user", "content": "hi"}]
    assert done.stdout.startswith(expected.chat(messages, **drawn) + "\n")


def test_a_context_that_is_full(files):
    image, tokenizer = write_image(files[0].parent, context=70, name="short", tokenizer=letter_tokenizer)
    done = piped((image, tokenizer), ["a" * 20, "b" * 20, "c" * 20, "~" * 80], "--max-tokens", 10)
    assert "(the context is full: the oldest 2 messages are left out from now on)" in done.stdout
    assert "room for" in done.stderr and "/reset begins anew" in done.stderr and done.returncode == 0
    done = piped((image, tokenizer), ["~" * 40, "~" * 40], "--max-tokens", 10, "--context-policy", "error")
    assert "room for 70" in done.stderr


@pytest.mark.parametrize("args, status, words", [
    (["nowhere.wafer", "--tokenizer", "TOKENIZER"], 1, "nowhere.wafer"),
    (["IMAGE", "--tokenizer", "nowhere"], 1, "no tokenizer can be read"),
    (["IMAGE"], 2, "--tokenizer"),
    (["IMAGE", "--tokenizer", "TOKENIZER", "--max-tokens", "0"], 2, "at least 1")])
@pytest.mark.parametrize("command", ["chat", "serve"])
def test_wrong_use(files, command, args, status, words):
    if command == "serve" and "--max-tokens" in args:
        args, words = [*args[:3], "--sessions", "0"], "at least 1"
    args = [str({"IMAGE": files[0], "TOKENIZER": files[1]}.get(arg, arg)) for arg in args]
    done = subprocess.run([BIN / "waferloom", command, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == status and words in done.stderr and "Traceback" not in done.stderr


def test_on_a_terminal(files, expected):
    terminal = Terminal("chat", files[0], "--tokenizer", files[1], "--max-tokens", 1200)
    terminal.read_until(r"Ctrl-D ends\r\n> $")
    terminal.type("y" * 150 + "\n")
    terminal.read_until(r"reading the prompt: [1-9]\d* of 16\d tokens")
    terminal.read_until(FIRST)
    terminal.type("\x03")  # Ctrl-C
    terminal.read_until(r"\(interrupted\)\r\n> $")
    terminal.type("/stats\n")
    count = int(re.search(r"(\d+) said; ", terminal.read_until(r"of context are taken\r\n> $"))[1])
    ids = expected.text.chat("y" * 150)
    tokens = expected.generation(ids, max_tokens=count).tokens
    assert 0 < count < 1200
    shown = f"tokens\r\x1b[K{expected.text.decode(tokens)}\n(interrupted)".replace("\n", END_OF_LINE)
    assert shown in terminal.text.replace("^C", "")
    terminal.type("/reset\n")
    terminal.read_until(r"a new conversation\r\n> $")
    terminal.type("\x03")
    terminal.read_until(r"Ctrl-D ends\r\n> $")
    terminal.type("\x1b[A\x1b[A\n")  # the line before the last: /stats
    terminal.read_until(r"nothing was said yet\r\n> $")
    terminal.type("\x04")
    assert terminal.finish() == 0 and "Traceback" not in terminal.text


def test_a_signal_from_elsewhere_interrupts_as_well(files):
    terminal = Terminal("chat", files[0], "--tokenizer", files[1], "--max-tokens", 1200)
    terminal.read_until("> $")
    terminal.type("z" * 100 + "\n")
    terminal.read_until(FIRST)
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until(r"\(interrupted\)\r\n> $")
    terminal.type("\x04")
    assert terminal.finish() == 0
