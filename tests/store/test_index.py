"""The search index on a real Redis: made, told about, made anew without a gap, removed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from core.errors import ConfigError, IndexMissing, TargetUnavailable, TargetUnfit
from core.reading import Reading
from devstack import RedisServer
from store import index
from store.index import create, drop, ensure, rebuild
from store.index_schema import IndexSchema
from store.index_state import problem, profiles_in, state_of
from store.reader import Reader
from store.search import search
from tests.store.reading import NOW, Shelf


@pytest.fixture
def shelf(server: RedisServer) -> Shelf:
    made = Shelf(server.url)
    for user in range(50):
        made.put(user, password="x" if user < 10 else None, spend=user / 2)
    return made


def schema_with(shelf: Shelf, *fields: dict[str, Any]) -> IndexSchema:
    """The shelf's index with other fields."""
    told = shelf.reading.model_dump()
    told["index"]["fields"] = fields
    return IndexSchema(Reading.model_validate(told))


SPEND = {"name": "spend", "type": "numeric"}
WRONG = {"name": "wrong", "type": "numeric", "path": "$.identity.name"}


def listed(shelf: Shelf) -> list[str]:
    names = [name.decode() for name in shelf.client.execute_command("FT._LIST")]
    return sorted(name for name in names if name.startswith(f"idx:{shelf.keys.name}"))


def test_created_once(shelf: Shelf) -> None:
    with pytest.raises(IndexMissing):
        state_of(shelf.client, shelf.schema)
    shares: list[float] = []
    made = create(shelf.client, shelf.keys, shelf.schema, listener=shares.append)
    assert (made.documents, made.profiles, made.missing, made.failures) == (50, 50, 0, 0)
    assert (made.name, made.current, made.building) == (f"idx:{shelf.keys.name}", True, False)
    assert shares[-1] == 1.0
    assert create(shelf.client, shelf.keys, shelf.schema) == made
    assert listed(shelf) == [made.version]
    shelf.put(50)
    assert state_of(shelf.client, shelf.schema).documents == 51


def test_credentials_are_not_indexed(shelf: Shelf) -> None:
    shelf.index()
    name = f"idx:{shelf.keys.name}"
    found = shelf.client.execute_command("FT.SEARCH", name, "*", "NOCONTENT", "LIMIT", 0, 1000)
    prefix = f"{shelf.keys.name}p:".encode()
    assert len(found) == 51
    assert all(key.startswith(prefix) for key in found[1:])
    assert profiles_in(shelf.client, shelf.keys.name) == 60
    assert profiles_in(shelf.client, f"{shelf.keys.name}p:") == 50


def test_another_definition_is_noticed(shelf: Shelf) -> None:
    assert "is missing" in (problem(shelf.client, shelf.schema) or "")
    shelf.index()
    assert problem(shelf.client, shelf.schema) is None
    other = schema_with(shelf, SPEND)
    assert "prefetch index rebuild" in (problem(shelf.client, other) or "")
    assert state_of(shelf.client, other).current is False
    with pytest.raises(TargetUnfit, match="prefetch index rebuild"):
        create(shelf.client, shelf.keys, other)
    built = ensure(shelf.client, shelf.keys, other)
    assert (built.current, built.documents) == (True, 50)
    assert listed(shelf) == [built.version]
    assert ensure(shelf.client, shelf.keys, other) == built


def test_made_anew_without_a_gap(shelf: Shelf) -> None:
    shelf.index()
    first = state_of(shelf.client, shelf.schema).version
    stop, lost, asked = threading.Event(), [], [0]

    def ask() -> None:
        with Reader(shelf.url, shelf.reading, now=lambda: NOW) as reader:
            while not stop.is_set():
                user = asked[0] % 50
                found = reader.by_email(f"user{user}@bank.example")
                asked[0] += 1
                if found is None or found.user_id != str(user):
                    lost.append(user)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for turn in range(100):
            rebuild(shelf.client, shelf.keys, shelf.schema)
            rebuild(shelf.client, shelf.keys, schema_with(shelf, SPEND, *_fields(shelf)))
            if turn > 2 and asked[0] > 100:
                break
    finally:
        stop.set()
        asking.join()
    assert asked[0] > 100
    assert lost == []
    [version] = listed(shelf)
    assert version != first


def _fields(shelf: Shelf) -> list[dict[str, Any]]:
    assert shelf.reading.index is not None
    return [field.model_dump() for field in shelf.reading.index.fields]


def test_documents_that_do_not_suit_keep_the_old_index(shelf: Shelf) -> None:
    with pytest.raises(TargetUnfit, match=r"50 of 50 .* \(Invalid JSON type: String type"):
        create(shelf.client, shelf.keys, schema_with(shelf, WRONG))
    assert listed(shelf) == []
    shelf.index()
    before = state_of(shelf.client, shelf.schema)
    shelf.put(3, place="nowhere")
    place = schema_with(shelf, {"name": "place", "type": "geo"})
    with pytest.raises(TargetUnfit, match=r"1 of 50 .* \(place \(1\)\)"):
        rebuild(shelf.client, shelf.keys, place)
    assert state_of(shelf.client, shelf.schema) == before
    built = rebuild(shelf.client, shelf.keys, place, accept_failures=1)
    assert (built.documents, built.missing, built.failures) == (49, 1, 1)
    assert (built.failed_fields, built.last_failure) == ({"place": 1}, None)


def test_what_fails_later_is_counted(shelf: Shelf) -> None:
    schema = schema_with(shelf, SPEND)
    create(shelf.client, shelf.keys, schema)
    shelf.put(3, spend="much")
    found = ensure(shelf.client, shelf.keys, schema)
    assert (found.missing, found.failures) == (1, 1)
    assert (found.last_failure or "").startswith("Invalid JSON type: String type can represent")


def test_dropped_with_what_was_left_behind(shelf: Shelf) -> None:
    shelf.index()
    left = f"idx:{shelf.keys.name}:0123abcd-7"
    shelf.client.execute_command("FT.CREATE", left, *shelf.schema.definition)
    assert rebuild(shelf.client, shelf.keys, shelf.schema).version.endswith("-8")
    assert left not in listed(shelf)
    assert len(drop(shelf.client, shelf.keys, shelf.schema)) == 1
    assert listed(shelf) == []
    assert drop(shelf.client, shelf.keys, shelf.schema) == []
    assert shelf.client.exists(shelf.keys.profile("7")) == 1
    with pytest.raises(IndexMissing):
        state_of(shelf.client, shelf.schema)


def test_a_foreign_index_is_left_alone(shelf: Shelf) -> None:
    name = f"idx:{shelf.keys.name}"
    shelf.client.execute_command("FT.CREATE", name, *shelf.schema.definition)
    for act in (create, rebuild, drop, ensure):
        with pytest.raises(TargetUnfit):
            act(shelf.client, shelf.keys, shelf.schema)
    assert listed(shelf) == [name]
    shelf.client.execute_command("FT.DROPINDEX", name)
    by_hand = f"{name}-by-hand"
    shelf.client.execute_command("FT.CREATE", by_hand, *shelf.schema.definition)
    shelf.client.execute_command("FT.ALIASADD", name, by_hand)
    built = rebuild(shelf.client, shelf.keys, shelf.schema)
    assert listed(shelf) == sorted([by_hand, built.version])


def test_one_at_a_time(shelf: Shelf) -> None:
    shelf.client.set(shelf.keys.indexing, "other", px=60_000)
    with pytest.raises(TargetUnavailable, match="somebody else"):
        rebuild(shelf.client, shelf.keys, shelf.schema)
    assert shelf.client.get(shelf.keys.indexing) == b"other"
    shelf.client.delete(shelf.keys.indexing)
    rebuild(shelf.client, shelf.keys, shelf.schema)
    assert shelf.client.exists(shelf.keys.indexing) == 0


def test_who_was_taken_for_dead_gives_way(shelf: Shelf) -> None:
    shelf.index()
    before = listed(shelf)

    def taken(_: float) -> None:
        shelf.client.set(shelf.keys.indexing, "other", px=60_000)

    with pytest.raises(TargetUnavailable, match="somebody else"):
        rebuild(shelf.client, shelf.keys, shelf.schema, listener=taken)
    assert shelf.client.get(shelf.keys.indexing) == b"other"
    assert listed(shelf) == before


def test_one_that_does_not_come_to_an_end(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.index()
    before = listed(shelf)
    monkeypatch.setattr(index, "info", lambda *_: {"percent_indexed": b"0.25", "indexing": 1})
    with pytest.raises(TargetUnavailable, match="came to 25% only"):
        rebuild(shelf.client, shelf.keys, shelf.schema, wait_s=0.1)
    monkeypatch.undo()
    assert listed(shelf) == before


ATTRS = [
    ("tag", {"case_sensitive": True, "separator": ";", "withsuffixtrie": True}),
    ("tag", {"sortable": True, "unf": True, "index_empty": True, "index_missing": True}),
    ("tag", {"sortable": True, "no_index": True}),
    ("text", {"weight": 2.5, "no_stem": True, "phonetic_matcher": "dm:en", "withsuffixtrie": True}),
    ("text", {"sortable": True, "unf": True, "index_empty": True, "index_missing": True}),
    ("numeric", {"sortable": True, "index_missing": True}),
    ("geo", {"sortable": True}),
]


@pytest.mark.parametrize(("kind", "attrs"), ATTRS)
def test_every_attribute_is_taken(shelf: Shelf, kind: str, attrs: dict[str, Any]) -> None:
    field = {"name": "odd", "type": kind, "path": "$.no-where.ü[*]", "attrs": attrs}
    create(shelf.client, shelf.keys, schema_with(shelf, field))
    told = shelf.client.execute_command("FT.INFO", f"idx:{shelf.keys.name}")
    [attribute] = told[told.index(b"attributes") + 1]
    assert attribute[:6] == [
        b"identifier", '$["no-where"]["ü"][*]'.encode(), b"attribute", b"odd", b"type",
        kind.upper().encode(),
    ]  # fmt: skip


class TestSearch:
    def test_for_people(self, shelf: Shelf) -> None:
        shelf.index()
        hits = search(shelf.client, shelf.reading, "@name:user", 3)
        assert (hits.total, len(hits.documents)) == (50, 3)
        hits = search(shelf.client, shelf.reading, "@email:{user7\\@bank\\.example}", 10)
        assert [document["user_id"] for document in hits.documents] == [7]
        assert "user7" not in repr(hits)

    def test_mistakes_are_told(self, shelf: Shelf) -> None:
        with pytest.raises(IndexMissing):
            search(shelf.client, shelf.reading, "*", 1)
        shelf.index()
        with pytest.raises(ConfigError, match=r"no field 'mail'; known are email, name"):
            search(shelf.client, shelf.reading, "@name|mail:x", 1)
        with pytest.raises(ConfigError, match="mistake at sign") as error:
            search(shelf.client, shelf.reading, "@email:{secret", 1)
        assert "secret" not in str(error.value)

    def test_a_redis_without_search(self, shelf: Shelf, tmp_path: Any) -> None:
        with RedisServer(tmp_path / "plain", modules=False) as plain:
            bare = Shelf(plain.url)
            with pytest.raises(TargetUnfit, match="no search"):
                search(bare.client, bare.reading, "*", 1)
            with pytest.raises(TargetUnfit, match="no search"):
                problem(bare.client, bare.schema)
