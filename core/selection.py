"""Which users a run is about: everyone, or those that a backfill selects."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_KINDS = ("users", "users_file", "link", "buckets", "source", "changed_since", "quarantine")


def _in_utc(given: datetime) -> datetime:
    if given.tzinfo is None:
        raise ValueError("say the zone, as in 2024-05-31T20:00:00Z")
    return given.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_in_utc)]


class Selection(BaseModel):
    """The users to load again: exactly one way to say which. Without any: everyone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: tuple[str, ...] = Field(
        (), description="User ids, as they stand in the profiles: `1042`.", examples=[["1042", "7"]]
    )
    users_file: Path | None = Field(
        None,
        description="A file with one user id a line, as seen from the worker: `ids.txt`.",
        examples=["ids.txt"],
    )
    link: str | None = Field(
        None,
        description="A link of the pipeline file, as `account_owner`; `link_keys` has its keys.",
        examples=["account_owner"],
    )
    link_keys: tuple[str, ...] = Field(
        (), description="Keys of the link, as `A-12`: all users they lead to.", examples=[["A-12"]]
    )
    buckets: tuple[int, ...] = Field(
        (), description="Whole buckets, by number: `0`.", examples=[[0, 1]]
    )
    source: str | None = Field(
        None,
        description="A source, as `cards`: all users that have rows in it.",
        examples=["cards"],
    )
    changed_since: Instant | None = Field(
        None,
        description="All users with rows that changed since then (by the datasets' `cursor`): "
        "`2024-05-31T20:00:00Z`.",
        examples=["2024-05-31T20:00:00Z"],
    )
    changed_until: Instant | None = Field(
        None, description="With `changed_since`: before then; default: the snapshot's time."
    )

    quarantine: str | None = Field(
        None,
        description="A run: all users of the rows that it put in quarantine, as far as their keys "
        "are kept on the worker: `4f0c1d2e`.",
        examples=["4f0c1d2e"],
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = self._given
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: select users in one way only")
        if bool(self.link_keys) != (self.link is not None):
            raise ValueError("`link` and `link_keys` go together")
        if self.changed_until is not None:
            if self.changed_since is None:
                raise ValueError("`changed_until` goes with `changed_since`")
            if self.changed_until <= self.changed_since:
                raise ValueError("`changed_until` must be later than `changed_since`")
        return self

    @property
    def _given(self) -> list[str]:
        return [kind for kind in _KINDS if getattr(self, kind) not in (None, ())]

    @property
    def everyone(self) -> bool:
        """Whether nobody is left out."""
        return not self._given

    def __str__(self) -> str:
        if self.users:
            return f"{len(self.users):,} user{'s' * (len(self.users) != 1)}"
        if self.link is not None:
            return f"{len(self.link_keys):,} key{'s' * (len(self.link_keys) != 1)} of {self.link}"
        if self.buckets:
            several = "s" * (len(self.buckets) != 1)
            return f"bucket{several} {', '.join(map(str, self.buckets))}"
        if self.changed_since is not None:
            until = f" until {self.changed_until:%Y-%m-%d %H:%M}" if self.changed_until else ""
            return f"changed since {self.changed_since:%Y-%m-%d %H:%M}{until}"
        if self.source is not None:
            return f"users of {self.source}"
        if self.quarantine is not None:
            return f"quarantine of {self.quarantine[:8]}"
        return "everyone" if self.users_file is None else f"users of {self.users_file.name}"


EVERYONE = Selection()
