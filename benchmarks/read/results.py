"""The results as JSON, and as tables of Markdown for people and for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.read.figures import SWEEP
from benchmarks.read.questions import LOOK_UPS, QUESTIONS

Found = Mapping[str, Any]

NAMES = {"redis": "Redis, by the reader", "postgresql": "PostgreSQL", "mongodb": "MongoDB"}
STATES = {
    "idle": "nothing",
    "searching": "searches",
    "loading": "a full load",
    "loading_idle": "a full load, when idle",
    "loading_first": "a full load, app and Redis first",
    "rebuilding": "index rebuilt",
}
"""Those of the tables; the JSON also has ``run``: of the load's whole run, with its extraction."""

ASKED = {
    "id": "profile by id",
    "path": "permissions by path",
    "email": "login by e-mail",
    "search": "search, 10 results",
}


def p99_of(measured: Sequence[Found]) -> dict[str, Any]:
    """The p99 in milliseconds of each question: ``id_idle`` …, the same under ``peers``."""
    found: dict[str, Any] = {"peers": {}}
    for row in measured:
        if row["state"] != SWEEP and row["requests"]:
            peers = found["peers"]
            place = found if row["subject"] == "redis" else peers.setdefault(row["subject"], {})
            place[f"{row['question']}_{row['state']}"] = row["p99_ms"]
    return found


def tables(results: Found) -> str:
    """All tables that have something to tell."""
    rates = (_by_rate, _held_rates) if results["by_rate"] else ()
    parts = (_times, _rates, *rates, _loads, _connections, _server, _cores, _more)
    return "\n\n".join("\n".join(part(results)) for part in parts)


def _times(results: Found) -> Iterator[str]:
    heads = (
        "question",
        "meanwhile",
        "asked of",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "once sent: p50",
        "p99",
        "requests",
    )
    yield from _head("Milliseconds from when a request was due", heads)
    order = {name: place for place, name in enumerate(QUESTIONS)}
    told = [row for row in results["measured"] if row["requests"] and row["state"] in STATES]
    for row in sorted(told, key=lambda row: order[row["question"]]):
        yield _row(
            ASKED[row["question"]],
            STATES[row["state"]],
            NAMES[row["subject"]],
            *(f"{row[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "p99_9_ms")),
            *(f"{row['sent_to_done'][name]:.2f}" for name in ("p50_ms", "p99_ms")),
            f"{row['requests']:,}",
        )


def _rates(results: Found) -> Iterator[str]:
    heads = ("asked of", *(ASKED[question] for question in QUESTIONS))
    yield from _head("Highest rate with a p99 below 1 ms, and answers per second at most", heads)
    for subject, holds in results["holds_1_ms"].items():
        most = results["most_per_s"][subject]
        yield _row(NAMES[subject], *(f"{holds[q]:,.0f} / {most[q]:,.0f}" for q in QUESTIONS))


def _by_rate(results: Found) -> Iterator[str]:
    heads = (
        "question",
        "meanwhile",
        "asked per second",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "requests",
        "p99 of the median turn",
        "turns below 1 ms",
    )
    yield from _head("While a load runs, by the rate of each of the three look-ups", heads)
    order = {name: place for place, name in enumerate(QUESTIONS)}
    for row in sorted(results["by_rate"], key=lambda row: order[row["question"]]):
        if row["requests"]:
            yield _row(
                ASKED[row["question"]],
                STATES[row["state"]],
                f"{row['rate']:,.0f}",
                *(f"{row[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "p99_9_ms")),
                f"{row['requests']:,}",
                f"{row['turn_p99_ms']:.2f}" if row["turns"] else "",
                f"{row['turns_held']} of {row['turns']}",
            )


def _held_rates(results: Found) -> Iterator[str]:
    heads = ("meanwhile", *(ASKED[question] for question in LOOK_UPS))
    yield from _head("The highest of these rates with a p99 below 1 ms, 0 for none", heads)
    for state, held in results["holds_1_ms_loading"].items():
        yield _row(STATES[state], *(f"{held.get(question, 0):,.0f}" for question in LOOK_UPS))


def _loads(results: Found) -> Iterator[str]:
    heads = ("load", "asked", "per second", "run, s", "load step, s", "forks of Redis")
    yield from _head("The loads", heads)
    for run in results["runs"]:
        yield _row(
            STATES[run["state"]],
            ", ".join(NAMES[subject] for subject in run["asked"]),
            ", ".join(f"{rate:,.0f}" for rate in run["rates"]) or "as above",
            f"{run['seconds']:.1f}",
            f"{run['steps']['load']:.1f}",
            run["forks"],
        )


def _connections(results: Found) -> Iterator[str]:
    heads = ("asked of", "connections", "rate", "p50", "p95", "p99", "p99.9")
    yield from _head("Profile by id over so many connections, idle, milliseconds", heads)
    for row in results["measured"]:
        if row["state"] == SWEEP:
            times = (f"{row[name]:.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "p99_9_ms"))
            yield _row(NAMES[row["subject"]], row["connections"], f"{row['rate']:,.0f}", *times)


def _server(results: Found) -> Iterator[str]:
    heads = ("meanwhile", "command", "calls", "mean", "p50", "p99", "p99.9")
    yield from _head("Microseconds in Redis itself, by its own statistics", heads)
    for state, commands in results["server"].items():
        for command, told in commands.items():
            times = (f"{told[f'{name}_us']:.1f}" for name in ("mean", "p50", "p99", "p99.9"))
            yield _row(STATES[state], command, f"{told['calls']:,}", *times)


def _cores(results: Found) -> Iterator[str]:
    heads = ("meanwhile", "asked of", "machine", "Redis", "the client")
    yield from _head("CPU cores at work", heads)
    for state, subjects in results["cores"].items():
        for subject, told in subjects.items():
            yield _row(
                STATES[state],
                NAMES[subject],
                *(f"{told[n]:.2f}" for n in ("machine", "redis", "client")),
            )


def _more(results: Found) -> Iterator[str]:
    memory = results["memory"]
    yield (
        f"Memory per profile (with its credential): {memory['bytes_per_profile']:,} bytes, with "
        f"the index {memory['bytes_per_profile_with_index']:,}; {memory['profiles']:,} profiles."
    )
    costs = ", ".join(f"{name} {cost:.1f} ms" for name, cost in results["hash_ms"].items())
    yield f"Comparing a password, not in the figures above: {costs}."


def _head(title: str, heads: Sequence[str]) -> Iterator[str]:
    yield f"{title}:\n"
    yield _row(*heads)
    yield _row(*("---" for _ in heads))


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
