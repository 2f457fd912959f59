"""`waferloom serve` before the official client and curl: whole and streamed answers, log-probabilities, drawing, stop
strings, what a text cost, and errors in the protocol's form."""

import json
import re
import subprocess
import sys

import openai
import pytest
from conftest import TOP
from serving import CONTEXT, WAFERLOOM, Expected, Server, write_image
from waferloom import zoo

import waferloom as wl

QUESTION = [{"role": "user", "content": "Grüße"}]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_image(tmp_path_factory.mktemp("serve"), chunks=[8])


@pytest.fixture(scope="module")
def expected(files):
    return Expected(*files)


@pytest.fixture(scope="module")
def server(files):
    with Server(*files) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


def chat(client, messages=QUESTION, **options):
    return client.chat.completions.create(model="tiny", messages=messages, **options)


def test_models(client, server):
    assert [model.id for model in client.models.list()] == ["tiny"] == [client.models.retrieve("tiny").id]
    assert server.host == "127.0.0.1", "this host alone, unless told"


def test_a_chat(client, expected):
    answer = chat(client, max_tokens=20)
    generation = expected.generation(expected.text.chat(QUESTION), max_tokens=20)
    assert answer.choices[0].message.content == expected.chat(QUESTION, max_tokens=20)
    assert answer.choices[0].finish_reason == "length" and answer.object == "chat.completion"
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (len(expected.text.chat(QUESTION)), 20)
    assert usage.total_tokens == usage.prompt_tokens + 20
    wafer = answer.wafer
    costs = generation.costs()
    assert wafer["cycles_per_token"] == pytest.approx(costs["cycles_per_token"], rel=0.02)
    if wafer["kept_tokens"] == 0:
        assert {name: wafer[name] for name in costs} == costs


def test_several_messages(client, expected):
    messages = [{"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    plain = [m | {"content": "a"} if isinstance(m["content"], list) else m for m in messages]
    assert chat(client, messages, max_tokens=9).choices[0].message.content == expected.chat(plain, max_tokens=9)


def test_a_stream(client, expected):
    chunks = list(chat(client, max_tokens=40, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == expected.chat(QUESTION, max_tokens=40)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert not chunks[-1].choices and chunks[-1].usage.completion_tokens == 40 and chunks[-1].wafer["cycles"] > 0
    assert len({chunk.id for chunk in chunks}) == 1 and len(chunks) > 10


def test_the_end_of_text_and_of_the_context(client, expected):
    answer = chat(client)
    words = expected.chat(QUESTION)
    ended = len(expected.generation(expected.text.chat(QUESTION)).tokens) + len(expected.text.chat(QUESTION)) <= CONTEXT
    assert answer.choices[0].message.content == words
    assert answer.choices[0].finish_reason == ("stop" if ended else "length")
    ids = [3, 1, 4, 1, 5]
    full = client.completions.create(model="tiny", prompt=ids, max_tokens=10**6)
    assert full.choices[0].text == expected.words(ids)


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings(client, expected, stream):
    words = expected.chat(QUESTION, max_tokens=60)
    stop = [words[20:23], "never said"]
    answer = chat(client, max_tokens=60, stop=stop, stream=stream)
    if stream:
        chunks = [chunk.choices[0] for chunk in answer]
        said, reason = "".join(chunk.delta.content or "" for chunk in chunks), chunks[-1].finish_reason
    else:
        said, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert (said, reason) == (words[:words.find(stop[0])], "stop")
    assert chat(client, max_tokens=60, stop="never said").choices[0].message.content == words


@pytest.mark.parametrize("options", [{"temperature": 0.9, "seed": 5}, {"temperature": 1.5, "seed": -3, "top_p": 0.7},
                                     {"temperature": 0.8, "seed": 2**40 + 1, "extra_body": {"top_k": 7}}])
def test_drawing(client, expected, options):
    told = {name: value for name, value in options.items() if name != "extra_body"} | options.get("extra_body", {})
    told["seed"] %= 2**32
    words = expected.chat(QUESTION, max_tokens=30, **told)
    for _ in range(2):
        answer = chat(client, max_tokens=30, **options)
        assert answer.choices[0].message.content == words and answer.wafer["seed"] == told["seed"]
    others = {chat(client, max_tokens=30, temperature=1.5).choices[0].message.content for _ in range(3)}
    assert len(others) > 1, "without a seed each has its own"


def test_logprobs(client, expected):
    ids = expected.text.chat(QUESTION)
    generation = expected.generation(ids, max_tokens=12, logprobs=3)
    told = chat(client, max_tokens=12, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    streamed = [entry for chunk in chat(client, max_tokens=12, logprobs=True, top_logprobs=3, stream=True)
                if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
    assert len(told) == 12 == len(streamed)
    for entries in (told, streamed):
        for entry, token, (own, best) in zip(entries, generation.tokens, generation.logprobs):
            assert entry.logprob == own and bytes(entry.bytes) == expected.text.piece(token)[1]
            assert [top.logprob for top in entry.top_logprobs] == [logprob for _, logprob in best]
    plain = client.completions.create(model="tiny", prompt=ids, max_tokens=12, logprobs=2).choices[0].logprobs
    assert plain.token_logprobs == [own for own, _ in generation.logprobs]
    assert len(plain.tokens) == len(plain.text_offset) == len(plain.top_logprobs) == 12


def test_completions(client, expected):
    ids = expected.text.encode("Once")
    words = expected.words(ids, max_tokens=16)
    assert client.completions.create(model="tiny", prompt="Once").choices[0].text == words
    chunks = list(client.completions.create(model="tiny", prompt=ids, max_tokens=16, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == words


def test_responses(client, expected):
    answer = client.responses.create(model="tiny", input="Grüße", max_output_tokens=15)
    words = expected.chat(QUESTION, max_tokens=15)
    assert answer.output_text == words and answer.status == "incomplete" and answer.usage.output_tokens == 15
    kinds, said = [], ""
    for event in client.responses.create(model="tiny", input=QUESTION, instructions="Hm.", max_output_tokens=15,
                                         stream=True):
        kinds.append(event.type)
        said += event.delta if event.type == "response.output_text.delta" else ""
    assert said == expected.chat([{"role": "system", "content": "Hm."}, *QUESTION], max_tokens=15)
    assert kinds[0] == "response.created" and kinds[-1] == "response.incomplete"

def test_a_conversation_feeds_only_what_is_new(client, expected, files):
    """Where the image has one entry, so that bits do not depend on steps; the answers are those of fresh sessions."""
    image, tokenizer = write_image(files[0].parent, name="single")
    expected = Expected(image, tokenizer)
    with Server(image, tokenizer) as server:
        client, messages = server.client(), []
        for turn, content in enumerate(["one", "two and more", "three"]):
            messages.append({"role": "user", "content": content})
            answer = client.chat.completions.create(model="single", messages=messages, max_tokens=10)
            words = answer.choices[0].message.content
            assert words == expected.chat(messages, max_tokens=10)
            kept = answer.usage.prompt_tokens_details.cached_tokens
            assert kept + answer.wafer["fed_tokens"] == answer.usage.prompt_tokens
            assert kept >= (0 if turn == 0 else last), "the prompt before is there"
            last = answer.usage.prompt_tokens - 1
            messages.append({"role": "assistant", "content": words})


def test_answers_do_not_depend_on_what_was_said_before(client, expected):
    """Blocks of tokens need not have the bits of single ones: what is kept was fed in the same steps."""
    for content in ("abc", "abcabcabcabc", "abcab", "abcabcabcabcabc", "xyz", "abc"):
        messages = [{"role": "user", "content": content}]
        answer = chat(client, messages, max_tokens=30, logprobs=True)
        generation = expected.generation(expected.text.chat(messages), max_tokens=30, logprobs=0)
        told = [entry.logprob for entry in answer.choices[0].logprobs.content]
        assert told == [own for own, _ in generation.logprobs]


@pytest.mark.parametrize("page", ["README.md", "docs/serve.md"])
def test_the_client_of_the_docs(files, expected, page):
    """Its lines as they stand there, but for the port."""
    code = re.search(r"```python\n(from openai.*?)```", (TOP / page).read_text(), re.DOTALL)[1]
    assert len(code.splitlines()) == 4
    with Server(*files, "--name", "demo") as server:
        done = subprocess.run([sys.executable, "-c", code.replace("8080", str(server.port))], capture_output=True,
                              check=True)
    assert done.stdout.decode() == expected.chat([{"role": "user", "content": "Hello"}])


def curl(server, path, *args):
    return subprocess.run(["curl", "-sS", "-N", "--max-time", "60", f"http://127.0.0.1:{server.port}{path}", *args],
                          capture_output=True, text=True, check=True).stdout


def test_curl(server, expected):
    body = {"model": "tiny", "messages": QUESTION, "max_tokens": 10}
    whole = json.loads(curl(server, "/v1/chat/completions", "-d", json.dumps(body)))
    words = expected.chat(QUESTION, max_tokens=10)
    assert whole["choices"][0]["message"]["content"] == words
    lines = curl(server, "/v1/chat/completions", "-d", json.dumps(body | {"stream": True})).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    objects = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in objects) == words
    assert json.loads(curl(server, "/v1/models"))["data"][0]["id"] == "tiny"


@pytest.mark.parametrize("options, kind, words", [
    ({"max_tokens": 0}, openai.BadRequestError, "'max_tokens' is a whole number of at least 1"),
    ({"max_tokens": "many"}, openai.BadRequestError, "'max_tokens'"),
    ({"temperature": 3}, openai.BadRequestError, "from 0 to 2"),
    ({"temperature": True}, openai.BadRequestError, "'temperature'"),
    ({"top_p": 1.5}, openai.BadRequestError, "'top_p'"),
    ({"n": 2}, openai.BadRequestError, "'n' can only be 1"),
    ({"top_logprobs": 21, "logprobs": True}, openai.BadRequestError, "'top_logprobs'"),
    ({"stop": ["a"] * 17}, openai.BadRequestError, "'stop'"),
    ({"stop": [""]}, openai.BadRequestError, "'stop'"),
    ({"frequency_penalty": 0.5}, openai.BadRequestError, "'frequency_penalty' can only be 0"),
    ({"response_format": {"type": "json_object"}}, openai.BadRequestError, "'response_format'"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.BadRequestError, "'tools'"),
    ({"extra_body": {"mystery": 1}}, openai.BadRequestError, "'mystery' is not known"),
    ({"messages": []}, openai.BadRequestError, "no message"),
    ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, openai.BadRequestError,
     "role of message 0"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
     openai.BadRequestError, "no text"),
    ({"messages": [{"role": "user", "content": "x" * 300}]}, openai.BadRequestError, "room for 200"),
    ({"model": "other"}, openai.NotFoundError, "'other' is not here; 'tiny' is"),
])
@pytest.mark.parametrize("stream", [False, True])
def test_refusals(client, options, kind, words, stream):
    with pytest.raises(kind) as raised:
        wanted = {"model": "tiny", "messages": QUESTION, "max_tokens": 5, "stream": stream} | options
        client.chat.completions.create(**wanted)
    assert words in raised.value.body["message"] and raised.value.body["type"] == "invalid_request_error"


def test_a_prompt_that_is_too_long_says_so(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model="tiny", prompt=[7] * (CONTEXT + 1))
    assert raised.value.body["code"] == "context_length_exceeded"
    assert f"{CONTEXT + 1} tokens" in raised.value.body["message"]
    assert client.completions.create(model="tiny", prompt=[7] * CONTEXT).usage.completion_tokens == 1


def test_a_context_that_slides(files, expected):
    with Server(*files, "--context-policy", "slide") as server:
        client = server.client()
        messages = [{"role": "system", "content": "sys"}]
        for i in range(12):
            messages += [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i}"}]
        messages.append({"role": "user", "content": "last"})
        answer = chat(client, messages, max_tokens=20)
        gone = answer.wafer["left_out"]
        assert gone > 0 and gone % 2 == 0
        left = [messages[0], *messages[1 + gone:]]
        more = expected.text.chat([messages[0], *messages[gone - 1:]])
        assert len(expected.text.chat(left)) <= CONTEXT - 20 < len(more)
        assert answer.choices[0].message.content == expected.chat(left, max_tokens=20)
        with pytest.raises(openai.BadRequestError, match="room for"):
            chat(client, [{"role": "user", "content": "x" * 300}])
        ids = list(range(100)) * 3
        plain = client.completions.create(model="tiny", prompt=ids, max_tokens=5)
        assert plain.choices[0].text == expected.words(ids[-(CONTEXT - 5):], max_tokens=5)


def refused(files, *args):
    done = subprocess.run([WAFERLOOM, "serve", files[0], "--tokenizer", files[1], *map(str, args)], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_begin(files, server, tmp_path):
    assert f"127.0.0.1:{server.port}: cannot listen there" in refused(files, "--port", server.port)
    assert "cannot listen there" in refused(files, "--port", 99999)
    assert "192.0.2.1:8080: cannot listen" in refused(files, "--host", "192.0.2.1")
    assert "nowhere" in refused(files, "--api-key-file", tmp_path / "nowhere")
    (tmp_path / "empty").write_text("\n")
    assert "holds no key" in refused(files, "--api-key-file", tmp_path / "empty")
    model = zoo.graph.helper.make_node("Relu", ["x"], ["y"])
    values = [zoo.graph.helper.make_tensor_value_info(name, 1, [4]) for name in "xy"]
    model = zoo.graph.helper.make_model(zoo.graph.helper.make_graph([model], "g", values[:1], values[1:]), ir_version=8)
    wl.compile(model.SerializeToString(), target="grid-2x2").save(tmp_path / "relu.wafer")
    assert "no language model" in refused((tmp_path / "relu.wafer", files[1]))


@pytest.mark.parametrize("missing", ["uvicorn", "starlette", "websockets"])
def test_without_the_packages_it_says_what_to_install(files, missing):
    code = f"import sys; sys.modules['{missing}'] = None; from waferloom.serve import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, files[0], "--tokenizer", files[1], "--port", "0"], timeout=60,
                          capture_output=True, text=True)
    assert done.returncode == 1 and f"'{missing}', which is not installed" in done.stderr
    assert "pip install 'waferloom[serve]'" in done.stderr and "Traceback" not in done.stderr


def test_an_address_that_others_reach_is_told(files, tmp_path):
    with pytest.raises(AssertionError, match="everybody who reaches this address can use it"):
        with Server(*files, "--host", "0.0.0.0") as server:
            assert server.ask("/v1/models")[0] == 200
    (tmp_path / "key").write_text("sesame")
    with Server(*files, "--host", "::1", "--api-key-file", tmp_path / "key"):
        pass


def test_keys(files, tmp_path):
    (tmp_path / "key").write_text("sésame\n")
    with Server(*files, "--api-key-file", tmp_path / "key") as server:
        for path, body in (("/v1/models", None), ("/v1/chat/completions", {"messages": QUESTION}),
                           ("/v1/completions", b"{")):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"},
                            {"Authorization": "Bearer \xff"}, {"Authorization": "sésame".encode().decode("latin-1")}):
                status, answer, _ = server.ask(path, body, headers)
                assert status == 401 and answer["error"]["code"] == "invalid_api_key"
        status, _, _ = server.ask("/v1/models", headers={"Authorization": "Bearer sésame".encode().decode("latin-1")})
        assert status == 200
