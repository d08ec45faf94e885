"""What PostgreSQL's ``COPY … (FORMAT csv)`` sends, as Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv as arrow_csv

from connectors.chunks import Message

_PARSE = arrow_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)


def parse(rows: list[Message], types: Sequence[pa.DataType]) -> list[pa.Array]:
    """The columns of some rows: an unquoted empty value is null, a quoted one empty text.

    Raises:
        pa.ArrowInvalid: the rows are not what COPY sends for these types.
    """
    names = [str(position) for position in range(len(types))]
    # Without a line of names first, a value that begins with U+FEFF would lose it as a BOM.
    data = b"".join([(",".join(names) + "\n").encode(), *rows])
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1),
        _PARSE,
        arrow_csv.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
        ),
    )
    if table.num_rows != len(rows):
        raise pa.ArrowInvalid("COPY sent another number of rows than was parsed")
    return [column.combine_chunks() for column in table.columns]
