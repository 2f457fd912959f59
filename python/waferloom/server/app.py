"""The routes: who may ask, how large a body may be, and what becomes of errors and of clients that go away."""

import asyncio
import hmac
import json
import logging
import time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from ..errors import WaferloomError
from ..text import TextError
from . import answers, requests, talk
from .errors import ApiError

LARGEST_BODY = 4 << 20  # bytes
log = logging.getLogger("waferloom.serve")


class Settings:
    """What a server is about.

    key: that clients give; None: any may ask. stall: seconds that a client may take to send a body or to take a piece.
    """

    def __init__(self, program, text, pool, name, slide=False, key=None, stall=30.0):
        self.program, self.text, self.pool, self.name, self.slide = program, text, pool, name, slide
        self.key, self.stall = key, stall
        self.reader = requests.Reader(text, program, name, slide)

    def check_key(self, headers):
        scheme, _, given = headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode("latin-1"), (self.key or "").encode())
        if self.key is not None and not (is_right and scheme.lower() == "bearer"):
            raise ApiError(401, "the key is missing or wrong; give 'Authorization: Bearer KEY'", "invalid_api_key")


def as_api_error(error):
    """What a client is told of an exception."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, TextError):
        return ApiError(400, str(error), "invalid_value")
    if isinstance(error, WaferloomError):
        return ApiError(500, "; ".join(diagnostic.message for diagnostic in error.diagnostics), "execution_error")
    log.error("a request failed", exc_info=error)
    return ApiError(500, "the server failed; its log says more", "internal_error")


def refusal(error):
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
    return JSONResponse(error.body, error.status, headers.get(error.status))


async def body_of(request, settings):
    """The object in a request's body, in time and not too large."""
    data = bytearray()

    async def read():
        async for chunk in request.stream():
            data.extend(chunk)
            if len(data) > LARGEST_BODY:
                raise ApiError(413, f"the body has more than {LARGEST_BODY} bytes", "body_too_large")

    try:
        await asyncio.wait_for(read(), settings.stall)
    except TimeoutError:
        raise ApiError(408, f"the body did not come within {settings.stall:g} seconds", "timeout") from None
    return requests.parsed(bytes(data))


class Events(Response):
    """Server-sent events, as the generator gives them; what goes wrong once they have begun is the last of them."""

    media_type = "text/event-stream"

    def __init__(self, events, stall):
        super().__init__(headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self._events, self._stall = events, stall

    async def __call__(self, scope, receive, send):
        async def give(message):
            await asyncio.wait_for(send(message), self._stall)

        async def tell(name, value):
            head = f"event: {name}\n" if name else ""
            data = value if isinstance(value, str) else json.dumps(value)
            await give({"type": "http.response.body", "body": f"{head}data: {data}\n\n".encode(), "more_body": True})

        begun = False
        try:
            async for name, value in self._events:
                if not begun:
                    await give({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                begun = True
                await tell(name, value)
            await tell(None, "[DONE]")
            await give({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return  # nobody takes it
        except Exception as error:  # the last barrier: no traceback goes to a client
            told = as_api_error(error)
            if not begun:
                return await refusal(told)(scope, receive, send)
            await tell(None, told.body)
            await give({"type": "http.response.body", "body": b""})
        finally:
            await self._events.aclose()


async def while_connected(receive, work):
    """What `work` gives; it ends when the client goes away, with ClientDisconnect."""
    async def gone():
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise ClientDisconnect
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Spoken:
    """Answers one request, all at once or in events; an endpoint of Starlette."""

    def __init__(self, settings, request, form):
        self._settings, self._request, self._form = settings, request, form(settings.name)

    def _speech(self):
        return self._settings.pool.speech(self._request.ids, stop=self._settings.text.ends(), **self._request.options)

    def _answer(self, speech):
        return answers.Answer(self._settings.text, self._request.stop, speech, self._request.left_out)

    async def _events(self):
        async with self._speech() as speech:
            async for event in self._form.events(self._answer(speech), self._request.with_usage):
                yield event

    async def _whole(self):
        async with self._speech() as speech:
            return JSONResponse(await self._form.whole(self._answer(speech)))

    async def __call__(self, scope, receive, send):
        try:
            if self._request.stream:
                events = Events(self._events(), self._settings.stall)
                return await while_connected(receive, events(scope, receive, send))
            response = await while_connected(receive, self._whole())
        except ClientDisconnect:
            return None
        except Exception as error:  # the last barrier
            response = refusal(as_api_error(error))
        return await response(scope, receive, send)


def speaking(settings, read, form):
    """An endpoint: `read` makes a Request of a body."""
    async def endpoint(request):
        try:
            settings.check_key(request.headers)
            body = await body_of(request, settings)
            # Templates and tokenizers may take a while; others speak on.
            return Spoken(settings, await asyncio.to_thread(read, body), form)
        except ClientDisconnect:
            return Response(status_code=400)  # that nobody reads
        except Exception as error:  # the last barrier: no traceback goes to a client
            return refusal(as_api_error(error))
    return endpoint


def build(settings):
    """The application."""
    begun = int(time.time())
    model = {"id": settings.name, "object": "model", "created": begun, "owned_by": "waferloom",
             "context": settings.program.capacity}

    async def models(request):
        settings.check_key(request.headers)
        return JSONResponse({"object": "list", "data": [model]})

    async def one_model(request):
        settings.check_key(request.headers)
        requests.check_model(requests.Fields({"model": request.path_params["name"]}), settings.name)
        return JSONResponse(model)

    async def failed(request, error):
        return refusal(as_api_error(error))

    async def no_route(request, error):
        words = {404: "there is nothing at this path", 405: "this path takes another method"}
        return refusal(ApiError(error.status_code, words.get(error.status_code, error.detail)))

    reader = settings.reader
    routes = [Route("/v1/models", models), Route("/v1/models/{name}", one_model)]
    routes += [Route(path, speaking(settings, read, form), methods=["POST"]) for path, read, form in (
        ("/v1/chat/completions", reader.chat, answers.Chat), ("/v1/completions", reader.completion, answers.Completion),
        ("/v1/responses", reader.response, answers.Responses))]
    routes.append(WebSocketRoute("/v1/session", talk.endpoint(settings, as_api_error)))
    return Starlette(routes=routes, exception_handlers={ApiError: failed, HTTPException: no_route})
