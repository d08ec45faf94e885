"""What the app answers when it refuses: a status, a word for programs, a sentence for people.

Who has not proven that he knows the password is told one thing, whatever is the matter: nobody
learns here who is a customer. That Redis is down says nothing of a user, so it may be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.refusal import Refusal

TRY_AGAIN_S = 5


@dataclass(frozen=True)
class Answer:
    """A refusal as the visitor gets it."""

    status: int
    error: str
    text: str


class Refused(Exception):
    """Ends a request with an answer.

    Args:
        wait_s: after how many seconds it is worth another try.
    """

    def __init__(self, answer: Answer, wait_s: int | None = None) -> None:
        super().__init__(answer.error)
        self.answer, self.wait_s = answer, wait_s

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with the answer."""
        return {} if self.wait_s is None else {"Retry-After": str(self.wait_s)}


LOGIN_REFUSED = Answer(401, "login_refused", "The e-mail address or the password is wrong.")
NO_SESSION = Answer(401, "no_session", "Please log in.")
BAD_REQUEST = Answer(422, "bad_request", "The request is not as it must be.")
TOO_LARGE = Answer(413, "too_large", "The request is too large.")
TOO_MANY_TRIES = Answer(429, "too_many_tries", "Too many tries. Please wait a while.")
UNAVAILABLE = Answer(503, "unavailable", "We can't look you up now. Please try again soon.")

_CALL_US = "Please call us."
_NOT_NOW = "We can't serve you now. Please try again later."

PROVEN: Mapping[Refusal, Answer] = {
    Refusal.LOCKED: Answer(403, "locked", f"Your access is locked. {_CALL_US}"),
    Refusal.CLOSED: Answer(403, "closed", f"Your access is closed. {_CALL_US}"),
    Refusal.HELD: Answer(403, "held", _NOT_NOW),
    Refusal.STALE: Answer(403, "stale", _NOT_NOW),
    Refusal.INCOMPLETE: Answer(403, "incomplete", _NOT_NOW),
}
"""Reasons that ``authenticate`` gives only where the password was right."""

_IN_SESSION: Mapping[Refusal, Answer] = {
    **PROVEN,
    Refusal.NOT_GRANTED: Answer(403, "not_granted", "Your access does not include this."),
    Refusal.FOREIGN: Answer(403, "foreign", _NOT_NOW),
    Refusal.DAMAGED: Answer(403, "damaged", _NOT_NOW),
    Refusal.VERSION: Answer(403, "version", _NOT_NOW),
}


def to_login(reason: Refusal | None) -> Answer:
    """The answer to a login that was refused."""
    return LOGIN_REFUSED if reason is None else PROVEN.get(reason, LOGIN_REFUSED)


def in_session(reason: Refusal | None) -> Answer:
    """The answer to who is logged in, and must not have it; also to who is no user any more."""
    return NO_SESSION if reason is None else _IN_SESSION.get(reason, NO_SESSION)
