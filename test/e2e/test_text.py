"""waferloom.Text: texts to tokens and back, token by token: characters of several tokens, stop strings, templates."""

import itertools
import json

import pytest
from speaking import END, byte_tokenizer, stories_tokenizer

import waferloom as wl

TEXTS = ["plain", "Grüße, 世界", "👩‍🚀 and 🏴󠁧󠁢󠁳󠁣󠁴󠁿", "tab\tand\nlines\n\n", "", " leading and  double  blanks "]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return wl.Text(byte_tokenizer(tmp_path_factory.mktemp("bytes")))


@pytest.fixture(scope="module")
def stories(tmp_path_factory, models):
    return wl.Text(stories_tokenizer(models, tmp_path_factory.mktemp("stories")))


def streamed(stream, ids):
    return [*map(stream, ids), stream(None)]


@pytest.mark.parametrize("words", TEXTS)
def test_bytes_of_characters_come_one_by_one(text, words):
    ids = text.encode(words)
    assert len(ids) == len(words.encode()) and text.decode(ids) == words
    stream = text.stream()
    pieces = streamed(stream, ids)
    assert "".join(pieces) == words == stream.text
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in pieces)


@pytest.mark.parametrize("words", TEXTS)
def test_pieces_of_words(stories, words):
    ids = stories.encode(words, special=False)
    assert "".join(streamed(stories.stream(), ids)) == stories.decode(ids) == words


def test_a_tokenizer_of_words_joins_as_llama2_c_does(stories):
    assert stories.encode("Once upon a time")[:1] == [1]
    assert len(stories.encode("Once upon a time")) < 12


def test_a_character_that_never_ends_is_shown_at_the_end(text):
    ids = text.encode("a€")[:-1]
    assert streamed(text.stream(), ids)[:-1] == ["a", "", ""]
    assert "\N{REPLACEMENT CHARACTER}" in "".join(streamed(text.stream(), ids))


@pytest.mark.parametrize("words, stop, shown", [
    ("one two three", ["two"], "one "),
    ("one two three", "two", "one "),
    ("aab", ["ab"], "a"),
    ("abababc", ["ababc"], "ab"),
    ("abcabd", ["abd"], "abc"),
    ("xyz", ["yz", "xy"], ""),
    ("end here", ["here!"], "end here"),
    ("end her", ["here"], "end her"),
    ("day 世界 night", ["界"], "day 世"),
    ("a\n\nb", ["\n\n"], "a"),
    ("abc", [], "abc"),
    ("abc", [""], "abc"),
])
def test_stop_strings(text, words, stop, shown):
    stream = text.stream(stop)
    pieces = streamed(stream, text.encode(words))
    assert "".join(pieces) == shown == stream.text
    assert stream.stopped == (shown != words)
    if stream.stopped:
        assert stream(65) == "", "nothing comes behind a stop string"


def test_stop_strings_of_every_kind(text):
    """Against cutting the whole text: all strings of a small alphabet."""
    words = ["".join(letters) for n in range(1, 6) for letters in itertools.product("ab", repeat=n)]
    for stop in (["ab", "bba"], ["aab"], ["abab", "b"], ["bb", "abba"]):
        for word in words:
            found = [word.find(string) for string in stop if string in word]
            # The stop string that ends first counts; of those, the one that begins first.
            ends = [next(n for n in range(len(word) + 1) if any(s in word[:n] for s in stop))] if found else []
            wanted = min(word[:ends[0]].find(s) for s in stop if s in word[:ends[0]]) if ends else len(word)
            stream = text.stream(stop)
            assert "".join(streamed(stream, text.encode(word))) == word[:wanted], (stop, word)


def test_pieces_of_tokens(text, stories):
    euro = text.encode("€")
    assert [text.piece(token)[1] for token in euro] == [bytes([byte]) for byte in "€".encode()]
    assert text.piece(text.encode("x")[0]) == ("x", b"x")
    assert text.piece(END) == ("<end>", b"<end>")
    word = next(i for i in range(3, 512) if (stories.tokenizer.id_to_token(i) or "").startswith("▁t"))
    assert stories.piece(word)[0].startswith(" t")
    assert stories.piece(3 + 0xe2)[1] == b"\xe2"


def test_chats(text):
    history = [{"role": role, "content": words} for role, words in (("user", "a"), ("assistant", "b"), ("user", "c"))]
    assert text.chat("hey") == text.chat([{"role": "user", "content": "hey"}])
    assert text.decode(text.chat(history)) == "user:a\nassistant:b\nuser:c\nassistant:"
    assert text.ends() == {END}


def test_templates_by_name(tmp_path):
    """tokenizer_config.json may have several."""
    byte_tokenizer(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": [
        {"name": "tools", "template": "no"}, {"name": "default", "template": "{{ messages[0].content }}!"}]}))
    assert wl.Text(tmp_path).render([{"role": "user", "content": "yes"}]) == "yes!"


def test_errors_are_of_one_kind(tmp_path):
    with pytest.raises(wl.TextError, match="no tokenizer can be read"):
        wl.Text(tmp_path)
    byte_tokenizer(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(wl.TextError, match="neither chat_template.jinja nor"):
        wl.Text(tmp_path).chat("x")
