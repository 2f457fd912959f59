"""Whose turn it is. One thread is the wafer: it takes one step after the other, in the order in which they are asked
for, so texts that are spoken at once take turns between their tokens. There are a few sessions; who finds none free
waits in line."""

import asyncio
import collections
import contextlib
from concurrent.futures import ThreadPoolExecutor

from ..dialogue import Keeper
from ..errors import ExecutionError
from .errors import ApiError

END = object()


class Pool:
    """Sessions of a program.

    Args:
        session: the first one; others are made when they are needed.
        sessions: that there may be at once.
        waiting: requests that may wait for one; further ones are refused.
    """

    def __init__(self, session, sessions=4, waiting=128):
        self.program, self._most, self._waiting = session.program, sessions, waiting
        self.thread = ThreadPoolExecutor(1, "wafer")
        self._idle, self._count = [Keeper(session)], 1  # the one that was used last at the end
        self._line = collections.deque()
        self.is_closing = False  # then every text ends between two tokens

    @property
    def is_full(self):
        """Whether who comes now has to wait."""
        return not self._idle and self._count >= self._most or bool(self._line)

    @contextlib.asynccontextmanager
    async def speech(self, ids, exact=True, **options):
        """A Speech that goes on from the prompt `ids`, while it is wanted. `exact`: as a fresh session would; else all
        tokens that a session has taken are kept."""
        keeper = await self._take(ids, exact)
        speech = Speech(self)
        try:
            speech.generation, speech.kept = await speech.on_wafer(lambda: keeper.begin(ids, exact, **options))
            yield speech
        finally:
            # A step that has begun ends first, also where nobody wants it any more.
            if not speech.step or speech.step.done():
                self._give(keeper)
            else:
                speech.step.add_done_callback(lambda step: (step.exception(), self._give(keeper)))

    async def _take(self, ids, exact):
        if self._idle and not self._line:
            best = max(self._idle, key=lambda keeper: keeper.keeps(ids, exact))
            # Who goes on with a text takes its session; others had better leave it.
            if 2 * best.keeps(ids, exact) >= min(len(best.ids), len(ids)):
                self._idle.remove(best)
                return best
        if self._count < self._most and (made := await self._made()):
            return made
        if self._idle and not self._line:
            return self._idle.pop(0)
        if len(self._line) >= self._waiting:
            raise ApiError(503, f"{len(self._line)} requests wait for {self._count} sessions; try again later", "busy")
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._give(turn.result())
            elif turn in self._line:
                self._line.remove(turn)
            raise

    async def _made(self):
        """One more; None where this host has no memory for it."""
        self._count += 1
        step = asyncio.get_running_loop().run_in_executor(self.thread, self.program.session)
        try:
            return Keeper(await asyncio.shield(step))
        except ExecutionError:
            self._count -= 1
            self._most = self._count
        except asyncio.CancelledError:
            step.add_done_callback(lambda step: step.exception() or self._give(Keeper(step.result())))
            raise
        return None

    def _give(self, keeper):
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                return turn.set_result(keeper)
        self._idle.append(keeper)
        return None


class Speech:
    """A text while it is spoken.

    generation: its Generation. kept: tokens of its prompt that were not fed again.
    """

    def __init__(self, pool):
        self._pool, self.step, self.generation, self.kept = pool, None, None, 0

    async def on_wafer(self, work):
        if self._pool.is_closing:
            raise ApiError(503, "the server ends", "ending")
        self.step = asyncio.get_running_loop().run_in_executor(self._pool.thread, work)
        return await asyncio.shield(self.step)

    async def advance(self):
        """The next token; None while the prompt is being read; END."""
        def step():
            try:
                return self.generation.advance()
            except StopIteration:  # which no future may carry
                return END
        return await self.on_wafer(step)
