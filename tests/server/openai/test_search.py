"""A search through OpenAI's interface gives what `POST /solve` gives, in the client's words."""

import asyncio

import httpx
import pytest
from openai import AsyncOpenAI

from models.checkpoints.prompt import PromptBuilder
from search.answers.pool import AnswerPool
from search.expander import Models
from tests.natures import Tree, answer, cut
from tests.server.conftest import listening, openai_client
from tests.server.openai.asking import CHAT, POLICY, PROBLEM, SEARCH, chat, evidence
from tests.server.test_solve import STRATEGIES
from tests.worlds import World


async def test_a_search_is_the_search_of_solve(openai: AsyncOpenAI, client: httpx.AsyncClient) -> None:
    asked = {"problem": PROBLEM, "seed": 7, "max_tokens": 200, "include": []}
    solved = (await client.post("/solve", json=asked | SEARCH)).json()
    found = evidence(await chat(openai, SEARCH))
    assert solved.keys() == found.keys()
    same = ("answer", "response", "status", "strategy", "candidates", "tree")  # the rest depends on what is cached
    assert {name: solved[name] for name in same} == {name: found[name] for name in same}
    assert [vote["count"] for vote in solved["votes"]] == [vote["count"] for vote in found["votes"]]


async def test_the_choice_is_the_chosen_response(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, SEARCH)
    assert reply.choices[0].message.content == evidence(reply)["response"]
    assert (reply.choices[0].finish_reason, reply.model) == ("stop", POLICY)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_name_of_a_model_asks_for_a_search(openai: AsyncOpenAI, strategy: str) -> None:
    reply = await chat(openai, model=f"{POLICY}@{strategy}-8")
    ran = evidence(reply)["strategy"]
    assert (ran["name"], ran["n"], reply.model) == (strategy, 8, f"{POLICY}@{strategy}-8")


async def test_the_name_and_the_object_add_up(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, {"beam_width": 2}, model=f"{POLICY}@beam_search-4")
    assert (evidence(reply)["strategy"]["n"], evidence(reply)["strategy"]["beam_width"]) == (4, 2)


async def test_the_bill_counts_every_candidate(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, SEARCH | {"include": ["candidates"]})
    tokens = [candidate["tokens"] for candidate in evidence(reply)["candidates"]]
    chosen = next(c for c in evidence(reply)["candidates"] if c["response"] == evidence(reply)["response"])
    assert reply.usage is not None
    assert reply.usage.completion_tokens_details is not None
    assert reply.usage.completion_tokens == sum(tokens)
    assert reply.usage.completion_tokens_details.reasoning_tokens == sum(tokens) - chosen["tokens"]
    assert evidence(reply)["usage"]["verifier_tokens"] > 0


async def test_candidates_and_tree_come_when_they_are_asked_for(openai: AsyncOpenAI) -> None:
    bare, full = [evidence(await chat(openai, SEARCH | {"include": x})) for x in ([], ["candidates", "tree"])]
    assert (bare["candidates"], bare["tree"]) == (None, None)
    assert len(full["candidates"]) == len(full["tree"]["nodes"]) == 8


async def test_history_and_system_prompt_are_in_the_prompt(openai: AsyncOpenAI, prompts: PromptBuilder) -> None:
    turns = [("system", "Be brief."), ("user", "1 + 1?"), ("assistant", "It is 2."), ("user", PROBLEM)]
    messages = [{"role": role, "content": text} for role, text in turns]
    searched, plain = await chat(openai, SEARCH, messages=messages), await chat(openai, messages=messages)
    assert searched.usage is not None
    assert plain.usage is not None
    assert searched.usage.prompt_tokens == plain.usage.prompt_tokens == len(prompts.tokenizer.encode_chat(turns))


async def test_a_greedy_search_of_one_is_the_policy_itself_after_every_history(openai: AsyncOpenAI) -> None:
    for earlier in ("It is 2.", "<|user|>It is 3."):
        messages = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": earlier}, *CHAT]
        plain = await chat(openai, messages=messages, temperature=0)
        searched = await chat(openai, {"n": 1, "strategy": "majority"}, messages=messages, temperature=0)
        assert searched.choices[0].message.content == plain.choices[0].message.content


async def test_a_reply_can_be_sent_back_as_history(openai: AsyncOpenAI) -> None:
    reply = (await chat(openai, SEARCH)).choices[0].message
    plain = (await chat(openai)).choices[0].message
    for message in (reply, plain):
        messages = [*CHAT, message, {"role": "user", "content": "Compute 1 + 2."}]
        assert (await chat(openai, SEARCH, messages=messages)).choices


async def test_a_truncated_response_says_length(openai: AsyncOpenAI) -> None:
    reply = await chat(openai, SEARCH, max_tokens=None, max_completion_tokens=4)
    assert (reply.choices[0].finish_reason, evidence(reply)["strategy"]["max_tokens"]) == ("length", 4)


async def test_a_completion_takes_the_prompt_for_the_problem(openai: AsyncOpenAI) -> None:
    searched = await chat(openai, SEARCH)
    for prompt in (PROBLEM, [PROBLEM]):
        reply = await openai.completions.create(
            model=POLICY, prompt=prompt, seed=7, max_tokens=200, extra_body={"search": SEARCH}
        )
        assert (reply.choices[0].text, reply.usage) == (searched.choices[0].message.content, searched.usage)


async def test_what_asks_for_nothing_is_accepted(openai: AsyncOpenAI) -> None:
    neutral = {"frequency_penalty": 0, "presence_penalty": 0, "logprobs": False, "tools": [], "stop": [], "user": "x"}
    reply = await chat(openai, SEARCH, **neutral, response_format={"type": "text"}, store=False, metadata={"a": "b"})
    assert reply.choices[0].message.content == (await chat(openai, SEARCH)).choices[0].message.content


async def world_chat(world: World, *, n: int, **fields: object) -> list[tuple[str | None, str]]:
    async with AnswerPool(num_workers=1) as reader, listening(Models(world.policy, world.verifier, reader)) as client:
        search = {"n": 6, "early_stop": False} | fields
        reply = await chat(openai_client(client), search, model=POLICY, n=n)
    return [(choice.message.content, choice.finish_reason) for choice in reply.choices]


async def test_n_gives_the_best_candidate_of_each_answer_in_the_order_of_the_votes() -> None:
    world = World(
        Tree(*(answer(*x) for x in (("1", 0.3), ("0.5", 0.4), ("1/2", 0.5), ("3", 0.8), ("1", 0.2), ("3", 0.7))))
    )
    expected = [("3", 0.8), ("1/2", 0.5), ("1", 0.3)]
    choices = await world_chat(world, n=5)
    assert choices == [(rf"\boxed{{{text}}}", "stop") for text, _ in expected]


async def test_fewer_than_n_are_asked_for_and_given() -> None:
    world = World(Tree(*(answer(*x) for x in (("1", 0.3), ("2", 0.4), ("3", 0.8)))))
    assert len(await world_chat(world, n=2)) == 2


async def test_without_an_answer_there_is_one_choice_all_the_same() -> None:
    assert await world_chat(World(Tree(cut("I wonder"))), n=3) == [("I wonder", "length")]


async def test_a_deadline_that_leaves_nothing_leaves_null() -> None:
    world = World(Tree(answer("1", 0.5)))
    world.policy.gates[r"\boxed{1}"] = asyncio.Event()
    assert await world_chat(world, n=1, deadline_s=0.05) == [(None, "length")]
