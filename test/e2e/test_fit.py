"""What fits is found, and what does not fit is refused with the table of what is
where and with options that do fit."""

import json
import re
import subprocess

import numpy as np
import pytest
from waferloom import zoo

import waferloom as wl

from conftest import BIN

WAFERLOOM = BIN / "waferloom"
# The weights of this shape fill nearly all of the grids below.
FULL = zoo.Shape(layers=3, width=96, heads=6, kv_heads=3, head_dim=16, hidden=256, vocabulary=1024, positions=512)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "model.onnx"
    path.write_bytes(zoo.build(FULL, zoo.weights(FULL)).SerializeToString())
    return path


def refused(run, *args):
    done = run("compile", *args)
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.fixture
def run():
    return lambda *args: subprocess.run([WAFERLOOM, *map(str, args)], capture_output=True, text=True)


@pytest.mark.parametrize("grid", ["grid-8x8", "grid-9x8", "grid-10x7", "grid-12x8", "grid-16x5", "grid-16x16"])
def test_what_fits_compiles(model, grid):
    """Weights, divided evenly over these PEs, take 36 KiB at most."""
    program = wl.compile(model, target=grid, context=64)
    fit = program.summary["fit"]
    assert sum(fit.values()) == program.summary["sram_used_max"] <= program.summary["sram_limit"]
    assert min(fit.values()) > 0


@pytest.mark.parametrize("chunks", [[], [2]])
def test_a_long_mask_lies_where_its_positions_lie(chunks):
    """Each PE is given the elements of an input that it reads, not all of them: of a mask over 2,000 positions (8 KiB)
    those of its own. What is masked counts."""
    shape = zoo.Shape(layers=1, width=24, heads=4, kv_heads=2, head_dim=6, hidden=30, vocabulary=50, positions=2000)
    model = zoo.build(shape, zoo.weights(shape, seed=3)).SerializeToString()
    program = wl.compile(model, target="grid-6x7,sram=96KiB", context=2000, chunks=chunks)
    assert program.summary["fit"]["buffers"] < 17_000
    ids = np.random.default_rng(5).integers(0, 50, (1, 4))
    mask = np.array([[0, 1, 1, 1]])
    session, reference = program.session(), zoo.Reference(model)
    empty = {name: value for name, value in reference.past.items()}
    for begin in range(0, 4, width := (chunks or [1])[0]):
        end = begin + width
        ours = session.run({"input_ids": ids[:, begin:end], "attention_mask": mask[:, :end],
                            "position_ids": np.arange(begin, end)[None]}).outputs["logits"]
        theirs = reference.session.run(["logits"], {"input_ids": ids[:, :end], "attention_mask": mask[:, :end],
                                                    "position_ids": np.arange(end)[None], **empty})[0]
        if mask[0, end - 1]:
            np.testing.assert_allclose(ours[:, -1], theirs[:, -1], rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def tight(model):
    """The least memory on a grid, as a refusal names it."""
    with pytest.raises(wl.CompileError) as error:
        wl.compile(model, target="grid-6x6", context=64)
    return error.value.diagnostics[0]


def test_the_refusal_says_what_is_where(tight):
    assert re.search(r"needs \d+ bytes of SRAM on the fullest PE of 6 x 6 but 'grid-6x6' has 49152|"
                     r"weights and states take \d+ bytes per PE when divided evenly", tight.message)
    text = "\n".join(tight.notes)
    assert "the largest of 32 weights: 'lm_head.weight'" in text, text
    assert "the largest of 6 states: 'past_key_values.0.key'" in text, text


def test_the_options_named_do_fit(model, tight):
    options = re.search(r"nearest options that fit: (.*)", "\n".join(tight.notes)).group(1).split("; ")
    assert len(options) >= 2 and any("--precision f16" in option for option in options)
    for option in options:
        flag, value, needed = re.fullmatch(r"--(target|context|precision) (\S+) \((\d+) bytes\)", option).groups()
        kwargs = {"target": "grid-6x6", "context": 64}
        kwargs[flag] = int(value) if flag == "context" else value
        assert wl.compile(model, **kwargs).summary["sram_used_max"] <= 1.01 * int(needed), option


def test_a_shorter_context_is_offered_where_states_are_large(run, model, tmp_path):
    text = refused(run, model, "-o", tmp_path / "x.wafer", "--target", "grid-10x10", "--context", 8192 * 4)
    found = re.search(r"--context (\d+)", text.split("nearest options that fit")[1])
    assert found, text
    assert run("compile", model, "-o", tmp_path / "y.wafer", "--target", "grid-10x10",
               "--context", found.group(1)).returncode == 0


def test_halves_are_offered_where_singles_are(run, tmp_path):
    path = tmp_path / "half.onnx"
    path.write_bytes(zoo.build(FULL, zoo.weights(FULL), precision="f16").SerializeToString())
    assert "--precision" not in refused(run, path, "-o", tmp_path / "x.wafer", "--target", "grid-4x3", "--context", 64)


def test_nothing_is_written(run, model, tmp_path):
    text = refused(run, model, "-o", tmp_path / "x.wafer", "--target", "grid-2x2", "--context", 64)
    assert "nearest options that fit: --target grid-" in text
    assert not list(tmp_path.iterdir())


def test_a_table_in_json_and_in_info(run, model, tmp_path):
    image = tmp_path / "x.wafer"
    done = run("compile", model, "-o", image, "--target", "grid-12x8", "--context", 64, "--json")
    facts = json.loads(done.stdout)
    assert sum(facts["fit"].values()) == facts["sram_used_max"]
    region = json.loads(run("info", image, "--json").stdout)["regions"][0]
    assert region["fit"] == facts["fit"] | {"limit": facts["sram_limit"]}
    assert f"code {facts['fit']['code']}" in run("info", image).stdout


def test_info_of_a_model(run, model):
    facts = json.loads(run("info", model, "--json").stdout)
    assert facts["inputs"][0] == {"name": "input_ids", "dtype": "int64", "shape": ["batch", "sequence"]}
    assert sum(facts["weights"].values()) == 4 * facts["parameters"] > 0
    assert facts["operators"]["MatMul"] > 10
    text = run("info", model).stdout
    assert f"{facts['parameters']} parameters in 32 weights" in text
    assert "output  logits: float32 [batch, sequence, 1024]" in text
