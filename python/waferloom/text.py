"""From text to tokens and back: the files that come with a model (tokenizer.json,
tokenizer_config.json, generation_config.json, chat_template.jinja).

    text = wl.Text("folder")
    ids = text.chat("Hello")
    stream = text.stream(stop=["\\n\\n"])
    for token in session.generate(ids, stop=text.ends()):
        print(stream(token), end="")
    print(stream(None))
"""

import json
from pathlib import Path


class TextError(Exception):
    """A tokenizer's file is missing or wrong; says which and how."""


def read_json(path):
    """The object in a JSON file; {} if there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TextError(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise TextError(f"{path}: holds no object")
    return value


class Text:
    """A model's tokenizer, chat template and end of text.

    Args:
        path: tokenizer.json, or the folder it is in; the other files are looked for
            in that folder.
    """

    def __init__(self, path):
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise TextError("text needs the Python package `tokenizers`; without it give tokens (--ids)") from None
        path = Path(path)
        file = path / "tokenizer.json" if path.is_dir() else path
        try:
            self.tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises plain Exception
            raise TextError(f"{file}: no tokenizer can be read: {error}") from None
        self.folder = file.parent
        self.config = read_json(self.folder / "tokenizer_config.json")

    def encode(self, text, special=True):
        """Token ids of a text; with `special`, what the tokenizer puts around a whole one."""
        return self.tokenizer.encode(text, add_special_tokens=special).ids

    def encode_behind(self, text):
        """Token ids of what goes on behind other text: without the blank that some tokenizers put in front."""
        line, both = (self.encode(part, special=False) for part in ("\n", "\n" + text))
        return both[len(line):] if both[:len(line)] == line else self.encode(text, special=False)

    def decode(self, ids):
        """The text of tokens, without those that no text makes."""
        return self.tokenizer.decode(list(ids))

    def chat(self, messages):
        """Token ids of a chat, ready for the answer: one message of a user as text, or messages as `render`
        takes them."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return self.encode(self.render(messages), special=False)

    def render(self, messages):
        """The text of a chat by the model's template, ready for the answer. `messages`: dictionaries with `role`
        ("system", "user", "assistant") and `content`."""
        try:
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError:
            raise TextError("a chat needs the Python package `jinja2`; without it give the prompt (--prompt)") from None

        def refuse(message):
            raise TemplateError(message)

        # As the authors of templates expect it: blocks leave no lines; a template is data, so no way out of the sandbox.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = refuse
        tokens = {name: self.token_text(name) or "" for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
        source, where = self.template()
        try:
            return environment.from_string(source).render(messages=messages, add_generation_prompt=True, **tokens)
        except (TemplateError, TypeError, ValueError, AttributeError) as error:
            raise TextError(f"{where}: the chat template fails: {error}") from None

    def template(self):
        """(source, where it is from)."""
        file = self.folder / "chat_template.jinja"
        if file.is_file():
            return file.read_text(encoding="utf-8"), file
        where = self.folder / "tokenizer_config.json"
        source = self.config.get("chat_template")
        if isinstance(source, list):  # several, by name
            source = next((entry.get("template") for entry in source if entry.get("name") == "default"), None)
        if not isinstance(source, str):
            raise TextError(f"{self.folder}: neither chat_template.jinja nor a chat_template in tokenizer_config.json; "
                            "give the whole prompt (--prompt)")
        return source, where

    def token_text(self, name):
        """A special token of tokenizer_config.json as text, or None."""
        value = self.config.get(name)
        return value.get("content") if isinstance(value, dict) else value

    def ends(self):
        """Ids of the tokens that end a text: of generation_config.json and
        tokenizer_config.json."""
        ids = read_json(self.folder / "generation_config.json").get("eos_token_id")
        ends = set(ids if isinstance(ids, list) else [] if ids is None else [ids])
        name = self.token_text("eos_token")
        if name is not None:
            ends.add(self.tokenizer.token_to_id(name))
        return ends - {None}

    def stream(self, stop=()):
        """A Stream: the text of tokens as they come. `stop`: strings that end it."""
        return Stream(self.tokenizer, stop)

    def piece(self, token):
        """(text, bytes) of one token within a text; bytes that are no whole character have a replacement character
        for text, and None for bytes where the tokenizer does not say them."""
        before = self.encode("a", special=False)
        head = len(self.tokenizer.decode(before, skip_special_tokens=False))
        text = self.tokenizer.decode([*before, token], skip_special_tokens=False)[head:]
        if "\N{REPLACEMENT CHARACTER}" not in text:
            return text, text.encode()
        name = self.tokenizer.id_to_token(token)
        if name.startswith("<0x") and name.endswith(">"):
            return text, bytes([int(name[3:-1], 16)])
        letters = byte_letters()
        return text, bytes(letters[letter] for letter in name) if letters.keys() >= set(name) else None


def byte_letters():
    """The letters in which byte-level tokenizers write bytes, and these bytes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}


class Stream:
    """Called with a token, gives the text that can be shown now: "" while a character is not whole, or while what
    came last may be the beginning of a stop string. Called with None at the end, it gives what is left.

    stopped: a stop string came; it and what came behind it are not shown.
    text: all that was shown.
    """

    def __init__(self, tokenizer, stop=()):
        from tokenizers.decoders import DecodeStream

        self.stopped, self.text = False, ""
        self._tokenizer, self._decoder = tokenizer, DecodeStream(skip_special_tokens=True)
        self._stop = [string for string in ([stop] if isinstance(stop, str) else stop) if string]
        self._ids, self._decoded, self._held = [], 0, ""

    def __call__(self, token):
        if self.stopped:
            return ""
        if token is None:
            piece = self._tokenizer.decode(self._ids)[self._decoded:]
        else:
            self._ids.append(token)
            piece = self._decoder.step(self._tokenizer, token) or ""
        self._decoded += len(piece)
        shown = self._behind_stops(self._held + piece, token is None)
        self.text += shown
        return shown

    def _behind_stops(self, text, is_last):
        """What of `text` comes before a stop string; keeps what may begin one."""
        self._held = ""
        found = [at for at in map(text.find, self._stop) if at >= 0]
        if found:
            self.stopped = True
            return text[:min(found)]
        longest = 0 if is_last else max((n for string in self._stop for n in range(1, min(len(string), len(text) + 1))
                                         if text.endswith(string[:n])), default=0)
        self._held = text[len(text) - longest:]
        return text[:len(text) - longest]
