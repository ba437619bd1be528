"""What is written into a recipe, and what stays as it was."""

from typing import Any

import pytest
import yaml

from server.tuning.knobs import grouped
from server.tuning.recipe import edited, written

RECIPE = """\
# A pair of ours.
policy_model: models/demo/policy   # the small one
policy_threads: 1   # one each
policy_engine_args:
  max_num_seqs: 512   # as many as it runs
  kv_cache_dtype: auto

  # Below: the prompt.
system_prompt: |-
  Solve it.

  policy_threads: 9
verifier_engine_args: {"max_num_seqs": 64}
steps: {"delimiter": "\\n"}
"""


def test_a_value_is_replaced_and_every_comment_stays() -> None:
    found = edited(RECIPE, {"policy_threads": 2})
    assert found == RECIPE.replace("policy_threads: 1 ", "policy_threads: 2 ")


def test_a_new_setting_comes_last() -> None:
    assert edited(RECIPE, {"max_cost_in_flight": 4096}) == RECIPE + "max_cost_in_flight: 4096\n"
    assert edited("dtype: auto", {"policy_threads": 2}) == "dtype: auto\npolicy_threads: 2\n"


def test_arguments_of_an_engine_join_those_that_are_there() -> None:
    found = edited(RECIPE, {"policy_engine_args": {"max_num_seqs": 256, "block_size": 64}}) or ""
    assert "  max_num_seqs: 256   # as many as it runs\n  kv_cache_dtype: auto\n  block_size: 64\n" in found
    assert "# Below: the prompt." in found
    flow = edited(RECIPE, {"verifier_engine_args": {"max_num_batched_tokens": 2048}}) or ""
    assert 'verifier_engine_args: {"max_num_seqs": 64, "max_num_batched_tokens": 2048}\n' in flow


def test_several_changes_at_once_read_as_they_should() -> None:
    change = {"policy_threads": 3, "policy_engine_args": {"block_size": 32}, "verifier_engine_args": {"block_size": 64}}
    found = yaml.safe_load(edited(RECIPE, change) or "")
    assert found["policy_threads"] == 3
    assert found["policy_engine_args"] == {"max_num_seqs": 512, "kv_cache_dtype": "auto", "block_size": 32}
    assert found["verifier_engine_args"] == {"max_num_seqs": 64, "block_size": 64}
    assert found["system_prompt"] == "Solve it.\n\npolicy_threads: 9"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {"policy_threads": 2}),
        ("# nothing yet\n", {"policy_engine_args": {"block_size": 32}}),
        ("policy_engine_args: {}\n", {"policy_engine_args": {"block_size": 32}}),
        ("{policy_threads: 1}\n", {"policy_threads": 2}),
        ("policy_engine_args:\n    max_num_seqs: 5", {"policy_engine_args": {"block_size": 32, "max_num_seqs": 7}}),
    ],
)
def test_any_recipe_reads_as_before_with_the_changes(text: str, values: dict[str, Any]) -> None:
    before = yaml.safe_load(text) or {}
    found = yaml.safe_load(edited(text, values) or "")
    for name, value in values.items():
        merged = {**(before.get(name) or {}), **value} if isinstance(value, dict) else value
        assert found.pop(name) == merged
        before.pop(name, None)
    assert found == before


@pytest.mark.parametrize(
    "text",
    [
        "- a\n- b\n",
        "policy_threads: [1\n",
        "{policy_threads: 1}\n",  # nothing can be added behind it
        "a: &one {block_size: 1}\npolicy_engine_args: *one\n",  # the other would change too
    ],
)
def test_a_recipe_that_cannot_be_edited_is_left_alone(text: str) -> None:
    assert edited(text, {"policy_engine_args": {"block_size": 32}, "dtype": "auto"}) is None


def test_a_new_recipe_has_the_arguments_of_an_engine_together() -> None:
    change = {"policy_threads": 2, "policy_engine_args.block_size": 32, "policy_engine_args.max_num_seqs": 64}
    text = written(grouped(change))
    assert yaml.safe_load(text) == {"policy_threads": 2, "policy_engine_args": {"block_size": 32, "max_num_seqs": 64}}
