"""The names of the pipeline's own columns in staged frames."""

from core.pipeline import USER_ID_COLUMN

USER_ID = USER_ID_COLUMN
"""The user a row was led to, in the declared type of user ids."""

REASON = "__reason"
"""Why a row can't be used (String), or null."""

CULPRIT = "__column"
"""The column to blame for it (String), or null."""

ROW = "__row"
"""The row's number in its dataset, where one row may reach a user in several ways."""

BUCKET = "__bucket"

KEY = "__key"
"""Prefix of the columns with the key of the next link: ``__key0``, ``__key1``, …"""

TO = "__to"
"""Prefix of the columns that a link row leads to."""


def key_columns(count: int) -> list[str]:
    """The names of a key's columns."""
    return [f"{KEY}{position}" for position in range(count)]


def to_columns(count: int) -> list[str]:
    """The names of the columns that a link row leads to."""
    return [f"{TO}{position}" for position in range(count)]
