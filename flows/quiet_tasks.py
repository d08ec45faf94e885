"""Tasks into which Prefect does not look, and threads for them.

Of what a task gets: Prefect would look for results of other tasks in the whole plan of a pipeline,
for 0.1 s a task. Of errors that none of ours foresaw: their texts may hold values of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import Event
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.annotations import quote

from core.errors import PrefetchError, TargetUnavailable, Unexpected
from store.wire import Restarted

P = ParamSpec("P")
R = TypeVar("R")


class QuietTask(Task[P, R]):
    """A task that gets unseen what it is called with."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result for some parameters."""
        return super().__call__(*map(quote, args), **_quoted(kwargs))


def quiet(name: str) -> Callable[[Callable[P, R]], QuietTask[P, R]]:
    """Makes a function a task whose runs have this name."""

    def made(function: Callable[P, R]) -> QuietTask[P, R]:
        return QuietTask(_foreseen(function), task_run_name=name, cache_policy=NO_CACHE)

    return made


def patient(name: str) -> Callable[[Callable[P, R]], QuietTask[P, R]]:
    """The same for what is repeated where Redis was away for a moment."""

    def made(function: Callable[P, R]) -> QuietTask[P, R]:
        return QuietTask(
            _foreseen(function),
            task_run_name=name,
            cache_policy=NO_CACHE,
            retries=3,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.5,
            retry_condition_fn=_is_transient,
        )

    return made


class Threads:
    """Some threads for tasks."""

    def __init__(self, runner: ThreadPoolTaskRunner[Any]) -> None:
        self._runner = runner

    def submit(self, task: QuietTask[..., R], **given: Any) -> PrefectFuture[R]:
        """A task at work in one of the threads."""
        return self._runner.submit(task, _quoted(given))


@contextmanager
def threads(number: int, stopping: Event) -> Iterator[Threads]:
    """Some threads for tasks; their end is waited for.

    Args:
        stopping: set where the wait is cut short from outside, as a thread can't be.
    """
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=number)
    with runner:
        try:
            yield Threads(runner)
        except BaseException as error:
            stopping.set()
            if not isinstance(error, Exception):
                get_run_logger().warning("stopped: what is under way ends with its batch")
            raise


def results(futures: Sequence[PrefectFuture[R]]) -> list[R]:
    """The results of all futures, once all are done: an error never leaves others at work."""
    wait(list(futures))
    return [future.result() for future in futures]


def _foreseen(function: Callable[P, R]) -> Callable[P, R]:
    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PrefetchError:
            raise
        except Exception as error:
            raise Unexpected.of(error) from None

    return called


def _quoted(given: dict[str, Any]) -> dict[str, Any]:
    return {name: quote(value) for name, value in given.items()}


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    try:
        state.result()
    except Restarted:
        return False  # all that was written is to be looked at again: see ``flows.repeating``
    except TargetUnavailable:
        return True
    except BaseException:  # whatever else it is, a repetition would not help
        return False
    return False
