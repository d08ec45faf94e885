"""User ids and e-mails of all spellings, through every kind of source: never taken for another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import redis
from bson import Decimal128, Int64

from devstack import RedisServer, Stack
from tests.values.places import Row, Shelf, put
from tests.values.test_corpus import quarantined_rows
from tests.values.value import KINDS

Run = Callable[..., dict[str, Any]]

IDS = [
    *(
        "1",
        "01",
        "001",
        "1 ",
        " 1",
        "1.0",
        "+1",
        "-1",
        "-01",
        "1e0",
        "\uff11",
        "\u0661",
        "1_0",
        "10",
    ),
    *(
        "9007199254740992",
        "9007199254740993",
        "18446744073709551616",
        "00123",
        "123",
        "123.0",
        "0x7b",
    ),
    *(
        "a",
        "A",
        "\u00e1",
        "a\u0301",
        "\u00df",
        "ss",
        "SS",
        "\ufb01",
        "fi",
        "\u0130",
        "i\u0307",
        "\u0131",
        "I",
        "i",
    ),
    *(
        "{a}b",
        "{a}c",
        "{}",
        "{",
        "}",
        "*",
        "?",
        "[a]",
        "a:b",
        "a/b",
        "../x",
        ".",
        "..",
        "%",
        "%41",
        "%2541",
    ),
    *(
        "x y",
        "x  y",
        "x\u00a0y",
        "\u043a\u043b\u044e\u0447",
        "\U0001f600",
        "user@x",
        "'",
        '"',
        "\\",
        "$",
        "$.a",
    ),
    *(
        "a,b",
        "a|b",
        "#",
        "&amp;",
        "null",
        "None",
        "NaN",
        "true",
        "-inf",
        "profile:1",
        "credential:1",
    ),
    *(
        "prefetch:ids:epoch",
        "*1$4PING",
        "+OK",
        "a" * 512,
        "\u00e9" * 256,
        "\u200b",
        "\ufeff",
        "a\ufeff",
    ),
]
UNFIT = {
    "": "user_id_empty", "x\r\nDEL y": "user_id_control_character", "\t": "user_id_control_character",
    "a\tb": "user_id_control_character", "\x01": "user_id_control_character", "\x7f": "user_id_control_character",
    "\x85": "user_id_control_character", "a\n": "user_id_control_character",
    "*1\r\n$8\r\nFLUSHALL\r\n": "user_id_control_character", "\x1b[2J": "user_id_control_character",
    "a" * 513: "user_id_too_long", "\u00e9" * 257: "user_id_too_long", "a\0": "nul_character",
}  # fmt: skip

PEOPLE = {
    "ann": "Ann@x.org", "ann2": "ann@X.org", "composed": "\u00e9@x", "decomposed": "e\u0301@x", "dotted": "\u0130@x",
    "plain": "i@x", "bob": " bob@x ", "sharp": "stra\u00dfe@x", "double": "strasse@x", "kelvin": "\u212a@x",
    "kay": "k@x", "dotless": "\u0131@x", "quoted": "o'hara\"@x",
}  # fmt: skip
ASKED = {
    "ANN@x.org": "ambiguous_link", "\u00c9@x": "ambiguous_link", "E\u0301@x": "ambiguous_link",
    "K@x": "ambiguous_link", "nobody@x": "no_link", "": "no_link", "ann@x.or": "no_link",
}  # fmt: skip
LED = {
    "i@x": "plain", "I@x": "plain", "i\u0307@x": "dotted", "\u0130@x": "dotted", "\u0131@x": "dotless", "BOB@x": "bob",
    "bob@x\t": "bob", "STRASSE@x": "double", "STRA\u1e9eE@x": "sharp", "O'Hara\"@X": "quoted",
}  # fmt: skip

PIPELINE = """\
profile: {name: ids, anchor: mongodb.people, user_id: {type: string}, buckets: 8}
guard: {max_quarantined_share: 1}
sources:
SOURCES
links:
  by_mail: {dataset: mongodb.people, from: mail, to: ident, case_insensitive: true}
datasets:
  mongodb.people:
    {user_id: ident, into: ., primary_key: n,
     columns: {n: integer, ident: string, mail: string}, fields: {place: n}}
"""
OF_A_KIND = """\
  KIND.ids:
    {user_id: ident, into: KIND, primary_key: n, empty: absent,
     columns: {n: integer, ident: string}, fields: [n]}
  KIND.mails:
    {user_id: {link: by_mail, on: mail}, into: "KIND_mails[]", primary_key: n, order_by: n,
     columns: {n: integer, mail: string}, value: n}
"""


def held_by(kind: str, text: str) -> bool:
    return kind != "postgres" or "\0" not in text


def test_ids_and_mails_to_the_letter(
    run: Run, stack: Stack, target: RedisServer, tmp_path: Path
) -> None:
    ids = [*IDS, *PEOPLE, *UNFIT]
    mails = [*ASKED, *LED]
    shelves = [
        Shelf(
            kind,
            name,
            column,
            [Row(n, text) for n, text in enumerate(texts) if held_by(kind, text)],
        )
        for kind in KINDS
        for name, column, texts in (("ids", "ident", ids), ("mails", "mail", mails))
    ]
    people = [Row(n, text, PEOPLE.get(text)) for n, text in enumerate(ids)]
    shelves.append(Shelf("mongodb", "people", "ident", people))
    environ = put(
        stack,
        tmp_path,
        "ids",
        shelves,
        {"postgres": "text", "mariadb": "longtext", "sqlite": "text"},
    )
    config = tmp_path / "ids.yaml"
    kinds = [OF_A_KIND.replace("KIND", kind) for kind in KINDS]
    config.write_text(PIPELINE.replace("SOURCES", _sources()) + "".join(kinds), encoding="utf-8")

    report = run(config, environ)

    assert report["status"] == "success"
    found = _profiles(target.url)
    assert found.keys() == {*IDS, *PEOPLE}
    for n, text in enumerate([*IDS, *PEOPLE]):
        document = found[text]
        assert (document["user_id"], document["place"]) == (text, n)
        assert {kind: document[kind] for kind in KINDS} == {kind: {"n": n} for kind in KINDS}
    led: dict[str, list[int]] = {}
    for n, mail in enumerate(mails):
        led.setdefault(LED.get(mail, ""), []).append(n)
    for text, document in found.items():
        assert [document[f"{kind}_mails"] for kind in KINDS] == [led.get(text, [])] * 4, text
    expected = {
        (f"{kind}.{name}", str(n), reason)
        for kind in KINDS
        for name, texts, bad in (("ids", ids, UNFIT), ("mails", mails, ASKED))
        for n, text in enumerate(texts)
        if (reason := bad.get(text)) and held_by(kind, text)
    }
    expected |= {("mongodb.people", str(n), UNFIT[t]) for n, t in enumerate(ids) if t in UNFIT}
    told = {
        (group["dataset"], keys["n"], group["reason"]) for group, keys in quarantined_rows(tmp_path)
    }
    assert told == expected


B = 2**53
TYPED: dict[str, dict[str, list[tuple[Any, int | str]]]] = {
    "postgres": {
        "bigint": [(123, 123), (B, B), (B + 1, "integer_beyond_2_53"), (-7, -7), (None, "no_user_id")],
        "numeric(20,0)": [("123", 123), (str(B + 1), "integer_beyond_2_53"), (str(2**64), "integer_beyond_2_53")],
        "float8": [(123.0, 123), (123.5, "not_an_integer"), (float("nan"), "not_finite"), (None, "no_user_id")],
        "text": [("123", 123), ("0123", "not_an_integer"), ("123.0", "not_an_integer"), (" 123", "not_an_integer")],
        "char(8)": [("123", "not_an_integer")],
    },
    "mariadb": {
        "bigint unsigned": [(123, 123), (2**64 - 1, "integer_beyond_2_53"), (None, "no_user_id")],
        "double": [(123.0, 123), (123.25, "not_an_integer")],
        "varchar(20)": [("123", 123), ("123 ", "not_an_integer"), ("+123", "not_an_integer"), ("", "user_id_empty")],
        "char(8)": [("123", 123)],
    },
    "sqlite": {
        "integer": [(123, 123), (B + 1, "integer_beyond_2_53"), ("abc", "not_an_integer"), (None, "no_user_id")],
        "text": [("123", 123), ("1e2", "not_an_integer"), ("\u0661\u0662\u0663", "not_an_integer")],
    },
    "mongodb": {
        "": [
            (Int64(123), 123), (123.0, 123), ("123", 123), (Decimal128("123"), 123), ("0123", "unreadable"),
            (123.5, "unreadable"), (Int64(B + 1), "integer_beyond_2_53"), (None, "no_user_id"), (True, "unreadable"),
        ],
    },
}  # fmt: skip
EVERYBODY = [123, B, -7, 0, 12, 5]


def test_whole_numbers_as_ids_of_all_types(
    run: Run, stack: Stack, target: RedisServer, tmp_path: Path
) -> None:
    shelves, environ, lines = (
        [Shelf("sqlite", "people", "ident", [Row(n, n) for n in EVERYBODY])],
        {},
        [],
    )
    wanted: dict[str, list[tuple[int | str, int]]] = {}
    for kind, tables in TYPED.items():
        for place, (_, cases) in enumerate(tables.items()):
            name = f"t{place}"
            shelves.append(
                Shelf(kind, name, "ident", [Row(n, given) for n, (given, _) in enumerate(cases)])
            )
            wanted[f"{kind}.{name}"] = [(due, n) for n, (_, due) in enumerate(cases)]
            declared = "integer" if kind == "mongodb" else "{}"
            lines.append(
                f"  {kind}.{name}: {{user_id: ident, into: '{kind}_{name}[]', primary_key: n, order_by: n,"
                f" columns: {{n: integer, ident: {declared}}}, value: n}}\n"
            )
    types = {f"{k}.t{p}": t for k, tables in TYPED.items() for p, t in enumerate(tables)}
    environ = put(stack, tmp_path, "numbers", shelves, {**types, "sqlite.people": "integer"})
    config = tmp_path / "numbers.yaml"
    config.write_text(
        "profile: {name: numbers, anchor: sqlite.people, user_id: {type: integer}, buckets: 4}\n"
        f"guard: {{max_quarantined_share: 1}}\nsources:\n{_sources()}\ndatasets:\n"
        "  sqlite.people: {user_id: ident, into: ., columns: {ident: integer}, fields: {me: ident}}\n"
        + "".join(lines),
        encoding="utf-8",
    )

    assert run(config, environ)["status"] == "success"

    found = _profiles(target.url)
    assert found.keys() == set(map(str, EVERYBODY))
    told = {
        (group["dataset"], keys["n"]): group["reason"] for group, keys in quarantined_rows(tmp_path)
    }
    for dataset, cases in wanted.items():
        section = dataset.replace(".", "_")
        for user in EVERYBODY:
            assert found[str(user)][section] == [n for due, n in cases if due == user], (
                dataset,
                user,
            )
        bad = {n: due for due, n in cases if isinstance(due, str)}
        assert {n: told.pop((dataset, str(n)), None) for n in bad} == bad, dataset
    assert not told


def _sources() -> str:
    lines = [
        f'  {kind}: {{kind: {"mongodb" if kind == "mongodb" else "sql"}, url: "${{CORPUS_{kind.upper()}_URL}}"}}'
        for kind in KINDS
    ]
    return "\n".join(lines)


def _profiles(url: str) -> dict[str, dict[str, Any]]:
    """The profiles by their user id, as the key tells it."""
    found = {}
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for key in client.scan_iter(match="profile:*", count=1000):
            text = str(client.execute_command("JSON.GET", key))
            name = str(key).removeprefix("profile:")
            assert all(
                letter.isascii() and (letter.isalnum() or letter in "-_.~%") for letter in name
            )
            found[unquote(name)] = json.loads(text)
    return found
