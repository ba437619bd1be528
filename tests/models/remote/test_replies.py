"""What is read of a reply, where the table of misbehaving servers has no place for it."""

import json
import time
from typing import Any

import pytest

from models.errors import EngineUnavailableError
from models.generation import Generated
from models.prm.generative_prm import sigmoid
from models.remote import wire
from models.remote.replies import (
    METRICS_BYTES,
    MOST_SHOWN,
    Completion,
    ReplyError,
    ServedModels,
    read,
    read_cache_tokens,
    read_complaint,
    read_confidences,
    read_logprobs,
    read_scores,
)


def verdict(top: Any) -> bytes:
    choice = {"text": "+", "token_ids": [10], "finish_reason": "length", "logprobs": {"top_logprobs": top}}
    return json.dumps({"choices": [choice]}).encode()


def test_a_verdict_holds_the_tokens_that_were_asked_about() -> None:
    answer = read(Completion, verdict([{"token_id:10": -0.1, "token_id:11": -9999.0, "token_id:12": -3}]))
    assert read_logprobs(answer.choices[0], [10, 11], "token_id:") == {10: -0.1, 11: -9999.0}


@pytest.mark.parametrize("top", [None, [], [None], [{}], [{"token_id:10": -1.0}], [{"+": -1.0, "-": -1.0}]])
def test_a_verdict_without_them_is_none(top: Any) -> None:
    with pytest.raises(ReplyError, match="no log-probabilities"):
        read_logprobs(read(Completion, verdict(top)).choices[0], [10, 11], "token_id:")


@pytest.mark.parametrize("value", [0.5, "-1", None, True, float("nan"), float("-inf")])
def test_a_log_probability_that_cannot_be_is_refused(value: Any) -> None:
    with pytest.raises(ReplyError, match=r"top_logprobs\.0"):
        read(Completion, verdict([{"token_id:10": value}]))


def test_verdicts_as_far_apart_as_numbers_go_are_scores() -> None:
    assert (sigmoid(1e300), sigmoid(-1e300), sigmoid(float("inf")), sigmoid(0.0)) == (1.0, 0.0, 1.0, 0.5)
    with pytest.raises(EngineUnavailableError):
        sigmoid(float("nan"))


def test_scores_behind_a_cached_prefix_are_enough_when_the_last_is_there() -> None:
    body = json.dumps({"scores": [[9, 0.5]], "num_cached_tokens": 8}).encode()
    assert read_scores(body, 10, [4, 9]).scores == ((9, 0.5),)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "no", "code": 400, "param": "seed"}}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"detail": "no"}', "no"),
        (b"no", "no"),
        (b'{"error": {"message": "a\\nERROR forged"}}', "a ERROR forged"),
        (b"x" * 9999, "x" * MOST_SHOWN),
    ],
)
def test_what_a_server_complains_of_fits_into_a_line(body: bytes, message: str) -> None:
    assert read_complaint(body).message == message


def models(*cards: dict[str, object]) -> bytes:
    return json.dumps({"data": cards}).encode()


ADAPTED = ({"id": "policy-base", "max_model_len": 512}, {"id": "policy", "parent": "policy-base"})
OTHERS = ({"id": "qwen", "max_model_len": 512}, {"id": "poems", "parent": "qwen"})


@pytest.mark.parametrize(("cards", "name"), [(ADAPTED, "policy"), (OTHERS, "qwen"), (OTHERS[:1], "qwen")])
def test_a_server_of_winnow_engine_is_asked_for_its_adapter_and_any_other_for_its_model(
    cards: tuple[dict[str, object], ...], name: str
) -> None:
    served = read(ServedModels, models(*cards))
    assert (served.name, served.max_model_len) == (name, 512)


def test_a_model_without_a_context_is_no_model() -> None:
    with pytest.raises(ReplyError, match=r"data\.0\.max_model_len: Field required"):
        _ = read(ServedModels, models({"id": "qwen"})).max_model_len


def told(own: Any, top: Any, *, number: int = 3) -> Any:
    choice = {"text": "+", "token_ids": [10], "logprobs": {"token_logprobs": own, "top_logprobs": top}}
    return read_confidences(read(Completion, json.dumps({"choices": [choice]}).encode()).choices[0], number)


@pytest.mark.parametrize(
    ("own", "top", "expected"),
    [
        (-1.0, {"a": -1.0, "b": -3.0, "c": -5.0}, (3.0, -1.0)),
        (-9.0, {"d": -9.0, "a": -1.0, "b": -3.0, "c": -5.0}, (3.0, -9.0)),  # the sampled one is said beside the highest
        (0.0, {"a": 0.0, "b": -9999.0, "c": -9999.0}, (80 / 3, 0.0)),  # a grammar allows one token
        (-1.0, {"a": -1.0, "z": -9999.0}, None),  # another request of the step has asked for others
        (-9999.0, {"z": -9999.0}, None),
    ],
)
def test_a_confidence_is_made_of_the_highest(own: float, top: dict[str, float], expected: Any) -> None:
    assert told([own], [top]) == [expected]


@pytest.mark.parametrize(
    ("own", "top"), [(None, None), ([], []), ([-1.0], None), ([-1.0], []), ([None], [None]), ([-1.0, -2.0], [{}, {}])]
)
def test_a_response_without_log_probabilities_is_refused_by_name(own: Any, top: Any) -> None:
    with pytest.raises(ReplyError, match="log-probabilities"):
        told(own, top)


def test_fewer_than_were_asked_for_are_refused() -> None:
    for top in ({"a": -1.0}, {"a": -1.0, "b": -2.0}):
        with pytest.raises(ReplyError, match=f"{len(top)} log-probabilities of a token, where 5 were asked for"):
            told([-1.0], [top], number=5)


def test_a_response_may_come_without_those_that_nobody_asked_for() -> None:
    event = read(Completion, json.dumps({"choices": [{"text": "+", "token_ids": [10]}]}).encode())
    assert wire.generated(event) == Generated((10,))
    with pytest.raises(ReplyError, match="which verifier_format confidence reads"):
        wire.generated(event, num_logprobs=5)


@pytest.mark.parametrize(
    ("metrics", "tokens"),
    [
        ('{block_size="16",kv_cache_size_tokens="4000",num_gpu_blocks="250"} 1.0', 4_000),
        ('{block_size="16",mamba_block_size="9",num_gpu_blocks="250"} 1.0', 4_000),  # vLLM 0.26
        ('{block_size="16",kv_cache_size_tokens="None",num_gpu_blocks="None"} 1.0', None),
        ('{kv_cache_size_tokens="99999999999"} 1.0', None),  # no machine holds that
        ('{kv_cache_size_tokens="-5"} 1.0', None),
        (" 1.0", None),
    ],
)
def test_metrics_say_what_a_cache_holds(metrics: str, tokens: int | None) -> None:
    told = f"# HELP vllm:cache_config_info Of the cache.\nother 1.0\nvllm:cache_config_info{metrics}\n"
    assert read_cache_tokens(told.encode()) == tokens


def test_each_engine_of_a_server_has_a_cache() -> None:
    lines = [f'vllm:cache_config_info{{engine="{number}",kv_cache_size_tokens="70"}} 1.0\n' for number in range(3)]
    assert read_cache_tokens("".join(lines).encode()) == 210


def test_metrics_that_mean_harm_are_read_in_no_time() -> None:
    begin = time.perf_counter()
    for filler in (b"a", b'block_size="', b",", b"{", b"} "):
        read_cache_tokens(b"vllm:cache_config_info{" + filler * (METRICS_BYTES // len(filler)))
    assert time.perf_counter() - begin < 1.0
