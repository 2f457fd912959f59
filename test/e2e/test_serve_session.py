"""The WebSocket of `waferloom serve`: a conversation that stays, feeds only what is new, and can be interrupted."""

import json

import pytest
from serving import Expected, Server, until, write_image
from speaking import letter_tokenizer
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

CONTEXT = 1500


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_image(tmp_path_factory.mktemp("session"), context=CONTEXT, tokenizer=letter_tokenizer)


@pytest.fixture(scope="module")
def expected(files):
    return Expected(*files)


@pytest.fixture(scope="module")
def server(files):
    with Server(*files) as server:
        yield server


class Talk:
    """A client."""

    def __init__(self, server, **headers):
        self.connection = connect(f"ws://{server.host}:{server.port}/v1/session", additional_headers=headers,
                                  open_timeout=30)
        self.socket = self.connection.__enter__()
        self.hello = self.read()

    def send(self, kind, **more):
        self.socket.send(json.dumps({"type": kind} | more))

    def read(self):
        return json.loads(self.socket.recv(timeout=60))

    def read_until(self, kind, count=1):
        """All up to the `count`th message of that kind."""
        got = []
        while sum(message["type"] == kind for message in got) < count:
            got.append(self.read())
            assert got[-1]["type"] != "error" or kind == "error", got[-1]
        return got

    def configure(self, **options):
        self.send("configure", **options)
        return self.read_until("configured")[-1]

    def ask(self, content):
        """The closing message of a whole answer."""
        self.send("message", content=content)
        return said(self.read_until("done"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.__exit__(None, None, None)


def said(messages):
    """The closing message, which has all that was said."""
    assert "".join(message["text"] for message in messages if message["type"] == "text") == messages[-1]["text"]
    return messages[-1]


def behind(expected, content):
    """The tokens that the template puts behind an answer."""
    return expected.text.encode(f"\nuser:{content}\nassistant:", special=False)


def test_turns_feed_only_what_is_new(server, expected):
    with Talk(server) as talk:
        assert talk.hello == {"type": "session", "model": "tiny", "context": CONTEXT}
        talk.configure(max_tokens=15)
        ids, taken = expected.text.chat("first"), 0
        for content, following in (("first", "second"), ("second", "third and longer"), ("third and longer", "x")):
            done, generation = talk.ask(content), expected.generation(ids, max_tokens=15)
            assert done["text"] == expected.text.decode(generation.tokens) and done["reason"] == "length"
            assert done["usage"]["prompt_tokens"] == len(ids)
            assert (done["wafer"]["kept_tokens"], done["wafer"]["fed_tokens"]) == (taken, len(ids) - taken)
            taken = len(ids) + 14  # the last token that was said has not been fed
            # Not what the text of the answer would be cut into.
            ids = ids + generation.tokens + behind(expected, following)
        retold = expected.text.chat([{"role": role, "content": words} for role, words in (
            ("user", "first"), ("assistant", done["text"]), ("user", "x"))])
        assert retold != ids


def test_a_message_interrupts_between_two_tokens(server, expected):
    """What was said stays, and the next answer goes on from there."""
    with Talk(server) as talk:
        ids = expected.text.chat("tell me")
        talk.send("message", content="tell me")
        before = talk.read_until("text", 5)
        talk.send("message", content="stop, now this")
        done = said([message for message in before if message["type"] == "text"] + talk.read_until("done"))
        assert done["reason"] == "interrupted"
        count = done["usage"]["completion_tokens"]
        tokens = expected.generation(ids, max_tokens=count).tokens
        assert 5 <= count < CONTEXT - len(ids) and done["text"] == expected.text.decode(tokens)
        talk.read_until("text", 3)
        talk.send("interrupt")
        second = talk.read_until("done")[-1]
        ids = ids + tokens + behind(expected, "stop, now this")
        assert second["reason"] == "interrupted" and second["wafer"]["kept_tokens"] == done["usage"]["total_tokens"] - 1
        count = second["usage"]["completion_tokens"]
        assert second["text"] == expected.text.decode(expected.generation(ids, max_tokens=count).tokens)
        talk.send("interrupt")  # of nothing: nothing
        talk.configure(max_tokens=3)
        assert talk.ask("more")["usage"]["completion_tokens"] == 3


def test_a_message_while_the_prompt_is_read(server, expected):
    with Talk(server) as talk:
        talk.send("message", content="y" * 600)
        reading = talk.read_until("reading", 2)
        total = len(expected.text.chat("y" * 600))
        assert reading[-1]["total"] == total and 0 < reading[-1]["done"] < total
        talk.send("interrupt")
        done = talk.read_until("done")[-1]
        assert (done["reason"], done["text"], done["usage"]["completion_tokens"]) == ("interrupted", "", 0)
        talk.configure(max_tokens=4)
        ids = expected.text.chat("y" * 600) + behind(expected, "z")
        assert talk.ask("z")["text"] == expected.text.decode(expected.generation(ids, max_tokens=4).tokens)


def test_settings_and_going_back(server, expected):
    with Talk(server) as talk:
        drawn = {"max_tokens": 12, "temperature": 1.2, "seed": 7, "top_p": 0.9, "top_k": 40}
        assert talk.configure(system="Be odd.", **drawn)["seed"] == 7
        start = [{"role": "system", "content": "Be odd."}]
        first = talk.ask("a")
        assert first["text"] == expected.chat([*start, {"role": "user", "content": "a"}], **drawn)
        talk.ask("b")
        talk.send("rewind", messages=1)
        assert talk.read() == {"type": "rewound", "messages": 1}
        again = talk.ask("a")
        assert again["text"] == first["text"] and again["wafer"]["kept_tokens"] == first["usage"]["prompt_tokens"] - 1
        stop = again["text"][3:5]
        talk.send("rewind", messages=0)
        talk.read_until("rewound")
        talk.configure(max_tokens=12, stop=stop)
        words = expected.chat([{"role": "user", "content": "c"}], max_tokens=12)
        assert talk.ask("c")["text"] == (words.split(stop)[0] if stop in words else words)


@pytest.mark.parametrize("data, words", [
    ("{", "no JSON"), ("[]", "no JSON object"), ("{}", "'type' is missing"), ('{"type": "shout"}', "'type' is one of"),
    ('{"type": "message"}', "'content' is missing"), ('{"type": "message", "content": 3}', "'content' is a text"),
    ('{"type": "message", "content": "x", "more": 1}', "'more' is not known"),
    ('{"type": "rewind", "messages": 9}', "there are 0"), ('{"type": "configure", "temperature": -1}', "'temperature'"),
    ('{"type": "message", "content": "' + "x" * 1600 + '"}', "room for"),
    (b"\x00\xff", "a message is text"), ('{"type": "interrupt", "content": "x"}', "'content' is not known"),
    (json.dumps({"type": "message", "content": "x" * (1 << 20)}), "more than"),
])
def test_wrong_messages_are_told_and_forgotten(server, data, words):
    with Talk(server) as talk:
        talk.socket.send(data)
        assert words in talk.read_until("error")[-1]["error"]["message"]
        talk.configure(max_tokens=2)
        assert talk.ask("still here")["wafer"]["fed_tokens"] > 0


def test_a_system_text_comes_first(server):
    with Talk(server) as talk:
        talk.configure(max_tokens=2)
        talk.ask("x")
        talk.send("configure", system="late")
        assert "before the first message" in talk.read_until("error")[-1]["error"]["message"]


def test_a_conversation_that_outgrows_the_context(files):
    image, tokenizer = write_image(files[0].parent, context=80, name="short", tokenizer=letter_tokenizer)
    with Server(image, tokenizer) as server, Talk(server) as talk:
        talk.configure(max_tokens=20)
        talk.ask("a" * 10)
        talk.send("message", content="b" * 60)
        assert talk.read_until("error")[-1]["error"]["code"] == "context_length_exceeded"
        assert talk.ask("c")["reason"] == "length", "the message that did not fit was not said"
    with Server(image, tokenizer, "--context-policy", "slide") as server, Talk(server) as talk:
        talk.configure(max_tokens=20)
        left_out = [talk.ask(f"question {i}")["wafer"]["left_out"] for i in range(5)]
        assert left_out[0] == 0 and max(left_out) >= 2
        told = Expected(image, tokenizer)
        talk.send("rewind", messages=0)
        talk.read_until("rewound")
        assert talk.ask("x")["text"] == told.chat([{"role": "user", "content": "x"}], max_tokens=20)


def test_conversations_share_one_session(files, expected):
    """Who talks less often loses what was kept, not what was said."""
    with Server(*files, "--sessions", 1) as server, Talk(server) as one, Talk(server) as other:
        for talk in (one, other):
            talk.configure(max_tokens=8)
        ids = {one: expected.text.chat("first of one"), other: expected.text.chat("another first")}
        for talk, content in ((one, "first of one"), (other, "another first"), (one, "1"), (one, "2"), (other, "3")):
            if content in "123":
                ids[talk] = ids[talk] + behind(expected, content)
            tokens = expected.generation(ids[talk], max_tokens=8).tokens
            assert talk.ask(content)["text"] == expected.text.decode(tokens)
            ids[talk] = ids[talk] + tokens
        # While it waits for a session, a message takes the place of the one before.
        one.configure(max_tokens=1000)
        one.send("message", content="long")
        one.read_until("text")
        other.send("message", content="waits")
        other.read_until("waiting")
        other.send("message", content="instead")
        ended = {"type": "done", "reason": "interrupted", "text": "", "usage": None, "wafer": None}
        assert other.read_until("waiting")[0] == ended
        one.send("interrupt")
        one.read_until("done")
        ids = ids[other] + behind(expected, "waits") + behind(expected, "instead")
        done = other.read_until("done")[-1]
        assert done["text"] == expected.text.decode(expected.generation(ids, max_tokens=8).tokens)


def test_keys_and_clients_that_leave(files, tmp_path):
    (tmp_path / "key").write_text("sesame")
    with Server(*files, "--api-key-file", tmp_path / "key", "--sessions", 1) as server:
        for headers in ({}, {"Authorization": "Bearer no"}):
            with pytest.raises(InvalidStatus):
                Talk(server, **headers)
        key = {"Authorization": "Bearer sesame"}
        talk = Talk(server, **key)
        talk.send("message", content="speak for long")
        talk.read_until("text", 2)
        talk.socket.socket.close()  # without a word
        with Talk(server, **key) as other:
            other.configure(max_tokens=5)
            assert other.ask("hello")["usage"]["completion_tokens"] == 5
        until(lambda: server.ask("/v1/completions", {"prompt": "x", "max_tokens": 1}, key)[0] == 200)
