"""Every value of the corpus through every kind of source into Redis: as it was, or quarantined."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from devstack import RedisServer, Stack
from tests.values.corpus import GROUPS, distinct
from tests.values.places import SECRET, Case, Table, fill, pipeline, tables_of
from tests.values.value import KINDS, Group, Refused, Value

Run = Callable[..., dict[str, Any]]
ALL_KINDS = (*KINDS, "sql_ascii")
ANCHOR = "sqlite"


def strictly(text: str) -> Any:
    """JSON as a value that equals no other: numbers by kind and bits, objects by their order."""
    return json.loads(
        text,
        parse_int=lambda digits: ("integer", int(digits)),
        parse_float=lambda digits: ("double", float(digits).hex()),
        object_pairs_hook=lambda pairs: ("object", pairs),
    )


def stored(url: str, prefix: str, users: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The items of the users' documents, each still in its strict form."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for user in users:
            raw = client.execute_command("JSON.GET", f"{prefix}:{user}")
            if raw is not None:
                assert isinstance(raw, str)
                yield user, dict(strictly(raw)[1])


def quarantined_rows(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The group of each row in quarantine, and what tells which row it is, the user included."""
    (file,) = (folder / "stage" / "quarantine").glob("*.jsonl")
    head, *rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert all(group["kept"] == group["rows"] for group in head["groups"])
    for place, user, keys in rows:
        yield head["groups"][place], {**keys, "user": user}


def quarantined(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Why rows can't be used, and their column, by dataset and user."""
    return {
        (group["dataset"], keys["user"]): (group["reason"], group["column"])
        for group, keys in quarantined_rows(folder)
    }


def test_the_corpus_is_large() -> None:
    assert distinct() >= 500
    for kind in KINDS:
        assert sum(len(group.of(kind)) for group in GROUPS) >= 500


def test_every_value_arrives_as_it_was_or_is_quarantined(
    run: Run, stack: Stack, target: RedisServer, tmp_path: Path
) -> None:
    tables = list(tables_of(GROUPS, ALL_KINDS))
    cases = {
        user: Case(table.kind, table.name, value) for table in tables for user, value in table.rows
    }
    everyone = Group("users", "{}", {ANCHOR: "text"}, ())
    anchor = Table(ANCHOR, "users", everyone, [(user, Value(None, "")) for user in cases])
    config = tmp_path / "corpus.yaml"
    config.write_text(pipeline(tables, ANCHOR), encoding="utf-8")
    environ = fill(stack, tmp_path, "corpus", [*tables, anchor])

    report = run(config, environ)

    assert report["status"] == "success"
    assert report["created"] == len(cases)
    wrong, bad = [], quarantined(tmp_path)
    profiles = dict(stored(target.url, "profile", list(cases)))
    assert profiles.keys() == cases.keys()
    secrets = {u for u, case in cases.items() if case.table.startswith(f"v_{SECRET}")}
    credentials = dict(stored(target.url, "credential", sorted(secrets)))
    for user, case in cases.items():
        expected = case.value.expected
        document = credentials.get(user, {}) if user in secrets else profiles[user]
        reason = bad.pop((f"{case.kind}.{case.table}", str(user)), None)
        if isinstance(expected, Refused):
            found: Any = (document.get(case.section), reason)
            wanted: Any = (None, (expected.of(case.kind), "v"))
        else:
            found = (document.get(case.section), reason)
            wanted = (("object", [("v", strictly(expected))]), None)
        others = profiles[user].keys() - {"user_id", "_meta", "n", case.section}
        if found != wanted or others:
            wrong.append(
                f"{case.section} {_shown(case.value.given)}: {_shown(found)} != {_shown(wanted)}"
            )
    assert not wrong, f"{len(wrong)} of {len(cases)} values:\n" + "\n".join(wrong[:200])
    assert not bad


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 90 else f"{text[:60]}… ({len(text)})"
