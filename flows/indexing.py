"""Index: the search index is as the pipeline file says, and every profile can be found by it."""

from __future__ import annotations

from core.errors import IndexMissing, NotLoaded
from core.pipeline import Pipeline
from flows.run_context import RunContext
from flows.steps import advance
from store.client import Client, client_of
from store.index import ensure, rebuild
from store.index_schema import IndexSchema
from store.index_state import IndexState, problem, profiles_in, state_of


def note_on_index(client: Client, pipeline: Pipeline) -> str | None:
    """What a person should know of the search index before a run; None where all is well.

    Raises:
        TargetError: Redis has no search, though the pipeline file declares an index.
    """
    return None if pipeline.index is None else problem(client, IndexSchema(pipeline.reading))


def keep_index(run: RunContext) -> IndexState:
    """Makes the search index if it is missing or another, and counts what is in it.

    Raises:
        NotLoaded: there are profiles that can't be found by it.
        TargetUnfit: documents can't be indexed; the old index stays.
        TargetError: Redis can't do it.
    """
    done = 0.0

    def tell(share: float) -> None:
        nonlocal done
        advance("index", max(0.0, share - done))
        done = max(done, share)

    schema = IndexSchema(run.plan.pipeline.reading)
    with client_of(run.redis_url, run.timeouts) as client:
        found = ensure(client, run.keys, schema, tell)
    if found.missing:
        raise NotLoaded({"not_indexed": found.missing})
    return found


def not_indexed(run: RunContext) -> int:
    """How many profiles the search index does not have; none where no index is declared.

    Raises:
        TargetError: Redis can't be asked.
    """
    if run.plan.pipeline.index is None:
        return 0
    schema = IndexSchema(run.plan.pipeline.reading)
    with client_of(run.redis_url, run.timeouts) as client:
        try:
            return state_of(client, schema).missing
        except IndexMissing:
            return profiles_in(client, schema.prefix)


def index_anew(run: RunContext) -> None:
    """Makes the search index anew beside the old one, and switches to it.

    Raises:
        TargetUnfit: documents can't be indexed; the old index stays.
        TargetError: Redis can't do it.
    """
    with client_of(run.redis_url, run.timeouts) as client:
        rebuild(client, run.keys, IndexSchema(run.plan.pipeline.reading))
