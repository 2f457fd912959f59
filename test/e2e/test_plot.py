"""Pictures of sweeps: what is in them, that nothing is cut off, and that they look right is looked at by people; the files are
in the output folder of the test."""

import os
import subprocess

import pytest
from conftest import BIN

import waferloom as wl
from waferloom import zoo
from waferloom.sweeps import rows as stored

pytest.importorskip("matplotlib")
SHAPE = zoo.Shape(layers=2, width=12, heads=3, kv_heads=1, head_dim=4, hidden=10, vocabulary=23, positions=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("plot")
    (path / "m.onnx").write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=3)).SerializeToString())
    wl.sweep(path / "m.onnx", region=["2x2", "4x2", "2x4", "4x4", "9x9"], target="grid-5x5,hop=1|4", context=8, output=path / "rows.csv",
             jobs=2)
    return path


@pytest.fixture(scope="module")
def rows(folder):
    return stored.read(folder / "rows.csv")


def shown(axis):
    """The labels of an axis that can be seen."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 if tick.label1.get_visible() else tick.label2 for tick in axis.get_major_ticks()
            if low <= tick.get_loc() <= high]


def whole(figure):
    """All texts lie within the picture, and none of the axes over another."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, size = canvas.get_renderer(), figure.bbox
    for axes in figure.axes:
        ticks = [shown(axes.xaxis), shown(axes.yaxis)]
        texts = [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, *ticks[0], *ticks[1]]
        for text in texts:
            box = text.get_window_extent(renderer)
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= size.x1 + 1 and box.y1 <= size.y1 + 1
            assert inside or not text.get_text(), text.get_text()
        for labels in ticks:
            boxes = [label.get_window_extent(renderer) for label in labels if label.get_text()]
            assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    return figure


def test_the_front(rows):
    best = wl.plot.front(rows)
    assert [row["pes"] for row in best] == sorted({row["pes"] for row in best})
    assert [row["cycles"] for row in best] == sorted((row["cycles"] for row in best), reverse=True)
    for row in rows:
        if row["outcome"] == "counted" and row not in best:
            assert any(other["pes"] <= row["pes"] and other["cycles"] <= row["cycles"] for other in best)


def test_latency(rows, folder):
    figure = whole(wl.plot.latency(rows, title="A small one"))
    figure.savefig(folder / "latency.png")
    axes, = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["grid-5x5,hop=1", "grid-5x5,hop=4",
                                                                          "bound of the points on the front"]
    drawn = {(x, y) for line in axes.lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    counted = [row for row in rows if row["outcome"] == "counted"]
    assert len(counted) == 8 and {(row["pes"], row["cycles"]) for row in counted} <= drawn
    least = min(counted, key=lambda row: row["cycles"])
    assert axes.texts[0].get_text() == f"{least['width']}x{least['height']}: {least['cycles']:,}"


def test_stacked(rows, folder):
    figure = whole(wl.plot.stacked(rows))
    figure.savefig(folder / "stacked.png")
    axes, = figure.axes
    ends = {}
    for bar in axes.patches:
        middle = round(bar.get_y() + bar.get_height() / 2)
        ends[middle] = max(ends.get(middle, 0), bar.get_x() + bar.get_width())
    counted = [row for row in rows if row["outcome"] == "counted"]
    assert [ends[i] for i in range(len(counted))] == [row["cycles"] for row in counted]
    assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == "bound"
    assert len(set(label.get_text() for label in axes.get_yticklabels())) == len(counted)


def test_heat(rows, folder):
    figure = whole(wl.plot.heat(rows))
    figure.savefig(folder / "heat.png")
    least = {}
    for row in rows:
        if row["outcome"] == "counted":
            place = (row["width"], row["height"])
            least[place] = min(least.get(place, row["cycles"]), row["cycles"])
    assert sorted(text.get_text() for text in figure.axes[0].texts) == sorted(f"{cycles:,}" for cycles in least.values())
    whole(wl.plot.heat(rows, x="region", y="target", value="seconds"))


def test_nothing_to_draw(rows):
    refused = [row for row in rows if row["outcome"] == "refused"]
    for picture in wl.plot.PICTURES.values():
        with pytest.raises(ValueError, match="nothing to draw"):
            picture(refused)


def run(folder, *args, **options):
    return subprocess.run([BIN / "waferloom", "plot", *map(str, args)], cwd=folder, capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize("args", [["-o", "a.png"], ["-o", "b.svg", "--kind=stacked", "--where", "target=grid-5x5,hop=4"],
                                  ["-o", "c.pdf", "--kind=heat", "--x=pes", "--y=target", "--value=sram", "--title=Bytes"],
                                  ["-o", "d.png", "--by=target"]])
def test_the_command(folder, args):
    done = run(folder, "rows.csv", *args)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / args[1]).stat().st_size > 5000


@pytest.mark.parametrize("args, status, message", [
    (["rows.csv", "-o", "x.txt"], 2, ".png, .svg, .pdf"), (["nowhere.csv", "-o", "x.png"], 1, "nowhere.csv"),
    (["rows.csv", "-o", "x.png", "--kind=heta"], 2, "did you mean 'heat'?"),
    (["rows.csv", "-o", "x.png", "--kind=heat", "--x=wdth"], 1, "there is no column 'wdth'"),
    (["rows.csv", "-o", "x.png", "--where", "context=9"], 1, "no row has context=9"),
])
def test_a_refusal(folder, args, status, message):
    done = run(folder, *args)
    assert done.returncode == status and message in done.stderr and not (folder / "x.png").exists()


def test_without_the_extra(folder, tmp_path):
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib/__init__.py").write_text("raise ImportError('not installed')\n")
    done = run(folder, "rows.csv", "-o", "x.png", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1 and "pip install 'waferloom[plot]'" in done.stderr
