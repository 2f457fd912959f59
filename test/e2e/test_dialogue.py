"""What of a prompt a session has taken already, and chats that keep the tokens of their answers."""

import random

import pytest
from serving import CONTEXT, SHAPE
from speaking import byte_tokenizer, letter_tokenizer, stories_tokenizer
from waferloom import zoo
from waferloom.dialogue import Dialogue, Keeper, TooLong, chat_ids, steps_of

import waferloom as wl


@pytest.fixture(scope="module", params=[[], [4], [3, 8]])
def program(request):
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=11)).SerializeToString()
    return wl.compile(model, target="grid-4x4,sram=192KiB", context=CONTEXT, chunks=request.param)


def results(generation):
    """Tokens, the bits of their probabilities, and cycles: the last ones do not tell of what was kept."""
    return generation.tokens, generation.logprobs, [result.cycles for result in generation.steps]


@pytest.mark.parametrize("exact", [True, False])
def test_what_is_kept_changes_nothing(program, exact):
    """Prompts that share beginnings, ends of texts at any token, by a seed. Without `exact` the last bits may be
    others, where the steps were others."""
    draw, keeper, kept_once = random.Random(3), Keeper(program.session()), 0
    ids = [1]
    for _ in range(25):
        before = keeper.ids if draw.random() < 0.5 else ids
        ids = before[:draw.randrange(1, 40)] + draw.choices(range(200), k=draw.randrange(1, 12))
        options = {"max_tokens": draw.randrange(1, 8), "logprobs": 1}
        if draw.random() < 0.2:  # left while the prompt is read, or soon after
            generation, _ = keeper.begin(ids, exact, **options)
            for _ in range(draw.randrange(3)):
                generation.advance()
            assert keeper.ids == (ids + generation.tokens)[:keeper.session.length]
            continue
        generation, kept = keeper.begin(ids, exact, **options)
        list(generation)
        fresh = program.session().generate(ids, **options)
        list(fresh)
        assert kept < len(ids) and keeper.ids == ids + generation.tokens[:-1]
        kept_once = max(kept_once, kept)
        if exact or program.entries == [1]:
            assert results(generation) == results(fresh)
            steps = len(steps_of(program, kept))
            assert [r.cycles for r in generation.prefill] == [r.cycles for r in fresh.prefill][steps:]
        else:
            assert generation.logprobs[0][0] == pytest.approx(fresh.logprobs[0][0], abs=1e-4)
    assert kept_once > 5


def test_a_session_that_cannot_go_back_begins_anew():
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=11)).SerializeToString()
    keeper = Keeper(wl.compile(model, target="grid-4x4", context=SHAPE.head_dim).session())
    list(keeper.begin([1, 2, 3], max_tokens=2)[0])
    generation, kept = keeper.begin([1, 2, 4], max_tokens=3)
    assert kept == 0 and len(generation.ids) == 3 and len(list(generation)) == 3


@pytest.fixture(scope="module", params=[byte_tokenizer, letter_tokenizer, "stories"])
def text(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    if request.param == "stories":
        return wl.Text(stories_tokenizer(request.getfixturevalue("models"), folder))
    return wl.Text(request.param(folder))


def test_answers_stay_the_tokens_that_they_were(text):
    dialogue = Dialogue(text, "Be brief.")
    first = dialogue.ask("one", 1000)
    assert first == text.chat(dialogue.messages)
    # "ab" is a pair of letters where there are pairs.
    answer = [token for letter in "hethe" for token in text.encode_behind(letter)]
    dialogue.answered(answer, text.decode(answer))
    second = dialogue.ask("two", 1000)
    assert second[:len(first) + len(answer)] == first + answer
    assert text.decode(second) == text.decode(text.chat(dialogue.messages))
    # A stop string cut it: the text counts, not the tokens.
    dialogue.answered(answer, "heth")
    assert dialogue.ask("three", 1000) == text.chat(dialogue.messages)
    dialogue.back(1)
    assert dialogue.messages == [{"role": "system", "content": "Be brief."}]
    assert dialogue.ask("one", 1000) == first


def test_chats_that_are_too_long(text):
    messages = [{"role": "system", "content": "s" * 10}]
    for i in range(6):
        messages += [{"role": "user", "content": "q" * 10}, {"role": "assistant", "content": "a" * 10}]
    messages = messages[:-1]
    whole = len(text.chat(messages))
    assert chat_ids(text, messages, whole) == (text.chat(messages), messages)
    with pytest.raises(TooLong, match=f"{whole} tokens, and the context has room for {whole - 1}"):
        chat_ids(text, messages, whole - 1)
    ids, left = chat_ids(text, messages, whole - 1, slide=True)
    assert left == [messages[0], *messages[3:]] and ids == text.chat(left)
    ids, left = chat_ids(text, messages, len(text.chat([messages[0], messages[-1]])), slide=True)
    assert left == [messages[0], messages[-1]]
    with pytest.raises(TooLong):
        chat_ids(text, messages, len(ids) - 1, slide=True)
    dialogue = Dialogue(text)
    with pytest.raises(TooLong):
        dialogue.ask("x" * 50, 20)
    assert dialogue.messages == []
