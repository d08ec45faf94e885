"""`python -m examples.bank_app`, which is `make app`: the app on the demo that KEEP=1 has left."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence
from secrets import token_urlsafe

import argon2
import redis
import uvicorn

from core.errors import PrefetchError
from devstack.bank.passwords import ARGON2_MEMORY_KIB, ARGON2_PASSES
from devstack.demo.ground import FOLDER
from devstack.demo.runs import CONFIG
from devstack.detached import status, terminated_as_exit
from devstack.errors import DevstackError
from devstack.folders import PROJECT
from examples.bank_app.app import Settings, create_app
from examples.bank_app.demo_logins import demo_logins
from examples.bank_app.redis_users import Urls, redis_users
from store.login import Login
from store.reader import Reader, reading_of

HOST, PORT = "127.0.0.1", 8765
REDIS, SECRET = "BANK_APP_REDIS_URL", "BANK_APP_SECRET"

EPILOG = f"{REDIS} names another Redis with the demo bank, {SECRET} the secret of sessions."


class Unstartable(Exception):
    """The app can't start; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; the exit code: 0 ended, 1 can't start."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        with terminated_as_exit():
            _serve(os.environ.get(REDIS) or _redis_of_demo(), options.port)
    except (Unstartable, DevstackError, PrefetchError, redis.RedisError) as error:
        print(f"bank app: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, SystemExit):
        print("ended")
    return 0


def _serve(redis_url: str, port: int) -> None:
    # All that people type here goes to a socket of this machine only.
    with _listening(port) as listener, redis_users(redis_url) as urls:
        settings = _settings(urls)
        _tell(f"http://{HOST}:{listener.getsockname()[1]}/", settings)
        config = uvicorn.Config(create_app(settings), log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


def _settings(urls: Urls) -> Settings:
    # As cheap as the demo's hashes, else unknown users would take longer than known ones.
    hasher = argon2.PasswordHasher(ARGON2_PASSES, ARGON2_MEMORY_KIB, 1)
    return Settings(
        urls.profiles,
        urls.credentials,
        reading_of(PROJECT / CONFIG),
        # A random one ends all sessions with this process.
        session_secret=os.environ.get(SECRET) or token_urlsafe(32),
        dummy_hash=hasher.hash(token_urlsafe()),
    )


def _tell(url: str, settings: Settings) -> None:
    """Where to look, and as whom.

    Raises:
        Unstartable: there is nobody who could log in.
    """
    with Reader(settings.profiles_url, settings.reading, settings.access) as reader:
        login = Login(settings.credentials_url, reader, dummy_hash=settings.dummy_hash)
        found = demo_logins(reader, login)
        login.close()
    if not found:
        raise Unstartable("no customer of the demo bank can log in here: 'make demo KEEP=1' first")
    print(f"\nThe bank's app: {url}\nLog in as one of these made-up customers:")
    width = max(len(each.email) for each in found)
    for each in found:
        print(f"  {each.email:<{width}}  {each.password}  ({each.kind})")
    print("Ctrl-C ends it.", flush=True)


def _redis_of_demo() -> str:
    state = status(FOLDER)
    if state is None or "redis" not in state.urls or "redis" in state.dead:
        raise Unstartable("no demo is up: 'make demo KEEP=1' first")
    return state.urls["redis"]


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise Unstartable(f"port {port}: {error.strerror}; take another with --port") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.bank_app", description=__doc__, epilog=EPILOG
    )
    parser.add_argument("--port", type=int, default=PORT, help="0: any (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
