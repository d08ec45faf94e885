"""The grammar of ``into``: where in the profile a dataset's rows go.

``.``                            the profile itself
``identity``                     an object
``products.loans[]``             a list inside an object
``accounts[account_id].loans[]`` a list inside the elements of another list, matched by key
``accounts[nr=account_nr]``      the elements themselves, where the names of the keys differ
``accounts[].cards[card_id].x[]`` any account of the user that has the card
``accounts[account_id].cards[nr].x[]`` the card of this number in this account
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEGMENT = re.compile(r"(?P<name>[A-Za-z_][\w-]*)(?P<list>\[(?P<keys>[^\]]*)\])?\Z")
_KEY = re.compile(r"(?P<parent>[\w.]+)(=(?P<child>[\w.]+))?\Z")


@dataclass(frozen=True)
class Match:
    """One pair of key names: a field of the list's elements, a column of the dataset."""

    element: str
    column: str


@dataclass(frozen=True)
class Segment:
    """One step of the path; ``matches`` is empty for an object and for a plain ``[]``."""

    name: str
    is_list: bool
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True)
class Into:
    """A parsed ``into``."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def is_list(self) -> bool:
        """Whether each row becomes an element of a list (rather than fields of an object)."""
        return bool(self.segments) and self.segments[-1].is_list and not self.segments[-1].matches

    @property
    def depth(self) -> int:
        """A number that is higher than that of every list around this place."""
        return 2 * sum(segment.is_list for segment in self.segments) - self.is_list

    @property
    def keys_around(self) -> dict[str, str]:
        """The columns with the keys of all lists around, by list and key: ``accounts[nr]``."""
        keys: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            path = ".".join(outer.name for outer in self.segments[: position + 1])
            keys |= {f"{path}[{match.element}]": match.column for match in segment.matches}
        return keys

    @property
    def matches(self) -> tuple[Match, ...]:
        """How the element around is found: by its own keys, and by those of the lists around it.

        The latter stand as in ``keys_around``. Empty for a place that is in no list.
        """
        inner = next((s.matches for s in reversed(self.segments) if s.matches), ())
        outer = list(self.keys_around.items())[: len(self.keys_around) - len(inner)]
        return (*(Match(key, column) for key, column in outer), *inner)


def parse_into(text: str) -> Into:
    """The parsed form of an ``into``.

    Raises:
        ValueError: where the text does not follow the grammar above.
    """
    if text == ".":
        return Into(text, ())
    segments = tuple(_segment(part, text) for part in re.split(r"\.(?![^\[]*\])", text))
    last_list = max((i for i, s in enumerate(segments) if s.is_list), default=None)
    for position, segment in enumerate(segments):
        if segment.is_list and not segment.matches and position != len(segments) - 1:
            inner = [s for s in segments[position + 1 :] if s.matches]
            if not inner:
                raise ValueError(
                    f"{text!r}: say which element of {segment.name!r} a row belongs to, "
                    f"as in {segment.name}[account_id].{segments[position + 1].name}"
                )
    if last_list is not None and last_list < len(segments) - 1 and not segments[last_list].matches:
        raise ValueError(f"{text!r}: the innermost list needs a key in its brackets")
    return Into(text, segments)


def _segment(part: str, text: str) -> Segment:
    found = _SEGMENT.match(part)
    if not found:
        raise ValueError(
            f"{text!r}: {part!r} is no place; write a name, name[] for a list, "
            "or name[key] for the elements of a list"
        )
    keys = found["keys"] or ""
    matches = []
    for key in filter(None, (k.strip() for k in keys.split(","))):
        pair = _KEY.match(key)
        if not pair:
            raise ValueError(f"{text!r}: {key!r} is no key; write field, or field=column")
        matches.append(Match(pair["parent"], pair["child"] or pair["parent"]))
    return Segment(found["name"], found["list"] is not None, tuple(matches))
