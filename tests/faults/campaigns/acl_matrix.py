"""Every command of a Redis tried as every user, and every way to a password hash that we know."""

from __future__ import annotations

from tests.faults.campaign import Ground, Outcome
from tests.security import attempts, grants, matrix

NAME = "acl_matrix"
TITLE = "ACL: every command × every user"
TRIALS = 1


def run(trials: int, seed: int, ground: Ground) -> Outcome:
    """The whole matrix, ``trials`` times; each question and each try is a trial."""
    outcome = Outcome()
    for _ in range(trials):
        with matrix.server(ground.new_folder("redis")) as server:
            attempts.prepare(server.url)
            found = matrix.measured(server.url)
            ways = attempts.watched(server.url)
        outcome.trials += found.tried + sum(tries.made for tries in ways.values())
        outcome.bitten = outcome.trials
        for text in matrix.differences(found):
            outcome.violated("differences", text)
        for tries in ways.values():
            for text in tries.seen:
                outcome.violated("leaked", text)
        outcome.notes = {
            "commands": found.commands,
            "users": len(grants.redis_users()),
            "refused": found.refused + sum(tries.refused for tries in ways.values()),
            "ways_to_a_hash": {user: tries.made for user, tries in ways.items()},
        }
    return outcome
