"""The reader, sync and async by the same table of cases, on a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import (
    AmbiguousLogin,
    IndexMissing,
    TargetDenied,
    TargetUnavailable,
    UnfitProfile,
    UnknownUser,
)
from core.records import BucketDocuments
from core.refusal import Refusal
from devstack import RedisServer
from store.access import Access
from store.client import Timeouts
from store.freshness import keep_view
from store.profiles import Profiles
from store.reader import AsyncReader, Reader
from store.writer import BucketWriter, Pass
from tests.store.reading import NOW, Face, Shelf, fields_of

Open = Callable[..., Face]


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def shelf(server: RedisServer) -> Shelf:
    made = Shelf(server.url)
    made.put(7)
    return made


@pytest.fixture
def face(mode: str, shelf: Shelf) -> Iterator[Open]:
    made: list[Face] = []

    def opened(**more: Any) -> Face:
        made.append(Face(mode, more.pop("shelf", shelf), **more))
        return made[-1]

    yield opened
    for each in made:
        each.close()


def test_a_profile_by_id(face: Open) -> None:
    profile = face().get(7)
    assert dict(profile) == {k: v for k, v in fields_of(7).items() if k != "user_id"}
    assert (profile.user_id, profile.schema_version, profile.epoch, profile.held) == (
        "7",
        2,
        5,
        None,
    )
    assert profile.as_of == NOW - timedelta(hours=1)
    assert profile.at("identity.email") == "user7@bank.example"
    assert profile.at("identity.nothing", "x") == "x"
    assert profile.at("identity.email.more") is None


def test_the_text_of_a_profile_shows_no_value(face: Open) -> None:
    text = repr(face().get(7))
    assert "user7" not in text
    assert "identity" in text


def test_parts_of_a_profile(face: Open) -> None:
    reader = face()
    profile = reader.get("7", "identity.email", "permissions", "nothing.here")
    assert dict(profile) == {
        "identity": {"email": "user7@bank.example"},
        "permissions": ["payments.create", "accounts.read"],
    }
    assert (profile.user_id, profile.epoch) == ("7", 5)
    whole = reader.get(7, "identity.email", "identity")
    assert dict(whole) == {"identity": fields_of(7)["identity"]}
    for wrong in ("permissions[*]", "", "a..b", '$"', "identity['email']"):
        with pytest.raises(ValueError, match=r"path|whole list"):
            reader.get(7, wrong)


def test_unknown_users(face: Open) -> None:
    reader = face()
    for nobody in (8, "8", "", "x y", "7 ", "07", "\ud800", "7\n", "*", "p:7", "x" * 100_000):
        assert reader.get(nobody) is None
        assert reader.get(nobody, "identity") is None
    with pytest.raises(UnknownUser, match="no profile"):
        reader.require(8)
    assert reader.require(7, "roles")["roles"] == ["customer"]


def test_many_at_once(face: Open, shelf: Shelf) -> None:
    for user in range(100, 350):
        shelf.put(user, password=None)
    found = face().get_many([349, 1, *range(100, 349), 349], "identity.email")
    assert list(found) == ["349", "1", *map(str, range(100, 349))]
    assert found["1"] is None
    assert all(
        found[str(user)].at("identity.email") == f"user{user}@bank.example"
        for user in range(100, 350)
    )
    assert face().get_many([]) == {}


@pytest.mark.parametrize("paths", [(), ("identity",)])
@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ({"user_id": 8, "key": 7}, Refusal.FOREIGN),
        ({"user_id": 7, "version": 3}, Refusal.VERSION),
        ({"user_id": 7, "version": 0}, Refusal.VERSION),
    ],
)
def test_unfit_profiles(
    face: Open, shelf: Shelf, stored: dict[str, Any], reason: Refusal, paths: tuple[str, ...]
) -> None:
    shelf.put(**stored)
    with pytest.raises(UnfitProfile) as error:
        face().get(7, *paths)
    assert error.value.reason is reason
    assert reason.text in str(error.value)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


def test_a_damaged_profile(face: Open, shelf: Shelf) -> None:
    shelf.put(7, sound=False)
    with pytest.raises(UnfitProfile, match="digest"):
        face().get(7)
    shelf.client.execute_command("JSON.SET", shelf.keys.profile("7"), "$", '{"user_id":7}')
    for paths in ((), ("identity",)):
        with pytest.raises(UnfitProfile, match="digest"):
            face().get(7, *paths)


def test_the_version_before(face: Open, shelf: Shelf) -> None:
    shelf.put(7, version=1, identity={"mail": "old@bank.example"})

    def upgrade(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "identity": {"email": fields["identity"]["mail"]}}

    plain = face().get(7)
    assert (plain.schema_version, plain.at("identity.mail")) == (1, "old@bank.example")
    renewing = face(upgrade=upgrade)
    assert renewing.get(7).at("identity.email") == "old@bank.example"
    assert renewing.get(7, "identity.email").at("identity.email") == "old@bank.example"


def test_a_user_by_email(face: Open, shelf: Shelf) -> None:
    shelf.index()
    reader = face()
    profile = reader.by_email("User7@BANK.example")
    assert (profile.user_id, profile.at("identity.name")) == ("7", "User 7")
    assert profile.as_of == NOW - timedelta(hours=1)
    assert reader.by_email("user8@bank.example") is None
    for name in ("name", "phone"):
        with pytest.raises(ValueError, match="no unique field"):
            reader.by(name, "x")


def test_case_sensitive_values(face: Open, server: RedisServer) -> None:
    shelf = Shelf(server.url, case_sensitive=True)
    shelf.put(1)
    shelf.put(2, identity={"email": "USER1@bank.example"})
    shelf.index()
    reader = face(shelf=shelf)
    assert reader.by_email("user1@bank.example").user_id == "1"
    assert reader.by_email("USER1@bank.example").user_id == "2"
    assert reader.by_email("User1@bank.example") is None


def test_two_users_with_one_email(face: Open, shelf: Shelf) -> None:
    shelf.put(8, identity={"email": "USER7@bank.example"})
    shelf.index()
    with pytest.raises(AmbiguousLogin) as error:
        face().by_email("user7@bank.example")
    assert str(error.value) == "several users have this email: none of them is given"
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    for user in range(100, 130):
        shelf.put(user, identity={"email": "crowd@bank.example"}, password=None)
    with pytest.raises(AmbiguousLogin):
        face().by_email("crowd@bank.example")


@pytest.mark.parametrize(
    "email",
    [
        "*",
        "user*",
        "@email:{user7}",
        "user7\\@bank\\.example",
        "user7@bank.example} | @email:{*",
        "user7@bank.example|x",
        "$value",
        "",
        " ",
        " user7@bank.example",
        "user7@bank.example ",
        "w'user?'",
        "%user7@bank.example%",
        "user7@bank.example\0",
        "\ud800",
        "user7@bank.example" * 10_000,
    ],
)
def test_query_syntax_in_an_email_finds_nobody(face: Open, shelf: Shelf, email: str) -> None:
    shelf.index()
    assert face().by_email(email) is None


def test_very_long_values(face: Open, shelf: Shelf) -> None:
    start = "q" * 4096
    shelf.put(8, identity={"email": start + "8"})
    shelf.put(9, identity={"email": start + "9"})
    shelf.index()
    reader = face()
    assert reader.by_email(start + "8").user_id == "8"
    assert reader.by_email(start + "9").user_id == "9"
    assert reader.by_email(start) is None


def test_what_an_index_finds_alike_is_compared_again(shelf: Shelf) -> None:
    """Other versions of RediSearch fold more than ASCII letters."""
    asked = Profiles(shelf.reading, Access(), None, lambda: NOW).by("email", "ä@bank.example")
    next(asked)
    shelf.put(7, identity={"email": "Ä@bank.example"})
    text = shelf.client.execute_command("JSON.GET", shelf.keys.profile("7"))
    with pytest.raises(StopIteration) as ended:
        asked.send([[1, shelf.keys.profile("7"), [b"$", text]]])
    assert ended.value.value is None


LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
ODD = st.sampled_from(
    list("\\|{}()[]*?$@%:;,.-_'\"~<>=!&^#/+ \t\n\x01\x1f\x7faAßİıiÄä\u0301\u2028")
)
VALUES = st.text(st.one_of(ODD, LETTERS), min_size=1, max_size=8)


def _folded(text: str) -> str:
    return "".join(sign.lower() if sign.isascii() else sign for sign in text)


@pytest.mark.parametrize("case_sensitive", [False, True])
def test_any_text_finds_exactly_whom_it_belongs_to(
    server: RedisServer, case_sensitive: bool
) -> None:
    shelf = Shelf(server.url, case_sensitive)
    shelf.index()
    reader = Face("sync", shelf)

    @settings(
        max_examples=150,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(VALUES, min_size=1, max_size=6), st.lists(VALUES, max_size=3))
    @example(["a", "A", "\\", "\\\\", "a\\.b", "a\\\\.b", "a b"], ["a.b", "\\a"])
    def finds(stored: list[str], others: list[str]) -> None:
        for user, value in enumerate(stored):
            shelf.put(user, identity={"email": value}, password=None)
        for value in [*stored, *others]:
            same = (lambda text: text) if case_sensitive else _folded
            owners = [n for n, other in enumerate(stored) if same(other) == same(value)]
            if len(owners) > 1:
                with pytest.raises(AmbiguousLogin):
                    reader.by_email(value)
            else:
                found = reader.by_email(value)
                assert (None if found is None else [int(found.user_id)]) == (owners or None)
        for user in range(len(stored)):
            shelf.client.delete(shelf.keys.profile(str(user)))

    try:
        finds()
    finally:
        reader.close()


def test_no_index_is_not_no_user(face: Open, shelf: Shelf) -> None:
    with pytest.raises(IndexMissing, match="prefetch index create"):
        face().by_email("user7@bank.example")


def test_redis_down_is_not_no_user(mode: str, own_server: RedisServer) -> None:
    shelf = Shelf(own_server.url)
    shelf.put(7)
    shelf.index()
    reader = Face(mode, shelf)
    assert reader.get(7).user_id == "7"
    own_server.stop()
    for question in (
        lambda: reader.get(7),
        lambda: reader.get_many([7]),
        lambda: reader.by_email("user7@bank.example"),
        lambda: reader.permits(7, "payments.create"),
        lambda: reader.rights(7),
        lambda: reader.authenticate("user7@bank.example", "x"),
    ):
        with pytest.raises(TargetUnavailable):
            question()
    own_server.start()
    # Connections that the old server had open are replaced without a word.
    assert reader.get(7) is None
    reader.close()


def test_a_silent_redis_is_given_up(mode: str, own_server: RedisServer) -> None:
    shelf = Shelf(own_server.url)
    shelf.put(7)
    reader = Face(mode, shelf, timeouts=Timeouts(connect_s=0.2, answer_s=0.2))
    assert reader.get(7).user_id == "7"
    shelf.client.execute_command("CLIENT", "PAUSE", 600, "ALL")
    with pytest.raises(TargetUnavailable, match="in time"):
        reader.get(7)
    shelf.client.execute_command("CLIENT", "UNPAUSE")
    assert reader.get(7).user_id == "7"
    reader.close()


def test_every_user_is_there_while_all_are_written(server: RedisServer) -> None:
    """Old or new, whole, and found by id and by e-mail; never missing, never another's."""
    shelf, users = Shelf(server.url), range(300)
    shelf.index()
    stop, wrong, reads = threading.Event(), [], [0]

    def documents(version: int) -> BucketDocuments:
        told = [fields_of(user, version=version, end=version) for user in users]
        bodies = [orjson.dumps(fields)[:-1] for fields in told]
        return BucketDocuments(0, list(map(str, users)), bodies, [None] * len(told), {})

    def load(version: int) -> None:
        epoch = int(shelf.client.incr(shelf.keys.epoch))
        with BucketWriter(shelf.url, shelf.keys) as writer:
            writer.load(documents(version), Pass(epoch, f"a{version}", 2, complete=False))

    def read() -> None:
        with Reader(shelf.url, shelf.reading) as reader:
            while not stop.is_set():
                user = reads[0] % len(users)
                for profile in (
                    reader.get(user),
                    reader.get(user, "version", "end"),
                    reader.by_email(f"user{user}@bank.example"),
                ):
                    if profile is None or profile["version"] != profile["end"]:
                        wrong.append(user)
                reads[0] += 1

    load(0)
    reading = threading.Thread(target=read)
    reading.start()
    try:
        for version in range(1, 200):
            load(version)
            if version > 10 and reads[0] > 100:
                break
    finally:
        stop.set()
        reading.join()
    assert reads[0] > 100
    assert wrong == []


def test_wrong_redis_password(face: Open, shelf: Shelf) -> None:
    with pytest.raises(TargetDenied):
        face(url=shelf.url.replace("redis://", "redis://nobody:wrong@")).get(7)


def _bucket(shelf: Shelf, user_id: int) -> int:
    return shelf.keys.bucket_of(str(user_id))


def _calls(shelf: Shelf, command: str) -> int:
    told = shelf.client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})
    return int(told["calls"])


class TestAge:
    @pytest.mark.parametrize(
        ("epoch", "floor", "hours"),
        [(5, None, 30), (5, 6, 20), (6, None, 20), (6, 5, 20), (9, None, 10), (5, 9, 10), (4, 5, 30), (4, 4, None)],
    )  # fmt: skip
    def test_of_a_profile(
        self, face: Open, shelf: Shelf, epoch: int, floor: int | None, hours: int | None
    ) -> None:
        shelf.put(7, epoch=epoch)
        for view, ago in ((5, 30), (6, 20), (8, 10)):
            keep_view(shelf.client, shelf.keys, view, NOW - timedelta(hours=ago))
        if floor is not None:
            shelf.floor(7, floor)
        shelf.index()
        expected = None if hours is None else NOW - timedelta(hours=hours)
        reader = face()
        assert reader.get(7).as_of == expected
        assert reader.get(7, "roles").as_of == expected
        assert reader.by_email("user7@bank.example").as_of == expected

    def test_the_floors_of_many_buckets_are_asked_for_at_once(
        self, face: Open, shelf: Shelf
    ) -> None:
        other = next(n for n in range(8, 99) if _bucket(shelf, n) != _bucket(shelf, 7))
        for view, ago in ((5, 30), (6, 20), (8, 10)):
            keep_view(shelf.client, shelf.keys, view, NOW - timedelta(hours=ago))
        for user_id, floor in ((7, 6), (other, 8)):
            shelf.put(user_id, epoch=5)
            shelf.floor(user_id, floor)
        shelf.index()
        reader = face()
        before = _calls(shelf, "mget")
        assert reader.by_email("user7@bank.example").as_of == NOW - timedelta(hours=20)
        assert reader.by_email(f"user{other}@bank.example").as_of == NOW - timedelta(hours=10)
        assert _calls(shelf, "mget") == before + 1

    def test_views_are_replaced_and_limited(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("store.freshness.VIEWS_KEPT", 3)
        for epoch in (5, 6, 7, 8, 8):
            keep_view(shelf.client, shelf.keys, epoch, NOW, "r")
        kept = shelf.client.zrange(shelf.keys.views, 0, -1)
        assert kept == [b"%d %b r" % (n, NOW.isoformat().encode()) for n in (6, 7, 8)]


class TestRights:
    def test_what_a_user_may(self, face: Open) -> None:
        reader = face()
        rights = reader.rights(7)
        assert rights.reason is None
        assert rights.permissions == {"payments.create", "accounts.read"}
        assert (rights.roles, rights.features) == ({"customer"}, {"cards"})
        assert rights.permits("payments.create")
        assert not rights.permits("payments.approve")
        assert rights.has_role("customer")
        assert not rights.has_role("staff")
        assert rights.has_feature("cards")
        assert not rights.has_feature("loans")
        assert reader.permits(7, "payments.create")
        denied = reader.permits(7, "payments.approve")
        assert not denied
        assert denied.reason is Refusal.NOT_GRANTED

    @pytest.mark.parametrize(
        ("stored", "reason"),
        [
            (None, Refusal.UNKNOWN_USER),
            ({"held": "duplicate"}, Refusal.HELD),
            ({"auth": {"locked": True, "closed": False}}, Refusal.LOCKED),
            ({"auth": {"locked": False, "closed": True}}, Refusal.CLOSED),
            ({"auth": {"locked": None, "closed": False}}, Refusal.INCOMPLETE),
            ({"auth": {"locked": "no", "closed": False}}, Refusal.INCOMPLETE),
            ({"auth": {"locked": 0, "closed": False}}, Refusal.INCOMPLETE),
            ({"auth": {"closed": False}}, Refusal.INCOMPLETE),
            ({"auth": None}, Refusal.INCOMPLETE),
            ({"auth": ...}, Refusal.INCOMPLETE),
            ({"permissions": None}, Refusal.INCOMPLETE),
            ({"permissions": ...}, Refusal.INCOMPLETE),
            ({"permissions": "payments.create"}, Refusal.INCOMPLETE),
            ({"identity": None}, Refusal.INCOMPLETE),
            ({"epoch": 4}, Refusal.STALE),
            ({"key": 7, "user_id": 8}, Refusal.FOREIGN),
            ({"version": 4}, Refusal.VERSION),
        ],
    )
    def test_closed_where_in_doubt(
        self, face: Open, shelf: Shelf, stored: dict[str, Any] | None, reason: Refusal
    ) -> None:
        user = 7
        if stored is None:
            user = 9
        else:
            shelf.put(**{"user_id": 7, **stored})
        reader = face(access=Access(required=("identity",)))
        rights = reader.rights(user)
        assert (rights.reason, rights.permissions, rights.roles, rights.features) == (
            reason, frozenset(), frozenset(), frozenset(),
        )  # fmt: skip
        decision = reader.permits(user, "payments.create")
        assert not decision
        assert decision.reason is reason

    @pytest.mark.parametrize(
        ("hours", "reason"), [(35, None), (37, Refusal.STALE), (-1, Refusal.STALE)]
    )
    def test_stale(self, face: Open, shelf: Shelf, hours: int, reason: Refusal | None) -> None:
        keep_view(shelf.client, shelf.keys, 5, NOW - timedelta(hours=hours))
        assert face().rights(7).reason is reason
        assert face().permits(7, "payments.create").reason is reason

    def test_other_places(self, face: Open, shelf: Shelf) -> None:
        shelf.put(
            7, app={"may": {"pay": True, "sign": "yes"}}, permissions=..., auth={"locked": False}
        )
        access = Access(permissions="app.may", closed=(), roles=None, features="app.flags")
        rights = face(access=access).rights(7)
        assert rights.permissions == {"pay"}
        assert rights.roles == rights.features == frozenset()


class TestAsync:
    def test_a_forgotten_await_is_no_yes(self, shelf: Shelf) -> None:
        async def forgets() -> None:
            async with AsyncReader(shelf.url, shelf.reading) as reader:
                with pytest.raises(TypeError, match="await"):
                    assert reader.permits(7, "payments.approve")

        asyncio.run(forgets())
        gc.collect()

    def test_cancelled_calls_never_mix_up_answers(self, shelf: Shelf) -> None:
        for user in range(20):
            shelf.put(user, password=None)

        async def reads() -> int:
            wrong = 0
            async with AsyncReader(shelf.url, shelf.reading, connections=4) as reader:

                async def one(number: int) -> bool:
                    user = number % 20
                    call = asyncio.ensure_future(reader.get(user))
                    if number % 3 == 0:
                        for _ in range(number % 7):
                            await asyncio.sleep(0)
                        call.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        profile = await call
                        return profile is None or profile.user_id != str(user)
                    return False

                for start in range(0, 2000, 100):
                    wrong += sum(await asyncio.gather(*map(one, range(start, start + 100))))
                assert len(reader.link._idle) <= 4
            return wrong

        assert asyncio.run(reads()) == 0

    def test_no_more_connections_than_allowed(self, shelf: Shelf) -> None:
        async def reads() -> None:
            before = len(shelf.client.client_list())
            async with AsyncReader(shelf.url, shelf.reading, connections=2) as reader:
                found = await asyncio.gather(*(reader.get(7) for _ in range(50)))
                assert all(profile is not None for profile in found)
                assert len(shelf.client.client_list()) <= before + 2

        asyncio.run(reads())
