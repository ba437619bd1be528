"""What Ray and its transport raise, in our words. The one file that imports Ray where a gateway asks an engine."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import RayServeException

from models.errors import EngineDiedError


@contextmanager
def translated(name: str, dead: set[str]) -> Iterator[None]:
    """Raise our errors in the place of Ray's; those that a replica raises itself come as they are.

    Args:
        name: Of the engine, for messages.
        dead: Takes the ids of replicas that were found dead.

    Raises:
        EngineDiedError: The replica is gone, was stopped, is silent or cannot be reached.
    """
    try:
        yield
    except RayActorError as error:
        dead.add(str(error.actor_id))
        raise EngineDiedError(f"a replica of the {name} is gone") from error
    except (RayError, RayServeException, grpc.RpcError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EngineDiedError(f"a replica of the {name} failed: {reason}") from error
    except TimeoutError as error:
        raise EngineDiedError(f"no replica of the {name} answers") from error
    except asyncio.CancelledError as error:  # also how Ray says that it cancelled the replica's task, and not ours
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise EngineDiedError(f"a replica of the {name} was stopped") from error
