"""PyMySQL's streams: values as the server prints them, and an end that never raises."""

from __future__ import annotations

from typing import Any

from pymysql.constants import FIELD_TYPE
from pymysql.cursors import SSCursor

_INTEGERS = ("TINY", "SHORT", "LONG", "INT24", "LONGLONG", "YEAR")

DECODERS: dict[int, Any] = {getattr(FIELD_TYPE, name): int for name in _INTEGERS}
"""By column type; all others stay the text that the server sent."""
DECODERS |= {FIELD_TYPE.FLOAT: float, FIELD_TYPE.DOUBLE: float}


class StreamCursor(SSCursor):
    """A server-side cursor whose ``close`` does no harm on a dead connection.

    Closing reads what is left of the result, which there fails in ways that are no driver's
    errors; the reader has been told by then.
    """

    def close(self) -> None:
        """Ends the result, or gives it up."""
        try:
            super().close()
        except Exception:
            this: Any = self
            if this._result is not None:
                this._result.unbuffered_active = False
                this._result.connection = None
            this.connection = None

    __del__ = close
