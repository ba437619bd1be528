"""A fleet in simulated time: gateways in front of the engines of policy and verifier, and how requests get there.

To a search it is an ordinary policy and an ordinary verifier, so that the project's own search code runs on it
unchanged. An engine that is lost takes what it was doing with it: as winnow does, the gateway asks another one after a
moment, from the last whole step on.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from models.interfaces import Finish, Meter, Problem, Sampling, Step
from search.expander import Models
from tests.bench.fleet.cache import Segment
from tests.bench.fleet.engine import Engine, EngineCosts, EngineLostError
from tests.bench.fleet.law import BoxReader, Law, ScoredStep
from tests.bench.fleet.machine import Machine

Routing = Literal["affinity", "sticky", "spread"]
"""By a hash of the problem, as winnow and vllm-router choose; the idlest engine when a problem first comes, and then
always that one, as nobody chooses yet; or the idlest for each request, wherever the problem's prefixes are."""


@dataclass(frozen=True, slots=True)
class GatewayCosts:
    """A gateway's CPU, of which it has one core.

    Attributes:
        token_s: For a token that is generated.
        request_s: For a request to an engine, of which a step takes two: propose and judge.
        notice_s: Until it knows that an engine is lost, and asks another.
    """

    token_s: float = 0.0
    request_s: float = 0.0
    notice_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fleet consists of.

    Attributes:
        policy, verifier: Costs of an engine.
        num_policies, num_verifiers: Engines.
        gateway: Costs of a gateway.
        num_gateways: Processes.
        shared_gpu: Whether one engine of each model share a GPU.
        num_cores: Of the one machine where everything runs; None: everything has a machine of its own.
        routing: How a gateway chooses an engine.
    """

    policy: EngineCosts
    verifier: EngineCosts
    num_policies: int = 1
    num_verifiers: int = 1
    gateway: GatewayCosts = field(default_factory=GatewayCosts)
    num_gateways: int = 1
    shared_gpu: bool = False
    num_cores: float | None = None
    routing: Routing = "affinity"


class Replicas:
    """The engines of one model, and which of them gets a request."""

    def __init__(self, engines: Sequence[Engine], routing: Routing) -> None:
        self.engines = engines
        self._routing = routing
        self._homes: dict[str, Engine] = {}
        self._is_any_up = asyncio.Event()
        self._is_any_up.set()

    async def choose(self, affinity: str) -> Engine:
        """Return the engine that is to have a request, when there is one."""
        await self._is_any_up.wait()
        home = self._homes.get(affinity)
        if home is not None and home.is_up:
            return home
        if self._routing == "affinity":
            up = [place for place, engine in enumerate(self.engines) if engine.is_up]
            home = self.engines[max(up, key=lambda place: _rank(place, affinity))]
        else:
            home = min((engine for engine in self.engines if engine.is_up), key=lambda engine: engine.num_requests)
        if self._routing != "spread":
            self._homes[affinity] = home
        return home

    async def lose(self, engine: Engine, back_s: float | None) -> None:
        """Lose an engine, which comes back with an empty cache after some seconds, or never (None)."""
        engine.lose()
        if not any(each.is_up for each in self.engines):
            self._is_any_up.clear()
        if back_s is not None:
            await asyncio.sleep(back_s)
            engine.is_up = True
            self._homes.clear()  # problems go home
            self._is_any_up.set()


class Core:
    """A gateway's core: it does one thing after the other."""

    def __init__(self, machine: Machine) -> None:
        self.busy_s = 0.0
        self._machine = machine
        self._machine.join(self._ignore)
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0

    async def work(self, seconds: float) -> None:
        """Return when the core has had `seconds` for this, after all that was asked of it before."""
        if not seconds:
            return
        self._machine.enter(self._ignore)
        seconds *= self._machine.slowdown
        self.busy_s += seconds
        self._free_at = free_at = max(self._free_at, self._loop.time()) + seconds
        await asyncio.sleep(free_at - self._loop.time())
        if self._free_at == free_at:
            self._machine.leave(self._ignore)

    def _ignore(self) -> None:
        """Another process of the machine has begun or ended: what runs here is too short to mind."""


class Fleet:
    """The engines and gateways of a plan, in the running event loop's time."""

    def __init__(self, plan: Plan, law: Law) -> None:
        self.plan = plan
        self.law = law
        everything = None if plan.num_cores is None else Machine(plan.num_cores)
        gpu = everything or (Machine(1) if plan.shared_gpu else None)
        policies = [Engine(plan.policy, gpu) for _ in range(plan.num_policies)]
        verifiers = [Engine(plan.verifier, gpu) for _ in range(plan.num_verifiers)]
        self.policies = Replicas(policies, plan.routing)
        self.verifiers = Replicas(verifiers, plan.routing)
        self.gateways = [Core(everything or Machine(1)) for _ in range(plan.num_gateways)]
        self.num_repeated = 0

    def models(self, gateway: int) -> Models:
        """Return what a search at a gateway works with."""
        core = self.gateways[gateway]
        return Models(SimulatedPolicy(self, core), SimulatedVerifier(self, core), BoxReader())

    def segments(self, problem: Problem, steps: Sequence[Step]) -> list[Segment]:
        """Return a prompt and steps behind it as engines hold them."""
        prompt = problem.text, self.law.prompt_tokens(problem)
        return [prompt, *((step.text, len(step.token_ids)) for step in steps)]


class SimulatedPolicy:
    """The policy, as searches know it."""

    context = 1 << 20
    thinks = False
    template_arguments: frozenset[str] = frozenset()

    def __init__(self, fleet: Fleet, core: Core) -> None:
        self._fleet = fleet
        self._core = core

    def count_prompt_tokens(self, problem: Problem) -> int:
        return self._fleet.law.prompt_tokens(problem)

    async def propose(self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter) -> Step:
        step = self._fleet.law.step(problem, prefix, sampling.seed or 0)
        await self._generate(problem, prefix, [step], meter)
        return step

    async def respond(
        self, problem: Problem, prefix: Sequence[Step], sampling: Sampling, meter: Meter
    ) -> AsyncGenerator[Step, None]:
        """The steps come together, at the end of the response: what stops between two of them is not simulated."""
        steps: list[ScoredStep] = []
        while not steps or steps[-1].finish is Finish.STEP:
            steps.append(self._fleet.law.step(problem, [*prefix, *steps], sampling.seed or 0))
        await self._generate(problem, prefix, steps, meter)
        for step in steps:
            yield step

    async def _generate(self, problem: Problem, prefix: Sequence[Step], steps: list[ScoredStep], meter: Meter) -> None:
        fleet, costs = self._fleet, self._fleet.plan.gateway

        def spend(num_tokens: int) -> None:
            meter.completion_tokens += num_tokens

        while steps:
            number = sum(len(step.token_ids) for step in steps)
            engine = await fleet.policies.choose(problem.text)
            try:
                await engine.run(fleet.segments(problem, prefix), number, steps[-1].text, spend)
            except EngineLostError as error:
                whole, left = _whole(steps, error.num_generated)
                fleet.num_repeated += error.num_generated - sum(len(step.token_ids) for step in whole)
                prefix, steps = [*prefix, *whole], left
                await asyncio.sleep(costs.notice_s)
                continue
            await self._core.work(costs.request_s + costs.token_s * number)
            return


class SimulatedVerifier:
    """The verifier, as searches know it."""

    def __init__(self, fleet: Fleet, core: Core) -> None:
        self._fleet = fleet
        self._core = core

    async def score(
        self, problem: Problem, prefix: Sequence[Step], steps: Sequence[Step], meter: Meter
    ) -> tuple[float, ...]:
        fleet, costs = self._fleet, self._fleet.plan.gateway
        segments = fleet.segments(problem, [*prefix, *steps])
        while True:
            engine = await fleet.verifiers.choose(problem.text)
            try:
                num_read = await engine.run(segments, 0)
                break
            except EngineLostError:
                await asyncio.sleep(costs.notice_s)
        meter.verifier_tokens += num_read
        meter.verifier_cached_tokens += sum(size for _, size in segments) - num_read
        await self._core.work(costs.request_s)
        return tuple(step.score for step in steps if isinstance(step, ScoredStep))


def _rank(place: int, affinity: str) -> bytes:
    """Return what `models.remote.replicas` ranks a server by."""
    return blake2b(f"{place} {affinity}".encode(), digest_size=8).digest()


def _whole(steps: Sequence[ScoredStep], num_tokens: int) -> tuple[list[ScoredStep], list[ScoredStep]]:
    """Part steps into those that are whole within so many tokens, and the rest."""
    place = 0
    while place < len(steps) and num_tokens >= len(steps[place].token_ids):
        num_tokens -= len(steps[place].token_ids)
        place += 1
    return [*steps[:place]], [*steps[place:]]
