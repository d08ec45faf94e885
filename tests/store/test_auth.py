"""Logging in, sync and async by the same table, as Redis users who may do just that."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import argon2
import pytest
import redis

from core.errors import IndexMissing, PrefetchError, TargetDenied, TargetUnavailable
from core.refusal import Refusal
from devstack import RedisServer
from store.access import Access
from store.client import client_of
from store.freshness import keep_view
from store.login import LONGEST_PASSWORD, AsyncLogin, Login
from store.passwords import Passwords, Verdict
from store.reader import AsyncReader, Reader
from tests.store.reading import ARGON2, BCRYPT, CANARY, HASH, NOW, PASSWORD, Face, Shelf

EMAIL = "user7@bank.example"
Open = Callable[..., Face]


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def shelf(server: RedisServer) -> Iterator[Shelf]:
    made = Shelf(server.url)
    made.put(7)
    made.index()
    name = made.keys.name
    reads = [f"~{name}p:*", f"~idx:{name}", f"~prefetch:{name}:floor:*", f"~prefetch:{name}:views"]
    may = ["+json.get", "+ft.search", "+mget", "+zrevrangebyscore"]
    made.client.execute_command("ACL", "SETUSER", f"{name}s", "on", ">s", "-@all", *reads, *may)
    made.client.execute_command(
        "ACL", "SETUSER", f"{name}l", "on", ">l", "-@all", f"~{name}c:*", "+json.get"
    )
    yield made
    made.client.execute_command("ACL", "DELUSER", f"{name}s", f"{name}l")


def urls(shelf: Shelf) -> dict[str, str]:
    name, host = shelf.keys.name, shelf.url.removeprefix("redis://")
    return {"url": f"redis://{name}s:s@{host}", "secret_url": f"redis://{name}l:l@{host}"}


@pytest.fixture
def face(mode: str, shelf: Shelf) -> Iterator[Open]:
    made: list[Face] = []

    def opened(**more: Any) -> Face:
        made.append(Face(mode, shelf, **{**urls(shelf), **more}))
        return made[-1]

    yield opened
    for each in made:
        each.close()


@pytest.mark.parametrize(
    "stored",
    [HASH, BCRYPT, BCRYPT.replace("$2b$", "$2y$"), argon2.PasswordHasher(1, 64, 1, type=argon2.Type.I).hash(PASSWORD)],
    ids=["argon2id", "bcrypt", "bcrypt of 2y", "argon2i"],
)  # fmt: skip
def test_the_right_password(face: Open, shelf: Shelf, stored: str) -> None:
    shelf.put(7, password=stored)
    door = face()
    entered = door.authenticate("USER7@bank.example", PASSWORD)
    assert entered
    assert (entered.reason, entered.profile.user_id) == (None, "7")
    assert entered.profile.at("identity.email") == EMAIL
    assert not door.authenticate(EMAIL, PASSWORD + "x")
    assert not door.authenticate(EMAIL, PASSWORD.upper())
    assert not door.authenticate(EMAIL, "")


def auth(**more: Any) -> dict[str, Any]:
    return {"auth": {"locked": False, "closed": False, **more}}


REFUSED: dict[str, tuple[dict[str, Any], Refusal]] = {
    "locked": (auth(locked=True), Refusal.LOCKED),
    "closed": (auth(closed=True), Refusal.CLOSED),
    "held": ({"held": "duplicate"}, Refusal.HELD),
    "no lock known": ({"auth": {"closed": False}}, Refusal.INCOMPLETE),
    "lock is null": (auth(locked=None), Refusal.INCOMPLETE),
    "no section": ({"auth": ...}, Refusal.INCOMPLETE),
    "stale": ({"epoch": 3}, Refusal.STALE),
    "no credential": ({"password": None}, Refusal.NO_PASSWORD),
    "pbkdf2": ({"password": "$pbkdf2-sha256$29000$abc$def"}, Refusal.UNKNOWN_SCHEME),
    "hash in pieces": ({"password": HASH[:40]}, Refusal.UNKNOWN_SCHEME),
    "bcrypt in pieces": ({"password": "$2b$04$short"}, Refusal.UNKNOWN_SCHEME),
    "hash of too much memory": (
        {"password": HASH.replace("m=64", "m=4294967295")},
        Refusal.UNKNOWN_SCHEME,
    ),
    "wrong owner of the hash": ({"owner": 8}, Refusal.FOREIGN),
    "wrong owner of the profile": ({"user_id": 8, "key": 7, "owner": 7}, Refusal.FOREIGN),
    "damaged": ({"sound": False}, Refusal.DAMAGED),
    "version after": ({"version": 3}, Refusal.VERSION),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_spite_of_the_right_password(face: Open, shelf: Shelf, case: str) -> None:
    stored, reason = REFUSED[case]
    if stored.get("password", "") is None:
        shelf.client.delete(shelf.keys.credential("7"))
    stored = {"user_id": 7, "identity": {"email": EMAIL}, **stored}
    shelf.put(**stored)
    entered = face().authenticate(EMAIL, PASSWORD)
    assert not entered
    assert (entered.reason, entered.profile) == (reason, None)


@pytest.mark.parametrize("case", ["locked", "closed", "held", "stale"])
def test_a_wrong_password_tells_nothing_of_the_user(face: Open, shelf: Shelf, case: str) -> None:
    shelf.put(7, **REFUSED[case][0])
    assert face().authenticate(EMAIL, "wrong").reason is Refusal.WRONG_PASSWORD


def test_unknown_and_ambiguous_users(face: Open, shelf: Shelf) -> None:
    door = face()
    for nobody in ("nobody@bank.example", "", "*", "@email:{*}", f"{EMAIL}|x", "x\0", "\ud800"):
        assert door.authenticate(nobody, PASSWORD).reason is Refusal.UNKNOWN_USER
    shelf.put(8, identity={"email": EMAIL.upper()})
    assert door.authenticate(EMAIL, PASSWORD).reason is Refusal.AMBIGUOUS


def test_stale_by_the_clock(face: Open, shelf: Shelf) -> None:
    keep_view(shelf.client, shelf.keys, 5, NOW - timedelta(hours=37))
    assert face().authenticate(EMAIL, PASSWORD).reason is Refusal.STALE
    patient = face(access=Access(max_age=timedelta(hours=38)))
    assert patient.authenticate(EMAIL, PASSWORD)


@pytest.mark.parametrize("password", ["x" * 2**20, "x" * 1025, "é" * 513, "\U0001f600" * 257])
def test_too_long_a_password_is_refused_unread(
    face: Open, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("hashed")

    monkeypatch.setattr(Passwords, "compare", never)
    assert face().authenticate(EMAIL, password).reason is Refusal.PASSWORD_TOO_LONG


def test_the_longest_password_and_odd_ones(face: Open, shelf: Shelf) -> None:
    for password in ("p" * LONGEST_PASSWORD, "\ud800", "a\0b", "пароль", " "):
        data = password.encode("utf-8", "surrogatepass")
        shelf.put(7, password=ARGON2.hash(data))
        door = face()
        assert door.authenticate(EMAIL, password)
        assert door.authenticate(EMAIL, password[:-1]).reason is Refusal.WRONG_PASSWORD


def test_bcrypt_is_not_asked_for_more_than_it_looks_at(face: Open, shelf: Shelf) -> None:
    shelf.put(7, password=BCRYPT)
    assert face().authenticate(EMAIL, "x" * 72).reason is Refusal.WRONG_PASSWORD
    assert face().authenticate(EMAIL, "x" * 73).reason is Refusal.PASSWORD_TOO_LONG


class Counted(Passwords):
    """Counts the hashes that are computed."""

    hashes = 0

    def _argon2_matches(self, password: bytes, stored: str) -> bool | None:
        Counted.hashes += 1
        return super()._argon2_matches(password, stored)


def test_unknown_users_cost_as_much_as_known_ones(
    face: Open, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.login.Passwords", Counted)
    shelf.put(8, password=None)
    shelf.put(9, password="$pbkdf2-sha256$29000$abc$def")
    shelf.put(10, password=BCRYPT)
    shelf.put(11, password=None, identity={"email": "twice"})
    shelf.put(12, password=None, identity={"email": "twice"})
    door = face()
    asked = [(user, "x") for user in (7, 8, 9, 999)]
    asked += [(10, "x" * 100)]
    for user, password in asked:
        before, reads = Counted.hashes, _credential_reads(shelf.client)
        assert not door.authenticate(f"user{user}@bank.example", password)
        assert Counted.hashes == before + 1, user
        assert _credential_reads(shelf.client) == reads + 1, user
    before = Counted.hashes
    assert door.authenticate("twice", "x").reason is Refusal.AMBIGUOUS
    assert Counted.hashes == before + 1


def _credential_reads(client: redis.Redis) -> int:
    return int(client.info("commandstats").get("cmdstat_json.get", {"calls": 0})["calls"])


@pytest.mark.parametrize("dummy", [HASH, BCRYPT], ids=["argon2id", "bcrypt"])
def test_the_dummy_may_be_of_either_scheme(dummy: str) -> None:
    passwords = Passwords(dummy)
    assert passwords.compare(PASSWORD.encode(), None) is Verdict.MISMATCH
    assert passwords.compare(b"x" * 1024, None) is Verdict.MISMATCH


def test_the_usual_dummy_is_argon2id_of_the_usual_cost() -> None:
    passwords = Passwords()
    assert argon2.extract_parameters(passwords._dummy) == argon2.profiles.RFC_9106_LOW_MEMORY
    assert passwords.compare(b"x", None) is Verdict.MISMATCH


def test_a_login_by_no_unique_field_is_refused_at_once(shelf: Shelf) -> None:
    access = Access(login="phone")
    for login_of, reader_of in ((Login, Reader), (AsyncLogin, AsyncReader)):
        with pytest.raises(ValueError, match="no unique field 'phone'"):
            login_of(shelf.url, reader_of(shelf.url, shelf.reading, access), dummy_hash=HASH)


class TestRedis:
    def test_neither_user_may_do_the_others_work(self, shelf: Shelf) -> None:
        given = urls(shelf)
        with client_of(given["url"]) as session, client_of(given["secret_url"]) as login:
            with pytest.raises(redis.exceptions.NoPermissionError):
                session.execute_command("JSON.GET", shelf.keys.credential("7"))
            with pytest.raises(redis.exceptions.NoPermissionError):
                login.execute_command("JSON.GET", shelf.keys.profile("7"))
            with pytest.raises(redis.exceptions.NoPermissionError):
                login.execute_command("FT.SEARCH", f"idx:{shelf.keys.name}", "*")
            for command in (["JSON.SET", shelf.keys.profile("7"), "$", "1"], ["SCAN", 0]):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    session.execute_command(*command)

    def test_swapped_urls_let_nobody_in(self, face: Open, shelf: Shelf) -> None:
        given = urls(shelf)
        with pytest.raises(TargetDenied):
            face(secret_url=given["url"]).authenticate(EMAIL, PASSWORD)
        with pytest.raises(TargetDenied):
            face(url=given["secret_url"]).authenticate(EMAIL, PASSWORD)

    def test_index_missing(self, face: Open, shelf: Shelf) -> None:
        shelf.client.execute_command("FT.ALIASDEL", f"idx:{shelf.keys.name}")
        with pytest.raises(IndexMissing):
            face().authenticate(EMAIL, PASSWORD)

    def test_no_credentials_at_hand(self, face: Open) -> None:
        with pytest.raises(TargetUnavailable):
            face(secret_url="redis://127.0.0.1:1").authenticate(EMAIL, PASSWORD)


def test_nothing_shows_a_hash_or_a_password(shelf: Shelf) -> None:
    """Nor does any error, however it came about, with all that a log would write of it."""
    canary = HASH[:-8] + "c4nary00"
    shelf.put(7, password=canary)
    written: list[str] = []

    def note(*things: object) -> None:
        written.extend([*map(repr, things), *map(str, things)])

    with Reader(shelf.url, shelf.reading, now=lambda: NOW) as reader:
        login = Login(shelf.url, reader, dummy_hash=HASH)
        entered = login.authenticate(EMAIL, PASSWORD)
        note(entered, login, reader, vars(login), vars(reader), login._door, reader.profiles)
        shelf.put(7)
        good = login.authenticate(EMAIL, PASSWORD)
        note(good, good.profile, dict(good.profile or {}))
        for broken in (
            lambda: shelf.client.set(shelf.keys.credential("7"), canary),
            lambda: shelf.client.execute_command("JSON.SET", shelf.keys.credential("7"), "$", f'"{canary}"'),
            lambda: shelf.client.execute_command("FT.ALIASDEL", f"idx:{shelf.keys.name}"),
            lambda: shelf.client.set(shelf.keys.profile("7"), canary),
        ):  # fmt: skip
            shelf.client.delete(shelf.keys.credential("7"))
            broken()
            for question in (lambda: login.authenticate(EMAIL, PASSWORD), lambda: reader.get(7)):
                try:
                    note(question())
                except PrefetchError as error:
                    note(error, error.args)
                    written.append("".join(traceback.format_exception(error)))
        login.close()
    text = "\n".join(written)
    assert "Entrance" in text
    assert "WRONGTYPE" in text or "was refused" in text
    assert CANARY not in text
    assert "$argon2" not in text
    assert "user7" not in text.replace(repr(dict(good.profile or {})), "")
