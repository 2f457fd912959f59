"""Sweeps: the same rows however they are done, on disk as soon as they are, and points that do not fit with the reason."""

import csv
import json
import multiprocessing
import os
import re
import signal
import subprocess
import threading
import time

import pytest
from conftest import BIN, on_terminal

import waferloom as wl
from waferloom import zoo
from waferloom.sweeps import points as spoken
from waferloom.sweeps import rows as stored
from waferloom.sweeps import workers

SHAPE = zoo.Shape(layers=2, width=12, heads=3, kv_heads=1, head_dim=4, hidden=10, vocabulary=23, positions=32)
AXES = dict(region=["auto", "3x2", "9x9"], target="grid-5x5,hop=1..2", context=["8", "24"])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "m.onnx"
    path.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=3)).SerializeToString())
    return path


@pytest.fixture(scope="module")
def rows(model):
    return wl.sweep(model, **AXES)


def run(model, *args, **options):
    return subprocess.run([BIN / "waferloom", "sweep", model, *map(str, args)], capture_output=True, text=True, timeout=300, **options)


def test_points_of_texts():
    points = spoken.grid(region="auto,3x2", target=["wse3,hop=1..3", "wse2,sram=48KiB|96KiB"], context="1k,4k", chunk="none,16+64")
    assert len(points) == 2 * 5 * 2 * 2
    assert [p["target"] for p in points[::8]] == ["wse3,hop=1", "wse3,hop=2", "wse3,hop=3", "wse2,sram=48KiB", "wse2,sram=96KiB"]
    assert {p["context"] for p in points} == {1024, 4096} and {p["chunk"] for p in points} == {"none", "16+64"}
    assert spoken.grid(region=(3, 2)) == spoken.grid(region=["3x2", (3, 2)]) == spoken.grid(region="3x2")
    assert spoken.options_of(points[1])["chunks"] == [16, 64]
    assert spoken.options_of(spoken.grid(precision="int4")[0])["weights"] == "int4"


@pytest.mark.parametrize("axes", [dict(region="3"), dict(region="0x2"), dict(context="4m"), dict(stages="x"), dict(chunk="1+"),
                                  dict(target="wse3,hop=3..1")])
def test_wrong_values(axes, model):
    with pytest.raises(ValueError, match=next(iter(axes)) if "target" not in axes else "no number"):
        spoken.grid(**axes)
    name, value = next(iter(axes.items()))
    done = run(model, f"--{name}={value}")
    assert done.returncode == 2 and not done.stdout


def test_rows_are_what_compiling_gives(rows, model):
    assert len(rows) == 12 and [row["target"] for row in rows[:6]] == ["grid-5x5,hop=1"] * 6
    for row in rows:
        if row["region"] == "9x9":
            assert row["outcome"] == "refused" and "a region of 9 x 9 PEs is too wide" in row["reason"] and row["cycles"] is None
            continue
        region = None if row["region"] == "auto" else tuple(map(int, row["region"].split("x")))
        program = wl.compile(model, target=row["target"], region=region, context=row["context"])
        assert (row["outcome"], row["cycles"]) == ("counted", program.count()[1])
        assert sum(value for name, value in row.items() if name.startswith("on path: ")) == row["cycles"]
        assert (row["width"], row["height"]) == (program.regions[0].width, program.regions[0].height)
        assert row["hard_bound"] == program.bounds[0]["hard"] <= row["cycles"]
        assert row["seconds"] == pytest.approx(row["cycles"] / (program.clock_ghz * 1e9))
    assert len({row["cycles"] for row in rows if row["region"] == "3x2"}) > 1


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_files_hold_the_same_in_any_order(rows, model, tmp_path, suffix):
    """One process or two, at once or in two goes: the same bytes."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    one, two, again = (tmp_path / f"{name}{suffix}" for name in ("one", "two", "again"))
    axes = dict(region=["3x2", "9x9"], target="grid-5x5,hop=1..2", context=8)
    wl.sweep(model, output=one, **axes)
    wl.sweep(model, output=two, jobs=2, **axes)
    wl.sweep(model, output=again, **(axes | dict(region="9x9")))
    done = []
    wl.sweep(model, output=again, progress=lambda count, total, row: done.append(row["region"]), **axes)
    assert set(done) == {"3x2"}
    assert one.read_bytes() == two.read_bytes() == again.read_bytes()
    assert stored.read(one) == [row for row in rows if row["region"] != "auto" and row["context"] == 8]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in (one, two, again))
    if suffix == ".csv":
        with open(one, newline="") as file:
            assert [row["cycles"] for row in csv.DictReader(file)] == [str(row["cycles"] or "") for row in stored.read(one)]


def test_a_sweep_that_was_broken_off_goes_on(rows, model, tmp_path):
    output = tmp_path / "x.json"

    def stop(done, total, row):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wl.sweep(model, output=output, progress=stop, **AXES)
    journal = tmp_path / "x.json.rows"
    assert not output.exists() and len(journal.read_text().splitlines()) == 5
    with open(journal, "a") as file:
        file.write('{"model": "half of a l')
    done = []
    assert wl.sweep(model, output=output, progress=lambda count, total, row: done.append(count), **AXES) == rows
    assert done == list(range(6, 13)) and not journal.exists()


def test_a_killed_worker_loses_its_point_alone(rows, model, tmp_path, monkeypatch):
    output, killed = tmp_path / "x.csv", []

    def kill(worker, index, job, give=workers.Worker.give):
        if not killed and index == 6:
            os.kill(worker.process.pid, signal.SIGSTOP)  # it does not come to an answer
            killed.append(job["point"])
            threading.Thread(target=lambda: (time.sleep(0.2), os.kill(worker.process.pid, signal.SIGKILL))).start()
        give(worker, index, job)

    monkeypatch.setattr(workers.Worker, "give", kill)
    with pytest.raises(wl.LostPoints, match="1 point lost with the process, the first by signal 9") as caught:
        wl.sweep(model, output=output, jobs=2, **AXES)
    assert caught.value.lost[0][0] == killed[0]
    assert caught.value.rows == [row for row in rows if not all(row[key] == value for key, value in killed[0].items())]
    assert len(stored.read(output)) == 11
    monkeypatch.undo()
    done = []
    assert wl.sweep(model, output=output, progress=lambda count, total, row: done.append(row), **AXES) == rows
    assert len(done) == 1


def test_rows_of_another_model_are_not_taken(model, tmp_path):
    output = tmp_path / "x.csv"
    wl.sweep(model, output=output, region="3x2", target="grid-5x5", context=8)
    other = zoo.Shape(**(SHAPE._asdict() if hasattr(SHAPE, "_asdict") else vars(SHAPE)) | {"layers": 1})
    before = output.read_bytes()
    with pytest.raises(ValueError, match="rows of another model"):
        wl.sweep(zoo.build(other, zoo.weights(other)).SerializeToString(), output=output, region="3x2", target="grid-5x5", context=8)
    assert output.read_bytes() == before


def test_points_of_one_s_own(model):
    points = [{"region": "3x2"}, {"region": "3x2", "disable_rewrites": ["middle-root", "packed-messages"]}]
    rows = wl.sweep(model, points=points, target="grid-5x5", context=8)
    without = wl.compile(model, region=(3, 2), target="grid-5x5", context=8, disable_rewrites=["middle-root", "packed-messages"])
    assert rows[1]["cycles"] == without.count()[1] != rows[0]["cycles"], rows[1]["reason"]
    assert "middle-root" in rows[1]["options"] and rows[0]["options"] is None


def test_a_point_has_options_that_there_are(model):
    with pytest.raises(ValueError, match="there is no option 'regoin' of a point"):
        wl.sweep(model, points=[{"regoin": "3x2"}], target="grid-5x5", context=8)
    with pytest.raises(ValueError, match="one value of each option"):
        wl.sweep(model, points=[{"region": "3x2,1x1"}], target="grid-5x5", context=8)
    with pytest.raises(ValueError, match="jobs"):
        wl.sweep(model, region="3x2", target="grid-5x5", context=8, jobs=0)


def test_prompts(model):
    row, = wl.sweep(model, target="grid-5x5", context=16, chunk="2+4")
    counted = wl.compile(model, target="grid-5x5", context=16, chunks=[2, 4]).count()
    assert (row["cycles"], row["chunk_tokens"], row["chunk_cycles"]) == (counted[1], 4, counted[4])


def test_on_dask(rows, model, tmp_path):
    distributed = pytest.importorskip("distributed")
    output = tmp_path / "x.csv"
    assert wl.sweep(model, output=output, dask="local", jobs=2, **AXES) == stored.read(output) == rows
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        axes = dict(region=["3x2", "9x9"], target="grid-5x5,hop=1", context=8)
        assert wl.sweep(model, dask=cluster.scheduler_address, **axes) == [
            row for row in rows if row["region"] != "auto" and row["target"] == axes["target"] and row["context"] == 8]


def test_a_killed_worker_of_dask_loses_its_point_alone(rows, model, tmp_path):
    pytest.importorskip("distributed")
    output, killed = tmp_path / "x.csv", []

    def kill(done, total, row):
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    try:
        assert wl.sweep(model, output=output, dask="local", jobs=2, progress=kill, **AXES) == rows
    except wl.LostPoints as error:
        assert len(error.lost) == 1 and "Killed" in error.lost[0][1] and len(error.rows) == 11
    assert killed and wl.sweep(model, output=output, **AXES) == rows


@pytest.mark.parametrize("module, args, extra", [("pyarrow", ["-o", "x.parquet"], "waferloom[parquet]"),
                                                 ("distributed", ["--dask", "local"], "waferloom[dask]")])
def test_without_an_extra(model, tmp_path, module, args, extra):
    (tmp_path / "hidden").mkdir()
    (tmp_path / f"hidden/{module}.py").write_text("raise ImportError('not installed')\n")
    done = run(model, "--target", "grid-5x5", "--region", "3x2", "--context", 8, *args, cwd=tmp_path,
               env=os.environ | {"PYTHONPATH": str(tmp_path / "hidden")})
    assert done.returncode == 1 and f"pip install '{extra}'" in done.stderr


def test_a_bar_has_rate_and_rest(model):
    args = [BIN / "waferloom", "sweep", model, "--region=3x2,9x9", "--target=grid-5x5", "--context=8"]
    told = on_terminal(args)
    lines = told.replace("\r\x1b[K", "\n").split("\n")
    assert re.fullmatch(r"\[#{15}-{15}\] 1/2, [\d.e+]+ points/s, 0:\d\d left(, 1 without cycles)?", lines[1]), told
    assert re.fullmatch(r"\[#{30}\] 2/2, [\d.e+]+ points/s, 0:00 left, 1 without cycles", lines[2]) and lines[-1] == ""
    assert on_terminal([*args, "--quiet"]) == ""


def test_the_command(rows, model, tmp_path):
    args = ["--region=auto,3x2,9x9", "--target=grid-5x5,hop=1..2", "--context=8,24"]
    text = run(model, *args)
    assert text.returncode == 0, text.stderr
    best = min(row["cycles"] for row in rows if row["cycles"])
    assert text.stdout.splitlines()[-1].startswith(f"12 points, 8 of them counted; the least: {best:,} cycles")
    assert len(text.stdout.splitlines()) == 14 and "a region of 9 x 9 PEs is too wide" in text.stdout
    told = run(model, *args, "--json")
    assert told.stdout.count("\n") == 1 and json.loads(told.stdout)["rows"] == rows
    done = run(model, *args, "-o", tmp_path / "x.json", "--jobs", 2)
    assert done.returncode == 0 and "x.json: 12 points" in done.stdout
    assert json.loads((tmp_path / "x.json").read_text()) == rows
    assert run(model, *args, "-o", tmp_path / "x.txt").returncode == 1
    assert run("nowhere.onnx").returncode == 1
