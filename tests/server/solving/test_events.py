"""Events of a search: those that wait go out together, and a long response costs no more per step than a short one."""

import asyncio
from dataclasses import dataclass
from typing import Any

from models.interfaces import Finish, Step
from search.candidate import Candidate
from server.solving.events import Events
from server.solving.searching import MANY_STEPS
from tests.natures import Branch, Tree, answer, step
from tests.server.services import service
from tests.worlds import World


@dataclass(frozen=True, slots=True)
class CountingIds:
    """Token ids that count how often their number is asked for."""

    number: int
    asked: list[int]

    def __len__(self) -> int:
        self.asked.append(self.number)
        return self.number


def long_step(index: int, asked: list[int]) -> Step:
    token_ids: Any = CountingIds(index + 1, asked)
    return Step(f"Step {index}\n\n", token_ids, Finish.STEP)


async def test_events_that_wait_go_out_together() -> None:
    events, never = Events(), asyncio.Event()
    for index in range(3):
        events.on_growth(Candidate(path=(index,), steps=(Step("a", (1,), Finish.END),)))
    search: asyncio.Task[Any] = asyncio.create_task(never.wait())
    together = await anext(events.follow(search))
    search.cancel()
    assert together.count(b"event: step") == together.count(b"event: candidate") == 3
    assert together.count(b"\r\n\r\n") == 7


async def test_the_tokens_of_a_step_are_counted_once() -> None:
    events, asked = Events(), list[int]()
    candidate = Candidate(path=(0,))
    for index in range(100):
        candidate = candidate.extend(long_step(index, asked))
        events.on_growth(candidate)
    child = candidate.child(1).extend(long_step(6, asked))
    events.on_growth(child)
    assert len(asked) == 101
    search: asyncio.Task[Any] = asyncio.create_task(asyncio.Event().wait())
    text = (await anext(events.follow(search))).decode()
    search.cancel()
    assert '"tokens":5050}' in text
    assert '"id":"0.1","parent":"0","score":null,"state":"growing","answer":null,"verified":null,"tokens":7}' in text


async def test_a_reply_of_many_steps_says_what_a_small_one_does() -> None:
    branch: Branch = answer("7", 0.5)
    for index in range(500):
        branch = step(f"Step {index}", 0.5, branch)
    async with service(World(Tree(branch))) as client:
        sizes = []
        for n in (1, 8):
            body = {"problem": "?", "n": n, "strategy": "majority", "max_tokens": 100_000, "early_stop": False}
            reply = (await client.post("/solve", json=body)).json()
            assert {each["answer"] for each in reply["candidates"]} == {"7"}
            sizes.append([len(each["steps"]) for each in reply["candidates"]])
    assert sizes == [[501], [501] * 8]
    assert sizes[0][0] < MANY_STEPS < sum(sizes[1])
