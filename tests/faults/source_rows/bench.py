"""The bench of the source faults: databases with amounts that move, a Redis, and runs over them."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from devstack import RedisServer
from tests.faults.campaign import Ground
from tests.faults.runs import RUN_S, Ended, Runs
from tests.faults.source_rows.databases import TOTAL, Databases, Servers
from tests.forked import MAIN, Forked

PIPELINE = """\
profile: {name: rows, anchor: core.client, user_id: {type: integer}, buckets: 8}
sources:
  core: {kind: sql, url: "${ROWS_CORE_URL}"CORE}
  lending: {kind: sql, url: "${ROWS_LENDING_URL}"LENDING}
  cards: {kind: mongodb, url: "${ROWS_CARDS_URL}"CARDS}
datasets:
  core.client:
    {user_id: id, into: identity, primary_key: id, cursor: changed,
     columns: {id: integer, name: string, pin: string, changed: timestamp},
     fields: {name: {}, pin: {class: secret}}}
"""
TABLE = """\
  SOURCE.NAME:
    {user_id: id, into: SOURCE_NAME, primary_key: id,
     columns: {id: integer, amount: integer, pad: string}, fields: [amount]}
"""
SOURCES = ("core", "lending", "cards")


@dataclass(frozen=True)
class Wanted:
    """How a run has to end: its exit code, and words that its error must hold."""

    code: int
    words: tuple[str, ...] = ()


class Bench(Databases, Runs):
    """Databases of its own on the servers, a Redis, and runs; made once for several trials."""

    def __init__(self, ground: Ground, servers: Servers) -> None:
        self.ground, self.folder = ground, ground.new_folder("bench")
        super().__init__(servers, self.folder.name.replace("-", "_"))
        self.redis: RedisServer = ground.redis()
        self.config = self.folder / "rows.yaml"
        self._cleanup, self._halts = ExitStack(), 0
        self.configure()

    def __enter__(self) -> Self:
        self._cleanup.enter_context(self.redis)
        self.create()
        self.fill()
        first = self.run()
        assert first.success, first.told
        assert not self.unbalanced()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def configure(self, tail: str = "", **more: str) -> None:
        """Writes the pipeline file; ``core``, ``lending`` and ``cards`` may say more of them."""
        text = PIPELINE
        for source in SOURCES:
            said = more.get(source)
            text = text.replace(source.upper() + "}", f", {said}}}" if said else "}")
        for source in SOURCES:
            for name in "ab":
                text += TABLE.replace("SOURCE", source).replace("NAME", name)
        self.config.write_text(text + tail, encoding="utf-8")

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the pipeline file, and settings."""
        return {"PREFETCH_CHUNK_BYTES": "65536", **self.urls}

    def start_halted(self, place: str, *arguments: str, most: int = 1, **environ: str) -> Forked:
        """Starts ``prefetch``; it stops at that place, at most so often (see ``halting``)."""
        self._halts += 1
        self.halt_folder.mkdir()
        given = f"{place!r}, {str(self.halt_folder)!r}, {most}"
        program = f"from tests.faults.source_rows.halting import halt\nhalt({given})\n{MAIN}"
        return self.start(*arguments, program=program, **environ)

    @property
    def halt_folder(self) -> Path:
        return self.folder / f"halt-{self._halts}"

    def reached(self, process: Forked, number: int = 1) -> None:
        """Waits until a run has stopped for the ``number``-th time."""
        until = time.monotonic() + RUN_S
        while not (self.halt_folder / f"reached-{number}").exists():
            if process.poll() is not None:
                raise AssertionError(f"it ended before: {self.ended(process).errors[-500:]}")
            assert time.monotonic() < until, "it was never reached"
            time.sleep(0.005)

    def go(self, number: int = 1) -> None:
        """Lets it go on."""
        (self.halt_folder / f"go-{number}").touch()

    @property
    def client(self) -> redis.Redis:
        return self._cleanup.enter_context(redis.Redis.from_url(self.redis.url))

    def documents(self, *, epochs: bool = True) -> dict[str, Any]:
        """All documents by key, each parsed; without their epochs where these don't matter."""
        found = {}
        with redis.Redis.from_url(self.redis.url, decode_responses=True) as client:
            for prefix in ("profile", "credential"):
                for key in client.scan_iter(match=f"{prefix}:*", count=1000):
                    document = json.loads(str(client.execute_command("JSON.GET", key)))
                    if not epochs:
                        document["_meta"].pop("epoch")
                    found[str(key)] = document
        return found

    def unbalanced(self) -> list[str]:
        """The users and sources whose two amounts are of two states."""
        wrong = []
        for key, document in self.documents().items():
            if key.startswith("profile:"):
                for source in SOURCES:
                    a, b = (document[f"{source}_{name}"] for name in "ab")
                    if a is None or b is None or a["amount"] + b["amount"] != TOTAL:
                        wrong.append(f"{key} {source}")
        return wrong

    def forget_all(self) -> None:
        """An empty Redis, and no stage."""
        with redis.Redis.from_url(self.redis.url) as client:
            client.execute_command("FLUSHALL", "SYNC")
        shutil.rmtree(self.stage, ignore_errors=True)


def stopped(bench: Bench, ended: Ended, wanted: Wanted, before: dict[str, Any]) -> list[str]:
    """What is wrong with a run that had to fail, and to write nothing."""
    told = ended.told
    wrong = []
    if ended.code != wanted.code or ended.report.get("status") != "failed":
        wrong.append(f"code {ended.code}, status {ended.report.get('status')}: {told}")
    wrong += [f"no {word!r} in: {told}" for word in wanted.words if word not in told]
    if bench.documents() != before:
        wrong.append("documents changed, though the run failed before its first write")
    return wrong + [f"left in the stage: {name}" for name in bench.staged()]


def right(bench: Bench, ended: Ended) -> list[str]:
    """What is wrong with a run that had to succeed."""
    if not ended.success:
        return [f"no success ({ended.code}): {ended.told}"]
    wrong = [f"of two states: {place}" for place in bench.unbalanced()[:3]]
    return wrong + [f"left in the stage: {name}" for name in bench.staged()]
