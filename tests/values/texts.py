"""Texts, bytes, and ids of fixed builds: what arrives to the letter, and what can't arrive."""

from __future__ import annotations

from base64 import b64encode
from uuid import UUID

from bson import Binary, ObjectId

from tests.values.value import Group, Raw, Sql, as_given, refused, text, to

ANY = {"postgres": "text", "mariadb": "longtext", "sqlite": "text", "mongodb": ""}
NUL_KINDS = ("mariadb", "sqlite", "mongodb")  # PostgreSQL has no text with U+0000

CONTROLS = [f"a{chr(code)}b" for code in (*range(1, 32), *range(127, 160))]
SPACES = [
    "",
    " ",
    "  a  ",
    "a ",
    " a",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "a\nb",
    "a\r\nb",
    "\n\n",
    "\u3000a\u00a0",
]
WORDS = [
    *(
        "NULL",
        "null",
        "None",
        "NaN",
        "nan",
        "Infinity",
        "true",
        "false",
        "undefined",
        "N/A",
        "-",
        ".",
    ),
    *(
        "0",
        "00123",
        "123",
        "123.0",
        "1e5",
        "-0",
        "+1",
        "9007199254740993",
        "0x10",
        "1,234.50",
        "\u0661\u0662",
    ),
    *("2024-01-31", "0000-00-00", "infinity", "24:00", "12:00:00+02"),
]
MARKS = [
    *(
        '"',
        '""',
        "'",
        "''",
        "\\",
        "\\\\",
        "\\N",
        "\\.",
        "\\n",
        "a,b",
        ";",
        "|",
        "`",
        "$",
        "$$",
        "%",
        "%s",
    ),
    *(
        "%(x)s",
        "{}",
        "{0}",
        "${HOME}",
        "[x]",
        "{a}b",
        "*",
        "?",
        "<script>alert(1)</script>",
        "&amp;",
    ),
    *("'; DROP TABLE client; --", "*1\r\n$8\r\nFLUSHALL\r\n", "+OK\r\n", "$-1\r\n", "x\r\nDEL y"),
    *(
        "\x1b[31mred\x1b[0m",
        '{"a":1}',
        "[1,2]",
        '"quoted"',
        "\\u0041",
        "\\u0000",
        "\\x00",
        "@@__bad",
    ),
]
UNICODE = [
    *(
        "\ufeffbom",
        "in\ufeffside",
        "\ufeff",
        "\u2028",
        "\u2029",
        "\ufffd",
        "\ufffe",
        "\uffff",
        "\ufdd0",
    ),
    *(
        "\ue000",
        "\U0010ffff",
        "\U0001f600",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f1e9\U0001f1ea",
    ),
    *(
        "\u00e9",
        "e\u0301",
        "E\u0301",
        "\u00c9",
        "\u1e9e",
        "\u00df",
        "\ufb01",
        "\u212a",
        "\u212b",
        "\u00c5",
    ),
    *("I", "i", "\u0130", "\u0131", "i\u0307", "I\u0307", "\u01c5", "\u03a3", "\u03c2", "\u03c3"),
    *(
        "\u05d0\u05d1\u05d2",
        "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
        "\u202eabc\u202c",
        "\u200b",
        "\u200d",
    ),
    *(
        "\u00ad",
        "\u4e2d\u6587",
        "\u65e5\u672c\u8a9e",
        "\ud55c\uad6d\uc5b4",
        "\u1112\u1161\u11ab",
        "\U00020000",
    ),
    *(
        "Z\u0351\u0343\u0346a\u0334\u0323l",
        "\u0915\u094d\u0937",
        "\u0e01\u0e33",
        "\U0001d4b3",
        "\ua9c5",
        "\U000e0001",
    ),
]
LONG = [
    "x" * 70_000,
    "\u00e9" * 40_000,
    "\U0001f600" * 20_000,
    'ab\n"\\' * 50_000,
    "y" * 5_000_000,
    "word " * 60_000,
]
TOO_WIDE = ["\ud800", "a\udfffb"]
"""Halves of surrogate pairs: no UTF-8, but some databases hold their bytes."""


def _bytes_of(surrogate: str) -> bytes:
    return surrogate.encode("utf-8", "surrogatepass")


NOT_UTF8 = [
    *(
        b"\xff",
        b"\xfe\xff",
        b"a\xffb",
        b"\xc3",
        b"\xc3\x28",
        b"\xe2\x82",
        b"\xf0\x28\x8c\x28",
        b"\x80",
    ),
    *(
        b"\xc0\x80",
        b"\xe0\x80\xaf",
        b"\xf5\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"M\xfcller",
        b"\xa4",
    ),
    *map(_bytes_of, TOO_WIDE),
]
BYTES = [
    b"",
    b"\x00",
    b"\xff\xfe",
    bytes(range(256)),
    b"\x89PNG\r\n\x1a\n",
    b"\x00" * 1000,
    b"abc",
    b"\xff" * 70_000,
]
BLOBS = {"postgres": "bytea", "mariadb": "longblob", "sqlite": "blob", "mongodb": ""}

U = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
UUID_SPELLINGS = [
    U, U.upper(), U.replace("-", ""), f"{{{U}}}", f"urn:uuid:{U}", f"URN:UUID:{U.upper()}", U.replace("-", "", 1),
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
]  # fmt: skip
NO_UUIDS = [
    *("", "no uuid", U[:-1], U + "0", f"{{{U}", f"{U}}}", f" {U}", U.replace("3", "g"), f"({U})"),
    *(U.replace("-", "_"), f"urn:{U}", U.replace("-", "\u2010")),
]
OBJECT = "65a1b2c3d4e5f60718293a4b"


def _canonical(spelling: str) -> str:
    digits = spelling.lower().removeprefix("urn:uuid:").strip("{}").replace("-", "")
    return text("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


GROUPS = (
    Group(
        "text",
        "{type: string}",
        ANY,
        (
            *as_given(*SPACES, *WORDS, *MARKS, *UNICODE, *LONG, *CONTROLS),
            *refused("nul_character", "\0", "a\0b", "\0a", "a\0", only=NUL_KINDS),
            *refused("unreadable", *map(Raw, NOT_UTF8), only=("mongodb",)),
            *refused(
                "unreadable",
                *(Sql(f"CAST(x'{raw.hex()}' AS TEXT)") for raw in NOT_UTF8),
                only=("sqlite",),
            ),
        ),
    ),
    Group(
        # A database without an encoding of its own takes any bytes.
        "ascii_text",
        "{type: string}",
        {"sql_ascii": "text"},
        (
            *as_given("plain", "", "\u00e9", "\U0001f600", "a\nb", only=("sql_ascii",)),
            *refused(
                "unreadable",
                *(Sql(f"convert_from('\\x{raw.hex()}', 'SQL_ASCII')") for raw in NOT_UTF8),
                only=("sql_ascii",),
            ),
        ),
    ),
    Group(
        "latin_text",
        "{type: string}",
        {"mariadb": "varchar(99) CHARACTER SET latin1"},
        tuple(as_given("\u00e9", "M\u00fcller", "", "a ", "\u20ac", "plain")),
    ),
    Group(
        "narrow_text",
        "{type: string}",
        {"mariadb": "varchar(99) CHARACTER SET utf8mb3", "postgres": "varchar(99)"},
        tuple(as_given("\u00e9", "\u4e2d\u6587", "a ", " a", "")),
    ),
    Group(
        "padded_text",
        "{type: string}",
        {"postgres": "char(5)", "mariadb": "char(5)"},
        (
            *to({"Ab": '"Ab   "', "": '"     "', "Ab  x": '"Ab  x"'}, only=("postgres",)),
            *to({"Ab": '"Ab"', "": '""', "Ab  x": '"Ab  x"'}, only=("mariadb",)),
        ),
    ),
    Group(
        "bytes_as_text",
        "{type: string}",
        BLOBS,
        (
            *to(
                {b"": '""', "M\u00fcller".encode(): '"M\u00fcller"', b" a\n": '" a\\n"'},
                only=("postgres", "mariadb", "sqlite"),
            ),
            *refused("unreadable", *NOT_UTF8),
            *refused("unreadable", b"abc", only=("mongodb",)),
            *refused("nul_character", b"a\0b", only=("postgres", "mariadb", "sqlite")),
        ),
    ),
    Group(
        "binary",
        "{type: binary}",
        BLOBS,
        (
            *to({raw: text(b64encode(raw).decode()) for raw in BYTES}),
            *to({Binary(b"ab", 5): '"YWI="'}, only=("mongodb",)),
            *refused("unreadable", "text", 5, only=("mongodb",)),
        ),
    ),
    Group(
        "uuid_text",
        "{type: uuid}",
        ANY,
        (
            *to({spelling: _canonical(spelling) for spelling in UUID_SPELLINGS}),
            *to({UUID(U): text(U)}, only=("mongodb",)),
            *refused("not_a_uuid", *NO_UUIDS),
            *refused("not_a_uuid", "\0", only=NUL_KINDS),
        ),
    ),
    Group(
        "uuid",
        "{type: uuid}",
        {"postgres": "uuid", "mariadb": "uuid"},
        tuple(to({U: text(U), U.upper(): text(U), "0" * 32: text(str(UUID(int=0)))})),
    ),
    Group(
        "objectid",
        "{type: objectid}",
        ANY,
        (
            *to({OBJECT: text(OBJECT), OBJECT.upper(): text(OBJECT), "0" * 24: text("0" * 24)}),
            *to({ObjectId(OBJECT): text(OBJECT)}, only=("mongodb",)),
            *refused("not_an_objectid", "", OBJECT[:-1], OBJECT + "0", f"{OBJECT} ", OBJECT.replace("6", "g", 1)),
        ),
    ),
    Group(
        "printed",
        "{}",
        {"postgres": "inet"},
        tuple(to({"10.0.0.1": '"10.0.0.1"', "::1/64": '"::1/64"'})),
    ),
    Group(
        "money",
        "{type: string}",
        {"postgres": "money"},
        tuple(to({"1234.5": '"$1,234.50"', "-0.01": '"-$0.01"'})),
    ),
    Group(
        "folded",
        "{type: string, trim: true, case: lower, null_values: ['n/a', '-']}",
        ANY,
        tuple(
            to(
                {
                    " Ada@Example.COM ": '"ada@example.com"', "N/A": "null", " - ": "null", "--": '"--"',
                    "\u0130": '"i\u0307"', "I": '"i"', "\u00c9": '"\u00e9"', "\u3000x\u00a0": '"x"', "": '""',
                }
            )
        ),
    ),
)  # fmt: skip
