"""What Ray raises, in our words. Ray is installed by `make ray`."""

import asyncio

import pytest

from models.errors import ContextOverflowError, EngineDiedError

pytest.importorskip("ray", reason="Ray is not installed: make ray")

from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError
from ray.serve.exceptions import RayServeException, RequestCancelledError

from models.ray.failures import translated


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        ActorUnavailableError("gone", None),
        RayError("broken"),
        RayServeException("no"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_replica_that_cannot_answer_is_one_that_died(error: Exception) -> None:
    with pytest.raises(EngineDiedError, match="policy"), translated("policy", set()):
        raise error


def test_replicas_found_dead_are_counted_once_each() -> None:
    dead: set[str] = set()
    for _ in range(2):
        with pytest.raises(EngineDiedError), translated("policy", dead):
            raise ActorUnavailableError("gone", bytes(16))
    assert len(dead) == 1


def test_an_error_of_the_replicas_own_comes_as_it_is() -> None:
    with pytest.raises(ContextOverflowError), translated("policy", set()):
        raise ContextOverflowError(5, 4)


async def test_a_cancellation_that_nobody_here_asked_for_is_the_replicas_end() -> None:
    """Ray raises CancelledError where it stops a replica's task; a TaskGroup would drop it without a word."""
    for error in (asyncio.CancelledError, RequestCancelledError):
        with pytest.raises(EngineDiedError), translated("policy", set()):
            raise error


async def test_a_cancellation_of_our_own_passes_through() -> None:
    async def wait() -> None:
        with translated("policy", set()):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
