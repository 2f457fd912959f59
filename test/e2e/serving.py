"""A server for tests, and what it should say."""

import http.client
import json
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import openai
from speaking import byte_tokenizer
from waferloom import zoo

import waferloom as wl
from conftest import BIN

WAFERLOOM = BIN / "waferloom"
SHAPE = zoo.Shape(layers=1, width=32, heads=2, kv_heads=1, head_dim=8, hidden=40, vocabulary=260, positions=2048)
CONTEXT = 200


def write_image(folder, context=CONTEXT, name="tiny", tokenizer=byte_tokenizer, **options):
    """A seeded model: (image, folder of the tokenizer)."""
    model = zoo.build(SHAPE, zoo.weights(SHAPE, seed=11)).SerializeToString()
    image = Path(folder) / f"{name}.wafer"
    wl.compile(model, target="grid-4x4,sram=192KiB", context=context, **options).save(image)
    return image, tokenizer(Path(folder))


class Server:
    """`waferloom serve` on a free port; a `with` block ends it and asks for a clean log."""

    def __init__(self, image, tokenizer, *args):
        self.image, self.log = image, tempfile.TemporaryFile("w+")
        command = [WAFERLOOM, "serve", image, "--tokenizer", tokenizer, "--port", "0", *map(str, args)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        said = self.process.stdout.readline()
        found = re.search(r"serving '(.*)' at http://(.*):(\d+)/v1", said)
        assert found, said + self.errors()
        self.model, self.host, self.port = found[1], found[2], int(found[3])

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def client(self, key="none", **options):
        return openai.OpenAI(base_url=f"http://{self.host}:{self.port}/v1", api_key=key,
                             **{"max_retries": 0, "timeout": 60} | options)

    def ask(self, path, body=None, headers=None, method=None):
        """(status, object, headers) of one request."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        connection.request(method or ("GET" if body is None else "POST"), path, data, headers or {})
        answer = connection.getresponse()
        got = answer.read()
        connection.close()
        return answer.status, json.loads(got), dict(answer.getheaders())

    def memory(self):
        """Kilobytes that it has in the host's memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout=60)
        assert not self.errors() and status == 0, (status, self.errors())


def until(what, seconds=20):
    """Waits for what a call tells."""
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return got


class Expected:
    """What the model says, by a session of its own."""

    def __init__(self, image, tokenizer):
        self.program, self.text = wl.load(image), wl.Text(tokenizer)

    def generation(self, ids, **options):
        got = self.program.session().generate(ids, stop=self.text.ends(), **{"max_tokens": 10**6} | options)
        list(got)
        return got

    def words(self, ids, stop=(), **options):
        stream = self.text.stream(stop)
        said = "".join(stream(token) for token in self.generation(ids, **options).tokens)
        return said + stream(None)

    def chat(self, messages, **options):
        return self.words(self.text.chat(messages), **options)
