"""What ``check`` says of a search index; each type is also tried in a real index."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
import redis
from bank import problems_for

from core.index import json_path, parse_path
from core.reading import Reading
from store.index_schema import IndexSchema

NUMBERS = itertools.count(1)
COLUMNS = {
    "id": "integer", "text": "string", "whole": "integer", "real": "number", "yes": "boolean",
    "money": {"type": "decimal", "scale": 2}, "day": "date", "at": "timestamp", "any": "json",
    "words": "string[]", "wholes": "integer[]", "flags": "boolean[]", "hash": "password_hash",
    "anys": "json[]",
}  # fmt: skip
DATASETS: dict[str, Any] = {
    "s.user": {
        "user_id": "id", "into": "me", "primary_key": "id", "columns": COLUMNS,
        "fields": {
            **{name: None for name in COLUMNS if name not in ("id", "hash")},
            "hash": {"class": "secret"},
            "sum": {"derive": "CAST(money AS DOUBLE)"},
            "group.fixed": {"constant": 5},
        },
    },
    "s.thing": {
        "user_id": "id", "into": "things[]", "primary_key": "text",
        "columns": {name: COLUMNS[name] for name in ("id", "text", "whole", "yes", "words", "money")},
        "fields": ["text", "whole", "yes", "words", "money"],
    },
    "s.role": {
        "user_id": "id", "into": "roles[]", "primary_key": "text", "value": "text",
        "columns": {"id": "integer", "text": "string"},
    },
    "s.total": {
        "user_id": "id", "into": "total", "columns": {"id": "integer", **COLUMNS},
        "fields": {
            "number": {"aggregate": "count"}, "money": {"aggregate": "sum", "of": "money"},
            "last": {"aggregate": "latest", "of": "any", "by": "day"},
            "spend": {"derive": "CAST(money AS DOUBLE)"},
        },
    },
}  # fmt: skip
VALUES: dict[str, Any] = {
    "me.text": "a", "me.whole": 5, "me.real": 1.5, "me.yes": True, "me.money": "1.50",
    "me.day": "2024-01-02", "me.at": "2024-01-02T03:04:05Z", "me.any": {"x": 1},
    "me.words": ["a", None], "me.words[*]": ["a", None], "me.wholes": [1, 2],
    "me.wholes[*]": [1, 2], "me.flags": [True, False], "me.flags[*]": [True, False], "me.sum": 1.5,
    "me.group.fixed": 5, "things[*].text": "a", "things[*].whole": 5, "things[*].yes": True,
    "things[*].words[*]": ["a", "b"], "things[*].words": ["a", "b"], "things[*].money": "1.50",
    "roles": ["x", "y"], "roles[*]": ["x", "y"], "total.number": 3, "total.money": "1.50",
    "total.spend": 1.5, "user_id": 7,
}  # fmt: skip
SUITS = {
    "tag": "me.text me.yes me.money me.day me.at me.words me.words[*] things[*].text "
    "things[*].words[*] things[*].money roles roles[*] total.money",
    "text": "me.text me.money me.day me.at me.words me.words[*] things[*].text "
    "things[*].words[*] things[*].money roles roles[*] total.money",
    "numeric": "me.whole me.real me.wholes me.wholes[*] me.sum me.group.fixed things[*].whole "
    "total.number total.spend user_id",
}


def problems(*fields: dict[str, Any], **more: Any) -> list[str]:
    return problems_for(
        profile={"anchor": "s.user", "user_id": {"type": "integer"}},
        datasets={**DATASETS, "s.user": {**DATASETS["s.user"]}},
        index={"fields": list(fields), **more},
    )


@pytest.fixture(scope="module")
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url, protocol=2)


def indexable(client: redis.Redis, kind: str, path: str) -> bool:
    """Whether a real index takes the value at a path."""
    name = f"check{next(NUMBERS):04d}"
    *around, last = parse_path(path)
    document: Any = VALUES[path]
    if path.endswith("[*]") and not around:
        document = {last.name: document}
    else:
        document = {last.name: document}
    for step in reversed(around):
        document = {step.name: [document, {}, document] if step.each else document}
    reading = Reading.model_validate(
        {
            "profile": {"name": name, "key": name + ":{user_id}", "anchor": "a.b"},
            "index": {"fields": [{"name": "f", "type": kind, "path": path}]},
        }
    )
    schema = IndexSchema(reading)
    client.execute_command("FT.CREATE", schema.next_version([]), *schema.definition)
    client.execute_command("JSON.SET", f"{name}:1", "$", orjson.dumps(document))
    told = client.execute_command("FT.INFO", schema.next_version([]))
    found = client.execute_command("FT.SEARCH", schema.next_version([]), "*", "NOCONTENT")
    client.execute_command("FT.DROPINDEX", schema.next_version([]))
    failures = told[told.index(b"hash_indexing_failures") + 1]
    assert (failures == 0) == (found[0] == 1)
    return bool(found[0])


@pytest.mark.parametrize("path", VALUES)
@pytest.mark.parametrize("kind", ["tag", "text", "numeric"])
def test_what_is_accepted_can_be_indexed(client: redis.Redis, kind: str, path: str) -> None:
    found = problems({"name": "f", "type": kind, "path": f"$.{path}"})
    assert (found == []) == (path in SUITS[kind].split()), found
    if found:
        assert found[0].startswith("index → f: ")
    else:
        assert indexable(client, kind, path)


@pytest.mark.parametrize(
    ("kind", "path"),
    [("numeric", "me.money"), ("numeric", "me.text"), ("tag", "me.whole"), ("tag", "me.flags[*]"),
     ("tag", "things[*].yes"), ("text", "me.yes"), ("tag", "things[*].words"), ("tag", "me.any")],
)  # fmt: skip
def test_what_is_refused_would_not_be_found(client: redis.Redis, kind: str, path: str) -> None:
    assert problems({"name": "f", "type": kind, "path": path}) != []
    assert not indexable(client, kind, path)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ({"path": "me.none"}, "fields → 0 → path: no dataset makes 'none' there"),
        ({"path": "none"}, "path: no dataset makes 'none' there"),
        ({"path": "me"}, "path: 'me' holds objects: name a field in them"),
        ({"path": "things[*]"}, "path: 'things' holds objects: name a field in them"),
        ({"path": "things.text"}, "path: 'things' is a list: write things[*]"),
        ({"path": "me[*].text"}, "path: 'me' is an object: write it without [*]"),
        ({"path": "me.text.more"}, "path: 'text' is a field: nothing stands below it"),
        ({"path": "me.any.more"}, "path: 'any' is a field: nothing stands below it"),
        ({"path": "me.text[*]"}, "f: 'text' is no list: write it without [*]"),
        ({"path": "things[*].words"}, "f: 'words' is a list: write words[*]"),
        ({"path": "me.hash"}, "path: is secret: who may search must not be able to find it"),
        ({"path": "me.any"}, "f: it is JSON of any type"),
        ({"path": "me.anys"}, "f: it is JSON of any type"),
        ({"path": "total.last"}, "f: it is JSON of any type"),
        ({"path": "me.money", "type": "numeric"}, "`numeric` does not suit a string: such profiles"),
        ({"path": "me.money", "type": "numeric"}, "CAST(… AS DOUBLE) makes a number of it"),
        ({"path": "me.whole"}, "`tag` does not suit a number"),
        ({"path": "me.whole"}, "CAST(… AS VARCHAR) makes a text of it"),
        ({"path": "things[*].yes"}, "`tag` does not suit a boolean[]"),
        ({"path": "me.text", "type": "text", "unique": True}, "unique: only a `tag` can be looked up"),
        ({"path": "things[*].text", "unique": True}, "unique: a list has many values"),
        ({"path": "roles", "unique": True}, "unique: a list has many values"),
        ({"path": "me.words", "unique": True}, "f: only a field with one text a user can be unique"),
        ({"path": "me.yes", "unique": True}, "f: only a field with one text a user can be unique"),
        ({"path": "me.text", "unique": True, "attrs": {"separator": ","}}, "unique: can't be looked up"),
        ({"path": "me.text", "unique": True, "attrs": {"no_index": True}}, "unique: can't be looked up"),
        ({"path": "me.text", "attrs": {"weight": 2}}, "attrs → weight: is for text only"),
        ({"path": "me.text", "attrs": {"unf": True}}, "attrs → unf: needs `sortable`"),
        ({"path": "me.whole", "type": "numeric", "attrs": {"index_empty": True}}, "is for tag and text only"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(field: dict[str, Any], text: str) -> None:
    assert any(text in each for each in problems({"name": "f", "type": "tag", **field}))


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ({"prefix": "other:"}, "index → prefix: must be a start of the profiles' key: profile:"),
        ({"prefix": ""}, "index → prefix: must be a start"),
        ({"name": "prefetch:x"}, "index → name: `prefetch:` is the control keys'"),
    ],
)
def test_names_of_the_index(index: dict[str, Any], text: str) -> None:
    field = {"name": "f", "type": "tag", "path": "me.text"}
    assert any(text in each for each in problems(field, **index))
    assert problems(field, name="idx:mine", prefix="profile:") == []
    assert problems(field, field) == ["index → fields: two fields are named 'f'"]


def test_a_prefix_that_takes_in_the_credentials() -> None:
    found = problems_for(
        profile={"anchor": "s.user", "key": "b:p:{user_id}", "credential_key": "b:c:{user_id}"},
        datasets=DATASETS,
        index={"prefix": "b:", "fields": [{"name": "f", "type": "tag", "path": "me.text"}]},
    )
    assert found == ["index → prefix: would index the credentials as well"]


@pytest.mark.parametrize(
    "path", ["", "$", "$.", "a..b", "a[0]", "a[*][*]", "a b", "a.b;", "1a", "$.a'"]
)
def test_no_paths(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        parse_path(path)


def test_paths_as_redis_reads_them() -> None:
    assert json_path(parse_path("a.b[*].c-d.über")) == '$.a.b[*]["c-d"]["über"]'
    assert parse_path("$.a.b[*]") == parse_path("a.b[*]")
