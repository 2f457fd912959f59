"""What is said, in the forms of the protocol: one object, or piece by piece."""

import time
import uuid

from .pool import END

REASONS = {"stop": "stop", "max_tokens": "length", "capacity": "length"}


class Answer:
    """A text while it comes.

    said: the text so far. reason: why it ended, or None.
    """

    def __init__(self, text, stop, speech, left_out=0):
        self._text, self._speech, self._stream, self._left_out = text, speech, text.stream(stop), left_out
        self.reason = None

    @property
    def said(self):
        return self._stream.text

    @property
    def tokens(self):
        return self._speech.generation.tokens

    async def pieces(self):
        """(text that can be shown now, place of the token that made it among `tokens`), until the end; the last has no
        token. ("", None) while the prompt is being read."""
        while True:
            token = await self._speech.advance()
            if token is None:
                yield "", None
                continue
            if token is END:
                self.reason = REASONS[self._speech.generation.reason]
                break
            piece = self._stream(token)
            if self._stream.stopped:
                self.reason = "stop"
            yield piece, len(self.tokens) - 1
            if self.reason:
                break
        if rest := self._stream(None):
            yield rest, None

    def logprobs(self, place):
        """Of a token, as chats have them."""
        if place is None or not self._speech.generation.logprobs:
            return None
        own, best = self._speech.generation.logprobs[place]

        def entry(token, logprob):
            words, data = self._text.piece(token)
            return {"token": words, "logprob": max(logprob, -9999.0), "bytes": None if data is None else list(data)}

        return entry(self.tokens[place], own) | {"top_logprobs": [entry(*one) for one in best]}

    def usage(self):
        generation = self._speech.generation
        prompt = len(generation.ids) + self._speech.kept
        return {"prompt_tokens": prompt, "completion_tokens": len(self.tokens),
                "total_tokens": prompt + len(self.tokens),
                "prompt_tokens_details": {"cached_tokens": self._speech.kept}}

    def wafer(self):
        """What it cost there."""
        generation = self._speech.generation
        return generation.costs() | {"fed_tokens": len(generation.ids), "kept_tokens": self._speech.kept,
                                     "left_out": self._left_out, "seed": generation.seed}


class Form:
    """One of the protocol's forms of an answer; `name` of the model."""

    kind, chunk, prefix = "", "", ""

    def __init__(self, name):
        self._head = {"id": f"{self.prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}

    def _object(self, kind, choice, **more):
        choices = [{"index": 0, "logprobs": None, "finish_reason": None} | choice] if choice else []
        return self._head | {"object": kind, "choices": choices} | more

    async def whole(self, answer):
        """The object."""
        places = [place async for _, place in answer.pieces() if place is not None]
        return self._object(self.kind, self._content(answer, answer.said, places) | {"finish_reason": answer.reason},
                            usage=answer.usage(), wafer=answer.wafer())

    async def events(self, answer, with_usage):
        """(event's name or None, object), one for every piece."""
        for choice in self._opening():
            yield None, self._object(self.chunk, choice)
        async for piece, place in answer.pieces():
            choice = self._piece(answer, piece, [] if place is None else [place])
            if piece or choice.get("logprobs"):
                yield None, self._object(self.chunk, choice)
        last = {"wafer": answer.wafer()} | ({} if with_usage else {"usage": answer.usage()})
        yield None, self._object(self.chunk, self._piece(answer, "", []) | {"finish_reason": answer.reason}, **last)
        if with_usage:
            yield None, self._object(self.chunk, None, usage=answer.usage(), wafer=answer.wafer())


class Chat(Form):
    kind, chunk, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def _logprobs(self, answer, places):
        told = [answer.logprobs(place) for place in places]
        return {"logprobs": {"content": told, "refusal": None}} if told and told[0] else {}

    def _opening(self):
        yield {"delta": {"role": "assistant", "content": ""}}

    def _content(self, answer, words, places):
        return {"message": {"role": "assistant", "content": words, "refusal": None}} | self._logprobs(answer, places)

    def _piece(self, answer, piece, places):
        return {"delta": {"content": piece} if piece else {}} | self._logprobs(answer, places)


class Completion(Form):
    kind, chunk, prefix = "text_completion", "text_completion", "cmpl"

    def __init__(self, name):
        super().__init__(name)
        self._offset = 0

    def _opening(self):
        return ()

    def _content(self, answer, words, places):
        told = [answer.logprobs(place) for place in places]
        if not told or not told[0]:
            return {"text": words}
        offsets = []
        for one in told:
            offsets.append(self._offset)
            self._offset += len(one["token"])
        return {"text": words, "logprobs": {
            "tokens": [one["token"] for one in told], "token_logprobs": [one["logprob"] for one in told],
            "top_logprobs": [{best["token"]: best["logprob"] for best in one["top_logprobs"]} for one in told],
            "text_offset": offsets}}

    _piece = _content


class Responses(Form):
    """Of /v1/responses: one message of one text."""

    prefix = "resp"

    def _response(self, answer, status):
        response = {"id": self._head["id"], "object": "response", "created_at": self._head["created"],
                    "model": self._head["model"], "status": status, "output": [], "error": None, "usage": None,
                    "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": None,
                    "top_p": None, "tools": [], "tool_choice": "none", "parallel_tool_calls": False}
        if status == "in_progress":
            return response
        usage = answer.usage()
        response["usage"] = {
            "input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"],
            "total_tokens": usage["total_tokens"], "output_tokens_details": {"reasoning_tokens": 0},
            "input_tokens_details": usage["prompt_tokens_details"] | {"cache_write_tokens": 0}}
        if status == "incomplete":
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        return response | {"output": [self._item(answer, status)], "wafer": answer.wafer()}

    def _part(self, words):
        return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}

    def _item(self, answer, status):
        content = [] if status == "in_progress" else [self._part(answer.said)]
        return {"id": f"msg-{self._head['id']}", "type": "message", "role": "assistant", "status": status,
                "content": content}

    def _status(self, answer):
        return "incomplete" if answer.reason == "length" else "completed"

    async def whole(self, answer):
        async for _ in answer.pieces():
            pass
        return self._response(answer, self._status(answer))

    async def events(self, answer, _):
        number = 0

        def event(kind, **more):
            nonlocal number
            number += 1
            return kind, {"type": kind, "sequence_number": number - 1} | more

        place = {"item_id": self._item(answer, "in_progress")["id"], "output_index": 0, "content_index": 0}
        yield event("response.created", response=self._response(answer, "in_progress"))
        yield event("response.output_item.added", output_index=0, item=self._item(answer, "in_progress"))
        yield event("response.content_part.added", **place, part=self._part(""))
        async for piece, _ in answer.pieces():
            if piece:
                yield event("response.output_text.delta", **place, delta=piece, logprobs=[])
        status = self._status(answer)
        yield event("response.output_text.done", **place, text=answer.said, logprobs=[])
        yield event("response.content_part.done", **place, part=self._part(answer.said))
        yield event("response.output_item.done", output_index=0, item=self._item(answer, status))
        yield event(f"response.{status}", response=self._response(answer, status))
