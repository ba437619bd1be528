"""How engines start, live beside each other, and die."""

import asyncio
import multiprocessing
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from vllm.config import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser

from models.checkpoints.prompt import PromptBuilder
from models.checkpoints.tokenizer import ChatTokenizer
from models.engine_client import EngineClient
from models.errors import CheckpointError, DeadlyPromptError, EngineDiedError, EngineUnavailableError
from models.generation import Generation
from models.interfaces import Finish, Meter, Problem
from models.policy.engine_policy import EnginePolicy
from models.prm.winnow import WinnowPRM
from models.vllm.engine import Engine, start_engine
from models.vllm.guarded import GuardedLLM
from models.vllm.launch import block_size, engine_args, engine_arguments
from models.vllm.releases import ARGUMENTS
from models.vllm.server import ServerSettings, server_flags
from models.vllm.settings import MIB, EngineSettings, Runner
from search.expander import cancel_all
from tests.conftest import DEMO
from tests.models.policy.test_engine_policy import metric
from tests.models.problems import PROBLEM, respond, sampling
from tests.models.tiny import NUM_TOKENS, tiny_tokenizer
from tests.waiting import until


async def test_running_engines_answer(policy: EnginePolicy, verifier: WinnowPRM) -> None:
    await policy.engine.check()
    await verifier.engine.check()


@pytest.mark.parametrize("is_fast", [True, False])
async def test_an_engine_of_16_bits_says_where_they_are_slow(
    policy: EnginePolicy, is_fast: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(policy.engine, Engine)
    monkeypatch.setattr("models.vllm.engine.multiplies_16_bits", lambda: is_fast)
    await policy.engine.make_ready()
    assert ("dtype float32 is faster" in caplog.text) is not is_fast


async def test_an_engine_says_how_many_tokens_fit_into_its_cache(policy: EnginePolicy, verifier: WinnowPRM) -> None:
    for engine, model in ((policy.engine, DEMO / "policy"), (verifier.engine, DEMO / "prm")):
        config = AutoConfig.from_pretrained(model)
        keys_and_values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
        held = 512 * MIB / (keys_and_values * torch.finfo(config.dtype).bits / 8)
        assert isinstance(engine, Engine)
        assert engine.cache.tokens == pytest.approx(held, rel=0.01)  # blocks are whole, and one stays empty
        assert engine.cache.num_requests == 512


async def test_each_engine_keeps_metrics_of_its_own(policy: EnginePolicy, verifier: WinnowPRM) -> None:
    for engine, name in ((policy.engine, "policy"), (verifier.engine, "verifier")):
        samples = [sample for family in engine.metrics.collect() for sample in family.samples]
        assert "vllm:num_requests_running" in {sample.name for sample in samples}
        assert {sample.labels["model_name"] for sample in samples if "model_name" in sample.labels} == {name}


def test_an_engine_that_outlives_vllms_modules_is_left_alone() -> None:
    class Recorded(GuardedLLM):
        def __init__(self) -> None:
            self.shutdowns: list[float | None] = []

        def shutdown(self, timeout: float | None = None) -> None:
            self.shutdowns.append(timeout)

    llm = Recorded()
    llm.let_go(is_finalizing=lambda: True)
    assert llm.shutdowns == []
    llm.let_go()
    assert llm.shutdowns == [None]


def process_of(engine: EngineClient) -> psutil.Process:
    assert isinstance(engine, Engine)
    (child,) = engine.llm.engine_core.resources.engine_manager.processes
    return psutil.Process(child.pid)


async def kill(engine: EngineClient) -> None:
    number = engine.num_restarts
    process_of(engine).kill()
    await until(lambda: engine.num_restarts > number, within_s=60)


async def test_batches_of_every_size_do_not_grow_an_engine(policy: EnginePolicy) -> None:
    process, vocabulary = process_of(policy.engine), policy.prompts.tokenizer.vocabulary
    sizes = []
    for length in range(100, 400):  # a batch of as many tokens each: none begins like another
        token_ids = [(length + position) % len(vocabulary) for position in range(length)]
        async for _ in policy.engine.generate(token_ids, Generation(max_tokens=1)):
            sizes.append(process.memory_info().rss)
    assert sizes[-1] - sizes[20] < 64 * MIB


@pytest.fixture
async def victim(
    policy: EnginePolicy, tiny_llama: Path, tiny_tokenizer: ChatTokenizer
) -> AsyncIterator[tuple[EnginePolicy, psutil.Process]]:
    """A policy beside the others, and its engine's process."""
    others = set(multiprocessing.active_children())
    async with start_engine(EngineSettings(tiny_llama, "victim"), "generate") as engine:
        (process,) = set(multiprocessing.active_children()) - others
        yield EnginePolicy(engine, PromptBuilder(tiny_tokenizer)), psutil.Process(process.pid)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_an_engine_that_dies_or_hangs_is_started_again_and_its_requests_go_on(
    policy: EnginePolicy, victim: tuple[EnginePolicy, psutil.Process], fault: signal.Signals
) -> None:
    subject, process = victim
    meter, steps = Meter(), []
    async with aclosing(subject.respond(PROBLEM, (), sampling(max_tokens=3_000), meter)) as sampled:
        steps.append(await anext(sampled))
        process.send_signal(fault)
        await policy.engine.check()
        steps += [step async for step in sampled]
    assert not process.is_running()
    assert subject.engine.num_restarts == 1
    assert "vllm:num_requests_running" in {family.name for family in subject.engine.metrics.collect()}
    assert steps[-1].finish is not Finish.STEP
    # it goes on, and does not begin again: the new process has read a prompt and steps
    assert (metric(subject.engine, "vllm:prompt_tokens_total") or 0) > subject.count_prompt_tokens(PROBLEM)
    assert meter.completion_tokens >= sum(len(step.token_ids) for step in steps)
    await subject.engine.check()


async def test_a_prompt_that_takes_its_engine_down_twice_is_refused_then_and_others_are_not(
    victim: tuple[EnginePolicy, psutil.Process],
) -> None:
    policy, _ = victim

    async def insist() -> None:
        async with aclosing(policy.respond(PROBLEM, (), sampling(max_tokens=3_000), Meter())) as sampled:
            async for _ in sampled:
                await kill(policy.engine)

    with pytest.raises(DeadlyPromptError, match="stopped the engine twice"):
        await insist()
    number = policy.engine.num_restarts
    with pytest.raises(DeadlyPromptError):
        await respond(policy, sampling(max_tokens=8))
    await respond(policy, sampling(max_tokens=8), Problem("Compute 8 + 6."))
    assert policy.engine.num_restarts == number


async def test_an_interrupt_that_a_terminal_sends_to_all_does_not_end_an_engine(
    victim: tuple[EnginePolicy, psutil.Process],
) -> None:
    subject, process = victim
    process.send_signal(signal.SIGINT)
    async with aclosing(subject.respond(PROBLEM, (), sampling(max_tokens=300), Meter())) as sampled:
        steps = [step async for step in sampled]
    assert steps[-1].finish is not Finish.STEP
    assert process.is_running()
    assert subject.engine.num_restarts == 0


async def test_while_it_is_started_again_an_engine_is_not_ready(victim: tuple[EnginePolicy, psutil.Process]) -> None:
    subject, process = victim
    process.kill()
    with pytest.raises(EngineDiedError, match=r"victim engine (is dead|is being started again|does not answer)"):
        await _check_again_and_again(subject)
    await subject.engine.recovered()
    await subject.engine.check()


async def _check_again_and_again(subject: EnginePolicy) -> None:
    async with asyncio.timeout(10):
        while True:
            await subject.engine.check()
            await asyncio.sleep(0.001)


async def test_a_seed_means_the_same_for_a_prompt_that_is_read_in_pieces(tiny_engine: Engine) -> None:
    """Beside others a long prompt is: vLLM 0.32 dies of that on a CPU where the prompt has a seed."""
    draw = Random(0)
    prompts = [draw.choices(range(20, 70), k=length) for length in (1000, 900, 800)]
    asked = [Generation(max_tokens=8, seed=seed) for seed in range(3)]
    alone = [await tiny_engine.complete(*each) for each in zip(prompts, asked, strict=True)]
    assert await tiny_engine.llm.reset_prefix_cache()
    together = await asyncio.gather(*(tiny_engine.complete(*each) for each in zip(prompts, asked, strict=True)))
    assert [each.num_cached_tokens for each in together] == [0, 0, 0]
    assert [each.token_ids for each in together] == [each.token_ids for each in alone]


async def test_an_engine_forgets_what_it_computed_unless_it_is_at_work(
    tiny_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, one, long = list(range(20, 60)), Generation(max_tokens=1), Generation(max_tokens=2000)
    await tiny_engine.forget()
    told = [await tiny_engine.complete(prompt, one) for _ in range(2)]
    await tiny_engine.forget()
    told.append(await tiny_engine.complete(prompt, one))
    assert [bool(each.num_cached_tokens) for each in told] == [False, True, False]
    running = [asyncio.create_task(tiny_engine.complete(prompt, long)) for _ in range(16)]
    await until(lambda: tiny_engine.num_running_requests)
    with monkeypatch.context() as patch:
        patch.setattr("models.vllm.engine.FORGET_WITHIN_S", 0.0)
        with pytest.raises(EngineUnavailableError, match="keeps its prefix cache"):
            await tiny_engine.forget()
    await cancel_all(running)
    await tiny_engine.forget()


async def test_a_request_that_the_engine_refuses_says_so(policy: EnginePolicy) -> None:
    with pytest.raises(EngineUnavailableError, match="policy engine refused the request"):
        await policy.engine.complete([10**6], Generation(max_tokens=1))


@pytest.mark.engine
async def test_a_context_longer_than_the_models_names_the_checkpoint(tiny_llama: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"(?s){tiny_llama}: .*max_model_len \(4096\)"):
        async with start_engine(EngineSettings(tiny_llama, "tiny", max_model_len=4096), "generate"):
            pass


@pytest.mark.engine
@pytest.mark.parametrize(
    ("settings", "message"),
    [({"device": "cuda"}, "built for cpu, not for cuda"), ({"tensor_parallel_size": 2}, "tensor_parallel_size 2")],
)
async def test_what_this_machine_cannot_do_stops_the_start(
    tiny_llama: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineUnavailableError, match=message):
        async with start_engine(EngineSettings(tiny_llama, "tiny", **settings), "generate"):
            pass


def test_on_cuda_an_engine_compiles_and_takes_its_share_of_the_gpu(tiny_llama: Path) -> None:
    settings = EngineSettings(tiny_llama, "policy", gpu_memory_share=0.6, tensor_parallel_size=2)
    arguments = engine_args(settings, "generate", "cuda")
    assert (arguments.gpu_memory_utilization, arguments.tensor_parallel_size) == (0.6, 2)
    assert not arguments.enforce_eager
    assert arguments.kv_cache_memory_bytes is None


def test_on_a_cpu_an_engine_has_memory_of_its_own_and_small_blocks(tiny_llama: Path) -> None:
    arguments = engine_args(EngineSettings(tiny_llama, "policy", kv_cache_bytes=1 << 24), "generate", "cpu")
    assert (arguments.kv_cache_memory_bytes, arguments.block_size) == (1 << 24, block_size())
    assert arguments.enforce_eager


def test_vllm_is_told_how_a_model_marks_its_thoughts_here_and_as_a_server(tiny_llama: Path) -> None:
    settings = EngineSettings(tiny_llama, "policy", reasoning_parser="qwen3")
    parser = import_module(ARGUMENTS).make_arg_parser(FlexibleArgumentParser())  # type: ignore[no-untyped-call]
    flags = parser.parse_args(server_flags(ServerSettings(settings), "generate", "cpu"))
    for arguments in (engine_args(settings, "generate", "cpu"), AsyncEngineArgs.from_cli_args(flags)):
        outputs: Any = arguments.structured_outputs_config
        outputs = StructuredOutputsConfig(**outputs) if isinstance(outputs, dict) else outputs
        assert (outputs.backend, outputs.reasoning_parser) == ("guidance", "qwen3")
        assert arguments.reasoning_config.reasoning_parser == "qwen3"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("runner", ["generate", "pooling"])
def test_a_server_runs_an_engine_as_this_service_would(tiny_llama: Path, device: str, runner: Runner) -> None:
    overrides = {"architectures": ["WinnowRewardModel"]} if runner == "pooling" else {}
    fields: dict[str, Any] = {"kv_cache_bytes": 1 << 24, "gpu_memory_share": 0.6, "max_model_len": 512}
    flags = server_flags(
        ServerSettings(EngineSettings(tiny_llama, "policy", **fields), port=8001), runner, device, overrides
    )
    parser = import_module(ARGUMENTS).make_arg_parser(FlexibleArgumentParser())  # type: ignore[no-untyped-call]
    server = AsyncEngineArgs.from_cli_args(parser.parse_args(flags))
    here = engine_args(EngineSettings(tiny_llama, "policy", **fields), runner, device, overrides)
    for name in engine_arguments(EngineSettings(tiny_llama, "policy"), runner, device, overrides):
        there, wanted = getattr(server, name), getattr(here, name)
        if name == "structured_outputs_config":
            wanted = StructuredOutputsConfig(**wanted)  # vLLM's server makes it of what its command line says
        assert (there[0] if name == "served_model_name" else there) == wanted, name


def save_latent(directory: Path) -> Path:
    """A seeded tiny model with multi-head latent attention, which reads a prompt at once on most CPUs."""
    sizes = {"hidden_size": 64, "intermediate_size": 128, "moe_intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 64, "v_head_dim": 32}
    ranks = {"kv_lora_rank": 512, "q_lora_rank": None, "qk_rope_head_dim": 64, "qk_nope_head_dim": 32}
    experts = {"n_routed_experts": 4, "num_experts_per_tok": 2, "first_k_dense_replace": 2, "n_group": 1}
    config = AutoConfig.for_model(
        "deepseek_v2",
        vocab_size=NUM_TOKENS,
        max_position_embeddings=8192,
        topk_group=1,
        bos_token_id=0,
        eos_token_id=1,
        **sizes,
        **heads,
        **ranks,
        **experts,
    )
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return directory


@pytest.mark.engine
async def test_prompts_of_a_model_that_reads_them_at_once_are_bounded_by_its_speed(tmp_path: Path) -> None:
    settings = EngineSettings(save_latent(tmp_path / "latent"), "policy", dtype="float32", kv_cache_bytes=64 * MIB)
    async with start_engine(settings, "generate") as engine:
        if engine.llm.vllm_config.scheduler_config.enable_chunked_prefill:
            pytest.skip("this machine reads them in pieces")
        most = engine.max_prompt_tokens
        assert most is not None
        assert 100 < most < engine.max_model_len
        policy = EnginePolicy(engine, PromptBuilder(ChatTokenizer(settings.model)))
        assert policy.count_prompt_tokens(Problem("?")) < most
        start = time.perf_counter()
        await engine.complete([5] * min(most, 4000), Generation(max_tokens=1))
        assert time.perf_counter() - start < 30  # ten, beside whatever else runs here


async def test_prompts_that_are_read_in_pieces_are_bounded_by_the_context_alone(policy: EnginePolicy) -> None:
    assert policy.engine.max_prompt_tokens is None
