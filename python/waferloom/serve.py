"""Serves a compiled model to clients of the common chat protocol, over HTTP and a WebSocket."""

import asyncio
import ipaddress
import logging
import socket
import sys
from pathlib import Path

from .commands.parser import Parser
from .errors import WaferloomError
from .generate import number
from .program import load
from .text import Text, TextError

HINT = ("waferloom serve: error: it needs the Python package '{}', which is not installed\n"
        "note: pip install 'waferloom[serve]'; scripts/build installs it into .venv")


class Refused(Exception):
    """The server cannot begin; says why."""


def parser():
    whole = "a whole number"
    options = Parser("serve", description=__doc__)
    options.add_argument("image", metavar="IMAGE", help="what waferloom compile wrote")
    options.add_argument("--tokenizer", metavar="FILE|DIR", required=True,
                         help="tokenizer.json, or the folder it is in")
    options.add_argument("--host", default="127.0.0.1",
                         help="address to listen on; 127.0.0.1, the default, is this host alone")
    options.add_argument("--port", type=number(int, 0, whole), default=8080,
                         help="default 8080; 0 takes a free one and says which")
    options.add_argument("--api-key-file", metavar="F", help="file with the key that clients must give")
    options.add_argument("--context-policy", choices=("error", "slide"), default="error",
                         help="a chat that outgrows the context: an error (default), or the oldest messages go")
    options.add_argument("--sessions", metavar="N", type=number(int, 1, whole), default=4,
                         help="texts that are spoken at once, each with a memory of its own; default 4")
    options.add_argument("--waiting", metavar="N", type=number(int, 0, whole), default=128,
                         help="requests that may wait for a session; default 128")
    options.add_argument("--stall", metavar="SECONDS", type=number(float, 0, "a number"), default=30.0,
                         help="how long a client may take to send a body, or to take what is sent; default 30")
    options.add_argument("--name", help="of the model, for clients; default: the image's, without its ending")
    return options


def read_key(path):
    """The key in a file, or None."""
    if path is None:
        return None
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: {error}") from None
    if not key:
        raise Refused(f"{path}: holds no key")
    return key


def listening(host, port):
    """A socket at the address."""
    if port > 65535:
        raise Refused(f"{host}:{port}: cannot listen there: ports go up to 65535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # So little stays unsent that who stops reading is noticed.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        raise Refused(f"{host}:{port}: cannot listen there: {error}") from None
    return listener


def check(session):
    """Whether a session can hold a conversation."""
    try:
        session.generate([0], max_tokens=1)
    except WaferloomError as error:
        raise Refused("; ".join(diagnostic.message for diagnostic in error.diagnostics)) from None
    if session.program.begins:
        raise Refused("the model takes what an encoder gave; a server has none")


def announce(host, port, name, has_key):
    print(f"serving '{name}' at http://{f'[{host}]' if ':' in host else host}:{port}/v1", flush=True)
    if not has_key and not ipaddress.ip_address(host).is_loopback:
        print("waferloom serve: warning: everybody who reaches this address can use it; --api-key-file F asks for "
              "a key", file=sys.stderr, flush=True)


def run(args):
    import uvicorn

    from .server.app import Settings, build
    from .server.pool import Pool

    key, text, program = read_key(args.api_key_file), Text(args.tokenizer), load(args.image)
    session = program.session()
    check(session)
    listener = listening(args.host, args.port)
    name = args.name or Path(args.image).stem
    pool = Pool(session, args.sessions, args.waiting)
    settings = Settings(program, text, pool, name, args.context_policy == "slide", key, args.stall)

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets=sockets)
            # Only now: who reads it may end us, which is heard from here on.
            announce(*listener.getsockname()[:2], name, key is not None)

        def handle_exit(self, sig, frame):
            pool.is_closing = True
            super().handle_exit(sig, frame)

    config = uvicorn.Config(build(settings), log_level="error", access_log=False, timeout_graceful_shutdown=20,
                            ws="websockets-sansio", ws_max_size=1 << 22, lifespan="off", server_header=False)
    # A client that takes nothing is left so; that is no error of ours.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "without completing response" not in record.getMessage())
    asyncio.run(Server(config).serve([listener]))


def main(argv=None):
    args = parser().parse_args(argv)
    try:
        run(args)
    except ModuleNotFoundError as error:
        print(HINT.format(error.name.partition(".")[0]), file=sys.stderr)
        return 1
    except WaferloomError as error:
        print("\n".join(f"{args.image}: {line}" if line.startswith("error:") else line
                        for line in str(error).splitlines()), file=sys.stderr)
        return 1
    except (TextError, Refused) as error:
        print(f"waferloom serve: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
