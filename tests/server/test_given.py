"""`POST /v1/steps/score` and `POST /v1/answers/choose`: the verifier for responses that clients bring."""

import asyncio
import json
import threading
from collections.abc import Callable
from itertools import chain
from typing import Any

import httpx
import pytest

from models.errors import ContextOverflowError, EngineUnavailableError
from models.interfaces import Verdict
from search.expander import Models
from tests.natures import Tree, answer, step
from tests.server.conftest import listening
from tests.server.services import queueing, service
from tests.server.test_solve import solve
from tests.server.test_streaming import events_at
from tests.waiting import until
from tests.worlds import World

SCORE, CHOOSE = "/v1/steps/score", "/v1/answers/choose"
LONG_CHAT = [{"role": "user", "content": "1 + " * 8_000}, {"role": "user", "content": "?"}]
BODY: dict[str, Any] = {"problem": "?", "responses": ["a\n\n\\boxed{1}"]}


def small_world() -> World:
    return World(Tree(step("a", 0.5, answer("1", 0.7), answer("2", 0.9), answer("3", 0.3)), answer("2", 0.2)))


async def post(client: httpx.AsyncClient, url: str = SCORE, **fields: Any) -> dict[str, Any]:
    response = await client.post(url, json=BODY | fields)
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def scores(reply: dict[str, Any]) -> list[list[float | None]]:
    return [[step["score"] for step in response["steps"]] for response in reply["responses"]]


class TestScores:
    async def test_every_step_of_every_response_has_its_score_in_order(self) -> None:
        responses = ["a\n\n\\boxed{1}", ["a", "\\boxed{2}"], "\\boxed{2}"]
        async with service(small_world()) as client:
            reply = await post(client, responses=responses)
        assert scores(reply) == [[0.5, 0.7], [0.5, 0.9], [0.2]]
        assert [response["score"] for response in reply["responses"]] == [0.7, 0.9, 0.2]
        assert [response["index"] for response in reply["responses"]] == [0, 1, 2]
        assert (reply["status"], reply["responses"][1]["steps"][0]["text"]) == ("complete", "a\n\n")

    @pytest.mark.parametrize(("aggregation", "score"), [("last", 0.7), ("min", 0.5), ("prod", 0.35)])
    async def test_the_aggregation_makes_the_score(self, aggregation: str, score: float) -> None:
        async with service(small_world()) as client:
            reply = await post(client, aggregation=aggregation)
        assert reply["responses"][0]["score"] == pytest.approx(score)

    async def test_the_bill_counts_what_was_judged_and_what_was_remembered(self) -> None:
        async with service(small_world()) as client:
            first = await post(client, responses=["a\n\n\\boxed{1}", "a\n\n\\boxed{2}"])
            second = await post(client, responses=["a\n\n\\boxed{1}", "a\n\n\\boxed{3}"])
        assert first["usage"]["verifier_tokens"] == len("a\n\n") + 2 * len(r"\boxed{1}")
        assert second["usage"]["verifier_tokens"] == len(r"\boxed{3}")
        assert first["usage"]["response_tokens"] == 2 * len("a\n\n\\boxed{1}")
        assert first["usage"]["prompt_tokens"] == 1

    async def test_what_was_said_before_is_part_of_the_problem(self) -> None:
        world = small_world()
        history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
        async with service(world) as client:
            await post(client)
            await post(client, history=history)
            await post(client, history=history, system_prompt="Be brief.")
        assert len(world.verifier.judged) == 3

    async def test_an_unfinished_response_is_judged_too(self) -> None:
        async with service(small_world()) as client:
            reply = await post(client, responses=["a\n\n"], complete=False)
        assert scores(reply) == [[0.5]]

    async def test_a_stream_tells_scores_as_they_come_and_ends_with_the_reply(self) -> None:
        responses = ["a\n\n\\boxed{1}", "a\n\n\\boxed{2}"]
        async with service(small_world()) as client:
            events = [event async for event in events_at(client, SCORE, BODY | {"responses": responses})]
            whole = await post(client, responses=responses)
        steps = [data for name, data in events if name == "step"]
        told = {(step["node"], step["index"]): step["score"] for step in steps}
        assert told == {("0", 0): 0.5, ("0", 1): 0.7, ("1", 0): 0.5, ("1", 1): 0.9}
        assert (events[-1][0], events[-1][1]["responses"]) == ("result", whole["responses"])
        shapes = {name: set(data) for name, data in events[:-1]}
        assert shapes == {
            "round": {"round"},
            "step": {"node", "index", "text", "score", "thinking"},
            "candidate": {"id", "parent", "score", "state", "answer", "verified", "tokens"},
        }

    async def test_at_the_deadline_what_is_judged_by_then_is_returned(self) -> None:
        world = small_world()
        world.verifier.gates[r"\boxed{2}"] = asyncio.Event()
        async with service(world) as client:
            reply = await post(client, responses=["a\n\n\\boxed{1}", "\\boxed{2}"], deadline_s=0.3)
        assert (reply["status"], scores(reply)) == ("deadline", [[0.5, 0.7], [None]])

    async def test_a_response_that_cannot_be_judged_says_why_and_the_others_are(self) -> None:
        world = small_world()
        world.verifier.failures[r"\boxed{2}"] = ContextOverflowError(5000, 4096)
        async with service(world) as client:
            reply = await post(client, responses=["a\n\n\\boxed{1}", "\\boxed{2}"])
        assert reply["status"] == "degraded"
        assert [response["error"] for response in reply["responses"]] == [
            None,
            "5000 tokens do not fit: at most 4096 do",
        ]

    async def test_if_none_fits_the_request_is_refused_by_number(self) -> None:
        world = small_world()
        world.verifier.failures[r"\boxed{2}"] = ContextOverflowError(5000, 4096)
        async with service(world) as client:
            response = await client.post(SCORE, json=BODY | {"responses": ["\\boxed{2}"]})
        assert (response.status_code, response.json()["error"]["param"]) == (422, "responses")
        assert "at most 4096" in response.json()["error"]["message"]

    async def test_a_dead_verifier_is_503(self) -> None:
        world = small_world()
        world.verifier.failures[r"\boxed{2}"] = EngineUnavailableError("dead")
        async with service(world) as client:
            response = await client.post(SCORE, json=BODY | {"responses": ["\\boxed{2}"]})
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")

    async def test_a_client_that_leaves_stops_the_verifier_and_frees_its_place(self) -> None:
        world = small_world()
        world.verifier.gates[r"\boxed{2}"] = asyncio.Event()
        async with queueing(world) as (client, admission):
            with pytest.raises(httpx.ReadTimeout):
                await client.post(SCORE, json=BODY | {"responses": ["\\boxed{2}"]}, timeout=0.3)
            await until(lambda: not admission.num_running)
        assert (world.verifier.num_cancelled, world.verifier.num_in_flight) == (1, 0)

    async def test_metrics_count_responses_and_tokens(self) -> None:
        async with service(small_world()) as client:
            await post(client, responses=["a\n\n\\boxed{1}", "\\boxed{2}"])
            text = (await client.get("/metrics")).text
        assert 'winnow_judged_responses_total{status="complete"} 2.0' in text
        assert 'winnow_tokens_total{kind="verifier"} 21.0' in text


class TestChoice:
    RESPONSES = ("a\n\n\\boxed{1}", "a\n\n\\boxed{3}", "\\boxed{2}", "a\n\n\\boxed{3}")

    @pytest.mark.parametrize(
        ("selection", "answer", "index"), [("weighted", "1", 0), ("best", "1", 0), ("majority", "3", 1)]
    )
    async def test_the_selection_chooses(self, selection: str, answer: str, index: int) -> None:
        async with service(small_world()) as client:
            reply = await post(client, CHOOSE, responses=self.RESPONSES, selection=selection)
        assert (reply["answer"], reply["index"], reply["response"]) == (answer, index, self.RESPONSES[index])

    async def test_votes_name_the_responses_of_each_class(self) -> None:
        async with service(small_world()) as client:
            reply = await post(client, CHOOSE, responses=[*self.RESPONSES, "\\boxed{3.0}"], selection="majority")
        assert (reply["votes"][0]["answer"], reply["votes"][0]["responses"]) == ("3", [1, 3, 4])
        assert reply["diagnostics"]["distinct_answers"] == 3
        assert [response["answer"] for response in reply["responses"]] == ["1", "3", "2", "3", "3.0"]

    async def test_without_an_answer_nothing_is_chosen(self) -> None:
        world = World(Tree(step("a", 0.5)))
        async with service(world) as client:
            reply = await post(client, CHOOSE, responses=["a\n\n"])
        assert (reply["index"], reply["answer"], reply["response"], reply["score"]) == (None, None, None, None)

    async def test_the_choice_of_responses_of_a_search_is_the_searchs(self, client: httpx.AsyncClient) -> None:
        problem = "Compute (17 + 28) * 3 - 45."
        found = await solve(client, problem=problem, strategy="weighted_best_of_n", n=16, seed=3, early_stop=False)
        complete = [candidate for candidate in found["candidates"] if candidate["finish"] == "complete"]
        reply = await post(client, CHOOSE, problem=problem, responses=[c["response"] for c in complete])
        assert reply["answer"] == found["answer"]
        assert [r["score"] for r in reply["responses"]] == pytest.approx([c["score"] for c in complete], abs=1e-3)
        assert reply["confidence"] is None

    async def test_calibrated_confidence_holds_for_the_policys_own(self, client: httpx.AsyncClient) -> None:
        problem = "Compute (17 + 28) * 3 - 45."
        found = await solve(client, problem=problem, strategy="weighted_best_of_n", n=16, seed=3, early_stop=False)
        responses = [c["response"] for c in found["candidates"]]
        reply = await post(client, CHOOSE, problem=problem, responses=responses, from_policy=True)
        assert reply["confidence"] == pytest.approx(found["confidence"], abs=1e-3)


class TestRealScores:
    """The demo pair on real engines."""

    async def test_scores_are_those_of_the_search_that_drew_the_responses(self, client: httpx.AsyncClient) -> None:
        problem = "Compute (17 + 28) * 3 - 45."
        found = await solve(client, problem=problem, strategy="best_of_n", n=16, seed=5, early_stop=False)
        complete = [candidate for candidate in found["candidates"] if candidate["finish"] == "complete"]
        drawn = [step["score"] for candidate in complete for step in candidate["steps"]]
        as_text = await post(client, problem=problem, responses=[c["response"] for c in complete])
        as_steps = await post(
            client, problem=problem, responses=[[step["text"] for step in c["steps"]] for c in complete]
        )
        assert [*chain(*scores(as_text))] == pytest.approx(drawn, abs=1e-3)
        assert [*chain(*scores(as_steps))] == pytest.approx(drawn, abs=1e-3)

    async def test_a_step_more_computes_little_more_than_that_step(self, client: httpx.AsyncClient) -> None:
        steps = [f"## Step {number}: Add\n{number} + 1 = {number + 1}\n\n" for number in range(1, 21)]
        first = await post(client, problem="Count to 21.", responses=[steps[:19]], complete=False)
        second = await post(client, problem="Count to 21.", responses=[steps], complete=False)
        new = second["usage"]["response_tokens"] - first["usage"]["response_tokens"]
        assert second["usage"]["verifier_tokens"] < new + 32
        assert scores(second)[0][:19] == scores(first)[0]


TOO_LONG = "x" * 70_000
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (fields, the field named, what the message says)
    "no responses": ({"responses": []}, "responses", "at least 1"),
    "257 responses": ({"responses": ["a"] * 257}, "responses", "at most 256"),
    "a blank response": ({"responses": ["a", " \n"]}, "responses.1", "blank"),
    "no steps": ({"responses": [[]]}, "responses.0", "0 steps; allowed: 1 to 1,024"),
    "1,025 steps": ({"responses": [["a"] * 1025]}, "responses.0", "1025 steps; allowed: 1 to 1,024"),
    "an empty step": ({"responses": [["a", ""]]}, "responses.0", "step 2 is blank"),
    "a step of 1 MB": (
        {"responses": [["x" * 1_000_000]]},
        "responses.0",
        "1,000,000 characters; allowed: at most 65,536",
    ),
    "a response of 1 MB": ({"responses": ["x" * 1_000_000]}, "responses.0", "allowed: at most 262,144"),
    "long steps": ({"responses": [[TOO_LONG[:65_000]] * 5]}, "responses.0", "325,000 characters"),
    "NUL": ({"responses": ["a\0b"]}, "responses.0", "NUL"),
    "half a character": ({"responses": ["a", "b\ud800"]}, "responses.1", "surrogate"),
    "half a character in a step": ({"responses": [["a", "b\ud800"]]}, "responses.0", "step 2 holds half"),
    "NUL in a step": ({"responses": [["a", "b\0"]]}, "responses.0", "step 2 holds a NUL"),
    "a special token": ({"responses": ["a", "b<|end|>"]}, "responses.1", "special token <|end|>"),
    "a special token in a step": ({"responses": [["b<|end|>"]]}, "responses.0", "special token <|end|>"),
    "a number": ({"responses": [1]}, "responses.0", "a response is a text, or a list"),
    "a step that is a number": ({"responses": [["a", 1]]}, "responses.0", "a response is a text, or a list"),
    "one text": ({"responses": "a"}, "responses", "list"),
    "null": ({"responses": None}, "responses", "list"),
    "an unknown aggregation": ({"aggregation": "mean"}, "aggregation", "'last', 'min' or 'prod'"),
    "a role that nobody has": ({"history": [{"role": "tool", "content": "x"}]}, "history.0.role", "user, assistant"),
    "a turn without words": ({"history": [{"role": "user", "content": ""}]}, "history.0.content", "1 to 65,536"),
    "an unknown field": ({"n": 4}, "n", "allowed fields: problem, responses"),
    "a blank problem": ({"problem": " "}, "problem", "1 to 65,536 characters"),
    "steps by two rules": ({"steps": {"tokens": 8, "delimiter": "."}}, "steps", "give one of"),
    "completeness in words": ({"complete": "yes"}, "complete", "boolean"),
}


@pytest.mark.parametrize(("fields", "param", "message"), REFUSED.values(), ids=REFUSED)
async def test_bad_input_is_refused_by_name(fields: dict[str, Any], param: str, message: str) -> None:
    content = json.dumps(BODY | fields)  # spells what is not ASCII as \u escapes
    async with service(small_world()) as client:
        response = await client.post(SCORE, content=content, headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, param), error
    assert message in error["message"]


@pytest.mark.parametrize(
    ("url", "body"), [(SCORE, {"history": LONG_CHAT[:1]}), ("/v1/chat/completions", {"messages": LONG_CHAT})]
)
async def test_a_long_chat_is_tokenised_beside_the_event_loop(url: str, body: dict[str, Any]) -> None:
    world, threads = small_world(), list[threading.Thread]()
    world.policy.count_prompt_tokens = lambda problem: threads.append(threading.current_thread()) or 1  # type: ignore[method-assign, func-returns-value]
    named = BODY if url == SCORE else {"model": "winnow-demo@majority-1"}
    async with service(world) as client:
        assert (await client.post(url, json=named | body)).status_code == 200
    assert threading.main_thread() not in threads != []


async def test_special_tokens_can_be_judged_as_text() -> None:
    world = World(Tree(answer("1<|end|>", 0.5)))
    async with service(world) as client:
        reply = await post(client, responses=["\\boxed{1<|end|>}"], special_tokens="text")
    assert scores(reply) == [[0.5]]


async def test_more_than_a_request_may_cost_is_refused_by_number() -> None:
    async with service(small_world(), max_cost=100) as client:
        response = await client.post(SCORE, json=BODY | {"responses": ["x" * 600]})
    assert response.json()["error"]["message"].startswith(
        "responses: 600 characters are about 201 tokens; allowed: 100"
    )


def without_verifier(world: World) -> Models:
    return Models(world.policy, None, world.models.reader)


def with_verdict(verdict: Verdict) -> Callable[[World], Models]:
    def models(world: World) -> Models:
        world.verifier.verdict = verdict  # type: ignore[attr-defined]
        return world.models

    return models


UNABLE: dict[str, tuple[Callable[[World], Models], str, dict[str, Any], str, str]] = {
    "no verifier to score": (without_verifier, SCORE, {}, "responses", "no verifier"),
    "no verifier to weigh": (without_verifier, CHOOSE, {}, "selection", "use majority"),
    "scores for a majority": (
        without_verifier,
        CHOOSE,
        {"selection": "majority", "aggregation": "min"},
        "aggregation",
        "not supported by selection majority",
    ),
    "a verifier of whole responses": (with_verdict(Verdict.RESPONSE), SCORE, {}, "responses", "not steps"),
}


@pytest.mark.parametrize("url", [SCORE, CHOOSE])
async def test_confidences_of_other_policies_are_not_known(url: str) -> None:
    world = small_world()
    world.verifier.num_logprobs, world.verifier.reads_thoughts = 20, False  # type: ignore[attr-defined]
    async with listening(world.models) as client:
        response = await client.post(url, json=BODY)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "no_step_verifier")


async def test_a_tournament_compares_the_responses() -> None:
    world = World(Tree(answer("1", 0.6), answer("2", 0.5)))
    world.verifier.tastes[r"\boxed{2}", r"\boxed{1}"] = 0.9
    async with service(world) as client:
        reply = await post(client, CHOOSE, responses=[r"\boxed{1}", r"\boxed{2}"], selection="tournament")
    assert (reply["answer"], len(world.verifier.compared) > 0) == ("2", True)


@pytest.mark.parametrize(("models", "url", "fields", "param", "message"), UNABLE.values(), ids=UNABLE)
async def test_what_the_service_cannot_do_is_refused_by_name(
    models: Callable[[World], Models], url: str, fields: dict[str, Any], param: str, message: str
) -> None:
    async with listening(models(small_world())) as client:
        response = await client.post(url, json=BODY | fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (422, param), error
    assert message in error["message"]


async def test_a_majority_needs_no_verifier() -> None:
    async with listening(without_verifier(small_world())) as client:
        reply = await post(client, CHOOSE, responses=["\\boxed{1}", "\\boxed{2}", "\\boxed{2}"], selection="majority")
    assert (reply["answer"], reply["score"], reply["usage"]["verifier_tokens"]) == ("2", None, 0)


async def test_one_verdict_a_call_means_a_call_a_step() -> None:
    world = small_world()
    async with listening(with_verdict(Verdict.CALL)(world)) as client:
        await post(client)
        judged, world.verifier.judged = world.verifier.judged, []
        await post(client, CHOOSE)
    assert (judged, world.verifier.judged) == (["a\n\n", "a\n\n\\boxed{1}"], ["a\n\n\\boxed{1}"])


@pytest.mark.parametrize("url", [SCORE, CHOOSE])
async def test_a_key_is_asked_for_and_the_queue_is_the_searches(url: str) -> None:
    world = small_world()
    world.verifier.gates[r"\boxed{2}"] = asyncio.Event()
    settings: dict[str, Any] = {"api_keys": "a-key-of-20-letters-", "max_cost_in_flight": 1, "max_queued": 1}
    body, headers = BODY | {"responses": ["\\boxed{2}"]}, {"Authorization": "Bearer a-key-of-20-letters-"}
    async with queueing(world, **settings) as (client, admission):
        assert (await client.post(url, json=body)).status_code == 401
        running = [asyncio.create_task(client.post(url, json=body, headers=headers)) for _ in range(2)]
        await until(lambda: (admission.num_running, admission.num_queued) == (1, 1))
        assert (await client.post(url, json=body, headers=headers)).status_code == 429
        world.verifier.gates[r"\boxed{2}"].set()
        assert [(await each).status_code for each in running] == [200, 200]
