"""Session tokens: who is logged in, signed, and for a short while."""

from __future__ import annotations

import hashlib
import time
from secrets import token_hex

from itsdangerous import BadData, URLSafeTimedSerializer

SHORTEST_SECRET = 32


class Sessions:
    """Makes tokens and reads them. They hold a user id, and nothing that a profile says.

    Args:
        secret: signs the tokens. All processes of the app need the same one.
        lasts_s: so long a token is good.

    Raises:
        ValueError: the secret is too short.
    """

    def __init__(self, secret: str, lasts_s: int) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"the sessions' secret needs {SHORTEST_SECRET} characters or more")
        self.lasts_s = lasts_s
        self._signer = URLSafeTimedSerializer(
            secret, salt="bank_app.session", signer_kwargs={"digest_method": hashlib.sha256}
        )
        # Logged out before their time. With several processes this belongs into a shared store.
        self._ended: dict[str, float] = {}

    def begin(self, user_id: str) -> str:
        """A token for a user."""
        return self._signer.dumps([user_id, token_hex(8)])

    def user_of(self, token: str) -> str | None:
        """The user whom a token was made for; None where it is not ours, too old or ended."""
        found = self._read(token)
        return None if found is None or found[1] in self._ended else found[0]

    def end(self, token: str) -> None:
        """Makes a token worthless."""
        found = self._read(token)
        if found is None:
            return
        now = time.monotonic()
        self._ended = {number: until for number, until in self._ended.items() if until > now}
        self._ended[found[1]] = now + self.lasts_s + 1

    def _read(self, token: str) -> tuple[str, str] | None:
        try:
            user_id, number = self._signer.loads(token, max_age=self.lasts_s)
        except BadData:
            return None
        return user_id, number
