"""Sessions under threads, forks, signals and odd arguments, and programs whose files change."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import waferloom as wl
from waferloom import zoo

SHAPE = zoo.Shape(layers=1, width=16, heads=2, kv_heads=1, head_dim=4, hidden=17, vocabulary=31, positions=32)
LARGE = zoo.Shape(layers=2, width=96, heads=4, kv_heads=4, head_dim=24, hidden=256, vocabulary=300, positions=64)


def compiled(shape, **options):
    return wl.compile(zoo.build(shape, zoo.weights(shape)).SerializeToString(), **options)


@pytest.fixture(scope="module")
def program():
    return compiled(SHAPE, target="grid-3x2", context=12, chunks=[8], logits="all")


def ids(count, dtype=np.int64):
    return {"input_ids": (np.arange(count, dtype=dtype) % 31).reshape(1, count)}


def test_threads_are_told(program):
    session, errors, done = program.session(engine="reference"), [], []

    def work():
        for _ in range(20):
            try:
                done.append(session.run(ids(1)))
                session.reset()
            except wl.ExecutionError as error:
                errors.append(str(error))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) + len(errors) >= 80 and done
    assert {error for error in errors if "capacity" not in error} <= {
        "error: the session is in use by another thread; give each thread its own"}
    session.reset()
    assert session.run(ids(1)).outputs


def test_forks_are_survived(program):
    session = program.session(threads=3)
    expected = session.run(ids(2)).outputs["logits"]
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        session.reset()
        same = np.array_equal(session.run(ids(2)).outputs["logits"], expected)
        del session
        os._exit(7 if same else 8)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    session.reset()
    assert np.array_equal(session.run(ids(2)).outputs["logits"], expected)


def test_a_step_that_is_refused_in_its_second_cut_changes_nothing(program):
    session = program.session()
    mask = np.ones((1, 9), np.int64)
    mask[0, 8] = 2 ** 40
    with pytest.raises(wl.ExecutionError):
        session.run(ids(9) | {"attention_mask": mask})
    assert session.length == 0
    assert session.run(ids(9)).outputs["logits"].shape == (1, 9, 31) and session.length == 9


def test_orders_of_bytes(program):
    expected = program.run(ids(3)).outputs["logits"]
    assert np.array_equal(program.run(ids(3, ">i8")).outputs["logits"], expected)
    assert np.array_equal(program.run(ids(3, ">i4")).outputs["logits"], expected)


@pytest.mark.parametrize("options, error", [
    ({"threads": -1}, ValueError), ({"threads": 2**40}, ValueError), ({"threads": 1.5}, TypeError),
    ({"threads": None}, TypeError), ({"work_limit": -1}, ValueError), ({"work_limit": "many"}, TypeError),
    ({"engine": 3}, ValueError),
])
def test_odd_arguments_of_sessions(program, options, error):
    with pytest.raises(error):
        program.session(**options)


@pytest.mark.parametrize("inputs", [
    {"input_ids": "text"}, {"input_ids": None}, {"input_ids": np.array([["a"]])}, {"input_ids": [[1.5]]},
    {"input_ids": np.zeros((1, 0), np.int64)}, {"input_ids": 3}, {"input_\udcff": [[1]]},
    {"input_ids": [[-1]]}, {"input_ids": [[2**40]]}, {"nosuch": [[1]]}, {"input_ids": np.zeros((1, 1), np.complex64)},
    {"input_ids": np.zeros((1, 1), object)}, {3: [[1]]},
])
def test_odd_inputs(program, inputs):
    session = program.session()
    with pytest.raises((wl.ExecutionError, TypeError, ValueError)):
        session.run(inputs)
    assert session.length == 0


@pytest.mark.parametrize("options", [{"max_tokens": -1}, {"max_tokens": 0}, {"temperature": -1}, {"temperature": float("nan")},
                                     {"seed": -1}, {"top_k": -1}, {"top_k": 1.5}, {"max_tokens": "x"}])
def test_odd_arguments_of_generation(program, options):
    with pytest.raises((TypeError, ValueError)):
        list(program.session().generate([1, 2], **options))


def test_work_limits(program):
    session = program.session(work_limit=1000)
    with pytest.raises(wl.ExecutionError, match="more than the limit of 1000"):
        session.run(ids(1))
    assert session.length == 0
    assert program.session(work_limit=0).run(ids(1)).cycles == program.count()[1]
    with pytest.raises(ValueError):
        program.count(work_limit=-1)


def test_a_loaded_program_is_saved_as_it_was_loaded(program, tmp_path):
    program.save(tmp_path / "a.wafer")
    image = (tmp_path / "a.wafer").read_bytes()
    loaded = wl.load(tmp_path / "a.wafer")
    expected = loaded.run(ids(2)).outputs["logits"]
    (tmp_path / "a.wafer").write_bytes(b"something else")
    loaded.save(tmp_path / "b.wafer")
    assert (tmp_path / "b.wafer").read_bytes() == image
    (tmp_path / "a.wafer").unlink()
    loaded.save(tmp_path / "b.wafer")
    assert (tmp_path / "b.wafer").read_bytes() == image
    session = loaded.session()
    session.reset()
    assert np.array_equal(session.run(ids(2)).outputs["logits"], expected)
    with pytest.raises(OSError, match="No such file or directory"):
        loaded.save(tmp_path / "none" / "c.wafer")


INTERRUPTED = """
import signal, sys, time
import numpy as np
import waferloom as wl
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born without it
program = wl.load(sys.argv[1])
session = program.session(engine=sys.argv[2], work_limit=0)
print("ready", flush=True)
try:
    while True:
        session.run({"input_ids": np.ones((1, 64), np.int64)})
        session.reset()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    session.reset()
    session.run({"input_ids": np.ones((1, 1), np.int64)})
    print("usable", flush=True)
"""


@pytest.mark.parametrize("engine", ["lockstep", "reference"])
def test_an_interrupt_is_heard_while_a_step_runs(tmp_path, engine):
    """A step of 64 tokens takes seconds in the reference engine."""
    compiled(LARGE, target="grid-8x8,sram=128KiB", context=64, chunks=[64], sample="none").save(tmp_path / "a.wafer")
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, tmp_path / "a.wafer", engine], stdout=subprocess.PIPE,
                               text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    heard = process.stdout.readline()
    seconds = time.monotonic() - start
    assert heard == "interrupted\n"
    assert seconds < 5, "a second of a quiet host"
    assert process.stdout.readline() == "usable\n" and process.wait(timeout=120) == 0


LISTENING = """
import os, signal, sys, threading, time
import waferloom as wl
options = dict(target="wse3", context=4096, weights=False)
heard = [time.process_time()]
signal.signal(signal.SIGALRM, lambda *_: heard.append(time.process_time()))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
begin = time.monotonic()
wl.compile(sys.argv[1], **options)
seconds = time.monotonic() - begin
heard.append(time.process_time())
signal.setitimer(signal.ITIMER_REAL, 0)
print(max(after - before for before, after in zip(heard, heard[1:])), flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born without it
threading.Timer(0.3 * seconds, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    wl.compile(sys.argv[1], **options)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_is_heard_while_an_8b_is_compiled(models):
    """Signals are asked for all the time, so one ends the compilation whenever it comes."""
    model = models / "shapes" / "llama3.1-8b-fp16.onnx"
    done = subprocess.run([sys.executable, "-c", LISTENING, model], capture_output=True, text=True)
    longest, outcome = done.stdout.split()
    assert float(longest) < 0.5, "seconds of the processor in which none was heard"
    assert outcome == "interrupted" and done.returncode == 0, done.stderr
