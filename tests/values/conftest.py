"""The fixtures of the flows' tests: a Redis of the test's own, and flows in this process."""

from tests.flows.conftest import run, target

__all__ = ["run", "target"]
