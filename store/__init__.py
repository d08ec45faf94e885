"""All that speaks Redis: keys, epochs, fences, the bucket writer and the check that reads back.

Imports ``core`` and the Redis driver, no sibling package and no Prefect.
"""
