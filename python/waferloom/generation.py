"""Tokens, one after the other: feeds a prompt piece by piece, then goes on. The wafer
picks the most likely token and feeds it back itself; other draws are made here, from
the logits of the last token."""

import operator

import numpy as np

from .errors import Diagnostic, ExecutionError


def sample(logits, temperature, seed, position):
    """One token from `logits` [vocabulary]: the most likely one at temperature 0, else
    drawn from softmax(logits / temperature). The draw depends on the seed and the
    position of the token only, so a text can be continued as if it had never stopped."""
    logits = np.asarray(logits, np.float64)
    if np.isnan(logits).any():
        raise not_a_number(f"{np.isnan(logits).sum()} of {logits.size}", position)
    if temperature == 0:
        return int(logits.argmax())
    with np.errstate(over="ignore"):  # exp of a large negative number is 0, as it should be
        weights = np.exp((logits - logits.max()) / temperature)
    drawn = np.random.Generator(np.random.Philox(key=seed, counter=position)).random()
    return int(np.searchsorted(np.cumsum(weights), drawn * weights.sum(), side="right").clip(max=logits.size - 1))


class Generation:
    """An iterator of tokens (int).

    Attributes, which grow while it runs:
        tokens: what came so far.
        prefill: Results of the pieces of the prompt; the last one gave the first token.
        steps: Results of the steps after that, one per further token.
        reason: None while running; then "stop" (a token of `stop` came, it is not
            among the tokens), "max_tokens", or "capacity" (the caches are full).

    An exception in a step (Ctrl-C too) ends the generation. The session stays usable:
    its length says how many tokens it has taken.
    """

    def __init__(self, session, ids, max_tokens, temperature, seed, stop, progress):
        self.session, self.ids = session, [operator.index(token) for token in ids]
        self.max_tokens, self.temperature, self.seed = max_tokens, temperature, seed
        self.stop, self.progress = frozenset(stop), progress
        self.tokens, self.prefill, self.steps, self.reason = [], [], [], None
        self._picks = session.program.picks and temperature == 0
        self._check()
        self._iterator = self._run()

    def _check(self):
        program, have = self.session.program, self.session.length
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is at least 1, not {self.max_tokens}")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature is at least 0, not {self.temperature}")
        if self.seed < 0:
            raise ValueError(f"seed is at least 0, not {self.seed}")
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

    def _piece(self, left):
        """Tokens of the next step: the longest entry that fits. The last token goes
        alone if the wafer is to pick the next one."""
        most = max(left - self._picks, 1)
        return max(entry for entry in self.session.program.entries if entry <= most)

    def _run(self):
        # In pieces, so that an interrupt does not wait for the whole prompt.
        done, total = 0, len(self.ids)
        while done < total:
            if self.progress:
                self.progress(done, total)
            count = self._piece(total - done)
            token, result = self._step(self.ids[done:done + count], last=done + count == total)
            self.prefill.append(result)
            done += count
        if self.progress:
            self.progress(done, total)
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
            token, result = self._step(None if self._picks else [token])
            self.steps.append(result)

    def _step(self, ids, last=True):
        """The next token, if `last`, and the Result. `ids` None: what the wafer has."""
        inputs = {} if ids is None else {"input_ids": np.array([ids], np.int64)}
        if self._picks:
            token, result = self.session.pick(inputs)
            if last and token < 0:
                raise not_a_number("some", self.session.length)
            return token, result
        result = self.session.run(inputs, logits="last")
        logits = result.outputs["logits"][0, -1] if last else None
        return sample(logits, self.temperature, self.seed, self.session.length) if last else None, result

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._iterator)


def not_a_number(how_many, position):
    return ExecutionError([Diagnostic("error", f"{how_many} logits are not a number",
                                      notes=[f"the token at position {position} cannot be chosen"])])


def fail(message, note):
    raise ExecutionError([Diagnostic("error", message, notes=[note])])
