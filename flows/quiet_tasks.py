"""Tasks whose parameters Prefect does not look into.

It looks for results of other tasks, in the whole plan of a pipeline: 0.1 s a task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.annotations import quote

from core.errors import TargetUnavailable

P = ParamSpec("P")
R = TypeVar("R")


class QuietTask(Task[P, R]):
    """A task that gets what it is called with unseen."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result for some parameters."""
        return super().__call__(*map(quote, args), **_quoted(kwargs))


def quiet(name: str) -> Callable[[Callable[P, R]], QuietTask[P, R]]:
    """Makes a function a task whose runs have this name."""

    def made(function: Callable[P, R]) -> QuietTask[P, R]:
        return QuietTask(function, task_run_name=name, cache_policy=NO_CACHE)

    return made


def patient(name: str) -> Callable[[Callable[P, R]], QuietTask[P, R]]:
    """The same for what is repeated while Redis is away."""

    def made(function: Callable[P, R]) -> QuietTask[P, R]:
        return QuietTask(
            function,
            task_run_name=name,
            cache_policy=NO_CACHE,
            retries=3,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.5,
            retry_condition_fn=_is_transient,
        )

    return made


def submitted(
    threads: ThreadPoolTaskRunner[Any], task: QuietTask[..., R], **given: Any
) -> PrefectFuture[R]:
    """A task at work in one of some threads."""
    return threads.submit(task, _quoted(given))


def _quoted(given: dict[str, Any]) -> dict[str, Any]:
    return {name: quote(value) for name, value in given.items()}


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except TargetUnavailable:
        return True
    except BaseException:  # whatever else it is, a repetition would not help
        return False
    return False
