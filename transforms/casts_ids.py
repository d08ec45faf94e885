"""Casts to uuid, objectid and password hashes: texts of a fixed build."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from transforms.casts_outcome import Cast, Judge, Unfit, Wanted, nulls, only, refuse, settle
from transforms.casts_text import matches

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ANY_UUID = re.compile(
    r"(?:urn:uuid:)?(?P<brace>\{)?"
    r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})(?(brace)\})",
    re.IGNORECASE | re.ASCII,
)
_UUID_BYTES = 16
_UUID_DIGITS = "^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$"
_WITH_DASHES = "${1}-${2}-${3}-${4}-${5}"
_OBJECTID = "[0-9a-f]{24}"

_BASE64 = "[A-Za-z0-9+/]"
HASH_SCHEMES = (
    # PHC strings: github.com/P-H-C/phc-string-format
    rf"\$argon2(?:id|i|d)\$(?:v=[0-9]+\$)?m=[0-9]+,t=[0-9]+,p=[0-9]+"
    rf"(?:,keyid={_BASE64}*)?(?:,data={_BASE64}*)?\${_BASE64}{{11,64}}\${_BASE64}{{16,}}",
    rf"\$scrypt\$ln=[0-9]+,r=[0-9]+,p=[0-9]+\${_BASE64}{{4,}}={{0,2}}\${_BASE64}{{16,}}={{0,2}}",
    # passlib writes '.' for '+', and the rounds as a bare number
    r"\$pbkdf2-sha(?:256|512)\$(?:[0-9]+|i=[0-9]+(?:,l=[0-9]+)?)"
    r"\$[A-Za-z0-9+./]{4,}={0,2}\$[A-Za-z0-9+./]{16,}={0,2}",
    # crypt(5): the cost is 4 to 31, salt and hash 22 + 31 characters
    r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}",
)
_HASH = "|".join(HASH_SCHEMES)
_HASH_TEXT = re.compile(_HASH, re.ASCII)


def uuid_judge(wanted: Wanted) -> Judge:
    """The rule for UUIDs: any spelling of RFC 9562, given in its canonical one."""

    def judge(value: Any) -> str:
        text = value.hex() if isinstance(value, bytes) and len(value) == _UUID_BYTES else value
        found = _ANY_UUID.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise Unfit("not_a_uuid")
        return "-".join(found.groups()[1:]).lower()

    return judge


def cast_uuid(series: pl.Series, wanted: Wanted) -> Cast:
    """UUIDs from text of any spelling, or from 16 bytes."""
    if series.dtype == pl.String:
        lower = series.str.to_lowercase()
        fit = matches(lower, _UUID)
        if not fit.all(ignore_nulls=True):
            lower = lower.str.replace(_UUID_DIGITS, _WITH_DASHES)
            fit = matches(lower, _UUID)
        return settle(series, only(lower, fit), uuid_judge(wanted))
    if series.dtype == pl.Binary:
        fit = only(series, series.bin.size() == _UUID_BYTES)
        text = fit.bin.encode("hex").str.replace(_UUID_DIGITS, _WITH_DASHES)
        return refuse(series, text, "not_a_uuid")
    return refuse(series, nulls(series, pl.String()), "not_a_uuid")


def objectid_judge(wanted: Wanted) -> Judge:
    """The rule for MongoDB's object ids: 24 hexadecimal digits."""

    def judge(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(_OBJECTID, value.lower()):
            raise Unfit("not_an_objectid")
        return value.lower()

    return judge


def cast_objectid(series: pl.Series, wanted: Wanted) -> Cast:
    """Object ids as lower case text."""
    if series.dtype != pl.String:
        return refuse(series, nulls(series, pl.String()), "not_an_objectid")
    lower = series.str.to_lowercase()
    return refuse(series, only(lower, matches(lower, _OBJECTID)), "not_an_objectid")


def hash_judge(wanted: Wanted) -> Judge:
    """The rule for password hashes: only schemes we know, so that no clear text slips through."""

    def judge(value: Any) -> str:
        if not isinstance(value, str) or not _HASH_TEXT.fullmatch(value):
            raise Unfit("unknown_hash_scheme")
        return value

    return judge


def cast_password_hash(series: pl.Series, wanted: Wanted) -> Cast:
    """Password hashes, exact to the byte."""
    if series.dtype != pl.String:
        return refuse(series, nulls(series, pl.String()), "unknown_hash_scheme")
    return refuse(series, only(series, matches(series, _HASH)), "unknown_hash_scheme")
