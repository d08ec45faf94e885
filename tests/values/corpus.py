"""The corpus: more than 500 values that have broken pipelines, and what must come of each.

The expectations are written down by hand, from what JSON, SQL, BSON and the calendar say; nothing
of the product is asked.
"""

from __future__ import annotations

from tests.values import documents, figures, texts, times
from tests.values.value import Group

GROUPS: tuple[Group, ...] = (*texts.GROUPS, *figures.GROUPS, *times.GROUPS, *documents.GROUPS)


def distinct() -> int:
    """How many different values there are, each counted once for all kinds of sources."""
    return len({(group.name, repr(value.given)) for group in GROUPS for value in group.values})
