"""Where cycles go: every cycle of the core that ends last is in one account, the
parts add up to the step, and one layer costs what one layer adds."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import BIN, BothEngines
from waferloom import cycles, zoo

import waferloom as wl

SHAPE = zoo.Shape(layers=3, width=32, heads=4, kv_heads=2, head_dim=8, hidden=40, vocabulary=64, positions=64)


def run(shape, target="grid-4x4,sram=96KiB", chunks=None, ids=(5,), **options):
    program = wl.compile(zoo.build(shape, zoo.weights(shape)).SerializeToString(), target=target, context=32,
                         chunks=chunks, logits="all", **options)
    return program.session().run({"input_ids": [list(ids)]})


@pytest.mark.parametrize("target", ["grid-4x4,sram=96KiB", "grid-1x1,sram=1MiB", "grid-7x3,sram=96KiB"])
def test_every_cycle_is_accounted(target):
    result = run(SHAPE, target)
    assert sum(account.busy + account.wait for account in result.accounts) == result.cycles
    parts = cycles.parts(result.accounts)
    assert [(part.name, part.repeats) for part in parts] == [("layer", SHAPE.layers), ("outside", 1)]
    assert sum(part.cycles * part.repeats for part in parts) == pytest.approx(result.cycles, abs=1e-6)
    for part in parts:
        for kind in cycles.KINDS:
            assert part.kinds[kind] == pytest.approx(sum(node[kind] for node in part.nodes.values()))
    streams = sum(part.kinds["collectives"] + part.kinds["waits"] for part in parts)
    assert (streams > 0) == (target != "grid-1x1,sram=1MiB"), "one core sends nothing and waits for nobody"


def test_a_layer_is_what_a_layer_adds():
    # Whether loops end with the live slots is a matter of how many layers do.
    few, many = (run(replace(SHAPE, layers=layers), disable_rewrites=["live-lengths"]) for layers in (SHAPE.layers, 5))
    layer = cycles.parts(few.accounts)[0]
    # Trips of one loop are equal but for waits at its ends.
    assert (many.cycles - few.cycles) / 2 == pytest.approx(layer.cycles, rel=0.01)


def test_products_are_those_of_the_model():
    layer, outside = cycles.parts(run(SHAPE).accounts)
    with_products = {node for part in (layer, outside) for node, kinds in part.nodes.items() if kinds["products"]}
    # k and v are one instruction with q, up is one with gate.
    together = [" + ".join(f"layer0/{node}" for node in nodes) for nodes in (
        ("attn/q", "attn/k", "attn/v"), ("mlp/gate", "mlp/up"))]
    assert with_products == {f"layer0/{node}" for node in (
        "attn/scores", "attn/mix", "attn/out", "mlp/down")} | {*together, "head"}


def test_products_grow_with_the_model():
    wide = run(replace(SHAPE, hidden=80))
    narrow = run(SHAPE)
    ours, theirs = (cycles.parts(result.accounts)[0].nodes["layer0/mlp/down"] for result in (wide, narrow))
    assert ours["products"] > 1.5 * theirs["products"]


def test_several_entries_add_up():
    result = run(SHAPE, chunks=[4], ids=range(1, 7))
    assert sum(account.busy + account.wait for account in result.accounts) == result.cycles
    assert sum(p.cycles * p.repeats for p in cycles.parts(result.accounts)) == pytest.approx(result.cycles)


def test_a_model_without_equal_layers():
    result = run(replace(SHAPE, layers=1))
    parts = cycles.parts(result.accounts)
    assert [part.name for part in parts] == ["outside"]
    assert parts[0].cycles == result.cycles


@pytest.mark.parametrize("chunks", [None, [3]])
def test_every_stage_is_accounted(chunks):
    shape = replace(SHAPE, layers=6)
    program = wl.compile(zoo.build(shape, zoo.weights(shape)).SerializeToString(), target="wse3", context=32,
                         region=(5, 4), stages=4, chunks=chunks)
    result = BothEngines(program).run({"input_ids": [[5, 6, 7]]})
    assert len(result.stages) == 4
    for number, (stage, region) in enumerate(zip(result.stages, program.regions, strict=True)):
        assert sum(account.busy + account.wait for account in stage.accounts) == stage.cycles <= result.cycles
        assert 0 <= stage.x - region.x < region.width and 0 <= stage.y - region.y < region.height
        layers = [part for part in cycles.parts(stage.accounts) if part.name == "layer"]
        assert sum(part.kinds["products"] for part in layers) > 0 if number else not any(
            account.product and account.node.startswith("layer") for account in stage.accounts)
    assert result.stages[0].cycles == result.cycles and result.stages[0].accounts == result.accounts
    first, busiest = cycles.shown(result.stages)
    assert first == 0 and busiest > 0
    text = cycles.table(result)
    assert text.count("\ncycles ") == 2 and f"stage {busiest} of 0 to 3, the busiest but 0" in text


def test_tools_print_every_stage(tmp_path):
    shape = replace(SHAPE, layers=4)
    program = wl.compile(zoo.build(shape, zoo.weights(shape)).SerializeToString(), target="wse3", context=32,
                         region=(5, 4), stages=3)
    image = tmp_path / "m.wafer"
    program.save(image)
    tool = BIN / "waferloom"
    told = json.loads(subprocess.run([tool, "run", image, "--cycles", "--json"], capture_output=True, check=True).stdout)
    result = program.session().run({"input_ids": [[5]]})
    assert told["entries"][0]["stages"] == cycles.facts(result)
    text = subprocess.run([tool, "run", image, "--cycles"], capture_output=True, text=True, check=True).stdout
    assert "stage 0 of 0 to 2" in text and "the busiest but 0" in text and "--measure-rewrites" in text
    # The same table, but for how halves are rounded.
    ours, theirs = ([re.sub(r"[\d,.%#]+", "", line).split() for line in lines.splitlines()]
                    for lines in (cycles.table(result), text))
    assert [line for line in ours if line and line[0] in ("products", "collectives")] == [
        line for line in theirs if line and line[0] in ("products", "collectives")]
    done = subprocess.run([tool, "generate", image, "--ids", "5,6", "--max-tokens", "3", "--cycles", "--json"],
                          capture_output=True, check=True)
    spoken = json.loads(done.stdout)
    assert [stage["cycles"] for stage in spoken["stages"]] == [stage.cycles for stage in result.stages]
    assert spoken["rewrites"] == []


def test_the_demo_prints_them():
    done = subprocess.run([sys.executable, "-m", "waferloom.demo", "llama"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = {name: line.split() for line in done.stdout.splitlines()
            for name in ("wafer ", "ONNX Runtime", "cycles  ", "products") if line.startswith(name)}
    assert rows["wafer "][1:] == rows["ONNX Runtime"][2:] and len(rows["wafer "]) == 33
    layer, outside, step = (int(word.replace(",", "")) for word in rows["cycles  "][1:])
    assert abs(4 * layer + outside - step) <= 4, "rounded per layer"
    assert re.search(rf"the last token: {step:,} cycles", done.stdout)


def test_a_trace_has_every_core():
    program = wl.compile(zoo.build(SHAPE, zoo.weights(SHAPE)).SerializeToString(), target="grid-6x5", context=32,
                         region=(4, 4))
    (region,) = program.regions
    assert (region.width, region.height) == (4, 4) and program.fabric == (6, 5)
    session = program.session()
    result = session.run({"input_ids": [[5]]}, trace=True)
    trace = result.trace
    assert trace.left_out == 0 and trace.end.max() == result.cycles
    cores = set(zip(trace.x.tolist(), trace.y.tolist()))
    assert cores == {(region.x + x, region.y + y) for x in range(4) for y in range(4)}
    assert (trace.busy <= trace.end - trace.begin).all() and (trace.thread == -1).all()
    # One of the cores that end last is the one that the accounts are of.
    ends = {core: int(trace.end[(trace.x == core[0]) & (trace.y == core[1])].max()) for core in cores}
    busy = {int(trace.busy[(trace.x == x) & (trace.y == y)].sum()) for (x, y), end in ends.items()
            if end == result.cycles}
    assert sum(account.busy for account in result.accounts) in busy
    assert set(trace.node) >= {account.node for account in result.accounts}
    assert session.run({"input_ids": [[5]]}).trace is None
