"""`waferloom generate` and `session.generate`: a seeded model speaks through a
tokenizer made here."""

import _thread
import json
import os
import re
import shutil
import signal
import subprocess

import numpy as np
import pytest
from speaking import END, byte_tokenizer
from terminal import Terminal
from tokenizers import Tokenizer
from waferloom import zoo
from waferloom.generation import sample

import waferloom as wl
from conftest import BIN

WAFERLOOM = BIN / "waferloom"
CAPACITY = 48
SHAPE = zoo.Shape(layers=1, width=32, heads=2, kv_heads=1, head_dim=8, hidden=40, vocabulary=260, positions=64)


@pytest.fixture(scope="module")
def model():
    return zoo.build(SHAPE, zoo.weights(SHAPE, seed=11)).SerializeToString()


@pytest.fixture(scope="module")
def program(model):
    return wl.compile(model, target="grid-4x4", context=CAPACITY)


@pytest.fixture(scope="module")
def image(program, tmp_path_factory):
    path = tmp_path_factory.mktemp("generate") / "model.wafer"
    program.save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A template that shouts."""
    return byte_tokenizer(tmp_path_factory.mktemp("tokenizer"),
                          "{% for message in messages %}\n<user>{{ message['content'] | upper }}{% endfor %}\n"
                          "{% if add_generation_prompt %}>{% endif %}")


def ids_of(text, folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids


def expected(model, ids, count):
    return zoo.Reference(model).greedy(ids, count)


def generate(*args, **options):
    return subprocess.run([WAFERLOOM, "generate", *map(str, args)], capture_output=True, text=True, timeout=120, **options)


def test_greedy_tokens_are_those_of_onnx_runtime(model, program):
    ids = [3, 1, 4, 1, 5]
    generation = program.session().generate(ids, max_tokens=20)
    assert list(generation) == expected(model, ids, 20) == generation.tokens
    assert generation.reason == "max_tokens"
    assert len(generation.prefill) == 5 and len(generation.steps) == 19


def test_chunks_of_a_prompt(model):
    program = wl.compile(model, target="grid-4x4,sram=128KiB", context=CAPACITY, chunks=[4])
    ids, seen = list(range(10, 21)), []
    generation = program.session().generate(ids, max_tokens=6, progress=lambda *state: seen.append(state))
    assert list(generation) == expected(model, ids, 6)
    assert seen == [(0, 11), (4, 11), (8, 11), (9, 11), (10, 11), (11, 11)]
    # A prompt that ends in a chunk has its first token from there.
    generation = program.session().generate(ids[:8], max_tokens=6)
    assert list(generation) == expected(model, ids[:8], 6)
    assert len(generation.prefill) == 2 and len(generation.steps) == 5


def test_ends(model, program):
    tokens = expected(model, [7], CAPACITY)
    first = next(i for i, token in enumerate(tokens) if token != tokens[0])
    stopped = program.session().generate([7], max_tokens=CAPACITY, stop=[tokens[first]])
    assert (list(stopped), stopped.reason) == (tokens[:first], "stop")
    full = program.session().generate([7], max_tokens=1000)
    assert (list(full), full.reason) == (tokens, "capacity")


def test_sampling_is_a_draw_from_the_softmax():
    logits, count = np.array([1.0, 0.0, -np.inf, 2.0, -1.0], np.float32), 20000
    for temperature in (0.5, 1.0, 3.0):
        weights = np.exp(logits.astype(np.float64) / temperature)
        wanted = count * weights / weights.sum()
        drawn = np.bincount([sample(logits, temperature, 9, i) for i in range(count)], minlength=5)
        assert drawn[2] == 0
        assert (np.abs(drawn - wanted) <= 4 * np.sqrt(wanted) + 1e-9).all(), (temperature, drawn, wanted)
    assert {sample(logits, 1e-6, 9, i) for i in range(50)} == {3}
    assert sample(logits, 0.0, 9, 0) == 3


def test_top_p_draws_from_the_fewest_that_suffice():
    logits = np.log(np.array([0.15, 0.5, 0.05, 0.3], np.float32))
    drawn = {top_p: {sample(logits, 1.0, 3, i, top_p=top_p) for i in range(400)} for top_p in (0.4, 0.6, 0.9, 0.96, 1.0)}
    assert drawn == {0.4: {1}, 0.6: {1, 3}, 0.9: {0, 1, 3}, 0.96: {0, 1, 2, 3}, 1.0: {0, 1, 2, 3}}
    # Of the three most likely, 0.5 and 0.3 are 84 %.
    assert {sample(logits, 1.0, 3, i, top_k=3, top_p=0.82) for i in range(400)} == {1, 3}
    # At a higher temperature one token has less.
    assert {sample(logits, 4.0, 3, i, top_p=0.4) for i in range(400)} == {1, 3}
    assert {sample(np.zeros(3, np.float32), 1.0, 3, i, top_p=0.34) for i in range(99)} == {0, 1}


def test_log_probabilities_are_those_of_the_logits(program):
    ids = [3, 1, 4]
    plain = list(program.session().generate(ids, max_tokens=5))
    told = program.session().generate(ids, max_tokens=5, logprobs=2)
    assert list(told) == plain, "the wafer's and the host's choice are the same"
    session, fed = program.session(), ids
    for token, (own, best) in zip(plain, told.logprobs, strict=True):
        logits = [session.run({"input_ids": [[id]]}) for id in fed][-1].outputs["logits"][0, -1].astype(np.float64)
        logs = logits - np.log(np.exp(logits).sum())
        assert own == pytest.approx(logs[token]) and best[0] == (token, own)
        assert [i for i, _ in best] == list(np.argsort(-logs)[:2]) and best[1][1] == pytest.approx(np.sort(logs)[-2])
        fed = [token]


def test_a_prompt_is_read_step_by_step(program):
    generation = program.session().generate([3, 1, 4], max_tokens=2)
    assert generation.advance() is None and generation.advance() is None
    assert [generation.advance(), generation.advance()] == generation.tokens
    with pytest.raises(StopIteration):
        generation.advance()
    costs = generation.costs()
    assert costs["first_token_cycles"] == sum(result.cycles for result in generation.prefill)
    assert costs["cycles"] == costs["first_token_cycles"] + generation.steps[0].cycles


def test_a_draw_depends_on_seed_and_position(program):
    def draw(seed):
        return list(program.session().generate([5, 6], max_tokens=12, temperature=1.0, seed=seed))

    assert draw(1) == draw(1) != draw(2)
    session = program.session()
    start = list(session.generate([5, 6], max_tokens=4, temperature=1.0, seed=1))
    rest = list(session.generate(start[-1:], max_tokens=8, temperature=1.0, seed=1))
    assert start + rest == draw(1)


@pytest.mark.parametrize("ids, options, kind, message", [
    ([], {}, wl.ExecutionError, "no tokens"),
    ([1] * (CAPACITY + 1), {}, wl.ExecutionError, f"{CAPACITY + 1} tokens after 0 does not fit the capacity of {CAPACITY}"),
    ([1], {"max_tokens": 0}, ValueError, "at least 1"),
    ([1], {"temperature": -0.5}, ValueError, "at least 0"),
    ([1], {"top_k": -1}, ValueError, "at least 0"),
    ([1], {"top_p": 0.0}, ValueError, "above 0"),
    ([1], {"top_p": 1.5}, ValueError, "at most 1"),
    ([1], {"logprobs": -1}, ValueError, "at least 0"),
    ([1], {"temperature": float("nan")}, ValueError, "at least 0")])
def test_refused_before_anything_runs(program, ids, options, kind, message):
    session = program.session()
    with pytest.raises(kind, match=message):
        session.generate(ids, **options)
    assert session.length == 0


def test_a_token_that_is_not_in_the_vocabulary(program):
    session = program.session()
    with pytest.raises(wl.ExecutionError, match="260"):
        list(session.generate([1, 260]))
    session.reset()
    assert len(list(session.generate([1], max_tokens=2))) == 2


def test_logits_that_are_no_numbers():
    with pytest.raises(wl.ExecutionError, match="2 of 3 logits are not a number"):
        sample(np.array([np.nan, 1.0, np.nan]), 0.0, 0, 5)


def test_an_interrupt_leaves_the_session_usable(model, program):
    session, ids = program.session(), list(range(20, 30))

    def interrupt(done, total):
        if done == 3:
            _thread.interrupt_main()

    # A job in the background ignores the signal from its start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(session.generate(ids, max_tokens=5, progress=interrupt))
    finally:
        signal.signal(signal.SIGINT, before)
    assert 3 <= session.length <= 4
    assert list(session.generate(ids[session.length:], max_tokens=5)) == expected(model, ids, 5)


def test_command_line_text(model, image, folder):
    ids = ids_of("Hi 1", folder)
    done = generate(image, "--tokenizer", folder, "--prompt", "Hi 1", "--max-tokens", 12)
    assert done.returncode == 0, done.stderr
    tokens = expected(model, ids, 12)
    tokens = tokens[:tokens.index(END)] if END in tokens else tokens
    text = Tokenizer.from_file(str(folder / "tokenizer.json")).decode(tokens)
    assert done.stdout.startswith(text + "\n\n")
    assert f"{len(tokens)} tokens after a prompt of 4" in done.stdout
    assert "tokens/s" in done.stdout and "on this host" in done.stdout and "cycles per token" in done.stdout
    assert done.stderr == "", "no progress line without a terminal"
    assert generate(image, "--tokenizer", folder / "tokenizer.json", "--prompt", "Hi 1", "--max-tokens", 12
                    ).stdout.startswith(text + "\n\n")


def test_command_line_json(model, image, folder):
    done = generate(image, "--ids", "3,1,4", "--max-tokens", 6, "--json")
    facts = json.loads(done.stdout)
    assert (facts["tokens"], facts["prompt"]) == (expected(model, [3, 1, 4], 6), [3, 1, 4])
    assert facts["reason"] == "max_tokens" and "text" not in facts
    program = wl.load(image)
    session = program.session()
    cycles = [session.run({"input_ids": [[token]]}).cycles for token in [3, 1, 4] + facts["tokens"][:-1]]
    assert facts["prefill_cycles"] == sum(cycles[:3]) and facts["cycles"] == sum(cycles)
    assert facts["cycles_per_token"] == sum(cycles[3:]) / 5
    assert facts["tokens_per_second"] == pytest.approx(1e9 * facts["clock_ghz"] / facts["cycles_per_token"])
    assert facts["first_token_seconds"] == pytest.approx(sum(cycles[:3]) / (1e9 * facts["clock_ghz"]))
    one = json.loads(generate(image, "--ids", "3", "--max-tokens", 1, "--json").stdout)
    assert one["tokens_per_second"] is None and one["first_token_seconds"] > 0
    drawn = [json.loads(generate(image, "--ids", "3", "--max-tokens", 9, "--json", "--temperature", 1, "--seed", seed
                                 ).stdout)["tokens"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_command_line_chat(image, folder):
    done = generate(image, "--tokenizer", folder, "--chat", "hey", "--max-tokens", 2, "--json")
    assert json.loads(done.stdout)["prompt"] == [257, *ids_of("HEY>", folder)]


def test_the_end_of_text_stops(model, image, folder, tmp_path):
    tokens = expected(model, [3, 1, 4], 12)
    at = next(i for i in range(1, 12) if tokens[i] not in tokens[:i])
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "generation_config.json").write_text(json.dumps({"eos_token_id": [tokens[at], 9999]}))
    done = generate(image, "--tokenizer", tmp_path / "other", "--ids", "3,1,4", "--max-tokens", 12, "--json")
    facts = json.loads(done.stdout)
    assert facts["tokens"] == tokens[:at] and facts["reason"] == "stop"


@pytest.mark.parametrize("args, status, message", [
    (["--prompt", "x"], 2, "needs --tokenizer"),
    ([], 2, "one of the arguments --prompt --chat --ids is required"),
    (["--ids", "1;2"], 2, "wants token ids like 1,2,3"),
    (["--ids", "1", "--max-tokens", "0"], 2, "at least 1"),
    (["--ids", "1", "--temperature", "nan"], 2, "at least 0"),
    (["--ids", ",".join(["1"] * (CAPACITY + 1))], 1, f"capacity of {CAPACITY}"),
    (["--ids", "260"], 1, "[0, 260)"),
    (["--tokenizer", "FOLDER", "--prompt", ""], 1, "no tokens"),
    (["--tokenizer", "nowhere", "--prompt", "x"], 1, "nowhere: no tokenizer can be read")])
def test_wrong_use(image, folder, args, status, message):
    done = generate(image, *(str(folder) if arg == "FOLDER" else arg for arg in args))
    assert done.returncode == status and message in done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr


@pytest.mark.parametrize("name, content, message", [
    ("tokenizer.json", "{", "tokenizer.json: no tokenizer can be read"),
    ("tokenizer_config.json", "{", "tokenizer_config.json: "),
    ("tokenizer_config.json", "[]", "holds no object"),
    ("chat_template.jinja", "{% for %}", "the chat template fails"),
    ("chat_template.jinja", "{{ raise_exception('no ' + 'system') }}", "no system"),
    ("chat_template.jinja", "{{ ''.__class__.__mro__ }}", "the chat template fails"),
    ("chat_template.jinja", None, "neither chat_template.jinja nor")])
def test_bad_tokenizer_files(image, folder, tmp_path, name, content, message):
    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / name).unlink()
    if content is not None:
        (tmp_path / "bad" / name).write_text(content)
    done = generate(image, "--tokenizer", tmp_path / "bad", "--chat", "x")
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_image(tmp_path):
    (tmp_path / "m.wafer").write_text("nothing")
    for path in (tmp_path / "m.wafer", tmp_path / "missing.wafer"):
        done = generate(path, "--ids", "1")
        assert done.returncode == 1 and str(path) in done.stderr and "error:" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_model_that_is_no_decoder(tmp_path):
    node = zoo.graph.helper.make_node("Relu", ["x"], ["y"], name="relu")
    value = [zoo.graph.helper.make_tensor_value_info(name, 1, [4]) for name in "xy"]
    model = zoo.graph.helper.make_model(zoo.graph.helper.make_graph([node], "g", value[:1], value[1:]),
                                        opset_imports=[zoo.graph.helper.make_opsetid("", 17)], ir_version=8)
    program = wl.compile(model.SerializeToString(), target="grid-2x2")
    with pytest.raises(wl.ExecutionError, match="no language model"):
        program.session().generate([1])


@pytest.fixture(scope="module")
def long_image(tmp_path_factory):
    """For texts of which an interrupt catches the middle."""
    path = tmp_path_factory.mktemp("long") / "model.wafer"
    shape = zoo.Shape(layers=2, width=64, heads=4, kv_heads=2, head_dim=8, hidden=80, vocabulary=260, positions=4096)
    wl.compile(zoo.build(shape, zoo.weights(shape)).SerializeToString(), target="grid-6x6,sram=1MiB",
               context=4096).save(path)
    return path


def test_ctrl_c_ends_a_text(long_image):
    terminal = Terminal("generate", long_image, "--ids", "1,2,3", "--max-tokens", 4000)
    terminal.read_until(r"reading the prompt: 2 of 3")
    terminal.read_until(r"\x1b\[K\d+ \d+ ")  # the line is gone, two tokens came
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.finish() == 0
    assert "ended by: interrupted" in terminal.text and "tokens/s" in terminal.text
    assert "Traceback" not in terminal.text


def test_ctrl_c_while_reading_the_prompt(long_image):
    terminal = Terminal("generate", long_image, "--ids", ",".join(["5"] * 4000), "--max-tokens", 4)
    terminal.read_until("reading the prompt: 1")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.finish() == 1
    assert "interrupted while reading the prompt" in terminal.text and "Traceback" not in terminal.text


def test_the_python_beside_the_tool_is_used(image, tmp_path):
    """An environment links the tool: its own Python runs; one without the package says so."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("")
    (folder / "bin" / "python").write_text('#!/bin/sh\necho "own python"\n')
    (folder / "bin" / "python").chmod(0o755)
    (folder / "bin" / "waferloom").symlink_to(WAFERLOOM)
    own = subprocess.run([folder / "bin" / "waferloom", "generate", image, "--ids", "1"], capture_output=True, text=True)
    assert own.stdout == "own python\n"
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    found = subprocess.run(["waferloom", "generate", image, "--ids", "1"], capture_output=True, text=True,
                           env=os.environ | {"PATH": path})
    assert found.stdout == "own python\n"


def test_a_python_without_the_package(image, tmp_path):
    shutil.copy(WAFERLOOM, tmp_path / "waferloom")  # away from its build tree
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([tmp_path / "waferloom", "generate", image, "--ids", "1"], capture_output=True, text=True,
                          env=bare | {"PYTHONNOUSERSITE": "1"})
    if done.returncode == 0:
        pytest.skip("the Python that the tool was built with has the package installed")
    assert done.returncode == 1 and "cannot import the waferloom package" in done.stderr
