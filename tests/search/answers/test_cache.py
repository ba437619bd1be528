import asyncio

import pytest

from search.answers.cache import Cache


class Doubling:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.error: Exception | None = None

    async def double(self, number: int) -> int:
        self.asked.append(number)
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        return 2 * number


async def test_a_value_is_computed_once_however_often_it_is_asked_for() -> None:
    doubling = Doubling()
    cache = Cache(doubling.double, max_size=9)
    assert await asyncio.gather(*map(cache.get, (3, 3, 4))) == [6, 6, 8]
    assert (await cache.get(3), doubling.asked) == (6, [3, 4])


async def test_the_value_unused_for_longest_is_forgotten() -> None:
    doubling = Doubling()
    cache = Cache(doubling.double, max_size=2)
    for number in (1, 2, 1, 3):
        await cache.get(number)
    assert [number in cache for number in (1, 2, 3)] == [True, False, True]


async def test_whoever_is_cancelled_leaves_the_value_to_the_others() -> None:
    cache = Cache(Doubling().double, max_size=9)
    first, second = (asyncio.create_task(cache.get(3)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 6


@pytest.mark.parametrize("error", [RuntimeError("not running"), OSError("no process can be started")])
async def test_what_could_not_be_computed_is_computed_anew(error: Exception) -> None:
    doubling = Doubling()
    cache, doubling.error = Cache(doubling.double, max_size=9), error
    with pytest.raises(type(error)):
        await cache.get(3)
    doubling.error = None
    assert await cache.get(3) == 6
