"""Which server gets a request, and what becomes of it when that server fails."""

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.errors import EngineDiedError, EngineUnavailableError
from models.generation import Generation
from models.interfaces import Finish, Meter, Problem
from models.policy.engine_policy import EnginePolicy
from models.remote.engine import RemoteEngine, open_remote_engine
from models.remote.replica import SAMPLE
from models.remote.settings import Patience, RemoteSettings
from tests.conftest import DEMO
from tests.models.problems import PROBLEM, respond, sampling
from tests.models.remote.stage import IMPATIENT, Actor, staged
from tests.waiting import until

PROBLEMS = [Problem(f"What is {number} + 1?") for number in range(40)]


async def ask(engine: RemoteEngine, affinity: str = "", num_logprobs: int = 0) -> list[int]:
    """Ids of a response."""
    params = Generation(max_tokens=9, num_logprobs=num_logprobs)
    async with aclosing(engine.generate([20], params, affinity=affinity)) as outputs:
        return [token_id async for output in outputs for token_id in output.token_ids]


def homes(actors: Sequence[Actor]) -> dict[int, str]:
    """The server that got each problem, by the number that stands for it in the prompt."""
    return {body["prompt"][0]: actor.url for actor in actors for body in actor.asked}


async def spread(engine: RemoteEngine, actors: Sequence[Actor]) -> dict[int, str]:
    for actor in actors:
        actor.asked.clear()
    for number, problem in enumerate(PROBLEMS):
        async with aclosing(engine.generate([number], Generation(max_tokens=16), affinity=problem.opening)) as outputs:
            assert [output async for output in outputs]
    return homes(actors)


async def turn(engine: RemoteEngine, actor: Actor, health: int) -> None:
    """Have a server be well, or not, and wait until that is known."""
    actor.health = health
    replica = next(replica for replica in engine.replicas.all if replica.url == actor.url)
    await until(lambda: replica.is_up == (health == 200))


async def test_a_problem_stays_with_one_server_and_problems_share_all() -> None:
    actors = [Actor(), Actor(), Actor()]
    async with staged(*actors) as engine:
        first = await spread(engine, actors)
        assert await spread(engine, actors) == first
    shares = Counter(first.values())
    assert len(shares) == 3
    assert min(shares.values()) > len(PROBLEMS) / 3 / 3


async def test_a_server_that_goes_moves_its_own_problems_and_gets_them_back() -> None:
    actors = [Actor(), Actor(), Actor()]
    async with staged(*actors, patience=replace(IMPATIENT, shun_s=0.0)) as engine:
        before = await spread(engine, actors)
        await turn(engine, actors[0], 503)
        during = await spread(engine, actors)
        await turn(engine, actors[0], 200)
        assert await spread(engine, actors) == before
        assert engine.num_restarts == 1
    assert {number for number in before if before[number] != during[number]} == {
        number for number in before if before[number] == actors[0].url
    }


async def test_spread_takes_the_server_with_the_fewest_requests() -> None:
    actors = [Actor(), Actor()]
    async with (
        staged(*actors, routing="spread") as engine,
        aclosing(engine.generate([20], Generation(max_tokens=16), affinity="same")) as outputs,
    ):
        await anext(outputs)
        for _ in range(4):
            await ask(engine, "same")
    assert sorted(len(actor.asked) for actor in actors) == [1, 4]


async def test_a_response_that_is_left_is_dropped_by_its_server() -> None:
    actor = Actor(pauses=asyncio.Event())
    async with staged(actor) as engine:
        async with aclosing(engine.generate([20], Generation(max_tokens=16))) as outputs:
            await anext(outputs)
            assert engine.num_running_requests == 1
        async with asyncio.timeout(5):
            await actor.is_left.wait()
        assert engine.num_running_requests == 0


async def test_a_server_that_comes_back_with_another_model_is_left_out(prompts: PromptBuilder) -> None:
    actor = Actor(tokens=prompts.tokenizer.encode(SAMPLE))
    async with staged(actor) as engine:
        await turn(engine, actor, 500)
        actor.tokens, actor.health = (1, 2), 200
        await until(lambda: "tokenizer" in engine.replicas.all[0].trouble, within_s=5)
        with pytest.raises(EngineDiedError, match="theirs, has another tokenizer than the one named here"):
            await engine.check()


async def test_connections_are_kept_from_request_to_request() -> None:
    actor = Actor()
    async with staged(actor) as engine:
        for _ in range(10):
            await ask(engine)
    assert len(set(actor.clients)) < 3  # one for requests, one for looking after it


async def test_every_look_is_a_connection_of_its_own() -> None:
    """One that was kept does not tell a host that is gone from a server that is busy."""
    actor = Actor()
    async with staged(actor) as engine:
        await ask(engine)
        await until(lambda: len(actor.looks) >= 5)
    assert len({*actor.looks, *actor.clients}) == len(actor.looks) + 1


async def test_what_breaks_off_goes_on_elsewhere_from_the_last_whole_step(prompts: PromptBuilder) -> None:
    step, rest = prompts.tokenizer.encode("So 4\n\n"), prompts.tokenizer.encode("The answer is 4.")
    actors = [Actor(), Actor()]
    async with staged(*actors) as engine:
        policy = EnginePolicy(engine, prompts)
        home = await engine.replicas.choose(PROBLEM.opening)
        first, second = sorted(actors, key=lambda actor: actor.url != home.url)
        first.events, first.breaks_after = [step, rest[:2], rest[2:]], 2
        second.events = [(*rest, 0)]
        meter = Meter()
        steps = await respond(policy, sampling(max_tokens=50), meter=meter)
    prompt = list(policy.prompts.build(PROBLEM))
    assert [body["prompt"] for body in second.asked] == [[*prompt, *step]]
    assert second.asked[0]["max_tokens"] == 50 - len(step)
    assert [each.finish for each in steps] == [Finish.STEP, Finish.END]
    assert meter.completion_tokens == len(step) + 2 + len(rest) + 1


async def test_a_server_that_is_lost_again_before_a_request_gets_it_is_waited_for_again() -> None:
    async with staged(Actor()) as engine:
        (replica,) = engine.replicas.all
        replica.is_up = False
        engine.replicas.note()
        choosing = asyncio.create_task(engine.replicas.choose(PROBLEM.opening))
        await asyncio.sleep(0)
        for is_up in (True, False):
            replica.is_up = is_up
            engine.replicas.note()
        assert await choosing is replica


async def test_what_breaks_off_with_nothing_left_to_ask_for_is_lost(prompts: PromptBuilder) -> None:
    step = prompts.tokenizer.encode("So 4\n\n")
    actor = Actor(events=[step, (20,)], breaks_after=1)
    async with staged(actor) as engine:
        with pytest.raises(EngineDiedError):
            await respond(EnginePolicy(engine, prompts), sampling(max_tokens=len(step)))
    assert len(actor.asked) == 1


async def test_a_server_that_fails_in_a_row_rests_longer_and_longer() -> None:
    actor, rests = Actor(status=500), []
    async with staged(actor) as engine:
        (replica,) = engine.replicas.all
        for _ in range(3):
            await until(lambda: replica.is_up)  # as its `/health` says
            with pytest.raises(EngineDiedError):
                await ask(engine)
            rests.append(replica.rest_s)
        actor.status = 200
        await ask(engine)
        assert replica.rest_s == 0.0
    assert rests == [0.0, IMPATIENT.look_again_s, 2 * IMPATIENT.look_again_s]


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_that_fails_by_itself_is_left_for_another(status: int) -> None:
    actors = [Actor(), Actor()]
    async with staged(*actors) as engine:
        home = await engine.replicas.choose("same")
        first, second = sorted(actors, key=lambda actor: actor.url != home.url)
        first.status = status
        with pytest.raises(EngineDiedError, match="on cue"):
            await ask(engine, "same")
        await until(lambda: home.is_up)
        assert await ask(engine, "same") == [20, 0]  # it may say that it is well: another is preferred for a while
        assert len(second.asked) == 1


async def test_a_stream_that_ends_without_saying_so_is_not_over() -> None:
    async with staged(Actor(says_done=False)) as engine:
        with pytest.raises(EngineDiedError, match="broke off"):
            await ask(engine)


async def test_a_server_that_does_not_say_log_probabilities_is_told_by_name() -> None:
    async with staged(actor := Actor()) as engine:
        with pytest.raises(EngineDiedError, match="no log-probabilities, which verifier_format confidence reads"):
            await ask(engine, num_logprobs=20)
    (asked,) = actor.asked
    assert (asked["logprobs"], asked["return_tokens_as_token_ids"]) == (20, True)


async def test_nobody_is_asked_for_log_probabilities_who_need_not_say_them() -> None:
    async with staged(actor := Actor()) as engine:
        await ask(engine)
    assert not {"logprobs", "return_tokens_as_token_ids"} & actor.asked[0].keys()


async def test_a_response_that_a_stopping_server_aborts_is_not_over() -> None:
    async with staged(Actor(finish=("abort", None))) as engine:
        with pytest.raises(EngineDiedError, match="stops"):
            await ask(engine)


async def test_a_silent_server_is_found_and_its_requests_learn_of_it() -> None:
    actor = Actor()
    async with staged(actor, patience=replace(IMPATIENT, answer_s=0.05)) as engine:
        async with aclosing(engine.generate([20], Generation(max_tokens=16))) as outputs:
            actor.holds = asyncio.Event()
            with pytest.raises(EngineDiedError, match="is silent"):
                _ = [output async for output in outputs]
        with pytest.raises(EngineDiedError, match=r"no server of the policy answers: .* it is silent"):
            await engine.check()
        actor.holds.set()
        assert await ask(engine) == [20, 0]


async def test_a_request_of_which_nothing_comes_is_given_up() -> None:
    actor = Actor()
    async with staged(actor, silence_s=0.1) as engine:
        actor.holds = asyncio.Event()
        with pytest.raises(EngineDiedError):
            await ask(engine)
        actor.holds.set()


async def test_a_server_is_found_silent_just_when_a_request_runs_out_of_time() -> None:
    """Or what looks after servers would end by an error, and look no more."""
    async with staged(Actor()) as engine:
        (replica,) = engine.replicas.all
        judged: list[bool] = []

        def judge() -> None:
            replica._judge("it is silent")
            judged.append(replica.is_up)

        async def run_out() -> None:
            async with replica._awaited(0.0):
                asyncio.get_running_loop().call_soon(judge)
                await asyncio.sleep(1)

        with pytest.raises(TimeoutError):
            await run_out()
        assert judged == [False]


async def test_without_a_server_a_request_is_told_so_in_the_end() -> None:
    actor = Actor()
    async with staged(actor, patience=replace(IMPATIENT, return_s=0.1)) as engine:
        await turn(engine, actor, 503)
        with pytest.raises(EngineUnavailableError, match="/health answers 503"):
            await ask(engine)


async def test_without_a_server_nothing_starts() -> None:
    with pytest.raises(EngineUnavailableError, match="no server of the policy answers"):
        async with staged(Actor(health=503), patience=replace(IMPATIENT, start_s=0.1)):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses connections")
async def test_a_host_to_which_packets_vanish_is_known_to_be_silent() -> None:
    """As do the packets of connections that find no place in the queue of a listener."""
    patience = Patience(connect_s=0.05, start_s=1.0)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as host, socket.create_connection(host.getsockname()):
        url = f"http://127.0.0.1:{host.getsockname()[1]}"
        with pytest.raises(EngineUnavailableError, match=f"{url}: it is silent"):
            async with open_remote_engine(RemoteSettings(DEMO / "policy", "policy", (url,), patience=patience)):
                pass


async def test_the_key_is_sent_and_an_address_may_end_as_openais_do() -> None:
    actor = Actor()
    async with staged(actor, api_key="secret") as engine:
        await ask(engine)
    assert actor.keys == ["Bearer secret"]


async def test_a_delimiter_before_anything_visible_ends_no_proposal(prompts: PromptBuilder) -> None:
    blank, step = prompts.tokenizer.encode("\n\n"), prompts.tokenizer.encode("So 4\n\n")
    actor = Actor(events=[step, (20,)], finish=("length", None), stopped=(blank, "\n\n"))
    async with staged(actor) as engine:
        policy = EnginePolicy(engine, prompts, decodes=True)
        proposal = await policy.propose(PROBLEM, (), sampling(), Meter())
    assert [body["stop"] for body in actor.asked] == [["\n\n"], []]
    assert proposal.text == "\n\nSo 4\n\n"


async def test_a_request_carries_its_session_and_not_its_text() -> None:
    actor = Actor()
    async with staged(actor) as engine:
        for affinity in ("What is 1 + 1?", "What is 1 + 1?", "What is 2 + 2?", ""):
            await ask(engine, affinity)
    first, again, other, none = actor.sessions
    assert first
    assert len(first) == 16
    assert (first == again, first == other, none) == (True, False, None)


def metrics_of(tokens: int) -> bytes:
    return (
        f'vllm:cache_config_info{{block_size="16",kv_cache_size_tokens="{tokens}",num_gpu_blocks="9"}} 1.0\n'.encode()
    )


async def test_servers_say_what_their_caches_hold_together_by_the_smallest() -> None:
    actors = [Actor(metrics=metrics_of(3_000)), Actor(metrics=metrics_of(2_000))]
    async with staged(*actors) as engine:
        await until(lambda: all(replica.is_up for replica in engine.replicas.all))
        assert [await replica.cache_tokens() for replica in engine.replicas.all] == [3_000, 2_000]
    assert engine.cache is not None
    assert engine.cache.tokens in (4_000, 6_000)  # by one of the two, where the other had not answered yet


@pytest.mark.parametrize("metrics", [None, b"", b"<html>", metrics_of(0), b"x" * (1 << 20 | 1)])
async def test_a_server_that_does_not_say_what_it_holds_serves_all_the_same(metrics: bytes | None) -> None:
    async with staged(Actor(metrics=metrics)) as engine:
        assert engine.cache is None
        assert await ask(engine) == [20, 0]
