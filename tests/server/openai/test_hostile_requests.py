"""Whatever a field holds, the service answers in time, and what it refuses it names."""

import httpx

from tests.bench.hostile_requests import ask_all
from tests.hostile_requests import draw

NUM_REQUESTS = 240


async def test_no_value_of_any_field_is_a_servers_error_or_holds_up_others(client: httpx.AsyncClient) -> None:
    answers = await ask_all(client, list(draw(NUM_REQUESTS)), 8)
    assert len(answers) >= NUM_REQUESTS - 10  # hypothesis may find that it has drawn one before
    assert [(answer.body[:300], answer.text) for answer in answers if answer.is_wrong or answer.is_unnamed] == []
    assert [(answer.body[:300], answer.seconds) for answer in answers if answer.is_late] == []
    assert sum(answer.status == 200 for answer in answers) > NUM_REQUESTS / 5


async def test_the_same_seed_draws_the_same_requests() -> None:
    assert list(draw(20, 3)) == list(draw(20, 3)) != list(draw(20, 4))
