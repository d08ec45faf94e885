"""What a connector is: the contract between the sources and the rest.

**Delivered forms.** A connector judges no value. It delivers each one exactly, in an Arrow type
that can hold it, else as text; ``transforms.casts`` decides what is fit for a profile. The Arrow
type follows from what the *source* holds: a column declared ``date`` over a text column arrives as
that text.

================ =========================================================================
kind             Arrow type in the frame
================ =========================================================================
integer          int64; string (decimal digits) where the column may hold more
number           float64, NaN and infinities kept; string where the column may hold text too
decimal          string, as the source prints it (``NaN``, ``1E+3`` included)
boolean          bool
date             string in ISO form (date32 is allowed)
timestamp        string in ISO form, with an offset where the source knows the instant; a space
                 or a ``T`` between date and time (timestamp[us], timestamp[us, UTC] are allowed)
time             string, ``HH:MM:SS[.ffffff][offset]``
string, uuid,    string
objectid,
password_hash
binary           binary
json, array      string: JSON text. Dates, object ids and the decimals of arrays are JSON
                 strings in it, binary is base64; numbers inside JSON keep all their digits
================ =========================================================================

Dates and timestamps stay text because ``infinity``, ``0044-03-15 BC``, ``10000-01-01`` and
``0000-00-00`` are in real tables, and Arrow types can't hold them.

A frame has the query's columns in order, then ``core.records.BAD_COLUMN`` (string: the first
column of the row whose value can't be delivered at all, such as bytes that are no UTF-8; null
where all is well; the value itself is null), then for queries with ``unnest`` the boolean column
``core.records.EMPTY``, and for sources without fixed columns one boolean column
``core.records.ABSENT + name`` a column, true where the document lacks the field.
A frame's attribute ``core.records.CANONICAL`` names the columns whose JSON text orjson printed
(without spaces, each key once, numbers in their shortest form): they need not be parsed again.
All chunks of one query have the same columns and Arrow types; a query without rows has no chunks.

**Paths.** A column of exactly the path's name comes first; else the part before the first dot is
a column of JSON (a field), and the rest leads into its documents. What stands there arrives as its
text (a string without quotes, a number with all its digits), an object or array as JSON text, and
as JSON text in any case where ``json`` or an array is declared. JSON's null, and a path that
leads nowhere, are null.

**Filters** (``Query.keys``, ``Query.changed``) promise that no row is missed, never that no other
comes. A connector hands its source what the source can judge by an index; a filter that it can't
judge it leaves out, and reads all rows. Values that the column's type can't hold are left out; a
filter without values reads no row. The values are those of the column as ``transforms.casts``
makes it: the connector knows which texts become an integer, a uuid or an object id. It does not
know a column's ``trim`` and ``case``, a user id's ``trim``, ``case`` and type, nor what a hook
does: whoever asks says ``loose`` for the former, and does not ask for the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Protocol

import pandas as pd

from core.pipeline import Source
from core.records import EMPTY, Consistency, Query
from core.values import ColumnType

__all__ = ["EMPTY", "Connector", "Factory"]


class Connector(Protocol):
    """A read-only view of one source, used by one thread at a time.

    Order of calls: ``open``, then any of ``describe`` and ``read``, then ``close`` (always, also
    after an error; more than once does no harm). Errors are those of ``core.errors``: they name
    the source and the dataset, never a value.
    """

    @property
    def consistency(self) -> Consistency:
        """``snapshot`` where all reads from ``open`` to ``close`` see one state.

        Known once the connector is open.
        """
        ...

    def open(self) -> datetime:
        """Connects and opens the snapshot; gives the source's time (UTC) of what will be read.

        Raises:
            SourceUnavailable, SourceDenied: where that fails.
        """
        ...

    def describe(self, query: Query) -> Mapping[str, ColumnType]:
        """The type of each column of the query, by name: the declared one, else the source's.

        Raises:
            SourceDrift: the relation or a column is not there (all that are missing are named).
            SourceDenied: no grant on it.
        """
        ...

    def read(self, query: Query, chunk_bytes: int) -> Iterator[pd.DataFrame]:
        """All rows of the query as Arrow-backed frames of about ``chunk_bytes`` each.

        The server's cursor is closed on every way out of the iterator.

        Raises:
            SourceUnavailable: the source went away; what was delivered is not all of it.
            SourceConflict: the snapshot is gone.
            SourceDrift, SourceDenied: as in ``describe``.
        """
        ...

    def close(self) -> None:
        """Ends the snapshot and the connection."""
        ...


Factory = Callable[[str, Source], Connector]
"""Makes a connector from a source's name and its entry in the pipeline file."""
