"""Sessions that go on with a text, and texts that go on with a session: what of a prompt a
session has taken already is not fed again, and a chat grows by what is new in it."""

from .errors import ExecutionError
from .generation import longest_entry


class TooLong(ValueError):
    """A prompt of `tokens` is more than the `room` of the context."""

    def __init__(self, tokens, room):
        self.tokens, self.room = tokens, room
        super().__init__(f"the prompt has {tokens} tokens, and the context has room for {room}")


def steps_of(program, total, start=0):
    """Where the steps end in which a prompt of `total` tokens is fed behind `start`."""
    ends = []
    while (at := ends[-1] if ends else start) < total:
        ends.append(at + longest_entry(program, total - at))
    return ends


class Keeper:
    """A session, and the tokens that it has taken."""

    def __init__(self, session):
        self.session, self.generation = session, None
        self._prompt, self._steps = [], []  # before the generation; where the steps ended in which it is fed

    @property
    def ids(self):
        """The tokens that the session has taken."""
        said = self.generation.tokens if self.generation else []
        return (self._prompt + said)[:self.session.length]

    def _ends(self):
        """Where the session's steps ended: what was said was fed token by token."""
        return self._steps + list(range(len(self._prompt) + 1, self.session.length + 1))

    def keeps(self, ids, exact=True):
        """How many tokens of a prompt need not be fed. `exact`: only as far as a fresh session would have taken them
        in the same steps, so that it gives the same bits: a block of tokens need not round as single ones do."""
        taken, same = self.ids, 0
        while same < min(len(taken), len(ids) - 1) and taken[same] == ids[same]:
            same += 1
        if not exact:
            return same
        kept = 0
        for ours, fresh in zip(self._ends(), steps_of(self.session.program, len(ids))):
            if ours != fresh or ours > same:
                break
            kept = ours
        return kept

    def begin(self, ids, exact=True, **options):
        """(Generation that goes on from the prompt `ids`, how many of them the session had taken before)."""
        kept = self.keeps(ids, exact)
        ends = [end for end in self._ends() if end <= kept]
        try:
            self.session.rewind(kept)
        except ExecutionError:  # what it held is gone, or a step was broken off
            self.session.reset()
            kept, ends = 0, []
        self._prompt, self._steps, self.generation = list(ids), ends, None
        self.generation = self.session.generate(ids[kept:], **options)
        self._steps += steps_of(self.session.program, len(ids), kept)
        return self.generation, kept


def room_for(capacity, max_tokens, slide):
    """Tokens of a prompt that the context may hold: where it slides, an answer has room behind it."""
    return capacity - min(max_tokens, capacity // 4) if slide else capacity


def chat_ids(text, messages, room, slide=False):
    """(tokens of a chat, its messages): with `slide` without the oldest ones that `room` tokens cannot hold; messages
    of the system stay, and an answer goes with its question.

    Raises:
        TooLong: it does not fit.
    """
    messages = list(messages)
    while len(ids := text.chat(messages)) > room:
        first = next((i for i, message in enumerate(messages) if message["role"] != "system"), len(messages))
        if not slide or first >= len(messages) - 1:
            raise TooLong(len(ids), room)
        del messages[first]
        while first < len(messages) - 1 and messages[first]["role"] != "user":
            del messages[first]
    return ids, messages


class Dialogue:
    """A chat whose answers stay as the tokens that they were.

    messages: dictionaries with `role` and `content`. left_out: how many of them went when the last was asked, as the
    context had no room.
    """

    def __init__(self, text, system=None):
        self.text = text
        self.messages = [{"role": "system", "content": system}] if system else []
        self.left_out = 0
        self._ids, self._rendered = [], ""  # of all that was fed and said so far

    def ask(self, content, room, slide=False):
        """The tokens of the chat with one message more, ready for the answer.

        Raises:
            TooLong: it does not fit, and the message is not among `messages`.
        """
        messages = [*self.messages, {"role": "user", "content": content}]
        rendered = self.text.render(messages)
        if self._rendered and rendered.startswith(self._rendered):
            ids = self._ids + self.text.encode_behind(rendered[len(self._rendered):])
        else:
            ids = self.text.encode(rendered, special=False)
        self.left_out = len(messages)
        if len(ids) > room:
            ids, messages = chat_ids(self.text, messages, room, slide)
            rendered = self.text.render(messages)
        self.left_out -= len(messages)
        self.messages, self._ids, self._rendered = messages, ids, rendered
        return ids

    def answered(self, tokens, words):
        """What was said, as tokens and as the text that was shown."""
        self.messages.append({"role": "assistant", "content": words})
        if self.text.decode(tokens) == words:
            self._ids, self._rendered = self._ids + list(tokens), self._rendered + words
        else:  # cut at a stop string, or within a character
            self._rendered = ""

    def back(self, count):
        """Only the first `count` messages were ever said."""
        del self.messages[count:]
        self._ids, self._rendered = [], ""
