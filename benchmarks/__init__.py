"""Measurements; nothing here is a test."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def measured_by(module: str, arguments: Sequence[str]) -> str:
    """The command whose figures a results file has, without where the file is (``--out``)."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--out")
    return " ".join(["python -m", module, *parser.parse_known_args(arguments)[1]])
