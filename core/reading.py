"""What an app must know of a pipeline file: the profile and the search index."""

from __future__ import annotations

from core.entries import Entry, Profile
from core.index import Index, IndexField


class Reading(Entry):
    """The parts of a pipeline file that reading needs."""

    profile: Profile
    index: Index | None = None

    @property
    def index_name(self) -> str:
        """The name of the search index in Redis."""
        given = self.index.name if self.index is not None else None
        return given or f"idx:{self.profile.name}"

    @property
    def index_prefix(self) -> str:
        """The start of the keys of the profiles."""
        given = self.index.prefix if self.index is not None else None
        return given or self.profile.key.partition("{")[0]

    def unique_field(self, name: str) -> IndexField | None:
        """The field of the index that tells users apart; None where there is no such one."""
        for field in self.index.fields if self.index is not None else ():
            if field.name == name and field.unique:
                return field
        return None
