"""A conversation over a WebSocket that stays open (docs/serve.md has its messages). The tokens of answers stay what
they were, so a turn feeds only what is new; what comes while an answer is spoken interrupts it between two tokens."""

import asyncio
import contextlib
import json

from starlette.websockets import WebSocketDisconnect, WebSocketState

from ..dialogue import Dialogue, TooLong, room_for
from . import requests
from .answers import Answer
from .errors import ApiError, too_long

LARGEST_MESSAGE = 1 << 20  # characters


class Talk:
    """One connection."""

    def __init__(self, socket, settings, as_api_error):
        self._socket, self._settings, self._as_api_error = socket, settings, as_api_error
        self._dialogue = Dialogue(settings.text)
        self._stop, self._options = [], requests.sampling(requests.Fields({}))
        self._speaking, self._has_begun, self._hush = None, False, False

    async def run(self):
        await self._tell("session", model=self._settings.name, context=self._settings.program.capacity)
        try:
            while True:
                try:
                    await self._take(await self._read())
                except ApiError as error:
                    await self._refuse(error)
        finally:
            if self._speaking:
                self._speaking.cancel()
                await asyncio.gather(self._speaking, return_exceptions=True)

    async def _read(self):
        """The text of the next message."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        if message.get("text") is None:
            raise ApiError(400, "a message is text, and one JSON object")
        return message["text"]

    async def _take(self, data):
        if len(data) > LARGEST_MESSAGE:
            raise ApiError(413, f"the message has more than {LARGEST_MESSAGE} characters", "body_too_large")
        fields = requests.Fields(requests.parsed(data))
        kinds = {"message": self._message, "interrupt": self._interrupt, "configure": self._configure,
                 "rewind": self._rewind}
        kind = fields.take("type", str, f"one of {', '.join(kinds)}")
        if kind not in kinds:
            raise ApiError(400, f"'type' is one of {', '.join(kinds)}", "invalid_value", "type")
        await kinds[kind](fields)

    async def _message(self, fields):
        content = fields.take("content", str, "a text")
        fields.done()
        await self._quiet()
        room = room_for(self._settings.program.capacity, self._options["max_tokens"], self._settings.slide)
        try:
            ids = await asyncio.to_thread(self._dialogue.ask, content, room, self._settings.slide)
        except TooLong as error:
            raise too_long(error) from None
        except Exception as error:  # of a template
            raise self._as_api_error(error) from None
        self._hush = self._has_begun = False
        if self._settings.pool.is_full:
            await self._tell("waiting")
        self._speaking = asyncio.ensure_future(self._speak(ids))

    async def _interrupt(self, fields):
        fields.done()
        await self._quiet()

    async def _configure(self, fields):
        system = fields.take("system", str, "a text", None)
        stop, options = requests.stop_strings(fields), requests.sampling(fields, ("max_tokens",))
        fields.done()
        await self._quiet()
        if system is not None and self._dialogue.messages:
            raise ApiError(400, "'system' comes before the first message, or behind a rewind to 0", "invalid_value",
                           "system")
        self._stop, self._options = stop, options
        if system is not None:
            self._dialogue = Dialogue(self._settings.text, system)
        await self._tell("configured", seed=options["seed"])

    async def _rewind(self, fields):
        count = fields.number("messages", 0, 0, 2**31, int)
        fields.done()
        await self._quiet()
        if count > len(self._dialogue.messages):
            raise ApiError(400, f"there are {len(self._dialogue.messages)} messages", "invalid_value", "messages")
        self._dialogue.back(count)
        await self._tell("rewound", messages=count)

    async def _quiet(self):
        """Ends what is being spoken, between two tokens."""
        if self._speaking:
            self._hush = True
            is_waiting = not self._has_begun and not self._speaking.done()
            if is_waiting:
                self._speaking.cancel()
            await asyncio.gather(self._speaking, return_exceptions=True)
            self._speaking = None
            if is_waiting:
                self._dialogue.answered([], "")
                await self._tell("done", reason="interrupted", text="", usage=None, wafer=None)

    async def _speak(self, ids):
        settings = self._settings
        try:
            async with settings.pool.speech(ids, exact=False, stop=settings.text.ends(), **self._options) as speech:
                self._has_begun = True
                answer = Answer(settings.text, self._stop, speech, self._dialogue.left_out)
                await self._say(answer, speech)
                self._dialogue.answered(answer.tokens, answer.said)
                await self._tell("done", reason=answer.reason or "interrupted", text=answer.said, usage=answer.usage(),
                                 wafer=answer.wafer())
        except (TimeoutError, OSError, WebSocketDisconnect):
            await self._close()
        except Exception as error:  # the last barrier: no traceback goes to a client
            self._dialogue.back(len(self._dialogue.messages) - 1)
            await self._refuse(self._as_api_error(error))

    async def _say(self, answer, speech):
        total = len(speech.generation.ids)
        async with contextlib.aclosing(answer.pieces()) as pieces:
            async for piece, _ in pieces:
                if piece:
                    await self._tell("text", text=piece)
                elif not answer.tokens:
                    await self._tell("reading", done=speech.generation.session.length - speech.kept, total=total)
                if self._hush:
                    return

    async def _tell(self, kind, **more):
        await asyncio.wait_for(self._socket.send_text(json.dumps({"type": kind} | more)), self._settings.stall)

    async def _refuse(self, error):
        await self._tell("error", **error.body)

    async def _close(self):
        if self._socket.client_state == WebSocketState.CONNECTED:
            await self._socket.close(1011)


def endpoint(settings, as_api_error):
    """The route of it."""
    async def talk(socket):
        try:
            settings.check_key(socket.headers)
        except ApiError:
            await socket.close(1008)  # refused before it opens: 403
            return
        await socket.accept()
        try:
            await Talk(socket, settings, as_api_error).run()
        except (WebSocketDisconnect, TimeoutError, OSError):
            pass
    return talk
