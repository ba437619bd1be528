"""The verifier in plain PyTorch: its scores, its batches, and what adapting leaves alone."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoints.prompt import PromptBuilder
from models.errors import CheckpointError, ContextOverflowError, EngineUnavailableError
from models.interfaces import Finish, Meter, Problem, Step, Verifier
from models.prm import torch_verifier
from models.prm.adaptation import Judge
from models.prm.reward_model import load_reward_model
from models.prm.test_time_compute import TestTimeCompute, load_test_time_compute, save_test_time_compute
from models.prm.torch_verifier import Request, TorchVerifier, open_verifier
from models.vllm.settings import EngineSettings
from tests.conftest import DEMO
from tests.models.prm.over_http import ScoresOverHTTP
from tests.models.problems import PROBLEM, PROBLEMS, ids_of
from tests.models.verifier_contract import VerifierContract, steps_of

VOCAB_SIZE: int = json.loads((DEMO / "policy" / "config.json").read_text())["vocab_size"]
PLAN = 2, 0.1
"""Steps and learning rate."""


def save_seed_checkpoint(directory: Path, vocab_size: int | None, backbone: str = "alternating") -> Path:
    torch.manual_seed(0)
    model = TestTimeCompute(
        embed_dim=32, hidden_size=32, num_layers=2, scorer_hidden=16, vocab_size=vocab_size, backbone=backbone
    )
    save_test_time_compute(model, directory)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(DEMO / "prm" / name, directory)
    return directory


@pytest.fixture(scope="module")
def seed_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_seed_checkpoint(tmp_path_factory.mktemp("seed"), VOCAB_SIZE)


@pytest.fixture(scope="module")
async def ours(prompts: PromptBuilder) -> AsyncIterator[TorchVerifier]:
    async with open_verifier(EngineSettings(DEMO / "prm", "verifier"), prompts) as verifier:
        yield verifier


@pytest.fixture(scope="module")
async def seeds(prompts: PromptBuilder, seed_checkpoint: Path) -> AsyncIterator[TorchVerifier]:
    async with open_verifier(EngineSettings(seed_checkpoint, "verifier"), prompts) as verifier:
        yield verifier


@pytest.fixture
def steps(prompts: PromptBuilder) -> list[Step]:
    return steps_of(prompts.tokenizer.encode)


class TestOurRewardModel(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    def subject(self, ours: TorchVerifier) -> Verifier:
        return ours


class TestSeedModule(VerifierContract, ScoresOverHTTP):
    @pytest.fixture
    def subject(self, seeds: TorchVerifier) -> Verifier:
        return seeds


def ends_of(prompt: tuple[int, ...], steps: list[Step]) -> list[int]:
    return list(accumulate((len(step.token_ids) for step in steps), initial=len(prompt) - 1))[1:]


async def test_our_scores_are_those_of_the_plain_model(
    ours: TorchVerifier, prompts: PromptBuilder, steps: list[Step]
) -> None:
    prompt = prompts.build(PROBLEM)
    token_ids = torch.tensor([[*prompt, *ids_of(steps)]])
    with torch.no_grad():
        expected = load_reward_model(DEMO / "prm")(token_ids)[0, ends_of(prompt, steps)]
    assert await ours.score(PROBLEM, (), steps, Meter()) == pytest.approx(expected.tolist(), abs=1e-5)


async def test_the_seed_modules_scores_are_the_sigmoid_of_its_logits(
    seeds: TorchVerifier, seed_checkpoint: Path, prompts: PromptBuilder, steps: list[Step]
) -> None:
    prompt = prompts.build(PROBLEM)
    with torch.no_grad():
        output = load_test_time_compute(seed_checkpoint)(torch.tensor([[*prompt, *ids_of(steps)]]))
    expected = output.scores[0, ends_of(prompt, steps), 0].sigmoid()
    assert await seeds.score(PROBLEM, (), steps, Meter()) == pytest.approx(expected.tolist(), abs=1e-5)


def with_batches_of(max_tokens: int, prompts: PromptBuilder) -> TorchVerifier:
    return TorchVerifier(load_reward_model(DEMO / "prm"), prompts, None, ThreadPoolExecutor(1), max_tokens)


async def test_requests_judged_together_are_judged_as_if_alone(prompts: PromptBuilder, steps: list[Step]) -> None:
    ours = with_batches_of(300, prompts)
    alone = [await ours.score(problem, (), steps[:size], Meter()) for problem in PROBLEMS for size in (1, 3)]
    together = await asyncio.gather(
        *(ours.score(problem, (), steps[:size], Meter()) for problem in PROBLEMS for size in (1, 3))
    )
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


async def test_requests_that_wait_are_judged_in_few_batches(
    ours: TorchVerifier, steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    score_batch = torch_verifier.score_batch

    def spy(model: Judge, batch: list[Request]) -> list[tuple[float, ...]]:
        sizes.append(len(batch))
        return score_batch(model, batch)

    monkeypatch.setattr(torch_verifier, "score_batch", spy)
    await asyncio.gather(*(ours.score(problem, (), steps, Meter()) for problem in PROBLEMS))
    assert sum(sizes) == len(PROBLEMS)
    assert len(sizes) <= 2


async def test_every_token_is_counted_as_computed(
    ours: TorchVerifier, prompts: PromptBuilder, steps: list[Step]
) -> None:
    meter = Meter()
    await ours.score(PROBLEM, steps[:2], steps[2:], meter)
    assert meter == Meter(verifier_tokens=len(prompts.build(PROBLEM)) + len(ids_of(steps)))


async def test_the_loop_runs_on_while_the_model_works(ours: TorchVerifier) -> None:
    long = [Step("1", (20,) * 900, Finish.STEP)]
    judgements = asyncio.gather(*(ours.score(problem, (), long, Meter()) for problem in PROBLEMS))
    turns = 0
    while not judgements.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


async def test_a_cancelled_judgement_is_dropped_and_not_counted(ours: TorchVerifier, steps: list[Step]) -> None:
    meter = Meter()
    task = asyncio.create_task(ours.score(PROBLEM, (), steps, meter))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await ours.score(PROBLEM, (), steps[:1], Meter())
    assert meter == Meter()


async def test_a_verifier_that_is_busy_is_ready(prompts: PromptBuilder) -> None:
    finish = threading.Event()
    with ThreadPoolExecutor(1) as worker:
        busy = worker.submit(finish.wait)
        async with asyncio.timeout(1):
            await TorchVerifier(load_reward_model(DEMO / "prm"), prompts, None, worker).check()
        assert not busy.done()
        finish.set()


async def test_a_response_longer_than_the_context_is_refused(ours: TorchVerifier) -> None:
    with pytest.raises(ContextOverflowError, match="at most 1024"):
        await ours.score(PROBLEM, (), [Step("1", (20,) * 1024, Finish.STEP)], Meter())


async def test_a_failing_model_fails_who_waits_and_nobody_after(ours: TorchVerifier, steps: list[Step]) -> None:
    unknown = Step("?", (10**6,), Finish.STEP)
    with pytest.raises(EngineUnavailableError, match="the verifier failed"):
        await ours.score(PROBLEM, (), [unknown], Meter())
    assert len(await ours.score(PROBLEM, (), steps, Meter())) == len(steps)


async def test_a_closed_verifier_is_unavailable(
    seed_checkpoint: Path, prompts: PromptBuilder, steps: list[Step]
) -> None:
    async with open_verifier(EngineSettings(seed_checkpoint, "verifier"), prompts) as verifier:
        await verifier.check()
    with pytest.raises(EngineUnavailableError):
        await verifier.check()
    with pytest.raises(EngineUnavailableError):
        await verifier.score(PROBLEM, (), steps, Meter())


async def test_an_adapted_verifier_judges_by_weights_of_its_own(ours: TorchVerifier, steps: list[Step]) -> None:
    before = await ours.score(PROBLEM, (), steps, Meter())
    adapted, report = await ours.adapted(PROBLEM, [steps, steps[:2]], *PLAN, Meter())
    assert report.losses[-1] < report.losses[0]
    assert await adapted.score(PROBLEM, (), steps, Meter()) != before
    assert await ours.score(PROBLEM, (), steps, Meter()) == before


async def test_requests_that_adapt_at_once_leave_the_services_model_alone(
    ours: TorchVerifier, steps: list[Step]
) -> None:
    before = {name: weight.clone() for name, weight in ours.model.state_dict().items()}

    async def ask(problem: Problem) -> tuple[float, ...]:
        adapted, _ = await ours.adapted(problem, [steps], *PLAN, Meter())
        await adapted.score(problem, (), steps, Meter())
        return await ours.score(problem, (), steps, Meter())

    scores = await asyncio.gather(*map(ask, PROBLEMS))
    assert all(torch.equal(before[name], weight) for name, weight in ours.model.state_dict().items())
    for problem, judged in zip(PROBLEMS, scores, strict=True):
        assert judged == pytest.approx(await ours.score(problem, (), steps, Meter()), abs=1e-5)


async def test_tokens_learnt_from_are_counted_at_every_step(
    ours: TorchVerifier, prompts: PromptBuilder, steps: list[Step]
) -> None:
    meter = Meter()
    await ours.adapted(PROBLEM, [steps, steps[:1], []], *PLAN, meter)
    num_tokens = 2 * len(prompts.build(PROBLEM)) + len(ids_of(steps)) + len(ids_of(steps[:1]))
    assert meter == Meter(verifier_tokens=(PLAN[0] + 1) * num_tokens)


async def test_no_more_is_learnt_from_than_a_batch_holds(prompts: PromptBuilder, steps: list[Step]) -> None:
    length, meter = len(prompts.build(PROBLEM)) + len(ids_of(steps)), Meter()
    await with_batches_of(3 * length, prompts).adapted(PROBLEM, [steps] * 5, *PLAN, meter)
    assert meter == Meter(verifier_tokens=(PLAN[0] + 1) * 3 * length)


async def test_without_a_response_that_fits_nothing_is_learnt(ours: TorchVerifier) -> None:
    too_long = [Step("1", (20,) * 1024, Finish.STEP)]
    adapted, report = await ours.adapted(PROBLEM, [[], too_long], *PLAN, Meter())
    assert adapted is ours
    assert (report.losses, report.drift, report.is_finite) == ((), 0.0, True)


async def test_nan_falls_back_to_the_service_and_says_so(prompts: PromptBuilder, steps: list[Step]) -> None:
    model = load_reward_model(DEMO / "prm")
    model.model.norm.weight.data.fill_(torch.nan)
    broken = TorchVerifier(model, prompts, None, ThreadPoolExecutor(1))
    adapted, report = await broken.adapted(PROBLEM, [steps], *PLAN, Meter())
    assert adapted is broken
    assert not report.is_finite


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("seed", {"num_heads": 3}, r"config\.json: num_kv_heads is 2; allowed: divisors of num_heads 3"),
        ("seed", {"architectures": ["BertModel"]}, r"architectures is \['BertModel'\], not WinnowRewardModel or Test"),
        ("ours", {"scorer_hidden": 7}, r"scorer\.0\.weight is \(128, 192\), not \(7, 192\)"),
    ],
)
def test_a_broken_checkpoint_is_named_before_the_verifier_runs(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path, seed_checkpoint: Path, prompts: PromptBuilder
) -> None:
    directory = shutil.copytree(seed_checkpoint if name == "seed" else DEMO / "prm", tmp_path / name)
    fields = json.loads((directory / "config.json").read_text()) | changes
    (directory / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=message):
        open_verifier(EngineSettings(directory, "verifier"), prompts)


@pytest.mark.parametrize("vocab_size", [None, VOCAB_SIZE - 1])
def test_a_seed_module_that_cannot_read_all_tokens_is_refused(
    vocab_size: int | None, tmp_path: Path, prompts: PromptBuilder
) -> None:
    directory = save_seed_checkpoint(tmp_path, vocab_size)
    with pytest.raises(CheckpointError, match=rf"config\.json: vocab_size is {vocab_size}, below .* of {VOCAB_SIZE}"):
        open_verifier(EngineSettings(directory, "verifier"), prompts)


def test_another_vocabulary_than_the_policys_is_refused(tmp_path: Path, prompts: PromptBuilder) -> None:
    directory = save_seed_checkpoint(tmp_path, VOCAB_SIZE)
    fields = json.loads((directory / "tokenizer.json").read_text())
    vocabulary = fields["model"]["vocab"]
    one, other = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    (directory / "tokenizer.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: the vocabulary is not the policy's"):
        open_verifier(EngineSettings(directory, "verifier"), prompts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"device": "cuda"}, "device is cuda"), ({"tensor_parallel_size": 2}, "tensor_parallel_size is 2; allowed: 1")],
)
def test_what_this_machine_cannot_do_is_refused(settings: dict[str, Any], message: str, prompts: PromptBuilder) -> None:
    with pytest.raises(EngineUnavailableError, match=message):
        open_verifier(EngineSettings(DEMO / "prm", "verifier", **settings), prompts)


async def test_a_shorter_context_and_another_precision_are_kept(prompts: PromptBuilder, steps: list[Step]) -> None:
    settings = EngineSettings(DEMO / "prm", "verifier", dtype="bfloat16", max_model_len=64)
    async with open_verifier(settings, prompts) as verifier:
        assert {weight.dtype for weight in verifier.model.parameters()} == {torch.bfloat16}
        assert 0 <= (await verifier.score(PROBLEM, (), steps[:1], Meter()))[0] <= 1
        with pytest.raises(ContextOverflowError, match="at most 64"):
            await verifier.score(PROBLEM, (), steps, Meter())
