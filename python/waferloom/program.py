"""Programs and their sessions."""

import contextlib
import copy
import json
import operator
import os
import tempfile
import time

import numpy as np

from . import _native
from .arrays import dtype_named, taken
from .critical import CriticalPath
from .errors import CompileError, Diagnostic, ExecutionError
from .explain import explain
from .facts import Account, Region, Result, Rewrite, SharedLinks, Stage, TensorInfo, Trace
from .generation import Generation
from .mapping import Mapping, as_pair

ENGINES = ("lockstep", "reference")
WORK_LIMIT = _native.usual_work_limit  # an hour or so of a host

_PARAMETER, _STATE, _INPUT, _OUTPUT = range(4)


def _count(name, value, beyond=2**63):
    """A whole number that is not negative; TypeError or ValueError if it is none."""
    value = operator.index(value)
    if not 0 <= value < beyond:
        raise ValueError(f"{name} must be at least 0 and below {beyond}, not {value}")
    return value


def _position(value):
    """Tokens before a step; None: as many as caches have room for."""
    return None if value is None else _count("position", value)


def _told(how, *args):
    """What a native function gives; what it refuses is an ExecutionError."""
    try:
        return how(*args)
    except _native.Failure as error:
        raise ExecutionError([Diagnostic("error", str(error))]) from None


class Session:
    """Owns the states of a program, which start empty. It is for one thread at a time: what
    another one asks of it meanwhile raises ExecutionError."""

    def __init__(self, program, threads=0, engine="lockstep", work_limit=WORK_LIMIT):
        if engine not in ENGINES:
            raise ValueError(f"engine is one of {', '.join(ENGINES)}, not {engine!r}")
        self.program = program
        self._threads = _count("threads", threads, 2**31)
        self._work_limit = _count("work_limit", work_limit)
        self._native = _told(_native.session, program._image, engine)

    @property
    def length(self):
        """Tokens so far."""
        return self._native.length

    def reset(self):
        """Forgets all tokens.

        Raises:
            ExecutionError: another thread is using the session, or the image is a large
                file that has changed since it was read.
        """
        _told(self._native.reset)

    def rewind(self, length):
        """Forgets all but the first `length` tokens: what comes then is, bit for bit and cycle
        for cycle, what a session gives that took only those.

        Raises:
            ExecutionError: the session has fewer tokens, or what its states held then is gone
                (docs/executor.md, E35); the session is as it was.
        """
        _told(self._native.rewind, _count("length", length))

    def load(self, states, length):
        """A session without tokens has `length` of them then: `states` are the rows of each of
        `Program.states` by name, as the model gives them for so many tokens.

        Raises:
            ExecutionError: they do not fit, or the session has tokens; it is as it was.
        """
        arrays = {name: taken(np.asarray(value)) for name, value in states.items()}
        _told(self._native.load, arrays, _count("length", length))

    def fork(self):
        """Another Session of the program that has taken the same tokens; each goes on by itself.

        Raises:
            ExecutionError: another thread is using the session, or this host has no memory
                for a second one.
        """
        other = copy.copy(self)
        other._native = _told(self._native.fork)
        return other

    def run(self, inputs, logits="all", trace=False):
        """Runs one step.

        Args:
            inputs: arrays (or nested lists of int) by name. `input_ids` is int64
                [batch, n]; n is split over the compiled entries. What follows
                from the session's length may be left out.
            logits: "all", or "last" to return outputs of the last token only.
            trace: collect what every core does, up to 2,000,000 instructions.

        Raises:
            ExecutionError: an input does not fit, or the step goes beyond the
                capacity or the session's `work_limit`; the session is as it was.
            KeyboardInterrupt: a step of more than half a second is broken off; the session
                then wants a reset. Shorter ones end first.
        """
        if logits not in ("all", "last"):
            raise ValueError(f'logits is "all" or "last", not {logits!r}')
        return self._result(self._step(inputs, logits == "last", trace, pick=False))

    def _step(self, inputs, last, trace, pick):
        """A step as the native module gives it. `pick`: the wafer picks the next
        token, which alone comes back, and takes the one it picked before if
        `inputs` are empty."""
        start = time.perf_counter()
        try:
            types = {info.name: info.dtype for info in self.program.inputs}
            out = self._native.run({name: taken(np.asarray(value), types.get(name)) for name, value in inputs.items()},
                                   self._threads, self._work_limit, last, bool(trace), pick)
        except _native.Failure as error:
            raise ExecutionError([Diagnostic("error", str(error))]) from None
        out["host_seconds"] = time.perf_counter() - start
        return out

    def _result(self, out):
        for info in self.program.outputs:
            if info.name in out["outputs"]:
                out["outputs"][info.name] = out["outputs"][info.name].astype(info.dtype, copy=False)
        seconds = out["cycles"] / (self.program.clock_ghz * 1e9)
        return Result(out["outputs"], out["cycles"], seconds, out["host_seconds"],
                      [Account(*account) for account in out["accounts"]],
                      [Stage(x, y, cycles, [Account(*account) for account in accounts])
                       for x, y, cycles, accounts in out["stages"]],
                      out["shared_link_cycles"],
                      _trace(out["trace"]) if "trace" in out else None, out["bytes_moved"])

    def pick(self, inputs, temperature=0.0, seed=0, top_k=0):
        """One step after which only a token comes back: the next one, picked on the wafer
        (`Program.picks`), drawn above temperature 0 (`Program.draws`). With no `inputs` it
        takes the token that the step before has picked, if that was one of a single token.

        Returns:
            (token, Result): an int, -1 where a logit is not a number, and the costs.
        """
        if temperature:
            inputs = inputs | {"wafer.temperature": np.float32(temperature),
                               "wafer.seed": np.uint32(seed & 0xffffffff).astype(np.int32)}
            inputs |= {"wafer.top_k": np.int32(top_k)} if top_k else {}
        out = self._step(inputs, last=True, trace=False, pick=True)
        return out.get("token"), self._result(out)

    def generate(self, ids, max_tokens=64, temperature=0.0, seed=0, stop=(), progress=None, top_k=0, inputs=None,
                 top_p=1.0, logprobs=None):
        """Feeds the prompt `ids` (a sequence of int), then yields token after token,
        each fed back:

            for token in session.generate(ids, max_tokens=8): ...

        Args:
            temperature: 0 takes the most likely token; above, tokens are drawn.
            seed: of the draw; with the position of a token it decides it.
            top_k: draw from that many of the most likely tokens; 0: from all.
            top_p: of these, draw from the fewest that together have this probability.
            logprobs: also tell each token's log-probability and those of so many of the most
                likely (`Generation.logprobs`).
            inputs: arrays by name that every step takes besides its tokens, such as what an
                encoder gave.
            stop: tokens that end the text; they are not yielded.
            progress: callable(done, total), in tokens, while the prompt is read.

        Returns:
            A Generation: an iterator that also knows its costs so far.

        Raises:
            ExecutionError: the program is no language model, or the prompt is empty or
                does not fit; nothing ran.
        """
        return Generation(self, ids, max_tokens, temperature, seed, top_k, stop, progress, inputs or {}, top_p,
                          logprobs)


def _trace(columns):
    columns |= {"instruction": np.array(columns["ops"])[columns["op"]],
                "node": np.array(columns["nodes"])[columns["node"]]}
    return Trace(**{name: columns[name] for name in Trace._fields})


class Program:
    """A compiled model.

    diagnostics: warnings of its compilation, as Diagnostic; none of a loaded program.
    mapping: what was chosen, as Mapping; None of a loaded program, or of one that was
        compiled from a text that had its layouts.
    """

    def __init__(self, image, summary, diagnostics=(), files=(), mapping=""):
        self._image = image
        self._facts = image.describe()
        self._files = files  # that it was compiled from
        self.diagnostics = list(diagnostics)
        self.mapping = Mapping(mapping) if mapping else None
        self.summary = summary | {key: self._facts[key] for key in ("parameters", "shape_only")} | {"bounds": self.bounds}

    def _tensors(self, role):
        known = {name: TensorInfo(name, tuple(shape), dtype_named(dtype))
                 for entry in reversed(self._facts["entries"]) for name, shape, dtype, kind in entry["tensors"]
                 if kind == role and (entry["until"] or entry is self._facts["entries"][0])}
        return list(known.values())

    @property
    def inputs(self):
        """What a step takes, as TensorInfo."""
        return self._tensors(_INPUT)

    @property
    def outputs(self):
        """What a step gives, as TensorInfo."""
        return self._tensors(_OUTPUT)

    @property
    def states(self):
        """What stays on the wafer between steps, as TensorInfo."""
        return self._tensors(_STATE)

    @property
    def entries(self):
        """Tokens per step that the program was compiled for; entries for the first steps of a
        session alone (`begins`) are not among them."""
        return [entry["tokens"] for entry in self._facts["entries"] if not entry["until"]]

    @property
    def begins(self):
        """Tokens of the entry that every session begins with, as that of an encoder-decoder does,
        which takes what the encoder gave; None: a session begins with any."""
        return next((entry["tokens"] for entry in self._facts["entries"] if entry["until"] == 1), None)

    @property
    def _entries(self):
        """What callers call the entries, in the order of the image."""
        return [entry["name"] if entry["until"] else entry["tokens"] for entry in self._facts["entries"]]

    @property
    def bounds(self):
        """What no program of the same layouts can be below, in cycles of a step: a dictionary for each entry, with `entry`,
        `tokens`, `wires`, `hard`, `floor`, `products`, `pace`, and of one of `layers` equal layers `layer_wires`,
        `layer_hard`, `layer_floor`, `layer_products` (docs/mapping.md); none of an image of programs that were written by hand."""
        return json.loads(self._facts["bounds"])

    @property
    def capacity(self):
        """Tokens that the KV caches hold; 0 without caches."""
        return self._facts["capacity"]

    @property
    def regions(self):
        """Where the program lies on the fabric, as Region."""
        return [Region(*region) for region in self._facts["regions"]]

    @property
    def rewrites(self):
        """What each rewrite saves, as Rewrite; empty unless the program was compiled with
        `measure_rewrites`."""
        return [Rewrite(*rewrite) for rewrite in self._facts["rewrites"]]

    @property
    def fabric(self):
        """Columns and rows of cores of the target."""
        return self._facts["fabric"]

    @property
    def picks(self):
        """Whether the wafer picks tokens."""
        return all(entry["picks_token"] for entry in self._facts["entries"])

    @property
    def draws(self):
        """None: the wafer picks no token but the most likely. 0: it draws from all,
        else from that many or fewer of the most likely."""
        return self._facts["entries"][0]["draws"]

    @property
    def clock_ghz(self):
        """Of the target."""
        return self._facts["clock_ghz"]

    def save(self, path):
        """Writes the image: whole or not at all (docs/robustness.md).

        Raises:
            OSError: the file cannot be written, or the program was compiled from it;
                what was there stays.
        """
        if os.path.exists(path) and any(os.path.exists(file) and os.path.samefile(path, file) for file in self._files):
            raise OSError(f"'{path}' would be written over, and the model was read from it; choose another output")
        try:
            self._image.save(os.fspath(path))
        except _native.Failure as error:
            raise OSError(str(error)) from None

    def count(self, work_limit=WORK_LIMIT, position=None):
        """Cycles of a step of each entry, {tokens: cycles}, without executing any:
        they depend on no value; entries for the first steps of a session go by their names.
        `work_limit`: instructions and words that may be followed one by one where a
        program has to be counted so; 0: any number. `position`: tokens before the step,
        where loops over caches end with the live ones; None: as many as the caches have
        room for."""
        counted = _told(_native.count, self._image, _count("work_limit", work_limit), _position(position))
        return dict(zip(self._entries, counted))

    def _counted(self, how, tokens, engine, work_limit, position):
        """What the native function `how` tells of the entry of so many tokens per step."""
        if engine not in ENGINES:
            raise ValueError(f"engine is one of {', '.join(ENGINES)}, not {engine!r}")
        if tokens is not None and tokens not in self._entries:
            raise ValueError(f"the program has entries of {self._entries} tokens, not {tokens}")
        entry = 0 if tokens is None else self._entries.index(tokens)
        return _told(how, self._image, entry, engine, _count("work_limit", work_limit), _position(position))

    def critical_path(self, tokens=None, engine="lockstep", work_limit=WORK_LIMIT, position=None):
        """Why a step takes as long as it does, as CriticalPath (docs/critical-path.md): of the
        entry of so many `tokens` per step, or of the first. Nothing is executed; `work_limit`
        and `position` as `count` has them."""
        return CriticalPath.read(*self._counted(_native.critical_path, tokens, engine, work_limit, position))

    def shared_links(self, tokens=None, engine="lockstep", work_limit=WORK_LIMIT, position=None):
        """Who crosses links in the same cycles (docs/executor.md), as SharedLinks, those who do
        most first: of the entry of so many `tokens` per step, or of the first. None where that is
        not known. Nothing is executed."""
        told = json.loads(self._counted(_native.shared_links, tokens, engine, work_limit, position))
        return told and [SharedLinks(tuple(pair["colors"]), tuple(pair["nodes"]), pair["cycles"], pair["links"],
                                     pair["x"], pair["y"], pair["side"]) for pair in told["pairs"]]

    def explain(self):
        """Why the program is as it is and what is between it and its bound, as Explanation: what the search considered, the
        layouts, the largest parts of the gap and which lever would touch each (docs/explain.md). Of a loaded program the
        search and the mapping are not known."""
        return explain(self)

    def session(self, threads=0, engine="lockstep", work_limit=WORK_LIMIT):
        """A new session; `threads` of the host, 0 chooses. `engine` is "lockstep"
        or "reference": the same outputs and cycles, the second slow. A step that
        computes and moves more than `work_limit` elements on all cores together is
        refused before it begins; 0: none is."""
        return Session(self, threads, engine, work_limit)

    def run(self, inputs, logits="all"):
        """One step in a fresh session."""
        return self.session().run(inputs, logits)


@contextlib.contextmanager
def model_file(model):
    """The path of a model that is given as one, or as the bytes of a file."""
    if not isinstance(model, (bytes, bytearray)):
        yield model
        return
    handle, temporary = tempfile.mkstemp(suffix=".onnx")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(model)
        yield temporary
    finally:
        os.unlink(temporary)


def compile(model, target="wse3", context=None, dims=None, chunks=None, precision="model", region=None,
            states=None, sets=None, disable_rewrites=(), seed=0, threads=0, progress=None, sample="greedy",
            stages=None, logits="last", prefill="auto", measure_rewrites=False, weights=True,
            search_plans=200, mapping=None, objective="balanced", ends=None, experts="auto", block=None,
            scales="absmax", keep=None):
    """Compiles an ONNX model, or goes on from the text of a level.

    Args:
        model: path of a file, or the serialized bytes of a model. A path that ends in .mlir is the
            text of a level (docs/levels.md), which says the other options itself.
        target: wse2, wse3, grid-WxH, or the path of a description; `,key=value`
            overrides a figure.
        context: capacity of the KV caches in tokens.
        dims: sizes of symbolic dimensions by name; names the model does not have
            are an error.
        chunks: token counts of further entries, for prefill.
        prefill: "block": a chunk is computed at once, by a program of its own; "stream":
            token after token through the program for one, stages working on several at
            a time; "auto": as a block where it fits the region that one token takes.
        region: (width, height) in cores.
        stages: regions side by side: the first has what is not repeated, the others
            share the layers evenly.
        ends: (width, height) of a region of its own for what stands around the layers.
        objective: what a region is chosen for: "decode", a step of one token; "prefill", what a
            token more of a prompt takes; "balanced", both.
        search_plans: how many regions are looked at where none is given. The answer
            depends on their number, not on the host.
        mapping: a Mapping, or the path or name of one: what it says of regions, layouts,
            collectives and so on is done or refused, and the rest is chosen.
        states: {past input: present output} declared by hand.
        sets: {input: value} fixed for good.
        disable_rewrites: names of rewrites to leave out, to see what each is worth.
        measure_rewrites: also compile without each rewrite, on the same region, and keep
            the cycles that each saves in the program (`Program.rewrites`).
        progress: callable(phase, fraction).
        sample: how the wafer picks the next token: "greedy", "softmax" (also drawn by
            temperature and seed), "top-40" (also of the 40 or fewer most likely), or "none".
        logits: of what the model gives for each token, entries of `chunks` give
            "last", that of their last token, or "all" (docs/sampling.md).
        weights: False leaves the bytes of weights out, which need not be there then: the
            program counts cycles (`Program.count`) and refuses to compute values. A text says
            what becomes of weights that the file has as integers: "kept" so on the cores,
            "expanded" in the image, or, as usual, "auto": kept if the model does not fit otherwise.
            "int8", "int4", "fp8" and "mxfp4" keep them, and round what products read to such
            codes; `Program.summary["rounded"]` says by how much.
        block, scales, keep: of rounded weights (docs/cli.md): how many share a scale (32 or
            "channel"), "absmax" or "mse", and {pattern of names: "f16"} of what is left out.
        experts: of MoE and QMoE that compute a token: the "chosen" ones, "all", or "auto", whichever
            takes fewer matrices (docs/experts.md).

        seed, threads: accepted for callers that give them to everything: compiling draws
            nothing, and takes one thread.

    Ctrl-C is heard within a second or so.

    Raises:
        CompileError: the model or an option is refused; `.diagnostics` says why.
    """
    def pairs(name, value):
        try:
            return list(dict(value or {}).items())
        except (TypeError, ValueError):
            raise CompileError([Diagnostic("error", f"option '{name}' is a dict, not {value!r}")]) from None

    storage = "auto"
    if isinstance(weights, str):
        storage, weights = weights, True
    if block is not None and not isinstance(block, str):
        block = str(block)
    options = {"target": target, "precision": precision, "sample": sample, "logits": logits, "context": context,
               "dims": pairs("dims", dims), "chunks": chunks or [], "region": region, "stages": stages, "ends": ends,
               "search_plans": search_plans, "objective": objective,
               "prefill": prefill, "measure_rewrites": measure_rewrites, "weights": weights, "storage": storage,
               "experts": experts,
               "block": block or "", "scales": scales, "keep": pairs("keep", keep),
               "states": pairs("states", states), "sets": pairs("sets", sets),
               "mapping": as_pair(mapping), "disable_rewrites": disable_rewrites, "seed": seed, "threads": threads}
    try:
        with model_file(model) as path:
            image, diagnostics, summary, files, chosen = _native.compile(os.fsencode(path), options, progress)
    except _native.Failure as error:
        raise CompileError([Diagnostic("error", str(error))]) from None
    diagnostics = [Diagnostic(**diagnostic) for diagnostic in diagnostics]
    if image is None:
        raise CompileError(diagnostics)
    summary["image_bytes"] = len(image)
    return Program(_native.load(image, "image"), summary, diagnostics, files, chosen)


def load(path):
    """Reads an image that was saved.

    Raises:
        CompileError: the file is no image, or breaks a rule of the format.
    """
    try:
        image = _native.load_file(os.fsencode(path))
    except _native.Failure as error:
        raise CompileError([Diagnostic("error", str(error))]) from None
    return Program(image, {"image_bytes": os.path.getsize(path)})
