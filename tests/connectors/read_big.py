"""Reads the table ``big`` in chunks of 1 MiB; writes rows, chunks and how many MiB it grew by."""

import resource
import sys

from connectors.registry import connector
from core.pipeline import Source
from core.records import Query, QueryColumn
from core.values import ColumnType

source = Source.model_validate({"kind": sys.argv[1], "url": sys.argv[2]})
columns = (
    QueryColumn("id", "id", ColumnType("integer")),
    QueryColumn("text", "text", ColumnType("string")),
)
opened = connector("bank", source)
opened.open()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = chunks = 0
for frame in opened.read(Query("bank.big", "big", columns), 1 << 20):
    rows, chunks = rows + len(frame), chunks + 1
opened.close()
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
sys.stdout.write(f"{rows} {chunks} {grown // 1024}\n")
