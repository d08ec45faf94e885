"""Runs over the bank of canaries: those that succeed, and those with a planted failure."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import redis

from devstack import RedisServer
from tests.faults.proxy import Fault, Proxy
from tests.forked import MAIN, Forked, Forks
from tests.security.block_run import run_by_worker
from tests.security.canaries import FORGED, PASSWORD_OF, PLANTED, CanaryBank
from tests.security.leaks import in_folder, in_text

RUN_S = 120.0
CLOSED = "127.0.0.1:9"
"""Where nobody listens."""

LEAKY = """\
import importlib
module = importlib.import_module("{module}")
def leaky(*arguments, **more):
    raise {error}("{planted} " + " ".join(map(str, arguments)))
setattr({target}, "{name}", leaky)
"""


@dataclass
class Place:
    """Where the runs are: a bank, a Redis with a password, a Prefect server."""

    bank: CanaryBank
    target: RedisServer
    forks: Forks
    prefect_url: str
    folder: Path
    seed: int = 1
    hidden: bool = False
    """Whether the secrets are in files, and not in the environment."""

    @property
    def redis_url(self) -> str:
        return f"redis://default:{PASSWORD_OF['redis']}@127.0.0.1:{self.target.port}/0"

    @property
    def admin(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url)

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a process; secrets by file, if so wished."""
        secret = {
            **self.bank.environ,
            "REDIS_URL": self.redis_url,
            "PREFETCH_HASH_KEY": PASSWORD_OF["hash"],
            **more,
        }
        plain = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "PREFECT_HOME": str(self.folder / "home" / "prefect"),
            "PREFECT_API_URL": secret.pop("PREFECT_API_URL", self.prefect_url),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFETCH_STAGE_DIR": str(self.folder / "work" / "stage"),
            "PREFETCH_QUARANTINE_DIR": str(self.quarantine),
            "PREFETCH_EXTRACT_ATTEMPTS": "1",
            "PREFETCH_LOAD_ATTEMPTS": "1",
            "PREFETCH_REDIS_AWAY_S": "1",
            "PREFETCH_FENCE_ALIVE_S": "1",
            "PREFETCH_REDIS_TIMEOUT_S": "5",
        }
        return {**plain, **(self._in_files(secret) if self.hidden else secret)}

    @property
    def quarantine(self) -> Path:
        return self.folder / "work" / "quarantine"

    def start(
        self, *words: str, config: Path | None = None, program: str = MAIN, **more: str
    ) -> Forked:
        """Starts ``prefetch``; ``CONFIG`` among the words stands where the file is named."""
        environ = self.environ(PREFETCH_CONFIG=str(config or self.bank.config()), **more)
        return self.forks.prefetch(*words, env=environ, program=program)

    def _in_files(self, secret: Mapping[str, str]) -> dict[str, str]:
        folder = self.folder / "secrets"
        folder.mkdir(exist_ok=True)
        named = {}
        for name, value in secret.items():
            if name == "PREFETCH_CONFIG":
                named[name] = value
                continue
            file = folder / name
            file.write_text(value, encoding="utf-8")
            named[f"{name}_FILE"] = str(file)
        return named


@dataclass
class Ended:
    """What a run left on its output, and whether its fault took place."""

    code: int
    output: str
    bit: bool


@dataclass(frozen=True)
class Trial:
    """A run, and how it must end. ``hold`` starts it, does harm to it, and waits for its end."""

    name: str
    hold: Callable[[Place], Ended]
    codes: tuple[int, ...] = (0,)


def leaks_of(place: Place, trial: Trial, ended: Ended) -> Iterator[str]:
    """What a run has shown or left behind, but for Prefect, which is looked at in the end."""
    yield from in_text(ended.output.encode(), f"{trial.name}: output")
    for found in in_folder(place.folder / "work", place.quarantine):
        yield f"{trial.name}: {found}"
    for found in in_folder(place.folder / "home", place.quarantine, modes=False):
        yield f"{trial.name}: {found}"


def _ended(process: Forked, codes: tuple[int, ...]) -> Ended:
    with process:
        out, errors = process.communicate(RUN_S)
        code = process.wait()
    return Ended(code, out + errors, code in codes)


def trials() -> list[Trial]:
    """All of them, in an order in which each finds what it needs."""
    return [*_good(), *_bad_values(), *_sources(), *_redis(), *_own_mistakes(), *_ends(), *_last()]


def _plain(
    name: str,
    *words: str,
    codes: tuple[int, ...] = (0,),
    config: Mapping[str, object] | None = None,
    program: str = MAIN,
    **more: str,
) -> Trial:
    def hold(place: Place) -> Ended:
        file = place.bank.config(name.replace(" ", "-"), **config) if config else None  # type: ignore[arg-type]
        return _ended(place.start(*words, config=file, program=program, **more), codes)

    return Trial(name, hold, codes)


def _good() -> Iterator[Trial]:
    yield _plain("a first night", "run")
    yield _plain("a second night, as JSON", "run", "--json")
    yield _plain("plan", "plan", "--show-diffs", "3")
    yield _plain("show", "show", "3")
    yield _plain("search", "search", "*", "--limit", "3")
    yield _plain("a search that is no query", "search", f"@x:{{{PLANTED[:3]}", codes=(1, 2, 4))
    yield _plain("status", "status")
    yield _plain("verify", "verify")
    yield _plain("one user", "backfill", "--user", "3")
    yield _plain("those who changed", "incremental")
    yield _plain("which rows are bad", "quarantine", "list")
    yield _plain("bad rows by their hash", "quarantine", "show")
    yield _plain("the bad rows again", "quarantine", "replay")
    yield _plain("the index", "index", "info")
    yield _plain("the index anew", "index", "rebuild")
    yield _plain("the audit", "audit")
    forged = f"x\r\nERROR {FORGED}\x1b[31m"
    yield _plain(
        *("lines in who and why", "run", "--accept", "rows", "--by", forged, "--why", forged)
    )
    yield _plain("forget, with lines", "forget", "4", "--by", forged, "--why", forged)
    yield _plain("the audit with lines", "audit")


def _bad_values() -> Iterator[Trial]:
    yield _plain("stopped by the guard", "run", codes=(5,), config={"share": 0.001})
    yield _plain("plan, stopped by the guard", "plan", codes=(5,), config={"share": 0.001})
    yield _plain("a user id that is none", "show", "x", codes=(1, 2))
    for hook, codes in (("explodes", (1, 2)), ("lies", (1, 2)), ("grows", (1, 2))):
        yield _plain(f"a hook that {hook}", "run", codes=codes, config={"hook": hook})
    yield _plain("a hook that breaks", "run", codes=(1, 2, 3), config={"hook": "breaks"})


def _sources() -> Iterator[Trial]:
    for name in ("CORE", "LENDING", "CARDS"):
        variable = f"CANARY_{name}_URL"
        wrong = _wrong_user if name == "CORE" else _wrong_password  # that server trusts
        yield _changed_url(f"{name}: wrong login", variable, wrong, (3,))
        yield _changed_url(f"{name}: nobody there", variable, _elsewhere, (3,))
        yield _changed_url(f"{name}: no URL", variable, _broken, (2, 3))
        # MongoDB's driver asks once more.
        yield _cut_source(f"{name}: cut off", variable, (0, 3) if name == "CARDS" else (3,))
    yield _plain("a file that is none", "run", codes=(3,), CANARY_WEB_URL="sqlite:////nowhere/x")
    yield Trial("a column has gone", _without_column, (3,))
    yield Trial("a table of another type", _of_another_type, (3,))


def _changed_url(
    name: str, variable: str, change: Callable[[str], str], codes: tuple[int, ...]
) -> Trial:
    def hold(place: Place) -> Ended:
        url = change(place.bank.environ[variable])
        return _ended(place.start("run", **{variable: url}), codes)

    return Trial(name, hold, codes)


def _wrong_password(url: str) -> str:
    own = next(word for word in PASSWORD_OF.values() if f":{word}@" in url)
    return url.replace(f":{own}@", f":{PASSWORD_OF['wrong']}@")


def _wrong_user(url: str) -> str:
    return re.sub(r"://\w+:", f"://{PASSWORD_OF['wrong']}:", url)


def _elsewhere(url: str) -> str:
    return url.replace(urlsplit(url).netloc.rpartition("@")[2], CLOSED)


def _broken(url: str) -> str:
    return url.replace("@127.0.0.1:", "@[127.0.0.1:x")


def _cut_source(name: str, variable: str, codes: tuple[int, ...]) -> Trial:
    def hold(place: Place) -> Ended:
        url = place.bank.environ[variable]
        port = urlsplit(url.partition("?")[0]).port
        assert port is not None
        with Proxy(port) as proxy:
            at = random.Random(place.seed).randrange(1500, 4000)
            fault = proxy.arm(Fault("cut", "reply", at))
            through = url.replace(f":{port}", f":{proxy.port}")
            if variable == "CANARY_CARDS_URL":
                options = through.partition("?")[2].split("&")
                kept = [option for option in options if not option.startswith("replicaSet")]
                through = f"{through.partition('?')[0]}?{'&'.join(kept)}&directConnection=true"
            ended = _ended(place.start("run", **{variable: through}), codes)
        assert fault is not None
        return Ended(ended.code, ended.output, ended.bit and fault.struck.is_set())

    return Trial(name, hold, codes)


def _without_column(place: Place) -> Ended:
    place.bank.core("ALTER TABLE client RENAME note TO remark")
    try:
        return _ended(place.start("run"), (3,))
    finally:
        place.bank.core("ALTER TABLE client RENAME remark TO note")


def _of_another_type(place: Place) -> Ended:
    place.bank.web("ALTER TABLE visit RENAME TO visits")
    try:
        return _ended(place.start("run"), (3,))
    finally:
        place.bank.web("ALTER TABLE visits RENAME TO visit")


def _redis() -> Iterator[Trial]:
    wrong = f"redis://default:{PASSWORD_OF['wrong']}@127.0.0.1:PORT/0"
    yield _with_redis("Redis: wrong password", wrong, (4,))
    yield _with_redis("Redis: no URL", f"redis://u:{PASSWORD_OF['redis']}/x@h:y/0", (2,))
    nobody = f"redis://default:{PASSWORD_OF['redis']}@{CLOSED}/0"
    yield _with_redis("Redis: nobody there", nobody, (4,))
    yield Trial("Redis: cut off", _cut_redis, (4,))
    yield Trial("Redis: out of memory", _without_memory, (4,))
    yield Trial("Redis: another type under a key", _wrong_type)
    yield Trial("Redis: no right to write", _without_right, (4,))
    yield Trial("a document edited by hand", _edited, (9,))
    yield _plain("repair", "verify", "--repair")


def _with_redis(name: str, url: str, codes: tuple[int, ...]) -> Trial:
    def hold(place: Place) -> Ended:
        other = url.replace("PORT", str(place.target.port))
        return _ended(place.start("run", REDIS_URL=other), codes)

    return Trial(name, hold, codes)


@contextmanager
def _all_new(place: Place) -> Iterator[None]:
    """All documents have to be written."""
    with place.admin as admin:
        for key in [*admin.scan_iter(match="profile:*"), *admin.scan_iter(match="credential:*")]:
            admin.delete(key)
    yield


def _cut_redis(place: Place) -> Ended:
    with _all_new(place), Proxy(place.target.port) as proxy:

        def cuts(link: object, data: bytes) -> bytes | None:
            return None if b"JSON.SET" in data and b"profile:" in data else data

        proxy.on_request = cuts  # type: ignore[assignment]
        url = place.redis_url.replace(f":{place.target.port}", f":{proxy.port}")
        return _ended(place.start("run", REDIS_URL=url), (4,))


def _without_memory(place: Place) -> Ended:
    with _all_new(place), place.admin as admin:
        pid = place.start("run")
        while pid.poll() is None and not list(admin.scan_iter(match="profile:*", count=1000)):
            admin.config_set("maxmemory", int(admin.info("memory")["used_memory"]) + 1)
            time.sleep(0.05)
        try:
            return _ended(pid, (4,))
        finally:
            admin.config_set("maxmemory", 0)


def _wrong_type(place: Place) -> Ended:
    with place.admin as admin:
        admin.delete("profile:3")
        admin.hset("profile:3", "a", place.bank.canary())
        try:
            return _ended(place.start("run"), (0, 1, 4, 6))
        finally:
            admin.delete("profile:3")


def _without_right(place: Place) -> Ended:
    user = f"redis://loader:{PASSWORD_OF['wrong']}@127.0.0.1:{place.target.port}/0"
    with _all_new(place), place.admin as admin:
        rules = ("on", f">{PASSWORD_OF['wrong']}", "~*", "+@all", "-json.set")
        admin.execute_command("ACL", "SETUSER", "loader", *rules, "(~prefetch:* +json.set)")
        return _ended(place.start("run", REDIS_URL=user), (4,))


def _edited(place: Place) -> Ended:
    whole = _ended(place.start("run"), (0,))
    with place.admin as admin:
        text = json.dumps(place.bank.canary())
        admin.execute_command("JSON.SET", "profile:3", "$.identity.name", text)
    ended = _ended(place.start("verify"), (9,))
    return Ended(ended.code, whole.output + ended.output, ended.bit and whole.bit)


def _own_mistakes() -> Iterator[Trial]:
    for module, target, name, error in (
        ("flows.extraction", "module", "normalise", "KeyError"),
        ("flows.linking", "module", "follow", "ValueError"),
        ("flows.loading", "module", "bodies", "RuntimeError"),
        ("flows.loading", "module.BucketWriter", "load", "OSError"),
        ("flows.checking", "module", "check_bucket", "AssertionError"),
        ("connectors.postgres", "module", "parse", "pa.ArrowInvalid"),
        ("flows.opening", "module", "plan_of", "TypeError"),
    ):
        damage = LEAKY.format(module=module, target=target, name=name, error=error, planted=PLANTED)
        yield Trial(f"a mistake of ours in {name}", _damaged("import pyarrow as pa\n" + damage))


def _damaged(damage: str) -> Callable[[Place], Ended]:
    def hold(place: Place) -> Ended:
        with _all_new(place):
            ended = _ended(place.start("run", program=damage + MAIN), tuple(range(1, 10)))
        return Ended(ended.code, ended.output, ended.code != 0)

    return hold


def _ends() -> Iterator[Trial]:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGABRT, signal.SIGKILL):
        yield Trial(f"ended by {number.name}", _killed(number))
    yield _plain("after the kill", "run")
    yield _plain("Prefect is away", "run", codes=(2,), PREFECT_API_URL=f"http://{CLOSED}/api")


def _killed(number: signal.Signals) -> Callable[[Place], Ended]:
    def hold(place: Place) -> Ended:
        stage = place.folder / "work" / "stage"
        with _all_new(place):
            process = place.start("run")
            while process.poll() is None and not list(stage.glob("stage-*/*.arrow*")):
                time.sleep(0.01)
            process.send_signal(number)
            ended = _ended(process, ())
        cores = [path for path in Path.cwd().glob("core*") if path.is_file()]
        assert not cores, "a core dump was left"
        left = "" if number in (signal.SIGTERM, signal.SIGINT) else _again(place)
        return Ended(ended.code, ended.output + left, ended.code != 0)

    return hold


def _again(place: Place) -> str:
    """After a crash the stage is still there, until the next run on the machine."""
    return _ended(place.start("run"), (0,)).output


def _last() -> Iterator[Trial]:
    yield Trial("secrets in files", _hidden)
    yield Trial("secrets in blocks of Prefect", _from_blocks)


def _hidden(place: Place) -> Ended:
    place.hidden = True
    try:
        process = place.start("run")
        environ = Path(f"/proc/{process.pid}/environ")
        seen = environ.read_bytes() if os.path.exists(environ) else b""
        ended = _ended(process, (0,))
    finally:
        place.hidden = False
    return Ended(ended.code, ended.output + seen.decode(errors="replace"), ended.bit)


def _from_blocks(place: Place) -> Ended:
    environ = place.environ(PATH=os.environ["PATH"])
    secret = {name: environ.pop(name) for name in (*place.bank.environ, "REDIS_URL")}
    secret["PREFETCH_HASH_KEY"] = environ.pop("PREFETCH_HASH_KEY")
    state, output = run_by_worker(
        place.prefect_url,
        environ,
        secret,
        f"{place.bank.name}-{uuid4().hex[:6]}",
        place.bank.config(),
    )
    return Ended(0, output, state == "COMPLETED")
