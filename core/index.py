"""What a pipeline file says of the search index, spelled as RedisVL does."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from core.entries import Entry

FieldType = Literal["text", "tag", "numeric", "geo"]

_STEP = re.compile(r"(?P<name>[^\W\d][\w-]*)(?P<each>\[\*\])?\Z")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Step(NamedTuple):
    """One step of a path in a profile: a name, and whether all elements of the list are meant."""

    name: str
    each: bool = False


Path = tuple[Step, ...]


def parse_path(text: str) -> Path:
    """The steps of a path such as ``identity.email`` or ``$.wish_list[*].category``.

    Raises:
        ValueError: for anything else.
    """
    steps = []
    for part in text.removeprefix("$.").split("."):
        found = _STEP.match(part)
        if not found:
            raise ValueError(
                f"{text!r} is no path; write names with dots between, and [*] for all elements "
                "of a list, as in $.wish_list[*].category"
            )
        steps.append(Step(found["name"], found["each"] is not None))
    return tuple(steps)


def json_path(path: Path) -> str:
    """A path as Redis reads it."""
    steps = [
        (f".{step.name}" if _PLAIN.match(step.name) else f'["{step.name}"]')
        + ("[*]" if step.each else "")
        for step in path
    ]
    return "$" + "".join(steps)


class IndexAttrs(Entry):
    """How a field is indexed; each key is RedisVL's."""

    case_sensitive: bool = Field(
        False, description="For `tag`: `Ada` and `ADA` differ. Without it ASCII letters are alike."
    )
    separator: str | None = Field(
        None,
        min_length=1,
        max_length=1,
        description="For `tag`: a sign that divides one text into several tags.",
    )
    withsuffixtrie: bool = Field(
        False, description="For `tag` and `text`: makes searches for the end or middle fast."
    )
    no_stem: bool = Field(False, description="For `text`: words count as they are written.")
    weight: float | None = Field(None, gt=0, description="For `text`: how much a hit counts.")
    phonetic_matcher: Literal["dm:en", "dm:fr", "dm:pt", "dm:es"] | None = Field(
        None, description="For `text`: also find what sounds alike."
    )
    sortable: bool = Field(False, description="Results can be sorted by it; needs memory.")
    unf: bool = Field(False, description="With `sortable`: sort by the text as it is written.")
    no_index: bool = Field(False, description="Only to sort by or to show, not to search.")
    index_empty: bool = Field(False, description="For `tag` and `text`: find empty texts.")
    index_missing: bool = Field(False, description="Find profiles that lack the field.")


class IndexField(Entry):
    """A field that can be searched."""

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Its name in queries: `@name:{…}`."
    )
    type: FieldType = Field(description="How it is searched.")
    path: str | None = Field(
        None,
        description="Where it stands in the profile, as in `$.identity.email` or "
        "`$.wish_list[*].category`; default: the field's name, at the top.",
    )
    unique: bool = Field(
        False, description="For `tag`: the app's reader may look a user up by it, see `Reader.by`."
    )
    attrs: IndexAttrs = Field(default_factory=IndexAttrs, description="More about the field.")

    @field_validator("path")
    @classmethod
    def _parses(cls, given: str | None) -> str | None:
        if given is not None:
            parse_path(given)
        return given

    @property
    def steps(self) -> Path:
        """The path, taken apart."""
        return parse_path(self.path or self.name)


class Index(Entry):
    """The search index over the profiles."""

    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.:-]+$",
        description="Its name in Redis, an alias; default: `idx:` and the profile's name.",
    )
    prefix: str | None = Field(
        None, description="The start of the profiles' keys; default: as in the profile's `key`."
    )
    storage_type: Literal["json"] = Field("json", description="Profiles are JSON documents.")
    fields: tuple[IndexField, ...] = Field(min_length=1, description="What can be searched.")
