"""JSON and BSON: deep, wide, twice the same key; arrays; and hashes of passwords."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from tests.values.value import Group, Value, as_given, refused, text, to

BEYOND = "integer_beyond_2_53"
JSON = {"postgres": "json", "mariadb": "json", "sqlite": "text"}


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _deep(depth: int) -> Any:
    made: Any = []
    for _ in range(depth - 1):
        made = {"d": made}
    return made


PERMISSIONS = json.dumps([f"account:{n:06d}:read" for n in range(100_000)])
WIDE = json.dumps({f"k{n}": n for n in range(20_000)})
SAME = [
    *("{}", "[]", '""', '"text"', "0", "1", "-1", "true", "false", "null", "[null]", "[[],{}]"),
    *(
        '{"a":1}',
        '{"b":1,"a":2}',
        '{"a":{"b":{"c":[1,2,{"d":null}]}}}',
        '{"":1}',
        '{"a.b":1,"$c":2}',
    ),
    *(
        '{"\u00e9":"\U0001f600"}',
        '["a","a","b"]',
        '"\\"\\\\/"',
        "[1.5,0.1,-2.25]",
        '{"_meta":{"epoch":9}}',
    ),
    *(
        "9007199254740992",
        "-9007199254740992",
        "0.30000000000000004",
        "1.7976931348623157e+308",
        "5e-324",
    ),
    *(
        nested(99),
        nested(100),
        PERMISSIONS,
        WIDE,
        json.dumps("x" * 100_000),
        '{"user_id":1,"digest":"x"}',
    ),
]
REWRITTEN = {
    ' { "a" : 1 , "b" : [ 1 , 2 ] } ': '{"a":1,"b":[1,2]}',
    '"\\u00e9"': '"\u00e9"', '"\\ud83d\\ude00"': '"\U0001f600"', '"\\/"': '"/"', '"a\\tb"': '"a\\tb"',
    "1.0": "1.0", "1.10": "1.1", "1e2": "100.0", "1E5": "100000.0", "-0": "0", "0e0": "0.0",
    "123456789012345e-5": "1234567890.12345", "[1.50,2.00]": "[1.5,2.0]",
}  # fmt: skip
UNFIT = {
    '{"a":1,"a":2}': "duplicate_key", '{"x":{"a":1,"a":1}}': "duplicate_key", '[{"a":1,"b":2,"a":3}]': "duplicate_key",
    "9007199254740993": BEYOND, '{"n":-9007199254740993}': BEYOND, "[18446744073709551616]": BEYOND,
    "18446744073709551615": BEYOND, "9" * 2000: BEYOND,
    "0.12345678901234567890": "inexact_number", "1e400": "inexact_number", "[1e-400]": "inexact_number",
    "12345678901234567.89": "inexact_number", "[61189.655399999996]": "inexact_number", "4.026380313612261e+293": "inexact_number", '{"a":0.1000000000000000001}': "inexact_number",
    '"\\u0000"': "nul_character", '{"a\\u0000b":1}': "nul_character", '["x",{"y":"\\u0000"}]': "nul_character",
    '"\\ud800"': "not_json", '["\\udc00\\ud800"]': "not_json", '{"\\ud83d":1}': "not_json",
    nested(101): "too_deep", nested(127): "too_deep", nested(128): "too_deep", nested(129): "too_deep",
    nested(1000): "too_deep",
}  # fmt: skip
NO_JSON = [
    *(
        "",
        " ",
        "{",
        "[1,",
        "[1,]",
        '{"a":}',
        "{'a':1}",
        "nope",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
    ),
    *(
        '{"a":1} x',
        '{"a":1}{"b":2}',
        "1 2",
        "01",
        "+1",
        ".5",
        "1.",
        '"a\nb"',
        "\ufeff{}",
        "// x",
        "[1}",
        '"\\x41"',
    ),
]

ONLY_JSONB = {
    '{"a.b":1,"$c":2}': '{"$c":2,"a.b":1}',
    '{"user_id":1,"digest":"x"}': '{"digest":"x","user_id":1}',
    '{"b":1,"a":2}': '{"a":2,"b":1}',
    '{"a":1,"a":2}': '{"a":2}',
    '{"bb":1,"a":1.10}': '{"a":1.1,"bb":1}',
}
"""What PostgreSQL itself makes of a text; nothing later can know more."""

UTC_NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)
BSON = [
    ({}, "{}"), ([], "[]"), ({"a": {"b": [1, 2.5, None, True, "x"]}}, '{"a":{"b":[1,2.5,null,true,"x"]}}'),
    ({"b": 1, "a": 2}, '{"b":1,"a":2}'), ({"": 1, "a.b": 2, "$c": 3}, '{"":1,"a.b":2,"$c":3}'), ("text", '"text"'),
    (Int64(2**53), "9007199254740992"), ({"d": Decimal128("1.10")}, '{"d":"1.10"}'), ({"at": UTC_NOON}, '{"at":"2024-01-31T12:00:00Z"}'),
    ({"id": ObjectId("65a1b2c3d4e5f60718293a4b")}, '{"id":"65a1b2c3d4e5f60718293a4b"}'), ({"b": Binary(b"\xff")}, '{"b":"/w=="}'),
    ({"u": UUID(int=5)}, '{"u":"00000000-0000-0000-0000-000000000005"}'), ([["a"], ["b"]], '[["a"],["b"]]'),
    ({"x": "\U0001f600\u00e9"}, '{"x":"\U0001f600\u00e9"}'), (_deep(99), None), (json.loads(PERMISSIONS), PERMISSIONS),
    (1.5, "1.5"), (True, "true"), ({"c": Code("x")}, '{"c":"x"}'), ({"n": -0.0}, '{"n":-0.0}'), ({"k": "a\u2028b"}, '{"k":"a\u2028b"}'),
]  # fmt: skip
BAD_BSON: list[tuple[Any, str]] = [
    ({"n": Int64(2**53 + 1)}, BEYOND), ([Int64(2**63 - 1)], BEYOND), ({"x": "a\0b"}, "nul_character"), ({"x": [0.9828846337618169]}, "inexact_number"), (_deep(101), "too_deep"),
    (_deep(127), "too_deep"), (_deep(130), "too_deep"), ({"a": float("nan")}, "unreadable"), ([float("inf")], "unreadable"),
    (MinKey(), "unreadable"), ({"m": MaxKey()}, "unreadable"), ({"r": Regex("a")}, "unreadable"), (Timestamp(1, 1), "unreadable"),
]  # fmt: skip

LISTS: dict[str, str | None] = {
    '["a","b"]': '["a","b"]', "[]": "[]", '["b","a","a"]': '["b","a","a"]', '["",null]': '["",null]', '["\u00e9","\U0001f600"]': None,
    '["a,b","\\"","\\\\"]': None, '["x y"]': None,
}  # fmt: skip
SALT, HASH = "c29tZXNhbHRzb21l", "RdescudvJCsgt3ub+b4dWRWJTmaaJObGRdescudvJCs"
BCRYPT = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
HASHES = [
    *(f"$argon2{kind}$v=19$m=65536,t=3,p=4${SALT}${HASH}" for kind in ("id", "i", "d")),
    f"$argon2id$m=65536,t=3,p=4${SALT}${HASH}", f"$argon2id$v=19$m=8,t=1,p=1,keyid=,data=${SALT}${HASH}",
    *(f"$2{letter}$12${BCRYPT}" for letter in "aby"), f"$2b$04${BCRYPT}", f"$2b$31${BCRYPT}",
    f"$scrypt$ln=16,r=8,p=1${SALT}${HASH}", f"$pbkdf2-sha256$29000${SALT}${HASH}", f"$pbkdf2-sha512$25000${SALT}${HASH}",
    f"$pbkdf2-sha256$i=29000,l=32${SALT}${HASH}",
]  # fmt: skip
NO_HASHES = [
    *("", " ", "hunter2", "!", "*", "x", "secret password", "NULL", "5f4dcc3b5aa765d61d8327deb882cf99"),
    *("$1$salt$qJH7.N4xYta3aEG/dfqo/0", "$5$rounds=5000$salt$x", "$6$salt$" + "x" * 86, "{SSHA}" + SALT, "$apr1$salt$x"),
    *("$y$j9T$" + SALT, "$7$C6..../....", "$3$$8846f7eaee8fb117", f"pbkdf2_sha256$260000${SALT}${HASH}", "sha1$a$b"),
    *(f"$2b$03${BCRYPT}", f"$2b$32${BCRYPT}", f"$2x$12${BCRYPT}", f"$2b$12${BCRYPT[:-1]}", f"$2b$12${BCRYPT}x"),
    *(f" $2b$12${BCRYPT}", f"$2b$12${BCRYPT}\n", f"$2B$12${BCRYPT}", f"$2b$12{BCRYPT}", f"$argon2id$v=19$m=65536,t=3,p=4${SALT}"),
    *(f"$argon2x$v=19$m=65536,t=3,p=4${SALT}${HASH}", "$argon2id$", f"$scrypt$ln=16,r=8,p=1${SALT}${HASH[:9]}"),
]  # fmt: skip

GROUPS = (
    Group(
        "json",
        "{type: json}",
        {**JSON, "mariadb": "longtext"},  # its JSON_VALID takes 32 levels
        (
            *to({given: given for given in SAME}),
            *to(REWRITTEN),
            *(Value(given, refused(reason, given)[0].expected) for given, reason in UNFIT.items()),
            *refused("not_json", *NO_JSON, nested(50)[:-1], only=("mariadb", "sqlite")),
            *refused("too_deep", nested(100_000), only=("mariadb", "sqlite")),
            *refused("unreadable", b"\xff{}", only=("sqlite",)),
        ),
    ),
    Group(
        "jsonb",
        "{type: json}",
        {"postgres": "jsonb"},
        (
            *to({given: given for given in SAME if given not in ONLY_JSONB and len(given) < 1000 and "e+308" not in given}),
            *to(ONLY_JSONB),
            *refused(BEYOND, "9007199254740993", "18446744073709551616", "1e400", "1.7976931348623157e+308"),
            *refused("inexact_number", "0.12345678901234567890", "123456789.123456789"),
            *refused("too_deep", nested(101), nested(200)),
        ),
    ),
    Group(
        "bson",
        "{type: json}",
        {"mongodb": ""},
        (
            *(Value(given, json.dumps(given) if told is None else told) for given, told in BSON),
            *(refused(reason, given)[0] for given, reason in BAD_BSON),
        ),
    ),
    Group(
        "list",
        '{type: "string[]"}',
        {**JSON, "mongodb": ""},
        (
            *to({given: told or given for given, told in LISTS.items()}),
            *refused("not_an_array", '"a"', "5", '{"a":1}', "true", mongodb="not_an_array"),
            *refused("not_text", '[["a"],["b"]]', '[{"a":1}]'),
            *refused("nul_character", '["a\\u0000"]'),
            *refused("not_an_array", "{", "", "x", only=("sqlite",)),
        ),
        native={"mongodb": json.loads},
    ),
    Group(
        "sql_list",
        "{}",
        {"postgres": "text[]"},
        (
            *to({'{a,"b c",NULL,""}': '["a","b c",null,""]', "{}": "[]"}),
            *refused("not_text", "{{a,b},{c,d}}"),
        ),
    ),
    Group(
        "numbers",
        '{type: "integer[]"}',
        {"postgres": "bigint[]", "sqlite": "text", "mongodb": ""},
        (
            *to({"[1,2,3]": "[1,2,3]", "[]": "[]", "[9007199254740992]": "[9007199254740992]"}),
            *refused(BEYOND, "[1,9007199254740993]", "[9223372036854775807]"),
            *refused("not_an_integer", "[1.5]", "[true]", '["x"]', only=("sqlite", "mongodb")),
        ),
        native={
            "postgres": lambda given: given.replace("[", "{").replace("]", "}"),
            "mongodb": json.loads,
        },
    ),
    Group(
        "password",
        "{type: password_hash}",
        {"postgres": "text", "mariadb": "varchar(999)", "sqlite": "text", "mongodb": ""},
        (
            *as_given(*HASHES),
            *refused("unknown_hash_scheme", *NO_HASHES),
            *refused("unknown_hash_scheme", "$2b$12$" + BCRYPT[:-1] + "\0", only=("mariadb", "sqlite", "mongodb")),
            *refused("unknown_hash_scheme", 12345, only=("mongodb",)),
        ),
    ),
    Group(
        "path",
        "{type: string, path: v.a}",
        {**JSON, "mariadb": "longtext", "mongodb": ""},
        (
            *to({'{"a":"x"}': '"x"', '{"a":5}': '"5"', '{"a":true}': '"true"', '{"a":""}': '""', '{"a":null}': "null"}),
            *to({'{"a":{"b":1}}': text('{"b":1}')}, only=("mariadb", "sqlite")),
            *to({'{"a": {"b": 1}}': text('{"b": 1}')}, only=("postgres",)),
            *refused("unreadable", '{"a":"\\ud800"}', only=("mariadb", "sqlite")),
            *refused("unreadable", '{"a":"x\\u0000"}', only=("postgres",)),
            *refused("nul_character", '{"a":"x\\u0000"}', only=("mariadb", "sqlite", "mongodb")),
            *refused("unreadable", '[{"a":1}]', only=("mariadb", "sqlite", "mongodb")),
        ),
        native={"mongodb": json.loads},
    ),
)  # fmt: skip
