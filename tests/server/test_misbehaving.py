"""A server of a model that misbehaves costs its own answers: no 500, no traceback, nobody else's time."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from models.checkpoints.prompt import PromptBuilder
from models.errors import EngineUnavailableError
from models.remote.engine import open_remote_engine
from models.remote.settings import RemoteSettings
from tests.conftest import DEMO
from tests.models.remote.misbehaving import MEETING_ROWS, ROWS, STREAM_ROWS, Play, Rogue
from tests.server.misbehaving import IMPATIENT, REQUESTS, SILENCE_S, service, suffer, watching

CASES = [
    pytest.param(what, play, id=f"{what}: {name}") for what, (_, rows) in ROWS.items() for name, play in rows.items()
]
MOST_TRIES = {"a response": 2 * 4}
"""By what is asked for; 2 for the rest."""
STREAMS = ("a plain stream", "an output's stream")


@pytest.fixture(scope="module", autouse=True)
def no_old_garbage() -> Iterator[None]:
    """Collecting garbage goes through all that tests have imported, which takes longer than what is measured here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("what", "play"), CASES)
async def test_what_a_server_says_is_not_believed(prompts: PromptBuilder, what: str, play: Play) -> None:
    outcome = await suffer(what, play, prompts)
    is_cut_off = outcome.status == 200 and '"a model is unavailable' in outcome.text and what in STREAMS
    assert outcome.status == 503 or is_cut_off
    assert outcome.asked <= MOST_TRIES.get(what, 2)
    assert outcome.seconds < 4 * SILENCE_S + 5  # and a busy machine
    assert outcome.health == 200
    assert 1 <= len(outcome.watch.lines) <= 6
    assert all(len(line) < 500 for line in outcome.watch.lines)
    assert outcome.watch.tracebacks == 0
    assert outcome.watch.busy_s < 0.5  # far from a hang; tests.bench.misbehaving measures it against 0.1
    assert outcome.watch.grown_mib < 48


@pytest.mark.parametrize("name", MEETING_ROWS)
async def test_a_server_that_introduces_itself_oddly_is_left_out(name: str) -> None:
    rogue, patience = Rogue(*MEETING_ROWS[name]), replace(IMPATIENT, start_s=0.5)
    async with rogue.playing(), watching() as watch:
        with pytest.raises(EngineUnavailableError, match="no server of the policy answers: http"):
            async with open_remote_engine(RemoteSettings(DEMO / "policy", "policy", (rogue.url,), patience=patience)):
                pass
    assert len(watch.lines) == 1
    assert watch.grown_mib < 48


@pytest.mark.parametrize("name", ["more tokens than asked for, without end", "nothing", "a gzip bomb"])
async def test_other_servers_take_over_from_one_that_misbehaves(prompts: PromptBuilder, name: str) -> None:
    rogue, sound = Rogue("/v1/completions", STREAM_ROWS[name]), Rogue("", STREAM_ROWS[name])
    sound.token_ids = list(prompts.tokenizer.encode("The answer is \\boxed{4}."))
    path, body = REQUESTS["a response"]
    async with service("a response", prompts, rogue, sound) as client, watching() as watch:
        replies = [(await client.post(path, json=body | {"problem": f"{number} + 1"})).json() for number in range(16)]
    assert {reply["status"] for reply in replies} == {"complete"}
    assert {reply["answer"] for reply in replies} == {"4"}
    assert rogue.asked > 0
    assert watch.tracebacks == 0


async def test_a_stub_that_is_honest_is_believed(prompts: PromptBuilder) -> None:
    """Or the table would show nothing."""
    for what, (path, body) in REQUESTS.items():
        if what not in STREAMS:
            async with service(what, prompts, Rogue("", STREAM_ROWS["nothing"])) as client:
                assert (await client.post(path, json=body)).status_code == 200, what
