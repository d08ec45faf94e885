"""Turns what goes wrong into the app's answers; none of them repeats what was sent."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from core.errors import TargetError, UnfitProfile
from examples.bank_app.answers import BAD_REQUEST, TRY_AGAIN_S, UNAVAILABLE, Refused, in_session

log = logging.getLogger("bank_app")


def response(refused: Refused) -> JSONResponse:
    """A refusal as JSON."""
    answer = refused.answer
    body = {"error": answer.error, "text": answer.text}
    return JSONResponse(body, answer.status, dict(refused.headers))


def install(app: FastAPI) -> None:
    """Makes the app answer so."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        return response(error)

    @app.exception_handler(TargetError)
    async def redis_fails(_: Request, error: TargetError) -> JSONResponse:
        # Down, slow, no index, not allowed: nothing that a visitor could do about.
        log.error("%s: %s", type(error).__name__, error)
        return response(Refused(UNAVAILABLE, TRY_AGAIN_S))

    @app.exception_handler(UnfitProfile)
    async def unfit(_: Request, error: UnfitProfile) -> JSONResponse:
        return response(Refused(in_session(error.reason)))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, __: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats the input, the password among it.
        return response(Refused(BAD_REQUEST))
