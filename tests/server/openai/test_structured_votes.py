"""How documents and calls are elected, and what a reply says of them: in worlds whose responses are known."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, UnprocessableEntityError

from models.errors import EngineUnavailableError, RequestRefusedError
from models.interfaces import Finish, Step
from models.openai.grammars.bounds import Asked
from search.answers.answer import Answer
from search.candidate import Candidate
from server.openai.progress import Progress
from server.schemas import SolveRequest
from tests.natures import Branch, Tree, cut, end
from tests.server.conftest import listening, openai_client
from tests.server.openai.asking import POLICY, calls_in, chat, evidence
from tests.server.test_readers import Talker
from tests.worlds import World

ANY: dict[str, Any] = {"response_format": {"type": "json_object"}}
NAMED = {"type": "function", "function": {"name": "f"}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "g")]
CALLED: dict[str, Any] = {"tools": TOOLS, "tool_choice": "required"}


class Examiner(Talker):
    """A policy that tries no grammar, but remembers each, and refuses those that a test wants refused."""

    def __init__(self, trouble: str | None = None) -> None:
        super().__init__(0)
        self.tried: list[tuple[Asked, int]] = []
        self._trouble = trouble

    async def try_grammar(self, asked: Asked, client: str = "", num_responses: int = 1) -> None:
        self.tried.append((asked, num_responses))
        if self._trouble:
            raise RequestRefusedError(f"{asked.field}: {self._trouble}", asked.field)


@asynccontextmanager
async def asking(
    *branches: Branch, examiner: Examiner | None = None, world: World | None = None
) -> AsyncIterator[AsyncOpenAI]:
    world = world or World(Tree(*branches))
    async with listening(world.models, plain=examiner or Examiner()) as client, openai_client(client) as openai:
        yield openai


def says(*documents: Any, score: float = 0.5) -> list[Branch]:
    return [end(each if isinstance(each, str) else json.dumps(each), score) for each in documents]


def calls(*names: str, x: int = 1, score: float = 0.5) -> Branch:
    return end(json.dumps([{"name": name, "parameters": {"x": x}} for name in names]), score)


def sent(body: dict[str, Any]) -> dict[str, Any]:
    """A body as it is, with whatever JSON can escape."""
    return {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}


def search(n: int, **fields: Any) -> dict[str, Any]:
    return {"n": n, "strategy": "majority", "early_stop": False} | fields


async def test_documents_vote_by_what_they_say() -> None:
    responses = says('{"a": 1, "b": "x"}', '{"a": 2, "b": "x"}', '{"b": "x", "a": 1.0}')
    async with asking(*responses) as openai:
        reply = await chat(openai, search(3), **ANY)
    assert reply.choices[0].message.content == '{"a": 1, "b": "x"}'
    assert reply.choices[0].finish_reason == "stop"
    assert [(vote["answer"], vote["count"]) for vote in evidence(reply)["votes"]] == [
        ('{"a": 1, "b": "x"}', 2),
        ('{"a": 2, "b": "x"}', 1),
    ]


async def test_every_field_has_an_agreement_and_a_confidence() -> None:
    responses = [*says({"a": 1, "b": "x"}, {"a": 1, "b": "y"}, score=0.75), *says({"a": 2, "b": "x"}, score=0.5)]
    async with asking(*responses) as openai:
        reply = await chat(openai, search(3, strategy="best_of_n"), **ANY)
    assert evidence(reply)["diagnostics"]["fields"] == {
        "/a": {"agreement": pytest.approx(2 / 3), "confidence": pytest.approx(1.5 / 2)},
        "/b": {"agreement": pytest.approx(2 / 3), "confidence": pytest.approx(1.25 / 2)},
    }


async def test_a_text_has_no_fields() -> None:
    async with asking(*says(r"\boxed{1}")) as openai:
        assert evidence(await chat(openai, search(1)))["diagnostics"]["fields"] is None


async def test_the_fields_that_are_named_alone_vote() -> None:
    responses = says({"a": 1, "why": "x"}, {"a": 2, "why": "y"}, {"a": 2, "why": "z"})
    async with asking(*responses) as openai:
        reply = await chat(openai, search(3, vote_on=["a"]), **ANY)
    assert reply.choices[0].message.content == '{"a": 2, "why": "y"}'
    assert evidence(reply)["strategy"]["vote_on"] == ["a"]
    assert [vote["count"] for vote in evidence(reply)["votes"]] == [2, 1]


async def test_calls_vote_by_the_functions_first() -> None:
    responses = [calls("f", x=1), calls("g", x=7), calls("g", x=7), calls("f", x=2), calls("f", x=2), calls("f", x=3)]
    async with asking(*responses) as openai:
        reply = await chat(openai, search(6), **CALLED)
    (call,) = calls_in(reply)
    assert (call.function.name, call.function.arguments) == ("f", '{"x": 2}')
    assert (reply.choices[0].finish_reason, reply.choices[0].message.content) == ("tool_calls", None)
    assert [vote["count"] for vote in evidence(reply)["votes"]] == [2, 1, 1, 2]
    assert evidence(reply)["answer"] == '[{"name": "f", "arguments": {"x": 2}}]'
    assert evidence(reply)["diagnostics"]["fields"]["/0/name"]["agreement"] == pytest.approx(4 / 6)


async def test_calls_beside_each_other_are_all_made_whatever_their_order() -> None:
    async with asking(calls("g", "f"), calls("f"), calls("f", "g")) as openai:
        reply = await chat(openai, search(3), **CALLED)
    made = calls_in(reply)
    assert [call.function.name for call in made] == ["g", "f"]
    assert len({call.id for call in made}) == 2


async def test_of_a_function_that_is_named_the_responses_are_the_arguments() -> None:
    async with asking(*says({"x": 1.50})) as openai:
        reply = await chat(openai, search(1), tools=TOOLS, tool_choice=NAMED)
    (call,) = calls_in(reply)
    assert (call.function.name, call.function.arguments) == ("f", '{"x": 1.5}')


async def test_choices_are_different_calls_with_ids_of_their_own() -> None:
    async with asking(calls("f"), calls("g"), calls("f", x=2)) as openai:
        reply = await chat(openai, search(3), n=3, **CALLED)
    made = [call for choice in reply.choices for call in choice.message.tool_calls or ()]
    assert len(made) == len({call.id for call in made}) == 3


@pytest.mark.parametrize("fields", [ANY, CALLED], ids=["document", "calls"])
async def test_what_a_limit_cuts_off_has_no_vote_and_says_so(fields: dict[str, Any]) -> None:
    async with asking(cut('[{"name": "f", "parameters": {"x"')) as openai:
        reply = await chat(openai, search(2), **fields)
    choice = reply.choices[0]
    assert (choice.finish_reason, choice.message.tool_calls) == ("length", None)
    assert (evidence(reply)["answer"], evidence(reply)["votes"]) == (None, [])


@pytest.mark.parametrize("response", ["It is 2.", '{"a": 1, "a": 2}', '{"a": NaN}', "[[[[", ""])
@pytest.mark.parametrize("fields", [ANY, CALLED], ids=["document", "calls"])
async def test_what_keeps_to_no_form_is_never_passed_on_as_if_it_did(fields: dict[str, Any], response: str) -> None:
    async with asking(end(response, 0.5)) as openai:
        reply = await chat(openai, search(2), **fields)
    assert (reply.choices[0].message.content, reply.choices[0].message.tool_calls) == (None, None)
    assert (evidence(reply)["answer"], evidence(reply)["response"]) == (None, response)
    assert evidence(reply)["diagnostics"]["warnings"][0].endswith("state no answer and did not vote")


async def test_documents_with_a_lead_stop_the_rest() -> None:
    world = World(Tree(*says({"a": 1}, {"a": 1.0}, {"a": 1}), end('{"a": 9}', 0.5)))
    async with asking(world=world) as openai:
        reply = await chat(openai, search(4, early_stop=True), **ANY)
    assert sum(vote["count"] for vote in evidence(reply)["votes"]) == 3


async def test_every_response_is_drawn_under_the_grammar_and_none_without() -> None:
    world, examiner = World(Tree(*says({"a": 1}))), Examiner()
    async with asking(examiner=examiner, world=world) as openai:
        await chat(openai, search(3), **ANY)
        await chat(openai, search(3), response_format={"type": "text"}, tools=TOOLS, tool_choice="none")
    grammars = [sampling.grammar for _, sampling in world.policy.draws]
    assert grammars[:3] == [examiner.tried[0][0].constraint] * 3
    assert grammars[3:] == [None] * 3
    assert [number for _, number in examiner.tried] == [3]


def test_a_format_of_text_is_none() -> None:
    text = {"problem": "?", "response_format": {"type": "text"}}
    assert SolveRequest.model_validate(text) == SolveRequest.model_validate({"problem": "?"})


async def test_a_grammar_that_costs_too_much_reaches_no_response() -> None:
    world = World(Tree(*says({"a": 1})))
    async with asking(examiner=Examiner("takes too much"), world=world) as openai:
        for is_streamed in (False, True):
            with pytest.raises(UnprocessableEntityError, match="response_format: takes too much"):
                await chat(openai, search(3), stream=is_streamed, **ANY)
    assert world.policy.num_calls == 0


async def test_an_engine_that_lives_and_keeps_to_no_form_is_the_forms_fault() -> None:
    world = World(Tree(*says({"a": 1})))
    world.policy.failures['{"a": 1}'] = EngineUnavailableError("the engine gave up on a request")
    async with asking(world=world) as openai:
        with pytest.raises(UnprocessableEntityError, match="response_format: a response cannot be held to it"):
            await chat(openai, search(2), **ANY)


async def test_thoughts_need_a_parser_behind_which_the_grammar_holds() -> None:
    async with asking(world=World(Tree(*says({"a": 1})), thinks=True)) as openai:
        with pytest.raises(UnprocessableEntityError, match="response_format: vLLM has no reasoning parser"):
            await chat(openai, search(2), **ANY)


async def test_auto_does_without_its_table() -> None:
    async with asking(*says({"a": 1})) as openai:
        reply = await chat(openai, search(2, strategy="auto"), **ANY)
    assert evidence(reply)["strategy"]["name"] == "weighted_best_of_n"
    assert "holds for answers in text" in evidence(reply)["strategy"]["reason"]


async def test_solve_and_batch_take_forms_too() -> None:
    world = World(Tree(*says({"a": 1, "b": 2})))
    asked = {"problem": "?", "n": 2, "strategy": "majority", **ANY, "vote_on": ["a"]}
    async with listening(world.models, plain=Examiner()) as client:
        solved = await client.post("/solve", json=asked)
        batch = await client.post("/solve/batch", json={"requests": [asked, asked | {"vote_on": ["a"] * 65}]})
        events = await client.post("/solve", json=asked | {"stream": True})
    assert solved.json()["answer"] == batch.json()["results"][0]["answer"] == '{"a": 1, "b": 2}'
    assert (batch.json()["results"][1]["http_status"], batch.json()["results"][1]["error"]["param"]) == (422, "vote_on")
    assert '"answer":"{\\"a\\": 1, \\"b\\": 2}"' in events.text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_object", "x": 1}}, "response_format.x"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"a": "\ud800"}}}},
         "response_format.json_schema.schema"),
        ({**ANY, "strategy": "beam_search"}, "strategy"),
        ({**ANY, "verify": "sympy"}, "verify"),
        ({"vote_on": ["a"]}, "vote_on"),
        (CALLED | {"tool_choice": "auto"}, "tool_choice"),
    ],
    ids=str,
)  # fmt: skip
async def test_solve_refuses_by_its_own_names(fields: dict[str, Any], param: str) -> None:
    world = World(Tree(*says({"a": 1})))
    async with listening(world.models, plain=Examiner()) as client:
        reply = await client.post("/solve", **sent({"problem": "?", "n": 4} | fields))
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)


def test_progress_shows_the_beginning_of_a_long_document() -> None:
    progress = Progress()
    progress.on_growth(_complete("x" * 10_000))
    progress.lines.get_nowait()
    assert len(progress.lines.get_nowait() or "") < 300


def _complete(answer: str) -> Candidate:
    return Candidate((0,), (Step(answer, (1,), Finish.END),), answer=Answer(answer, answer))


RESPONSE_TOOLS = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("f", "g")]


async def respond(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    asked = {"model": POLICY, "input": "?", "search": search(2)} | fields
    return await client.post("/v1/responses", **sent(asked))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {"x-guidance": {}}}}},
         "text.format.schema.x-guidance"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "regex"}}}, "text.format.type"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tools.0.type"),
        ({"tools": [{"type": "function", "name": "a b"}], "tool_choice": "required"}, "tools.0.name"),
        ({"tools": RESPONSE_TOOLS, "tool_choice": {"type": "function", "name": "h"}}, "tool_choice.name"),
        ({"tools": RESPONSE_TOOLS, "tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice"),
        ({"tools": RESPONSE_TOOLS}, "tool_choice"),
    ],
    ids=str,
)  # fmt: skip
async def test_responses_refuse_by_their_own_names(fields: dict[str, Any], param: str) -> None:
    async with listening(World(Tree(*says({"a": 1}))).models, plain=Examiner()) as client:
        reply = await respond(client, **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, param)
    assert "response_format" not in reply.json()["error"]["message"]


async def test_a_response_makes_calls_or_holds_a_document() -> None:
    documents: Sequence[Branch] = says({"a": 1})
    async with listening(World(Tree(*documents)).models, plain=Examiner()) as client:
        document = (await respond(client, text={"format": {"type": "json_object"}})).json()
    async with listening(World(Tree(calls("f", "g"))).models, plain=Examiner()) as client:
        called = (await respond(client, tools=RESPONSE_TOOLS, tool_choice="required")).json()
    assert document["output"][0]["content"][0]["text"] == '{"a": 1}'
    assert document["text"]["format"] == {"type": "json_object"}
    assert [(item["type"], item["name"], item["arguments"]) for item in called["output"]] == [
        ("function_call", "f", '{"x": 1}'),
        ("function_call", "g", '{"x": 1}'),
    ]
    assert (called["status"], called["tool_choice"], called["tools"]) == ("completed", "required", RESPONSE_TOOLS)
