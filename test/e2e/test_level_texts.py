"""Compiling goes on from the text of any level that --save-ir wrote, and gives the same image byte for byte."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from conftest import BIN
from onnx import TensorProto, helper, numpy_helper

import waferloom as wl
from waferloom import zoo

WAFERLOOM, OPT = BIN / "waferloom", BIN / "waferloom-opt"
SHAPE = zoo.Shape(layers=4, width=36, heads=6, kv_heads=3, head_dim=6, hidden=50, vocabulary=90, positions=64)


def waferloom(*arguments):
    return subprocess.run([WAFERLOOM, *map(str, arguments)], capture_output=True, text=True)


def compiled(model, folder, options):
    """The image of a model and the texts of its levels, in order."""
    done = waferloom("compile", model, *options, "-o", folder / "model.wafer", "--save-ir", folder / "ir", "--quiet")
    assert done.returncode == 0, done.stderr
    return (folder / "model.wafer").read_bytes(), sorted((folder / "ir").glob("*.mlir"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A Llama of the zoo with a chunk: the model, its options, the image and its levels."""
    folder = tmp_path_factory.mktemp("llama")
    model = folder / "model.onnx"
    model.write_bytes(zoo.build(SHAPE, zoo.weights(SHAPE, seed=6)).SerializeToString())
    options = ["--target=grid-7x5,sram=256KiB", "--context=24", "--chunk=4", "--precision=f16", "--prefill=block",
               "--disable-rewrite=middle-root", "--sample=top-5"]
    return model, options, *compiled(model, folder, options)


def check_levels(image, levels, folder):
    assert len(levels) >= 5
    for level in levels:
        done = waferloom("compile", level, "-o", folder / "again.wafer", "--quiet")
        assert done.returncode == 0, f"{level.name}: {done.stderr}"
        assert (folder / "again.wafer").read_bytes() == image, level.name


def test_a_llama_with_a_chunk(llama, tmp_path):
    _, _, image, levels = llama
    check_levels(image, levels, tmp_path)


def test_stages(models, tmp_path):
    model = models / "stories260k/stories260k-primitives-opset17.onnx"
    image, levels = compiled(model, tmp_path, ["--target=wse3", "--context=128", "--region=16x16", "--stages=6", "--chunk=16"])
    check_levels(image, levels, tmp_path)


@pytest.mark.parametrize("name, dim", [("gpt2-dynamo-op18", "batch=1"), ("llama-optimum-op18", "batch_size=1")])
def test_graphs_of_exporters(models, tmp_path, name, dim):
    image, levels = compiled(models / f"exporters/{name}.onnx", tmp_path,
                             ["--target=grid-8x8,sram=256KiB", "--context=32", f"--dim={dim}"])
    check_levels(image, levels, tmp_path)


def test_texts_move_with_the_model(llama, tmp_path):
    """Files of weights are named relative to the text."""
    model, _, image, levels = llama
    shutil.copytree(model.parent, tmp_path / "moved")
    check_levels(image, sorted((tmp_path / "moved/ir").glob("*.mlir")), tmp_path)


def test_programs_that_break_a_rule_are_refused(llama, tmp_path):
    """Compiling checks what it makes as a reader would: nothing is written that no reader takes."""
    model, _, _, levels = llama
    shutil.copytree(model.parent, tmp_path / "moved")
    last = tmp_path / "moved/ir" / levels[-1].name
    text = last.read_text()
    edited = re.sub(r"(core.region .*) memory \d+", r"\1 memory 400000", text)
    assert edited != text
    last.write_text(edited)
    done = waferloom("compile", last, "-o", tmp_path / "x.wafer")
    assert done.returncode == 1 and "400000 bytes of memory exceed the 262144 bytes of SRAM" in done.stderr, done.stderr
    assert not (tmp_path / "x.wafer").exists()


def test_python_reads_texts(llama, tmp_path):
    _, _, image, levels = llama
    program = wl.compile(levels[1])
    program.save(tmp_path / "again.wafer")
    assert (tmp_path / "again.wafer").read_bytes() == image


def test_levels_are_saved_again(llama, tmp_path):
    """From a text on, the levels behind it; they are the same but for lines."""
    _, _, _, levels = llama
    done = waferloom("compile", levels[1], "-o", tmp_path / "m.wafer", "--save-ir", tmp_path / "ir", "--quiet")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted((tmp_path / "ir").glob("*.mlir"))] == [path.name for path in levels[2:]]
    plain = [subprocess.run([OPT, path], capture_output=True, text=True, check=True).stdout
             for path in (levels[4], tmp_path / "ir" / levels[4].name)]
    assert re.sub(r'"[^"]*model.onnx"', "", plain[0]) == re.sub(r'"[^"]*model.onnx"', "", plain[1])


def test_passes_of_the_driver_are_those_of_the_compiler(llama, tmp_path):
    """waferloom-opt, from the model on, phase by phase: the text that --save-ir wrote."""
    model, _, _, levels = llama
    text = subprocess.run([OPT, "--import-onnx", model], capture_output=True, text=True, check=True).stdout
    phases = ['tensors=target=grid-7x5,sram=256KiB context=24 chunk=4 sample=top-5', "prepare=precision=f16 disable-rewrite=middle-root",
              "plan=prefill=block disable-rewrite=middle-root", "per-pe=disable-rewrite=middle-root", "fabric=disable-rewrite=middle-root"]
    # A comma in an option's value would end it.
    phases[0] = phases[0].replace("grid-7x5,sram=256KiB", "{grid-7x5,sram=256KiB}")
    text = subprocess.run([OPT, *(f"--waferloom-{phase}" for phase in phases)], input=text, capture_output=True, text=True,
                          check=True).stdout
    expected = subprocess.run([OPT, levels[4]], capture_output=True, text=True, check=True).stdout

    def bare(text):
        return re.sub(r'wafer.options = \{[^}]*\}, |"[^"]*model.onnx"', "", text)

    assert bare(text) == bare(expected)


def refused(text, tmp_path, *options):
    """What is said of a level."""
    path = tmp_path / "level.mlir"
    path.write_text(text)
    done = waferloom("compile", path, "-o", tmp_path / "m.wafer", "--quiet", *options)
    assert done.returncode == 1, done.stderr
    assert not (tmp_path / "m.wafer").exists()
    assert done.stderr.startswith("level.mlir: error: "), done.stderr
    return done.stderr


@pytest.mark.parametrize("option, message", [
    ("--context=48", "--context is 48 : i64 but this level was made with 24 : i64"),
    ("--target=grid-8x8", "--target is grid-8x8 but this level was made for 'grid-7x5,sram=256KiB'"),
    ("--stages=2", "--stages is 2 : i64 but this level was made with none"),
    ("--stop-after=onnx", "this is the text of level 'tensors', which is behind 'onnx'"),
])
def test_options_that_are_given_again_are_checked(llama, tmp_path, option, message):
    _, options, image, levels = llama
    done = waferloom("compile", levels[1], "-o", tmp_path / "m.wafer", "--quiet", option)
    assert done.returncode == 1 and message in done.stderr, done.stderr
    done = waferloom("compile", levels[1], "-o", tmp_path / "m.wafer", "--quiet", *options)
    assert done.returncode == 0 and (tmp_path / "m.wafer").read_bytes() == image, done.stderr


def line_of(text, part):
    return next(i for i, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("level, before, after, message", [
    (1, "tokens 4", "tokens 40", "takes 40 tokens but states hold 24"),
    (1, "of @tokens4", "of @tokens7", "runs @tokens7, which is no function of this module"),
    (2, "region <x = 7", "region <x = 0", "a factor of a region is at least 1, not 0"),
    (4, "wafer.append", "wafer.prepend", "wafer.prepend"),
])
def test_a_wrong_edit_is_refused_at_its_line(llama, tmp_path, level, before, after, message):
    *_, levels = llama
    text = levels[level].read_text().replace("../model.onnx", str(levels[0].parents[1] / "model.onnx"))
    if before not in text:
        pytest.skip(f"this plan has no '{before}'")
    text = text.replace(before, after, 1)
    said = refused(text, tmp_path)
    assert message in said
    assert f"line {line_of(text, after)}: " in said


def test_weights_that_are_not_there(llama, tmp_path):
    *_, levels = llama
    for level in levels[:5]:
        text = level.read_text().replace("../model.onnx", "gone.onnx")
        said = refused(text, tmp_path)
        assert f"lies in '{tmp_path / 'gone.onnx'}', which cannot be read" in said
        assert len(said.splitlines()) == 1, "once per file"
    (tmp_path / "gone.onnx").write_bytes(b"short")
    assert f"of '{tmp_path / 'gone.onnx'}', which has 5" in refused(text, tmp_path)


@pytest.mark.parametrize("text, message", [
    ("", "is the text of no level"),
    ("func.func @f() { return }", "is the text of no level"),
    ("module {", "line 1: "),
    ("wafer.program {", "line 1: "),
    ('module attributes {wafer.options = {contxt = 3}} { wafer.program {} func.func @f() { return } }',
     "wafer.options has an option that does not exist"),
    ('module attributes {wafer.options = {context = "3"}} { wafer.program {} func.func @f() { return } }',
     "wafer.options: 'context' cannot be"),
    ('module attributes {wafer.target = #wafer.target<"lab">} { wafer.program {} func.func @f() { return } }',
     "target 'lab': is no preset and leaves out 'width'"),
])
def test_what_is_no_level(tmp_path, text, message):
    assert message in refused(text, tmp_path)


def test_files_of_scales_are_files_that_were_read(tmp_path):
    """Weights of 4 bits whose scales lie in a file of their own: an image does not go over it."""
    rng = np.random.default_rng(3)
    weights = [numpy_helper.from_array(rng.integers(0, 256, (8, 1, 16), np.uint8), "w"),
               numpy_helper.from_array(rng.random(8, np.float32), "s")]
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=32, N=8, bits=4, block_size=32)
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 32), ("y", 8))]
    graph = helper.make_graph([node], "scales", value[:1], value[1:], weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model, scales = tmp_path / "model.onnx", tmp_path / "scales.bin"
    model.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    image, levels = compiled(model, tmp_path, ["--target=grid-2x2"])
    text = levels[1].read_text()
    assert 'scales f32 from "../model.onnx"' in text
    scales.write_bytes(model.read_bytes())
    levels[1].write_text(text.replace('scales f32 from "../model.onnx"', 'scales f32 from "../scales.bin"'))
    done = waferloom("compile", levels[1], "-o", scales)
    assert (done.returncode, "which was read" in done.stderr) == (1, True), done.stderr
    with pytest.raises(OSError, match="was read"):
        wl.compile(levels[1]).save(scales)
    assert scales.read_bytes() == model.read_bytes()
    check_levels(image, levels, tmp_path)
