"""What a load, a removal and the check after a load return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.records import LoadCounts


@dataclass
class Expected:
    """What Redis must hold of one bucket, by digest: enough for the check, without the bodies.

    The lists are parallel; None stands for a document that must not be there.
    """

    bucket: int
    epoch: int
    user_ids: list[str] = field(default_factory=list)
    profiles: list[str | None] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)

    def add(self, user_id: str, profile: str | None, credential: str | None) -> None:
        """Adds a user with the digests of both documents."""
        self.user_ids.append(user_id)
        self.profiles.append(profile)
        self.credentials.append(credential)

    def without(self, user_ids: Mapping[str, str]) -> Expected:
        """The same but for some users."""
        if not user_ids:
            return self
        rest = Expected(self.bucket, self.epoch)
        for user_id, *digests in zip(self.user_ids, self.profiles, self.credentials, strict=True):
            if user_id not in user_ids:
                rest.add(user_id, *digests)
        return rest


@dataclass(frozen=True)
class Loaded:
    """What became of a bucket.

    ``quarantined`` maps users whose documents could not be written to the reason: ``wrong_type``
    (a key holds something else than JSON), ``damaged`` (a user to hold, whose old document does
    not match its digest) or ``vanished`` (a document was deleted by someone else meanwhile).
    """

    counts: LoadCounts
    expected: Expected
    quarantined: Mapping[str, str]


@dataclass(frozen=True)
class Removed:
    """What became of users to remove: ``absent`` ones had no document but got their mark."""

    removed: int
    absent: int
    superseded: int
    quarantined: Mapping[str, str]


@dataclass
class Checked:
    """What the check after a load found: good is where ``findings`` is empty.

    ``users`` has what is wrong with whose documents; they are to be loaded again with
    ``rewrite``. ``superseded`` users hold documents of a newer run, which is good. ``missing``
    has the digests of documents that are not where they were written to.
    """

    users: dict[str, list[str]] = field(default_factory=dict)
    documents: int = 0
    superseded: int = 0
    missing: set[str] = field(default_factory=set)

    @property
    def findings(self) -> Counter[str]:
        """How many documents are wrong, by what is wrong."""
        return Counter(finding for findings in self.users.values() for finding in findings)

    @property
    def user_ids(self) -> set[str]:
        """The users with a wrong document."""
        return set(self.users)

    def __add__(self, other: Checked) -> Checked:
        return Checked(
            {**self.users, **other.users},
            self.documents + other.documents,
            self.superseded + other.superseded,
            self.missing | other.missing,
        )
