"""The extracted rows on disk, in columns, divided into partitions. Imports only core."""
