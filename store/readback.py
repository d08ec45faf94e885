"""The check after a load: every document of a bucket is read back whole and hashed again."""

from __future__ import annotations
