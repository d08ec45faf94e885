"""The ``prefetch`` commands, and how they speak to people: options, bars, tables, masks."""
