"""The order of the bench: load, fill the peers, then measure idle, loading, and rebuilding."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import product
from typing import Any

import bcrypt

from benchmarks.read.choosing import chosen
from benchmarks.read.clients import Asked, Clients, clients
from benchmarks.read.figures import SWEEP, Asking, Figures, by_turn, rows
from benchmarks.read.first import first
from benchmarks.read.ground import Ground
from benchmarks.read.peers import fill_mongodb, fill_postgresql
from benchmarks.read.plan import LOADING, REDIS, SUBJECTS, Plan, Rates
from benchmarks.read.questions import LOOK_UPS, QUESTIONS
from benchmarks.read.server_side import (
    Work,
    Writes,
    forget_latencies,
    index_sizes,
    latencies,
    used_memory,
)
from core.reading import Reading
from store.client import Client, client_of
from store.index import drop, ensure
from store.index_schema import IndexSchema
from store.keys import Keys
from store.passwords import Passwords
from store.reader import Reader, reading_of

SETTLE_S, SETTLED = 1.0, 0.001
BCRYPT_COST = 12
HASHES = 3
REBUILDS = 5

Say = Callable[[str], None]


class Play:
    """Measures one thing after the other."""

    def __init__(self, ground: Ground, plan: Plan, say: Say) -> None:
        self._ground, self._plan, self._say = ground, plan, say
        self._found: dict[str, Any] = {"measured": [], "by_rate": [], "server": {}, "cores": {}}

    def show(self) -> dict[str, Any]:
        """All of it; takes some minutes. Gives what it found."""
        ground, url = self._ground, self._ground.stack.urls["redis"]
        reading = reading_of(ground.config)
        with client_of(url) as redis:
            empty = used_memory(redis)
            self._say("loading it for the first time")
            self._found["first_run"] = _told(ground.load_all())
            self._found["memory"] = _memory(redis, reading, empty)
            urls = {REDIS: url, **self._peers(redis, reading.index_prefix)}
            with Reader(url, reading) as reader:
                sample = chosen(redis, reader, reading, urls["postgresql"])
            sample.save(ground.folder / "sample.json")
            with clients(ground.folder, ground.folder / "sample.json", urls) as client:
                client.config = ground.config
                self._idle(client, redis)
                self._loading(client, redis)
                self._rebuilding(client, redis)
        self._found["hash_ms"] = hashes()
        return self._found

    def _peers(self, redis: Client, prefix: str) -> dict[str, str]:
        self._say("filling PostgreSQL and MongoDB with the same")
        stack = self._ground.stack
        fill_mongodb(stack.urls["mongodb"], redis, prefix)
        postgresql = fill_postgresql(stack.urls["postgres"], self._ground.book)
        return {"postgresql": postgresql, "mongodb": stack.urls["mongodb"]}

    def _idle(self, client: Clients, redis: Client) -> None:
        plan, found = self._plan, self._found
        for subject in SUBJECTS:
            self._say(f"asking {subject}, with nothing else going on")
            work = self._begin(redis)
            asked = [self._asked(client, subject, rates, plan.seconds) for rates in plan.idle]
            self._end(redis, work, subject, "idle", asked)
            found["measured"] += rows(asked, "idle")
            work = self._begin(redis)
            beside = [self._asked(client, subject, plan.everything, plan.seconds)]
            self._end(redis, work, subject, "searching", beside)
            found["measured"] += rows(beside, "searching")
            for number in plan.sweep:
                one = client.ask(subject, {"id": plan.rate * 2}, number, plan.step_s * 2)
                found["measured"] += rows([one], SWEEP)
            self._say(f"looking for the highest rates of {subject}")
            for question in QUESTIONS:
                asking = Asking(client, subject, question, plan.connections, plan.step_s)
                held = found.setdefault("holds_1_ms", {}).setdefault(subject, {})
                held[question] = asking.highest_rate(plan.steps)
                most = found.setdefault("most_per_s", {}).setdefault(subject, {})
                most[question] = asking.throughput()

    def _loading(self, client: Clients, redis: Client) -> None:
        server = redis.info("server")["process_id"]
        for load in self._plan.loads:
            subjects, state = load.subjects, load.state
            self._say(f"asking {' and '.join(subjects)} ({state}): prefetch run writes all anew")
            self._ground.version += 1
            client.config = self._ground.config
            busy = [dict.fromkeys(LOOK_UPS, rate) for rate in load.rates] or self._plan.busy
            jobs, turns = self._jobs(client, subjects, busy)
            work = self._begin(redis)
            with (
                first(server, client.pid) if load.first else nullcontext(),
                client_of(self._ground.stack.urls["redis"]) as watcher,
                Writes(watcher) as writes,
            ):
                started = time.monotonic_ns()
                report = self._ground.load_all(partial(next, turns), load.sched_idle)
                run = (started, time.monotonic_ns())
            forks = redis.info("stats")["total_forks"]
            run_of = {"state": state, "asked": subjects, "rates": load.rates, "forks": forks}
            self._found.setdefault("runs", []).append({**run_of, **_told(report)})
            for subject in subjects:
                asked = jobs[subject]
                if load.rates:
                    for rates in busy:
                        of_rate = [each for each in asked if each.job.rates == rates]
                        self._found["by_rate"] += by_turn(of_rate, state, writes.span)
                    continue
                if state == LOADING:
                    self._found["measured"] += rows(asked, "run", run)
                self._found["measured"] += rows(asked, state, writes.span)
                self._end(redis, work, subject, state, asked)

    def _rebuilding(self, client: Clients, redis: Client) -> None:
        self._say("asking redis while the search index is rebuilt")
        jobs, turns = self._jobs(client, (REDIS,), self._plan.busy)
        work, seconds = self._begin(redis), 0.0
        started = time.monotonic_ns()
        for _ in range(REBUILDS):
            seconds += self._rebuilt(turns)
            if seconds >= self._plan.seconds:
                break
        span = (started, time.monotonic_ns())
        self._found["measured"] += rows(jobs[REDIS], "rebuilding", span)
        self._end(redis, work, REDIS, "rebuilding", jobs[REDIS])

    def _rebuilt(self, turns: Iterator[None]) -> float:
        told = self._ground.prefetch("index", "rebuild", "--json", meanwhile=partial(next, turns))
        return float(told["process_seconds"])

    def _jobs(
        self, client: Clients, subjects: tuple[str, ...], busy: Sequence[Rates]
    ) -> tuple[dict[str, list[Asked]], Iterator[None]]:
        """Jobs of all questions, subject after subject, as often as asked for."""
        done: dict[str, list[Asked]] = {subject: [] for subject in subjects}

        def turns() -> Iterator[None]:
            while True:
                for subject, rates in product(subjects, busy):
                    done[subject].append(self._asked(client, subject, rates, self._plan.turn_s))
                    yield

        return done, turns()

    def _asked(self, client: Clients, subject: str, rates: Rates, seconds: float) -> Asked:
        return client.ask(subject, rates, self._plan.connections, seconds)

    def _begin(self, redis: Client) -> Work:
        forget_latencies(redis)
        return Work({"redis": redis.info("server")["process_id"]})

    def _end(self, redis: Client, work: Work, subject: str, state: str, asked: list[Asked]) -> None:
        seconds = sum(each.job.seconds for each in asked)
        client = round(sum(each.cpu_s for each in asked) / seconds, 2)
        self._found["cores"].setdefault(state, {})[subject] = {**work.cores(), "client": client}
        if subject == REDIS:
            self._found["server"][state] = latencies(redis)


def _memory(redis: Client, reading: Reading, empty: int) -> dict[str, Any]:
    """What the profiles take with their index and, for a moment, without it."""
    keys, schema = Keys(reading.profile), IndexSchema(reading)
    sizes = index_sizes(redis, reading.index_name)
    profiles, full = int(sizes["documents"]), _settled_memory(redis)
    drop(redis, keys, schema)
    bare = _settled_memory(redis)
    ensure(redis, keys, schema)
    return {
        "profiles": profiles,
        "bytes_per_profile": round((bare - empty) / profiles),
        "bytes_per_profile_with_index": round((full - empty) / profiles),
        "used_memory_mb": round(full / 1e6, 1),
        "ft_info": sizes,
    }


def _settled_memory(redis: Client) -> int:
    """Once no more is freed behind what was answered."""
    last, now = 0, used_memory(redis)
    while abs(now - last) > SETTLED * now:
        time.sleep(SETTLE_S)
        last, now = now, used_memory(redis)
    return now


def hashes() -> dict[str, float]:
    """What comparing one password costs, in milliseconds (median), by scheme."""
    known = bcrypt.hashpw(b"benchmark", bcrypt.gensalt(BCRYPT_COST)).decode()
    passwords = Passwords()
    return {
        "argon2id (argon2-cffi's own cost)": _median_ms(lambda: passwords.compare(b"other", None)),
        f"bcrypt (cost {BCRYPT_COST})": _median_ms(lambda: passwords.compare(b"other", known)),
    }


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(HASHES):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(times), 1)


def _told(report: dict[str, Any]) -> Figures:
    wanted = ("status", "users", "created", "updated", "bytes_written", "seconds", "steps")
    return {name: report[name] for name in (*wanted, "process_seconds")}


def wrong_answers(found: dict[str, Any]) -> int:
    """How many answers were not the ones expected."""
    return sum(row.get("wrong", 0) for row in (*found["measured"], *found["by_rate"]))
