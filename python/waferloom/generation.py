"""Tokens, one after the other: feeds a prompt chunk by chunk, then goes on. The wafer
picks tokens and feeds them back itself, where the program can; other draws are made
here, from the logits of the last token."""

import operator

import numpy as np

from .errors import Diagnostic, ExecutionError


def mix(x):
    """The hash of lib/Sampling/Draw.cpp, on an array of uint32."""
    for shift, factor in ((16, 0x7feb352d), (15, 0x846ca68b), (16, 1)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x


def minus_log(x):
    """-log(x) of normal positive float32, the bits of emitNormalLog (lib/Codegen/Functions.cpp)."""
    bits = x.view(np.int32)
    n = (bits - np.int32(0x3f3504f3)) >> 23
    f = (bits - (n << 23)).view(np.float32) - np.float32(1)
    value = np.float32(LOG[0])
    for coefficient in LOG[1:]:
        value = value * f + np.float32(coefficient)
    value = (value * f - np.float32(0.5)) * (f * f)
    n = n.astype(np.float32)
    return -((value + n * np.float32(-2.12194440e-4) + f) + n * np.float32(0.693359375))


LOG = (0.0870026201, -0.142673507, 0.149147645, -0.165776014, 0.199630663, -0.250013351, 0.333339095)


def noise(count, seed, position):
    """Gumbel noise of `count` tokens, float32: -log(-log(u)) of 23 bits of a hash."""
    start = mix(np.array([seed & 0xffffffff], np.uint32)) + np.uint32(position & 0xffffffff)
    bits = mix(np.arange(count, dtype=np.uint32) + mix(start)) >> np.uint32(9)
    return minus_log(minus_log((bits.astype(np.float32) + np.float32(0.5)) * np.float32(2.0 ** -23)))


def sample(logits, temperature, seed, position, top_k=0, top_p=1.0):
    """One token from `logits` [vocabulary]: the most likely one at temperature 0, else
    drawn from softmax(logits / temperature), of the `top_k` largest values if that is
    not 0, and of these the fewest that together have the probability `top_p`. The draw
    depends on the seed (its last 32 bits) and the position of the token only, so a text can
    be continued as if it had never stopped. Images that draw on the wafer give the same
    token: it is the arg-max of the logits and noise, in float32."""
    logits = np.asarray(logits, np.float32)
    if np.isnan(logits).any():
        raise not_a_number(f"{np.isnan(logits).sum()} of {logits.size}", position)
    if temperature == 0:
        return int(logits.argmax())
    scores = logits + noise(logits.size, seed, position) * np.float32(temperature)
    values = np.unique(logits)
    if 0 < top_k < values.size:
        scores[logits < values[-top_k]] = -np.inf
    if top_p < 1:
        weights = np.where(scores > -np.inf, softmax(logits.astype(np.float64) / temperature), 0)
        order = np.argsort(-weights, kind="stable")
        scores[order[1 + np.searchsorted(np.cumsum(weights[order]), top_p * weights.sum()):]] = -np.inf
    return int(scores.argmax())


def softmax(values):
    weights = np.exp(values - values.max())
    return weights / weights.sum()


def log_probabilities(logits, token, count):
    """(log-probability of `token`, [(token, log-probability)] of the `count` most likely)."""
    logits = logits.astype(np.float64)
    logs = logits - logits.max()
    logs -= np.log(np.exp(logs).sum())
    best = np.argsort(-logs, kind="stable")[:count]
    return float(logs[token]), [(int(i), float(logs[i])) for i in best]


def longest_entry(program, left):
    """Tokens of the step that is taken of a prompt of which so many are left."""
    return max(entry for entry in program.entries if entry <= left)


class Generation:
    """An iterator of tokens (int).

    Attributes, which grow while it runs:
        tokens: what came so far.
        prefill: Results of the chunks of the prompt; the last one gave the first token.
        steps: Results of the steps after that, one per further token.
        logprobs: if asked for, one per token: its log-probability, and those of the most
            likely tokens as (token, log-probability).
        reason: None while running; then "stop" (a token of `stop` came, it is not
            among the tokens), "max_tokens", or "capacity" (the caches are full).

    An exception ends the generation. The session stays usable: its length says how many
    tokens it has taken; but Ctrl-C breaks a step off that takes longer than half a second,
    and then the session wants a reset.
    """

    def __init__(self, session, ids, max_tokens, temperature, seed, top_k, stop, progress, inputs, top_p=1.0,
                 logprobs=None):
        self.session, self.ids = session, [operator.index(token) for token in ids]
        self.max_tokens, self.seed, self.top_k = map(operator.index, (max_tokens, seed, top_k))
        self.temperature = temperature
        self.stop, self.progress, self.inputs = frozenset(stop), progress, inputs
        self.top_p, self._top_logprobs = top_p, None if logprobs is None else operator.index(logprobs)
        self.tokens, self.logprobs, self.prefill, self.steps, self.reason = [], [], [], [], None
        self._picks = (session.program.picks and logprobs is None
                       and (temperature == 0 or (top_p == 1 and self._drawn_there())))
        self._check()
        self._iterator = self._run()

    def _drawn_there(self):
        """Whether the wafer draws as asked."""
        most = self.session.program.draws
        return most is not None and (self.top_k == 0 if most == 0 else 0 < self.top_k <= most)

    def _check(self):
        program, have = self.session.program, self.session.length
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is at least 1, not {self.max_tokens}")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature is at least 0, not {self.temperature}")
        if self.seed < 0:
            raise ValueError(f"seed is at least 0, not {self.seed}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is above 0 and at most 1, not {self.top_p}")
        if self._top_logprobs is not None and self._top_logprobs < 0:
            raise ValueError(f"logprobs is at least 0, not {self._top_logprobs}")
        if self.top_k < 0:
            raise ValueError(f"top_k is at least 0, not {self.top_k}")
        inputs = {info.name: info.shape for info in program.inputs}
        outputs = {info.name: info.shape for info in program.outputs}
        if not program.states or len(inputs.get("input_ids", ())) != 2 or len(outputs.get("logits", ())) != 3:
            fail("the program is no language model with KV caches",
                 f"its inputs are {', '.join(inputs)}, its outputs {', '.join(outputs)}, its states "
                 f"{len(program.states)}; generation needs input_ids, logits and states")
        if inputs["input_ids"][0] != 1:
            fail(f"the program takes {inputs['input_ids'][0]} sequences at once, generation is for 1",
                 "compile with the batch dimension bound to 1")
        if not self.ids:
            fail("the prompt has no tokens", "give at least one")
        if program.capacity and have + len(self.ids) > program.capacity:
            fail(f"a prompt of {len(self.ids)} tokens after {have} does not fit the capacity of {program.capacity}",
                 "compile with a larger context, or reset the session")

    def _chunk(self, left):
        """Tokens of the next step: the longest entry that fits."""
        if self.session.length == 0 and self.session.program.begins:
            return self.session.program.begins
        return longest_entry(self.session.program, left)

    def _run(self):
        # In chunks, so that an interrupt does not wait for the whole prompt.
        done, total = 0, len(self.ids)
        while done < total:
            if self.progress:
                self.progress(done, total)
            count = self._chunk(total - done)
            token, result = self._step(self.ids[done:done + count], last=done + count == total)
            self.prefill.append(result)
            done += count
            if done < total:
                yield None
        if self.progress:
            self.progress(done, total)
        # Only the entry of one token has it in its memory, if that ran.
        fed = self._picks and count == 1 and (self.session.length > 1 or not self.session.program.begins)
        while True:
            if token in self.stop:
                self.reason = "stop"
                return
            self.tokens.append(token)
            if len(self.tokens) == self.max_tokens:
                self.reason = "max_tokens"
            elif self.session.length == self.session.program.capacity:
                self.reason = "capacity"
            yield token
            if self.reason:
                return
            token, result = self._step(None if fed else [token])
            fed = self._picks
            self.steps.append(result)

    def _step(self, ids, last=True):
        """The next token, if `last`, and the Result. `ids` None: what the wafer has."""
        inputs = self.inputs if ids is None else self.inputs | {"input_ids": np.array([ids], np.int64)}
        if self._picks:
            token, result = self.session.pick(inputs, self.temperature, self.seed, self.top_k)
            if last and token < 0:
                raise not_a_number("some", self.session.length)
            return token, result
        result = self.session.run(inputs, logits="last")
        if not last:
            return None, result
        logits = result.outputs["logits"][0, -1]
        token = sample(logits, self.temperature, self.seed, self.session.length, self.top_k, self.top_p)
        if self._top_logprobs is not None and token not in self.stop:
            self.logprobs.append(log_probabilities(logits, token, self._top_logprobs))
        return token, result

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            token = next(self._iterator)
            if token is not None:
                return token

    def advance(self):
        """One step on the wafer: the next token, or None while the prompt is being read.
        StopIteration at the end."""
        return next(self._iterator)

    def costs(self):
        """What it took so far on the wafer: `cycles`; `first_token_cycles`, those of the
        prompt; and of the tokens behind the first, None if there is none,
        `cycles_per_token` and `tokens_per_second` by the target's clock."""
        prefill, steps = (sum(result.cycles for result in results) for results in (self.prefill, self.steps))
        clock = 1e9 * self.session.program.clock_ghz
        return {"cycles": prefill + steps, "first_token_cycles": prefill,
                "cycles_per_token": steps / len(self.steps) if steps else None,
                "tokens_per_second": clock * len(self.steps) / steps if steps else None}


def not_a_number(how_many, position):
    return ExecutionError([Diagnostic("error", f"{how_many} logits are not a number",
                                      notes=[f"the token at position {position} cannot be chosen"])])


def fail(message, note):
    raise ExecutionError([Diagnostic("error", message, notes=[note])])
