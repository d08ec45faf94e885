"""The example app over HTTP, on real profiles: who gets in, what is told, and that nothing leaks."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import httpx
import pytest
from itsdangerous import TimestampSigner

from core.refusal import Refusal
from devstack import RedisServer
from devstack.bank.passwords import hashes, password
from examples.bank_app import __main__ as starter
from examples.bank_app.answers import LOGIN_REFUSED, NO_SESSION, PROVEN, in_session, to_login
from examples.bank_app.app import TRIES, TRIES_OF_ADDRESS, TRIES_S, Settings
from examples.bank_app.offers import MOST, Offer, offers_of
from examples.bank_app.redis_users import redis_users, rules_of
from examples.bank_app.sessions import Sessions
from examples.bank_app.tries import Tries
from store.access import Access

# pytest gives conftest's own names through fixtures alone.
PASSWORD = password(0)
ROOT = starter.PROJECT
CANARY = "c4nary"


def login(client: httpx.Client, email: str, typed: str = PASSWORD) -> httpx.Response:
    return client.post("/api/session", json={"email": email, "password": typed})


def told(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body.keys() == {"error", "text"} and body["text"]
    return answer.status_code, body["error"]


def whole(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that a visitor can see of an answer."""
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "date")
    return answer.status_code, answer.content, headers


def a_customer(bank: Any) -> tuple[int, dict[str, Any]]:
    """One of the model's, with as many offers as there may be."""
    return next(
        (user, profile)
        for user, (profile, _) in bank.profiles.items()
        if len(offers_of(profile)) == MOST and not any(map(profile["auth"].get, _BARS))
    )


_BARS = ("locked", "closed")


def test_a_session_from_login_to_logout(bank: Any, serve: Any) -> None:
    client = serve(bank)
    user, profile = a_customer(bank)
    begun = login(client, profile["identity"]["email"].upper(), password(user))
    assert (begun.status_code, begun.json()) == (200, {"expires_in": 600})
    cookie = begun.headers["set-cookie"].lower()
    for each in ("httponly", "samesite=strict", "max-age=600"):
        assert each in cookie
    shown = client.get("/api/me").json()
    assert shown.pop("as_of").endswith("Z")
    assert shown == {
        "name": profile["identity"]["name"],
        "roles": sorted(profile["roles"]),
        "permissions": sorted(profile["permissions"]),
        "features": sorted(profile["features"]),
    }
    assert client.get("/api/offers").json() == [vars(offer) for offer in offers_of(profile)]
    assert client.post("/api/payments").status_code == 202
    copied = dict(client.cookies)
    assert client.delete("/api/session").status_code == 204
    assert not client.cookies
    assert told(client.get("/api/me")) == (401, "no_session")
    assert told(client.get("/api/me", headers={"Cookie": f"session={copied['session']}"})) == (
        401,
        "no_session",
    )


def test_whoever_has_not_proven_himself_is_told_one_thing(
    own_bank: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bank_app")
    bank = own_bank
    ordinary = bank.put(1)
    double = {"name": "Two", "email": "two@bank.example"}
    bank.put(2, identity=double)
    bank.put(3, identity=double)
    locked = bank.put(4, auth={"locked": True, "closed": False})
    damaged = bank.put(5, sound=False)
    foreign = bank.put(6, key=66)
    newer = bank.put(7, version=9)
    without = bank.put(8, password_hash=None)
    stale = bank.put(9, epoch=3)
    bcrypt = bank.put(10, password_hash=hashes(5)[31])
    clear = bank.put(11, password_hash="in clear")
    tried = {
        (ordinary, "wrong"): "wrong_password",
        (ordinary, "x" * 2000): "password_too_long",
        ("nobody@bank.example", PASSWORD): "unknown_user",
        ("", ""): "unknown_user",
        ("*", PASSWORD): "unknown_user",
        ("user1@bank.example} | @email:{*", PASSWORD): "unknown_user",
        ("two@bank.example", PASSWORD): "ambiguous",
        (locked, "wrong"): "wrong_password",
        (stale, "wrong"): "wrong_password",
        (damaged, PASSWORD): "damaged",
        (foreign, PASSWORD): "foreign",
        (newer, PASSWORD): "version",
        (without, PASSWORD): "no_password",
        (bcrypt, "x" * 73): "password_too_long",
        (clear, "in clear"): "unknown_scheme",
    }
    client = serve(bank)
    answers = {typed: whole(login(client, *typed)) for typed in tried}
    assert len({str(answer) for answer in answers.values()}) == 1
    status, body, _ = answers[ordinary, "wrong"]
    assert (status, httpx.Response(401, content=body).json()["error"]) == (401, "login_refused")
    reasons = [record.getMessage().rpartition(" ")[2] for record in caplog.records]
    assert reasons == list(tried.values())
    assert not re.search(r"bank\.example|demo-password|argon2", caplog.text)


BARRED: dict[str, dict[str, Any]] = {
    "locked": {"auth": {"locked": True, "closed": False}},
    "closed": {"auth": {"locked": False, "closed": True}},
    "held": {"held": "core.login: missing"},
    "stale": {"epoch": 3},
    "incomplete": {"auth": {"locked": None, "closed": False}},
}


def test_who_has_proven_himself_learns_why(own_bank: Any, serve: Any) -> None:
    client = serve(own_bank)
    for user, (error, how) in enumerate(BARRED.items()):
        refused = login(client, own_bank.put(user, **how))
        assert told(refused) == (403, error)
        assert "set-cookie" not in refused.headers
        assert told(client.get("/api/me")) == (401, "no_session")
    assert {str(reason) for reason in PROVEN} == set(BARRED)


def test_rights_are_those_of_this_moment(own_bank: Any, serve: Any) -> None:
    client = serve(own_bank)
    assert login(client, own_bank.put(1)).status_code == 200
    asked = [("GET", "/api/me"), ("GET", "/api/offers"), ("POST", "/api/payments")]

    def answers() -> set[tuple[int, str]]:
        return {told(client.request(*each)) for each in asked}

    for error, how in BARRED.items():
        own_bank.put(1, **how)
        assert answers() == {(403, error)}, error
    own_bank.put(2, key=1)
    assert answers() == {(403, "foreign")}
    own_bank.put(1, version=9)
    assert answers() == {(403, "version")}
    own_bank.put(1, permissions=...)
    assert answers() == {(403, "incomplete")}
    own_bank.put(1, permissions=["accounts.read"])
    assert client.get("/api/me").json()["permissions"] == ["accounts.read"]
    assert told(client.post("/api/payments")) == (403, "not_granted")
    own_bank.client.delete("profile:1")
    assert answers() == {(401, "no_session")}
    own_bank.put(1)
    assert client.post("/api/payments").json() == {"accepted": True}


def test_required_sections_and_age_are_the_apps_choice(own_bank: Any, serve: Any) -> None:
    client = serve(own_bank, access=Access(max_age=timedelta(days=9), required=("devices",)))
    assert told(login(client, own_bank.put(1, epoch=3))) == (403, "incomplete")
    assert login(client, own_bank.put(1, epoch=3, devices=[])).status_code == 200


def test_only_our_own_fresh_tokens_count(
    own_bank: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(own_bank)
    login(client, own_bank.put(1))
    token = client.cookies["session"]
    client.cookies.clear()

    def status(value: str) -> int:
        return client.get("/api/me", headers={"Cookie": f"session={value}"}).status_code

    assert status(token) == 200
    body, rest = token.split(".", 1)
    forged = Sessions("x" * 40, 600).begin("1")
    for bad in ("", "1", token[:-1], f"{body[:-1]}A.{rest}", forged, "a.b.c", token + "x"):
        assert status(bad) == 401, bad
    made = TimestampSigner.get_timestamp
    for later, expected in ((599, 200), (602, 401)):
        with monkeypatch.context() as patch:
            patch.setattr(TimestampSigner, "get_timestamp", lambda s, by=later: made(s) + by)
            assert status(token) == expected
    with pytest.raises(ValueError, match="32"):
        Sessions("short", 600)


def test_redis_down_is_no_refusal_and_tells_nothing(
    own_bank: Any, own_server: RedisServer, serve: Any
) -> None:
    client = serve(own_bank)
    email = own_bank.put(1)
    assert login(client, email).status_code == 200
    own_server.kill()
    typed = [(email, PASSWORD), (email, "wrong"), ("nobody@bank.example", "wrong")] * TRIES
    answers = {str(whole(login(client, *each))) for each in typed}  # more than may be refused
    assert len(answers) == 1
    down = login(client, email)
    assert (told(down), down.headers["retry-after"]) == ((503, "unavailable"), "5")
    for method, path in (("GET", "/api/me"), ("GET", "/api/offers"), ("POST", "/api/payments")):
        assert told(client.request(method, path)) == (503, "unavailable")
    assert client.delete("/api/session").status_code == 204


@pytest.mark.parametrize("what", ["no index", "no search", "no hashes"])
def test_a_redis_that_can_not_be_asked_is_no_refusal(own_bank: Any, serve: Any, what: str) -> None:
    client = serve(own_bank)
    email = own_bank.put(1)
    if what == "no index":
        own_bank.client.execute_command("FT.ALIASDEL", "idx:demo_bank")
    else:
        role, left = (
            ("session", ["(~profile:* +json.get)"]) if what == "no search" else ("login", [])
        )
        [name] = [name for name in own_bank.client.acl_users() if name.startswith(f"app_{role}_")]
        own_bank.client.execute_command("ACL", "SETUSER", name, "clearselectors", *left)
    assert whole(login(client, email)) == whole(login(client, "nobody@bank.example"))
    assert told(login(client, email)) == (503, "unavailable")


def test_guessing_is_slowed_down_whether_or_not_there_is_somebody(
    own_bank: Any, serve: Any
) -> None:
    client = serve(own_bank)
    known, other = own_bank.put(1), own_bank.put(2)
    for email in (known, "nobody@bank.example"):
        for _ in range(TRIES):
            assert told(login(client, email, "wrong")) == (401, "login_refused")
        for typed in ("wrong", PASSWORD):
            slowed = login(client, email.upper(), typed)
            assert told(slowed) == (429, "too_many_tries")
            assert TRIES_S - 60 < int(slowed.headers["retry-after"]) <= TRIES_S
    for _ in range(TRIES + 2):  # to get in makes good
        assert login(client, other, "wrong").status_code == 401
        assert login(client, other).status_code == 200
    for number in range(TRIES_OF_ADDRESS):
        last = login(client, f"x{number}@bank.example").status_code
    assert last == 429


def test_tries_are_counted_for_a_while() -> None:
    now = [0.0]
    tries = Tries(2, 10.0, lambda: now[0])
    assert [tries.begin("a"), tries.begin("a"), tries.begin("b")] == [None, None, None]
    now[0] = 4.0
    assert (tries.begin("a"), tries.begin("b")) == (6, None)
    tries.take_back("b")
    assert tries.begin("b") is None
    now[0] = 10.0
    assert tries.begin("a") is None
    tries.forget("a")
    for number in range(20_000):
        tries.begin(str(number))
    assert len(tries._made) == 10_000


def test_odd_requests_get_no_more_than_an_answer(
    own_bank: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(own_bank)
    json = {"Content-Type": "application/json"}
    for content, headers, expected in (
        (f'{{"email": ["{CANARY}"], "password": "{CANARY}"}}', json, (422, "bad_request")),
        (f'{{"email": "{CANARY}"', json, (422, "bad_request")),
        (f'{{"email": "{CANARY}", "password": "{CANARY}"}}', {}, (422, "bad_request")),
        (f'{{"email": "{"e" * 400}", "password": "{CANARY}"}}', json, (422, "bad_request")),
        (f'{{"email": "e", "password": "{"x" * 2**20}"}}', json, (413, "too_large")),
        (iter([b"x" * 2**20]), json, (413, "too_large")),
        ('{"email": "\\ud800", "password": "\\ud800"}', json, (422, "bad_request")),
        ('{"email": "a\\u0000", "password": "a\\u0000"}', json, (401, "login_refused")),
    ):
        answer = client.post("/api/session", content=content, headers=headers)
        assert told(answer) == expected
        assert CANARY not in answer.text and CANARY not in caplog.text
    assert {client.get(path).status_code for path in ("/docs", "/openapi.json", "/x")} == {404}
    assert client.get("/../app.py").status_code == 404


def test_browsers_are_told_to_be_careful(own_bank: Any, serve: Any) -> None:
    client = serve(own_bank)
    for path in ("/", "/app.js", "/style.css", "/icon.svg", "/api/me"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    for path in (ROOT / "examples/bank_app/page").iterdir():
        outside = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text(encoding="utf-8"))
        assert set(outside) <= {"http://www.w3.org"}, path.name  # the name of SVG itself


OFFERS_WANTED = {"topics": ["offers"]}
WISH = {"title": "a piano", "category": "leisure", "price": "1200.00"}


@pytest.mark.parametrize(
    ("sections", "kinds"),
    [
        ({}, []),
        ({"wish_list": [WISH]}, ["savings_plan"]),
        ({"wish_list": [WISH], "preferences": None}, []),
        ({"wish_list": [WISH], "preferences": {"topics": ["markets"]}}, []),
        ({"wish_list": [WISH], "preferences": {"topics": "offers"}}, []),
        ({"wish_list": None, "demographics": None, "recent_purchases": None}, []),
        ({"wish_list": [{"title": "a piano", "category": "leisure"}]}, []),
        ({"wish_list": [WISH | {"price": "299.99"}, WISH | {"price": "10000.01"}]}, []),
        ({"wish_list": [WISH | {"price": p} for p in ("NaN", "x", 1200, None)]}, []),
        ({"wish_list": [WISH], "roles": ["customer"]}, ["savings_plan"]),
        (
            {"wish_list": [WISH], "roles": ["customer"],
             "demographics": {"income_band": "up to 20k"}},
            ["savings_plan"],
        ),
        (
            {"wish_list": [WISH, WISH], "roles": ["customer"],
             "demographics": {"income_band": "20k-40k"}},
            ["instalments"],
        ),
        (
            {"wish_list": [WISH], "roles": ["youth"], "demographics": {"income_band": "20k-40k"}},
            ["savings_plan"],
        ),
        ({"wish_list": [WISH | {"category": "travel", "price": "1.00"}]}, ["travel_insurance"]),
        ({"demographics": {"household": {"adults": 1, "children": 0}}}, []),
        ({"demographics": {"household": {"adults": 1, "children": 2}}}, ["child_savings"]),
        ({"demographics": {"household": [[]]}}, []),
        ({"recent_purchases": [{"category": "travel"}, {"category": "books"}]}, []),
        ({"recent_purchases": [{"category": c} for c in ("kids", "books", "books")]}, ["cashback"]),
        (
            {"wish_list": [WISH | {"category": "travel"}], "recent_purchases": [{"category": "x"}] * 2,
             "demographics": {"household": {"children": 1}}},
            ["travel_insurance", "savings_plan", "child_savings"],
        ),
    ],
)  # fmt: skip
def test_offers(sections: dict[str, Any], kinds: list[str]) -> None:
    made = offers_of({"preferences": OFFERS_WANTED, **sections})
    assert [offer.kind for offer in made] == kinds


def test_an_offer_says_what_and_why() -> None:
    assert offers_of({"preferences": OFFERS_WANTED, "wish_list": [WISH]}) == [
        Offer(
            "savings_plan",
            "Save for it",
            "Put 100.00 aside each month, and it is yours in a year.",
            "“a piano” is on your wish list.",
        )
    ]


def test_every_reason_has_its_answer() -> None:
    for reason in Refusal:
        assert (to_login(reason) == LOGIN_REFUSED) == (reason not in PROVEN)
        at_the_door = ("unknown_user", "ambiguous", "wrong_password", "password_too_long",
                       "no_password", "unknown_scheme")  # fmt: skip
        assert (in_session(reason) == NO_SESSION) == (reason in at_the_door)
        assert in_session(reason) == NO_SESSION or in_session(reason).error == reason
    page = (ROOT / "examples/bank_app/README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d{3}) \| (`.*?) \|", page, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", rows["403"])) == {
        in_session(reason).error for reason in Refusal if in_session(reason) != NO_SESSION
    }


def test_the_product_knows_nothing_of_it() -> None:
    for room in ("core", "connectors", "transforms", "stage", "store", "flows"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"^\s*(from|import) examples\b", text, re.MULTILINE), path


def test_its_redis_users_are_those_that_we_give_to_administrators(own_bank: Any) -> None:
    admin = own_bank.client
    with redis_users(own_bank.url):
        for name in [user for user in admin.acl_users() if user.startswith("app_")]:
            role = name.rpartition("_")[0]
            admin.execute_command("ACL", "SETUSER", role, *rules_of(role).split())
            made, wanted = admin.acl_getuser(name), admin.acl_getuser(role)
            for part in ("commands", "keys", "selectors", "channels"):
                assert made[part] == wanted[part], (name, part)
            admin.acl_deluser(role)


def test_secrets_are_not_in_the_settings_text(bank: Any) -> None:
    settings = Settings(f"redis://u:{CANARY}@h", f"redis://v:{CANARY}@h", bank.reading, CANARY)
    assert CANARY not in repr(settings)


def test_one_command_runs_it(bank: Any) -> None:
    before = bank.client.acl_users()
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.bank_app", "--port", "0"],
        cwd=ROOT,
        env={"BANK_APP_REDIS_URL": bank.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        text = "".join(lines)
        [url] = re.findall(r"http://\S+", text)
        logins = {
            kind: (email, typed)
            for email, typed, kind in re.findall(r"^  (\S+) +(\S+)  \((.+)\)$", text, re.MULTILINE)
        }
        assert logins.keys() == {"offers, may pay", "may not pay", "locked"}
        with httpx.Client(base_url=url) as client:
            assert told(login(client, *logins["locked"])) == (403, "locked")
            for kind, paid in (("offers, may pay", 202), ("may not pay", 403)):
                assert login(client, *logins[kind]).status_code == 200
                assert client.post("/api/payments").status_code == paid
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, rest.strip().splitlines()[-1]) == (0, "ended")
    assert bank.client.acl_users() == before


def test_why_it_can_not_start(
    own_server: RedisServer,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def why(*arguments: str) -> str:
        assert starter.main(arguments) == 1
        return capsys.readouterr().err

    monkeypatch.setattr(starter, "FOLDER", tmp_path)
    monkeypatch.delenv("BANK_APP_REDIS_URL", raising=False)
    assert "make demo KEEP=1" in why()
    monkeypatch.setenv("BANK_APP_REDIS_URL", own_server.url)
    assert f"port {own_server.port}: " in why("--port", str(own_server.port))
    assert "no customer" in why("--port", "0")
    own_server.kill()
    assert "bank app: " in why("--port", "0")
