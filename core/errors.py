"""All errors of profile-prefetch, grouped by what the caller does next.

PrefetchError
├── ConfigError         fix the pipeline file, a setting or an argument
├── SourceError         a product line can't be read
│   ├── SourceUnavailable   again later: it is down, slow or was cut off
│   ├── SourceConflict      again with a new snapshot, under a new epoch
│   ├── SourceDenied        a grant or a password is wrong
│   └── SourceDrift         the source lacks what the pipeline file names
├── TargetError         Redis can't take the profiles
│   ├── TargetUnavailable   again later
│   ├── TargetDenied        a permission or a password is wrong
│   ├── TargetUnfit         not a primary with JSON, noeviction and enough memory
│   ├── IndexMissing        there is no search index: create it
│   └── FenceLost           another writer holds the bucket: this one stops
├── ReadError           a profile can't be given to the app that asks for it
│   ├── UnknownUser         there is no profile of this user
│   ├── AmbiguousLogin      several users have the value that should tell one
│   └── UnfitProfile        the profile is damaged, another user's, or of an unknown version
├── GuardStopped        the extracted rows look wrong: nothing was written
├── NotLoaded           Redis does not equal the stage after the load
├── Corrupt             verify found documents that are wrong
├── StageError          the disk of the stage is full, or a stage file is damaged
├── Stopped             somebody cancelled the run: what it wrote is whole, run again
└── Unexpected          a mistake of ours: tell it with the place

Messages name places (source, dataset, column, bucket), never values of rows and never secrets.
Every error pickles: raw fields go to ``super().__init__``, ``__str__`` formats.
"""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary, extract_tb
from typing import ClassVar, Self

from core.refusal import Refusal


class PrefetchError(Exception):
    """The root. ``exit_code`` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1
    report: dict[str, object] | None = None


class ConfigError(PrefetchError):
    """The pipeline file, a setting or an argument is wrong; holds every problem found."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: tuple[str, ...] | list[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class SourceError(PrefetchError):
    """A source can't be read."""

    exit_code: ClassVar[int] = 3

    def __init__(self, source: str, problem: str, dataset: str | None = None) -> None:
        self.source, self.problem, self.dataset = source, problem, dataset
        super().__init__(source, problem, dataset)

    def __str__(self) -> str:
        place = f"source {self.source}" + (f", dataset {self.dataset}" if self.dataset else "")
        return f"{place}: {self.problem}"


class SourceUnavailable(SourceError):
    """The source is down, slow, or was cut off while it was read."""


class SourceConflict(SourceError):
    """The snapshot is gone (SQLSTATE 40001 and its like): extract again under a new epoch."""


class SourceDenied(SourceError):
    """Wrong password, or no grant on what the pipeline file names."""


class SourceDrift(SourceError):
    """A table, collection or column that the pipeline file names is not there."""


class TargetError(PrefetchError):
    """Redis can't take the profiles."""

    exit_code: ClassVar[int] = 4

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"redis: {self.problem}"


class TargetUnavailable(TargetError):
    """Redis did not answer, or is loading, busy or failing over."""


class TargetDenied(TargetError):
    """Wrong user or password, or a command that the user may not run."""


class TargetUnfit(TargetError):
    """Not a primary with JSON, ``noeviction`` and enough memory."""


class IndexMissing(TargetError):
    """There is no search index of this name."""


class FenceLost(TargetError):
    """Another writer took the bucket, or a newer run has completed it: this writer must stop."""

    exit_code: ClassVar[int] = 7


class ReadError(PrefetchError):
    """A profile can't be given to the app that asks for it; Redis is well."""


class UnknownUser(ReadError):
    """There is no profile of this user."""

    def __str__(self) -> str:
        return "there is no profile of this user"


class AmbiguousLogin(ReadError):
    """Several users have the value that should tell one; none of them is given."""

    def __init__(self, field: str) -> None:
        self.field = field
        super().__init__(field)

    def __str__(self) -> str:
        return f"several users have this {self.field}: none of them is given"


class UnfitProfile(ReadError):
    """A stored profile that must not be used, and why."""

    def __init__(self, reason: Refusal) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the profile can't be used: {self.reason.text}"


class GuardStopped(PrefetchError):
    """The guard found the extracted rows implausible; nothing was written."""

    exit_code: ClassVar[int] = 5

    def __init__(self, findings: tuple[str, ...] | list[str]) -> None:
        self.findings = tuple(findings)
        super().__init__(self.findings)

    def __str__(self) -> str:
        return "the guard stopped the run before the first write: " + "; ".join(self.findings)


class NotLoaded(PrefetchError):
    """Redis does not equal the stage after the load: the run did not succeed."""

    exit_code: ClassVar[int] = 6

    def __init__(self, findings: dict[str, int]) -> None:
        self.findings = findings
        super().__init__(findings)

    def __str__(self) -> str:
        return f"{self.problem}, each time: run again"

    @property
    def problem(self) -> str:
        """What was found, without what to do about it."""
        found = ", ".join(f"{count} {what}" for what, count in sorted(self.findings.items()))
        return f"the check after the load found that Redis differs from the stage ({found})"


class Corrupt(PrefetchError):
    """Documents in Redis are wrong, whatever the sources say now."""

    exit_code: ClassVar[int] = 9

    def __init__(self, findings: dict[str, int]) -> None:
        self.findings = findings
        super().__init__(findings)

    def __str__(self) -> str:
        found = ", ".join(f"{count} {what}" for what, count in sorted(self.findings.items()))
        return f"documents in Redis are corrupt ({found}): repair them with verify --repair"


class StageError(PrefetchError):
    """The stage can't be written or read: disk full, or a file damaged or missing."""

    exit_code: ClassVar[int] = 8

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return f"stage: {self.problem}"


class Stopped(PrefetchError):
    """Somebody cancelled the run; what it has written is whole."""

    def __str__(self) -> str:
        return "the run was stopped from outside; what it wrote is whole: run it again"


def _place(frame: FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno}"


class Unexpected(PrefetchError):
    """An error that none of ours foresaw: its kind and its place, as its text may hold values."""

    def __init__(self, kind: str, place: str) -> None:
        self.kind, self.place = kind, place
        super().__init__(kind, place)

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """What may be told of an error."""
        frames = extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "site-packages" not in frame.filename]
        # Where it happened and, if that is in a library, where that was called.
        told = dict.fromkeys(_place(part[-1]) for part in (frames, ours) if part)
        return cls(type(error).__name__, " in ".join(told) or "?")

    def __str__(self) -> str:
        return f"unexpected {self.kind} at {self.place}"
