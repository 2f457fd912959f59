"""The report of an image: well-formed, without anything from elsewhere, the same every time, and every number in it
is the one that other commands print."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import BIN

import waferloom as wl
from waferloom import zoo

TOOL = BIN / "waferloom"
SHAPE = zoo.Shape(layers=4, width=20, heads=6, kv_heads=3, head_dim=6, hidden=14, vocabulary=23, positions=32)
PROGRAMS = {
    "plain": {"target": "grid-8x8"},
    "one-core": {"target": "grid-1x1,sram=1MiB"},
    "stages": {"target": "wse3", "region": (5, 3), "stages": 5, "chunks": [3], "prefill": "stream"},
    "measured": {"target": "grid-8x8", "measure_rewrites": True, "chunks": [4]},
}


def run(*args):
    return subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True)


@pytest.fixture(scope="module", params=PROGRAMS)
def image(request, tmp_path_factory):
    """An image whose name is awkward."""
    path = tmp_path_factory.mktemp("report") / f"{request.param} & <\"größer\"> {'x' * 80}.wafer"
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=5)).SerializeToString()
    wl.compile(model, context=12, **PROGRAMS[request.param]).save(path)
    return path


@pytest.fixture
def page(image, tmp_path):
    """The report, as text and as a tree."""
    out = tmp_path / "report.html"
    done = run("report", image, "-o", out)
    assert done.returncode == 0, done.stderr
    text = out.read_text(encoding="utf-8")
    return text, ElementTree.fromstring(text.replace("<!DOCTYPE html>", "", 1))


def flat(value, prefix=""):
    """Leaves of nested lists and objects, by dotted name."""
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: leaf for name, nested in items for key, leaf in flat(nested, f"{prefix}{name}.").items()}
    return {prefix[:-1]: value}


def test_numbers_are_those_of_other_commands(image, page):
    ours = {}
    for cell in page[1].iter("td"):
        if key := cell.get("data-key"):
            assert key not in ours
            ours[key] = int(cell.get("data-value"))
            assert int(cell.text.replace(",", "")) == ours[key]
    info = json.loads(run("info", image, "--json").stdout)
    counted = json.loads(run("run", image, "--cycles", "--json").stdout)
    known = flat({"regions": info["regions"], "entries": counted["entries"], "parameters": info["parameters"],
                  "capacity": info["capacity"], "image_bytes": image.stat().st_size,
                  "rewrites": {rewrite["name"]: rewrite["cycles"] for rewrite in info["rewrites"]}})
    assert info["rewrites"] == counted["rewrites"]
    programs = {key for key in ours if ".programs." in key}
    assert programs and all(ours[key] >= 0 for key in programs)
    assert {key: ours[key] for key in ours.keys() - programs} == {key: known[key] for key in ours.keys() - programs}
    missing = {key for key in known if key.startswith(("entries.", "rewrites.")) and not key.endswith(
        (".name", ".seconds", ".repeats", ".arbitrated", ".live_lengths")) and ".shared_links.pairs." not in key and (".critical." not in key or ".critical.kinds." in key)} - ours.keys()
    # All kinds of the path are shown, of its nodes those with the most cycles. Parts are shown of stage 0 and one other.
    assert all(".parts." in key for key in missing)
    for number, entry in enumerate(counted["entries"]):
        with_parts = {key.split(".")[3] for key in ours if key.startswith(f"entries.{number}.stages.") and ".parts." in key}
        assert "0" in with_parts and len(with_parts) == min(2, len(entry["stages"]))


def test_code_is_that_of_the_fit(image, page):
    cells = {cell.get("data-key"): int(cell.get("data-value")) for cell in page[1].iter("td") if cell.get("data-key")}
    fits = [key for key in cells if key.endswith(".fit.code")]
    for fit in fits:
        programs = fit.replace("fit.code", "programs.")
        code = [value for key, value in cells.items() if key.startswith(programs) and key.endswith(".code")]
        # The longest programs of all entries need not be one core's.
        assert max(code) <= cells[fit] <= sum(code)


def test_stands_alone(page):
    text, tree = page
    assert "http" not in text and "<script" not in text and "url(" not in text and "@import" not in text
    assert not list(tree.iter("img")) and not list(tree.iter("link"))
    for element in tree.iter():
        assert not {"src", "href"} & element.attrib.keys()


def test_names_are_shown_as_they_are(image, page):
    assert page[1].find("body/h1").text == image.name == page[1].find("head/title").text


def test_shapes_of_the_map(image, page):
    facts = json.loads(run("info", image, "--json").stdout)
    regions = facts["regions"]
    fabric, enlarged = (svg for svg in page[1].iter("svg") if svg.get("class") == "map")
    for picture in (fabric, enlarged):
        rectangles = [rect for rect in picture.iter("rect") if rect.get("class").startswith("stage")]
        assert len(rectangles) == len(regions)
    width, height = (float(enlarged.get(name)) for name in ("width", "height"))
    across, down = (max(region[at] + region[size] for region in regions) for at, size in (("x", "width"), ("y", "height")))
    assert width / height == pytest.approx(across / down, rel=0.05)


def test_the_same_bytes_every_time(image, page, tmp_path):
    again = tmp_path / "again.html"
    assert run("report", image, "-o", again, "--quiet").stdout == ""
    assert again.read_text(encoding="utf-8") == page[0]


def test_says_how_to_measure_rewrites(image, page):
    measured = bool(wl.load(image).rewrites)
    assert ("--measure-rewrites" in page[0]) != measured


def test_errors(tmp_path):
    out = tmp_path / "report.html"
    bad = tmp_path / "bad.wafer"
    bad.write_bytes(b"\x89WAFER\r\n")
    missing = run("report", tmp_path / "none.wafer", "-o", out)
    assert missing.returncode == 1 and "none.wafer" in missing.stderr
    damaged = run("report", bad, "-o", out)
    assert damaged.returncode == 1 and "bad.wafer: error: image" in damaged.stderr
    assert not out.exists()
    assert run("report", bad).returncode == 2
    assert run("report").returncode == 2
    assert run("report", bad, "-o", bad).returncode == 2 and bad.read_bytes() == b"\x89WAFER\r\n"
    image = tmp_path / "m.wafer"
    wl.compile(zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString(), target="grid-8x8", context=12).save(image)
    nowhere = run("report", image, "-o", tmp_path / "no" / "report.html")
    assert nowhere.returncode == 1 and "report.html: error: " in nowhere.stderr
    folder = run("report", image, "-o", tmp_path)
    assert folder.returncode == 1 and "Is a directory" in folder.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.wafer", "m.wafer"]
