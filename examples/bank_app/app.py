"""The app: login, session, permissions and offers over HTTP, and its page.

A user's rights are asked of Redis on every request, never kept in the session: who is locked now
is out now. Whatever can't be judged is refused.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from core.reading import Reading
from examples.bank_app import refusing
from examples.bank_app.answers import (
    NO_SESSION,
    TOO_LARGE,
    TOO_MANY_TRIES,
    Refused,
    in_session,
    to_login,
)
from examples.bank_app.offers import SECTIONS, offers_of
from examples.bank_app.sessions import Sessions
from examples.bank_app.tries import Tries
from store.access import Access, Rights
from store.login import AsyncLogin
from store.reader import AsyncReader
from store.unified_profile import UnifiedProfile

COOKIE = "session"
PAGE = Path(__file__).with_name("page")
LARGEST_BODY = 16_384
SESSION_S = 600
TRIES, TRIES_OF_ADDRESS, TRIES_S = 5, 50, 300.0
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

log = logging.getLogger("bank_app")


@dataclass(frozen=True)
class Settings:
    """What the app needs to know; the URLs hold passwords.

    Attributes:
        profiles_url: of a Redis user who may read profiles, and search.
        credentials_url: of one who may read the hashes, and nothing else.
        session_secret: see ``Sessions``.
        dummy_hash: see ``store.login.Login``.
    """

    profiles_url: str = field(repr=False)
    credentials_url: str = field(repr=False)
    reading: Reading
    session_secret: str = field(repr=False)
    dummy_hash: str | None = field(default=None, repr=False)
    access: Access = field(default_factory=Access)
    session_s: int = SESSION_S


@dataclass(frozen=True)
class Bank:
    """What the app works with."""

    reader: AsyncReader
    login: AsyncLogin
    sessions: Sessions
    tries: Tries
    tries_of_address: Tries


@dataclass(frozen=True)
class Visitor:
    """Who is logged in, and may do something at all."""

    user_id: str
    rights: Rights


class Credentials(BaseModel):
    """What a visitor types. A password's length is the login's business."""

    email: str = Field(max_length=320)
    password: str = Field(repr=False)


def create_app(settings: Settings) -> FastAPI:
    """The app; it talks to Redis from its start to its end.

    Raises:
        ValueError: the secret is too short, or the index has no unique e-mail.
    """
    sessions = Sessions(settings.session_secret, settings.session_s)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncReader(settings.profiles_url, settings.reading, settings.access) as reader:
            login = AsyncLogin(settings.credentials_url, reader, dummy_hash=settings.dummy_hash)
            tries = Tries(TRIES, TRIES_S), Tries(TRIES_OF_ADDRESS, TRIES_S)
            app.state.bank = Bank(reader, login, sessions, *tries)
            yield
            await login.close()

    # FastAPI's own pages of documentation load scripts from elsewhere.
    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.middleware("http")(_guarded)
    refusing.install(app)
    app.post("/api/session")(log_in)
    app.delete("/api/session", status_code=204)(log_out)
    app.get("/api/me")(me)
    app.get("/api/offers")(offers)
    app.post("/api/payments", status_code=202)(pay)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


async def _guarded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuses large bodies before they are read; says to the browser what the page needs."""
    length = request.headers.get("Content-Length", "0")
    chunked = "Transfer-Encoding" in request.headers
    if chunked or not length.isdecimal() or int(length) > LARGEST_BODY:
        answer: Response = refusing.response(Refused(TOO_LARGE))
    else:
        answer = await go_on(request)
    answer.headers.update(HEADERS)
    return answer


def _bank(request: Request) -> Bank:
    bank: Bank = request.app.state.bank
    return bank


TheBank = Annotated[Bank, Depends(_bank)]


async def _visitor(request: Request, bank: TheBank) -> Visitor:
    """Who asks, by the session's cookie; judged by the profile as it is now."""
    user_id = bank.sessions.user_of(request.cookies.get(COOKIE, ""))
    if user_id is None:
        raise Refused(NO_SESSION)
    rights = await bank.reader.rights(user_id)
    if rights.reason is not None:
        log.info("a session was refused: %s", rights.reason)
        raise Refused(in_session(rights.reason))
    return Visitor(user_id, rights)


AVisitor = Annotated[Visitor, Depends(_visitor)]


async def log_in(
    request: Request, response: Response, bank: TheBank, typed: Credentials
) -> dict[str, Any]:
    """Begins a session. The reason of a refusal goes into the log, without a name."""
    address = request.client.host if request.client else ""
    account = f"{address} {typed.email.casefold()}"
    _count(bank.tries_of_address, address)
    _count(bank.tries, account)
    try:
        entrance = await bank.login.authenticate(typed.email, typed.password)
    except Exception:
        bank.tries.take_back(account)
        bank.tries_of_address.take_back(address)
        raise
    if entrance.profile is None:
        log.info("a login was refused: %s", entrance.reason)
        raise Refused(to_login(entrance.reason))
    bank.tries.forget(account)
    bank.tries_of_address.take_back(address)
    response.set_cookie(
        COOKIE,
        bank.sessions.begin(entrance.profile.user_id),
        max_age=bank.sessions.lasts_s,
        httponly=True,  # no script can read it
        samesite="strict",  # and no other site can use it
        secure=request.url.scheme == "https",
    )
    return {"expires_in": bank.sessions.lasts_s}


async def log_out(request: Request, response: Response, bank: TheBank) -> None:
    """Ends the session, also for who has copied its token. Works while Redis is down."""
    bank.sessions.end(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


async def me(bank: TheBank, visitor: AVisitor) -> dict[str, Any]:
    """Name and rights."""
    profile = _there(await bank.reader.get(visitor.user_id, "identity.name"))
    rights = visitor.rights
    return {
        "name": profile.at("identity.name"),
        "roles": sorted(rights.roles),
        "permissions": sorted(rights.permissions),
        "features": sorted(rights.features),
        "as_of": profile.as_of,
    }


async def offers(bank: TheBank, visitor: AVisitor) -> JSONResponse:
    """What the bank offers this user."""
    profile = _there(await bank.reader.get(visitor.user_id, *SECTIONS))
    return JSONResponse([vars(offer) for offer in offers_of(profile)])


async def pay(visitor: AVisitor) -> dict[str, Any]:
    """Stands for what needs a permission; no money moves."""
    granted = visitor.rights.permits("payments.create")
    if not granted:
        raise Refused(in_session(granted.reason))
    return {"accepted": True}


def _count(tries: Tries, key: str) -> None:
    wait_s = tries.begin(key)
    if wait_s is not None:
        raise Refused(TOO_MANY_TRIES, wait_s)


def _there(profile: UnifiedProfile | None) -> UnifiedProfile:
    if profile is None:
        raise Refused(NO_SESSION)
    return profile
