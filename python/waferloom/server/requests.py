"""What a request may say: every field is looked at, and what would be left undone is refused."""

import json
import math
import os
from dataclasses import dataclass, field

from ..dialogue import TooLong, chat_ids, room_for
from .errors import ApiError, too_long

MISSING = object()

# Fields that change nothing here, or may say only what is so anyway.
WITHOUT_EFFECT = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
                  "parallel_tool_calls"}
ONLY = {"n": (1,), "best_of": (1,), "echo": (False,), "suffix": ("",), "logit_bias": ({},), "modalities": (["text"],),
        "frequency_penalty": (0,), "presence_penalty": (0,), "tools": ([],), "tool_choice": ("none", "auto"),
        "functions": ([],), "function_call": ("none", "auto"), "response_format": ({"type": "text"},),
        "text": ({"format": {"type": "text"}},), "truncation": ("disabled",), "background": (False,), "include": ([],)}
TEXTS = ("text", "input_text", "output_text")  # types of parts of a message


@dataclass
class Request:
    """A text that is wanted.

    ids: the prompt. stop: strings that end it. options: of `Session.generate`. stream: piece by piece.
    with_usage: a stream ends with what it took. left_out: messages, or tokens of a plain prompt, that the context had
    no room for.
    """

    ids: list
    stop: list = field(default_factory=list)
    options: dict = field(default_factory=dict)
    stream: bool = False
    with_usage: bool = False
    left_out: int = 0


def parsed(data):
    """The object in a body."""
    try:
        body = json.loads(data)
        json.dumps(body, ensure_ascii=False).encode()  # half a character is none
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body is no JSON object")
    return body


class Fields:
    """The fields of an object, each taken once; `done` refuses those that nobody took."""

    def __init__(self, body):
        self._left = {name: value for name, value in body.items() if value is not None and name not in WITHOUT_EFFECT}

    def take(self, name, kind, words, default=MISSING):
        value = self._left.pop(name, default)
        if value is MISSING:
            raise ApiError(400, f"'{name}' is missing; it is {words}", "missing_required_parameter", name)
        is_truth = kind is not bool and isinstance(value, bool)  # a number to Python, but not here
        if value is not default and (is_truth or not isinstance(value, kind)):
            raise ApiError(400, f"'{name}' is {words}", "invalid_type", name)
        return value

    def number(self, name, default, least, most, kind=(int, float)):
        words = f"{'a whole number' if kind is int else 'a number'} from {least} to {most}" if most < math.inf else (
            f"a whole number of at least {least}")
        value = self.take(name, kind, words, default)
        if value is not default and not least <= value <= most:
            raise ApiError(400, f"'{name}' is {words}, not {value}", "invalid_value", name)
        return value

    def done(self):
        for name, value in self._left.items():
            allowed = ONLY.get(name)
            if allowed is None:
                raise ApiError(400, f"'{name}' is not known here", "unknown_parameter", name)
            if value not in allowed:
                words = " or ".join(map(json.dumps, allowed))
                raise ApiError(400, f"'{name}' can only be {words} here", "unsupported_value", name)


def check_model(fields, name):
    """The one model that is served has to be meant."""
    asked = fields.take("model", str, "the name of a model", name)
    if asked != name:
        raise ApiError(404, f"the model '{asked}' is not here; '{name}' is", "model_not_found", "model")


def stop_strings(fields):
    stop = fields.take("stop", (str, list), "a string, or up to 16 of them", [])
    stop = [stop] if isinstance(stop, str) else stop
    if len(stop) > 16 or not all(isinstance(string, str) and string for string in stop):
        raise ApiError(400, "'stop' is a string, or up to 16 of them, none empty", "invalid_value", "stop")
    return stop


def sampling(fields, names=("max_completion_tokens", "max_tokens"), default_tokens=None):
    """How tokens are chosen, and how many: options of `Session.generate`."""
    tokens = [fields.number(name, None, 1, math.inf, int) for name in names]
    tokens = next((number for number in tokens if number is not None), default_tokens)
    seed = fields.number("seed", None, -(2**63), 2**63 - 1, int)
    return {"max_tokens": min(tokens or 2**31, 2**31), "temperature": float(fields.number("temperature", 0, 0, 2)),
            "top_p": max(float(fields.number("top_p", 1, 0, 1)), 1e-9),
            "top_k": max(0, fields.number("top_k", 0, -1, 2**31, int)),
            "seed": int.from_bytes(os.urandom(4)) if seed is None else seed % 2**32}


def message_text(message, at):
    """The text of a message, which may come in parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) and part.get("type") in TEXTS else None for part in content]
        content = "".join(parts) if all(isinstance(part, str) for part in parts) else None
    if not isinstance(content, str):
        raise ApiError(400, f"the content of message {at} is no text", "invalid_value", f"messages[{at}].content")
    return content


def check_messages(messages, param="messages"):
    """Messages as `Text.render` takes them."""
    if not messages:
        raise ApiError(400, f"'{param}' has no message", "invalid_value", param)
    checked = []
    for at, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        role = "system" if role == "developer" else role
        if role not in ("system", "user", "assistant"):
            raise ApiError(400, f"the role of message {at} is 'system', 'user' or 'assistant'", "invalid_value",
                           f"{param}[{at}].role")
        checked.append({"role": role, "content": message_text(message, at)})
    return checked


class Reader:
    """Reads requests for one model."""

    def __init__(self, text, program, name, slide=False):
        self.text, self.program, self.name, self.slide = text, program, name, slide

    def _fill(self, request, messages):
        """With the tokens of a chat."""
        room = room_for(self.program.capacity, request.options["max_tokens"], self.slide)
        try:
            request.ids, left = chat_ids(self.text, messages, room, self.slide)
        except TooLong as error:
            raise too_long(error) from None
        request.left_out = len(messages) - len(left)
        return request

    def _streaming(self, fields, request):
        request.stream = fields.take("stream", bool, "true or false", False)
        extra = Fields(fields.take("stream_options", dict, "an object", {}))
        request.with_usage = extra.take("include_usage", bool, "true or false", False)
        extra.take("include_obfuscation", bool, "true or false", False)
        extra.done()

    def chat(self, body):
        """Of /v1/chat/completions."""
        fields = Fields(body)
        check_model(fields, self.name)
        messages = check_messages(fields.take("messages", list, "a list of messages"))
        options, stop = sampling(fields), stop_strings(fields)
        wanted = fields.take("logprobs", bool, "true or false", False)
        count = fields.number("top_logprobs", 0, 0, 20, int)
        if wanted:
            options["logprobs"] = count
        request = Request([], stop, options)
        self._streaming(fields, request)
        fields.done()
        return self._fill(request, messages)

    def completion(self, body):
        """Of /v1/completions."""
        fields = Fields(body)
        check_model(fields, self.name)
        prompt = fields.take("prompt", (str, list), "a text, or a list of tokens")
        options, stop = sampling(fields, ("max_tokens",), 16), stop_strings(fields)
        count = fields.number("logprobs", None, 0, 20, int)
        if count is not None:
            options["logprobs"] = count
        request = Request([], stop, options)
        self._streaming(fields, request)
        fields.done()
        request.ids = self._tokens(prompt)
        room = room_for(self.program.capacity, options["max_tokens"], self.slide)
        request.left_out = max(0, len(request.ids) - room)
        if request.left_out and not self.slide:
            raise too_long(TooLong(len(request.ids), room), "prompt")
        request.ids = request.ids[request.left_out:]
        return request

    def _tokens(self, prompt):
        if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], (str, list)):
            prompt = prompt[0]
        ids = self.text.encode(prompt) if isinstance(prompt, str) else prompt
        limit = next(info.shape[2] for info in self.program.outputs if info.name == "logits")
        if not all(isinstance(token, int) and not isinstance(token, bool) and 0 <= token < limit for token in ids):
            raise ApiError(400, f"'prompt' is one text, or a list of tokens below {limit}", "invalid_value", "prompt")
        if not ids:
            raise ApiError(400, "'prompt' has no tokens", "invalid_value", "prompt")
        return ids

    def response(self, body):
        """Of /v1/responses."""
        fields = Fields(body)
        check_model(fields, self.name)
        given = fields.take("input", (str, list), "a text, or a list of messages")
        messages = check_messages([{"role": "user", "content": given}] if isinstance(given, str) else given, "input")
        if instructions := fields.take("instructions", str, "a text", ""):
            messages.insert(0, {"role": "system", "content": instructions})
        options = sampling(fields, ("max_output_tokens",))
        request = Request([], [], options, fields.take("stream", bool, "true or false", False))
        fields.done()
        return self._fill(request, messages)
