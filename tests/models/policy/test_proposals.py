"""What a policy asks of its engine for a step by each rule; steps asked for one by one are those of a response.

The engine is one that says what it was given to say, and stops as vLLM does.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.errors import EngineDiedError, EngineUnavailableError
from models.generation import Generated, Generation
from models.interfaces import PARAGRAPHS, Delimiter, Finish, Markers, Meter, Step, StepRule, TokenCount
from models.policy.engine_policy import EnginePolicy
from tests.models.problems import PROBLEM, ids_of, respond, sampling, text_of
from tests.models.scripted import ScriptedEngine
from tests.models.tiny import END_ID, tiny_tokenizer

TEXT = (
    "\n\n## Step 1: Add\n17 + 28 = 45. So it is 45.\n\n"
    "```python\na = 1\n\nb = 2\n```\nWait, that is\n\\[\n1\n\n2\n\\]\n\n"
    "\n\n## Step 2: 😀😀 Subtract. Sorry\n\nSo the answer is 90."
)
RULES: tuple[StepRule, ...] = (
    PARAGRAPHS,
    Delimiter("\n"),
    Delimiter("."),
    TokenCount(1),
    TokenCount(6),
    Markers(("## Step", "Wait", "So")),
)
AT_ONCE = 16


class Parrot(ScriptedEngine):
    """Goes on with one text, whatever it is asked, and stops at texts, too."""

    def __init__(self, tokenizer: ChatTokenizer, text: str) -> None:
        whole, num_prompt = [*tokenizer.encode(text), END_ID], len(PromptBuilder(tokenizer).build(PROBLEM))
        super().__init__(lambda token_ids: whole[len(token_ids) - num_prompt :], AT_ONCE)
        self.places: list[int] = []  # in the text, where each request goes on
        self.num_generated = 0
        self._tokenizer = tokenizer
        self._num_prompt = num_prompt

    async def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = lambda number: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        self.asked.append(asked)
        self.places.append(len(token_ids) - self._num_prompt)
        new, said = list[int](), list[int]()
        for token_id in self._script(token_ids):
            new.append(token_id)
            said.append(token_id)
            reason, stop = self._ended(said, asked)
            if reason or len(new) == AT_ONCE:
                self.num_generated += len(new)
                count(len(new))
                yield Generated(tuple(new), reason, stop)
                new = []
            if reason:
                return

    def _ended(self, said: list[int], asked: Generation) -> tuple[str | None, str | int | None]:
        text = self._tokenizer.decode(said)
        for stop in asked.stops:
            if stop == said[-1] or (isinstance(stop, str) and stop in text):
                return "stop", stop
        if said[-1] == END_ID:
            return "stop", None
        return ("length", None) if len(said) == asked.max_tokens else (None, None)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    directory: Path = tmp_path_factory.mktemp("tiny")
    tiny_tokenizer().save_pretrained(directory)
    return ChatTokenizer(directory)


@pytest.fixture
def parrot(tokenizer: ChatTokenizer) -> Parrot:
    return Parrot(tokenizer, TEXT)


@pytest.fixture(params=[False, True], ids=["here", "elsewhere"])
def policy(request: pytest.FixtureRequest, parrot: Parrot, tokenizer: ChatTokenizer) -> EnginePolicy:
    return EnginePolicy(parrot, PromptBuilder(tokenizer), decodes=request.param)


async def chain(policy: EnginePolicy, rule: StepRule, meter: Meter, max_tokens: int = 300) -> list[Step]:
    steps = list[Step]()
    while not steps or steps[-1].finish is Finish.STEP:
        left = max_tokens - len(ids_of(steps))
        steps.append(await policy.propose(PROBLEM, steps, sampling(max_tokens=left, steps=rule), meter))
    return steps


@pytest.mark.parametrize("rule", RULES, ids=str)
async def test_proposals_chain_into_the_response(
    policy: EnginePolicy, parrot: Parrot, tokenizer: ChatTokenizer, rule: StepRule
) -> None:
    meter = Meter()
    steps = await chain(policy, rule, meter)
    assert steps == await respond(policy, sampling(steps=rule))
    assert text_of(steps) == TEXT
    assert len(steps) > 3
    assert meter.completion_tokens == parrot.num_generated - len(ids_of(steps))
    assert 0 <= meter.completion_tokens - len(ids_of(steps)) < AT_ONCE * len(steps)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("max_tokens", [1, 7, 23, 40, 41, 60])
async def test_the_token_limit_cuts_a_chain_where_it_cuts_the_response(
    policy: EnginePolicy, rule: StepRule, max_tokens: int
) -> None:
    steps = await chain(policy, rule, Meter(), max_tokens)
    assert steps == await respond(policy, sampling(steps=rule, max_tokens=max_tokens))
    assert len(ids_of(steps)) == max_tokens
    assert steps[-1].finish is Finish.LENGTH


async def test_the_engine_is_asked_for_a_step_as_long_as_its_rule_says(policy: EnginePolicy, parrot: Parrot) -> None:
    await policy.propose(PROBLEM, (), sampling(steps=TokenCount(20)), Meter())
    assert [asked.max_tokens for asked in parrot.asked] == [20]


@pytest.mark.parametrize(("rule", "here"), [(PARAGRAPHS, False), (Delimiter("\n"), False), (Delimiter("."), True)])
async def test_newlines_are_stopped_at_by_ids_here_and_by_text_elsewhere(
    parrot: Parrot, tokenizer: ChatTokenizer, rule: Delimiter, here: bool
) -> None:
    for decodes in (False, True):
        await EnginePolicy(parrot, PromptBuilder(tokenizer), decodes=decodes).propose(
            PROBLEM, (), sampling(steps=rule), Meter()
        )
        by_text = parrot.asked[-1].stops == (rule.text,) or parrot.asked[0].stops == (rule.text,)
        assert by_text or not (decodes or here)
        parrot.asked.clear()


async def test_a_blank_line_at_the_beginning_is_generated_once(policy: EnginePolicy, parrot: Parrot) -> None:
    first = await policy.propose(PROBLEM, (), sampling(steps=PARAGRAPHS), Meter())
    assert first.text.startswith("\n\n## Step 1")
    assert len(parrot.places) == 2
    assert parrot.places[0] == 0 < parrot.places[1]


async def test_a_marker_is_generated_once_and_begins_the_next_step(policy: EnginePolicy, parrot: Parrot) -> None:
    rule = Markers(("Wait", "So"))
    first = await policy.propose(PROBLEM, (), sampling(steps=rule), Meter())
    assert first.ahead
    second = await policy.propose(PROBLEM, (first,), sampling(steps=rule), Meter())
    assert parrot.places == [0, len(first.token_ids) + len(first.ahead)]
    assert second.token_ids[: len(first.ahead)] == first.ahead


async def test_a_stop_within_code_ends_no_step_and_is_not_generated_again(policy: EnginePolicy, parrot: Parrot) -> None:
    first = await policy.propose(PROBLEM, (), sampling(steps=PARAGRAPHS), Meter())
    parrot.asked.clear()
    meter = Meter()
    second = await policy.propose(PROBLEM, (first,), sampling(steps=PARAGRAPHS), meter)
    assert second.text.startswith("```python\na = 1\n\nb = 2\n```")
    assert len(parrot.asked) == 2
    assert meter.completion_tokens <= len(second.token_ids) + AT_ONCE


async def test_an_engine_that_ends_without_a_reason_is_an_error(tokenizer: ChatTokenizer) -> None:
    class Silent(Parrot):
        def _ended(self, said: list[int], asked: Generation) -> tuple[str | None, str | int | None]:
            return None, None

    policy = EnginePolicy(Silent(tokenizer, TEXT), PromptBuilder(tokenizer))
    with pytest.raises(EngineUnavailableError, match="without an end"):
        async with aclosing(policy.respond(PROBLEM, (), sampling(), Meter())) as steps:
            _ = [step async for step in steps]


GRAMMAR = ("json", "{}")


async def test_a_response_is_asked_for_under_its_grammar(policy: EnginePolicy, parrot: Parrot) -> None:
    await respond(policy, sampling(grammar=GRAMMAR))
    await respond(policy, sampling())
    assert [asked.grammar for asked in parrot.asked] == [GRAMMAR, None]


class Dying(Parrot):
    """Dies once, after so many outputs."""

    def __init__(self, tokenizer: ChatTokenizer, text: str, after: int) -> None:
        super().__init__(tokenizer, text)
        self._after = after

    async def generate(
        self,
        token_ids: Sequence[int],
        asked: Generation,
        count: Callable[[int], None] = lambda number: None,
        *,
        affinity: str = "",
    ) -> AsyncGenerator[Generated, None]:
        async with aclosing(super().generate(token_ids, asked, count, affinity=affinity)) as outputs:
            async for output in outputs:
                yield output
                self._after -= 1
                if self._after == 0:
                    raise EngineDiedError("the policy engine is dead")


@pytest.mark.parametrize("grammar", [None, GRAMMAR], ids=["free", "held"])
async def test_a_response_of_which_no_step_was_there_begins_anew_when_its_engine_is_back(
    tokenizer: ChatTokenizer, grammar: tuple[str, str] | None
) -> None:
    text = '{"a": 1, "b": "one line, as documents are"}'
    engine = Dying(tokenizer, text, after=1)
    steps = await respond(EnginePolicy(engine, PromptBuilder(tokenizer)), sampling(grammar=grammar))
    assert text_of(steps) == text
    assert engine.places == [0, 0]


async def test_what_is_held_to_a_grammar_does_not_go_on_in_the_middle_of_it(tokenizer: ChatTokenizer) -> None:
    engine = Dying(tokenizer, TEXT, after=4)
    held = EnginePolicy(engine, PromptBuilder(tokenizer))
    with pytest.raises(EngineDiedError):
        await respond(held, sampling(grammar=GRAMMAR))
    assert engine.places == [0]
