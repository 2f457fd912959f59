"""From text to tokens and back: the files that come with a model (tokenizer.json,
tokenizer_config.json, generation_config.json, chat_template.jinja)."""

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

    def encode(self, text):
        """Token ids of a text, with what the tokenizer puts around it."""
        return self.tokenizer.encode(text).ids

    def chat(self, text):
        """Token ids of one message of a user, ready for the answer."""
        return self.tokenizer.encode(self.render([{"role": "user", "content": text}]), add_special_tokens=False).ids

    def render(self, messages):
        """The text of a chat by the model's template."""
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

    def stream(self):
        """A function from a token to the text that it completes, "" while a character
        is not whole; called with None it gives what is left."""
        from tokenizers.decoders import DecodeStream

        decoder, ids, shown = DecodeStream(skip_special_tokens=True), [], 0

        def step(token):
            nonlocal shown
            if token is None:
                return self.tokenizer.decode(ids)[shown:]
            ids.append(token)
            piece = decoder.step(self.tokenizer, token) or ""
            shown += len(piece)
            return piece

        return step
