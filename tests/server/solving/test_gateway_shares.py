"""Two queues with half of the capacity each share the service out as one does: 200 clients of three weights, in virtual
time.
"""

import heapq
import random
from collections import Counter
from contextlib import ExitStack
from itertools import count, cycle
from typing import NamedTuple

import pytest

from server.keys import Client
from server.solving.admission import Admission, Place

WEIGHTS = {1: 100, 2: 60, 4: 40}
"""Clients of each weight."""
CLIENTS = [Client(f"{weight}-{number}", weight) for weight, many in WEIGHTS.items() for number in range(many)]
OUTSTANDING, AT_A_TIME = 4, 16
COSTS = (32, 64, 96, 128)
ANSWERS, WARM_UP = 8000, 1600


class Asked(NamedTuple):
    client: Client
    cost: int
    place: Place
    leaving: ExitStack


def shares(num_gateways: int, rng: random.Random) -> dict[float, float]:
    """What the clients of each weight get of the service, each with its requests at the gateways in turn."""
    capacity = AT_A_TIME * COSTS[-1] // num_gateways
    gateways = [Admission(capacity, 10_000, clock=lambda: now) for _ in range(num_gateways)]
    waiting: list[list[Asked]] = [[] for _ in gateways]
    running: list[tuple[float, int, int, Asked]] = []
    turns = {client: cycle([*range(number % num_gateways, num_gateways), *range(number % num_gateways)])
             for number, client in enumerate(CLIENTS)}  # fmt: skip
    now, numbers, served = 0.0, count(), Counter[float]()

    def ask(client: Client) -> None:
        at, cost, leaving = next(turns[client]), rng.choice(COSTS), ExitStack()
        waiting[at].append(Asked(client, cost, leaving.enter_context(gateways[at].join(client, cost)), leaving))
        start(at)

    def start(at: int) -> None:
        for asked in [asked for asked in waiting[at] if asked.place.started is not None]:
            waiting[at].remove(asked)
            heapq.heappush(running, (now + asked.cost * rng.uniform(0.5, 1.5), next(numbers), at, asked))

    for client in CLIENTS * OUTSTANDING:
        ask(client)
    for number in range(ANSWERS):
        now, _, at, asked = heapq.heappop(running)
        asked.leaving.close()
        served[asked.client.weight] += asked.cost if number >= WARM_UP else 0
        start(at)
        ask(asked.client)
    return {weight: served[weight] / served.total() for weight in WEIGHTS}


@pytest.mark.parametrize("num_gateways", [1, 2, 4])
def test_every_weight_gets_its_due_at_any_number_of_gateways(num_gateways: int) -> None:
    found = shares(num_gateways, random.Random(num_gateways))
    total = sum(weight * many for weight, many in WEIGHTS.items())
    for weight, many in WEIGHTS.items():
        assert found[weight] == pytest.approx(weight * many / total, rel=0.1)
