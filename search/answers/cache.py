"""A bounded cache of what is computed asynchronously: once for each key, however often it is asked for."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Cache(Generic[K, T]):
    """Computes values and keeps those used last. What could not be computed is not kept.

    Args:
        compute: The value of a key.
        max_size: Values that are kept.
    """

    def __init__(self, compute: Callable[[K], Coroutine[Any, Any, T]], max_size: int) -> None:
        self._compute = compute
        self._max_size = max_size
        self._values: OrderedDict[K, asyncio.Task[T]] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        """True for what is known or on its way."""
        return key in self._values

    async def get(self, key: K) -> T:
        """Return the value of `key`; others may wait for the same one, so that cancelling one leaves it to them."""
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = asyncio.create_task(self._computed(key))
            if len(self._values) > self._max_size:
                self._values.popitem(last=False)
        else:
            self._values.move_to_end(key)
        return await asyncio.shield(value)

    async def _computed(self, key: K) -> T:
        try:
            return await self._compute(key)
        except Exception:
            self._values.pop(key, None)
            raise
