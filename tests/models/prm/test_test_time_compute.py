"""The seed's module: its own numbers, a plain transformers Llama as reference, options, checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaModel

from models.errors import CheckpointError
from models.prm.test_time_compute import (
    BACKBONES,
    TestTimeCompute,
    load_test_time_compute,
    save_test_time_compute,
)

SEED_OPTIONS: dict[str, Any] = {
    "embed_dim": 32,
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "scorer_hidden": 16,
    "dropout": 0.0,
}
NUM_TOKENS = 40


@pytest.fixture
def embeddings() -> Tensor:
    return torch.rand(2, 8, 32, generator=torch.Generator().manual_seed(42))


@pytest.fixture(params=BACKBONES)
def judge(request: pytest.FixtureRequest) -> TestTimeCompute:
    torch.manual_seed(0)
    options = SEED_OPTIONS | {"embed_dim": 24, "vocab_size": NUM_TOKENS, "backbone": request.param}
    return TestTimeCompute(**options).eval()


@pytest.fixture
def token_ids() -> Tensor:
    return torch.randint(NUM_TOKENS, (3, 37), generator=torch.Generator().manual_seed(0))


def llama_hidden(model: TestTimeCompute, embeddings: Tensor) -> Tensor:
    """The backbone by transformers, which has no final LayerNorm and no bias at a norm: that one is done by hand."""
    config = LlamaConfig(
        vocab_size=1,
        hidden_size=32,
        intermediate_size=88,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attention_bias=True,
        mlp_bias=True,
        rms_norm_eps=1e-6,
    )
    llama = LlamaModel(config)
    places = {"mixer_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm", "mixer.": "self_attn."}
    weights = {name: weight for name, weight in model.model.state_dict().items() if name.startswith("layers.")}
    for ours, theirs in places.items():
        weights = {name.replace(ours, theirs): weight for name, weight in weights.items()}
    llama.load_state_dict(weights, strict=False)
    llama.norm = torch.nn.Identity()  # type: ignore[assignment]  # no norm at the end
    hidden: Tensor = llama(inputs_embeds=embeddings).last_hidden_state
    mean, variance = hidden.mean(-1, keepdim=True), hidden.var(-1, correction=0, keepdim=True)
    return (hidden - mean) / (variance + 1e-5).sqrt()


def test_the_module_has_the_seeds_number_of_parameters() -> None:
    model = TestTimeCompute(embed_dim=256)
    assert sum(weight.numel() for weight in model.parameters()) == 2_945_153


def test_outputs_have_the_seeds_shapes(embeddings: Tensor) -> None:
    output = TestTimeCompute(**SEED_OPTIONS)(embeddings)
    assert output.backbone.shape == (2, 8, 32)
    assert output.scores.shape == (2, 8, 1)
    assert output.scores.isfinite().all()


@torch.inference_mode()
def test_the_backbone_is_a_llama_with_a_layer_norm_at_its_end(embeddings: Tensor) -> None:
    torch.manual_seed(0)
    model = TestTimeCompute(**SEED_OPTIONS).eval()
    torch.nn.init.normal_(model.model.layers[0].mixer.k_proj.bias)  # type: ignore[arg-type, union-attr]  # by name
    expected = llama_hidden(model, embeddings)
    torch.testing.assert_close(model(embeddings).backbone, expected, atol=1e-5, rtol=0.0)


@torch.inference_mode()
def test_scores_are_two_linear_layers_with_silu_between(embeddings: Tensor) -> None:
    model = TestTimeCompute(**SEED_OPTIONS).eval()
    (first, one), (second, two) = ((layer.weight, layer.bias) for layer in (model.scorer[0], model.scorer[3]))
    output = model(embeddings)
    inner = output.backbone @ first.T + one
    torch.testing.assert_close(output.scores, (inner * inner.sigmoid()) @ second.T + two)


def test_the_best_of_n_is_the_argmax_of_each_column() -> None:
    scores = torch.tensor([[0.1, 0.5], [0.9, 0.2], [0.3, 0.8]])
    assert TestTimeCompute.select_best_of_n(scores).tolist() == [1, 2]


def test_the_first_of_equals_is_the_best() -> None:
    assert TestTimeCompute.select_best_of_n(torch.tensor([[0.1, 0.7], [0.9, 0.7], [0.9, 0.7]])).tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(3,), (0, 2), (3, 2, 1)])
def test_scores_of_another_shape_have_no_best(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"allowed: \(N, batch\)"):
        TestTimeCompute.select_best_of_n(torch.zeros(shape))


def test_the_defaults_are_the_seeds() -> None:
    assert TestTimeCompute.recommended_defaults() == {
        "hidden_size": 256,
        "num_layers": 4,
        "num_heads": 4,
        "num_kv_heads": 2,
        "scorer_hidden": 128,
        "dropout": 0.1,
    }
    assert TestTimeCompute(**SEED_OPTIONS).output_size() == 32


def test_dropout_drops_while_training_only(embeddings: Tensor) -> None:
    model = TestTimeCompute(**SEED_OPTIONS | {"dropout": 0.5})
    assert not torch.equal(model(embeddings).backbone, model(embeddings).backbone)
    model.eval()
    assert torch.equal(model(embeddings).backbone, model(embeddings).backbone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embed_dim": 0}, "embed_dim is 0; allowed: whole numbers of at least 1"),
        ({"num_layers": 1.5}, "num_layers is 1.5; allowed: whole numbers"),
        ({"vocab_size": 0}, "vocab_size is 0; allowed: whole numbers"),
        ({"num_kv_heads": 3}, "num_kv_heads is 3; allowed: divisors of num_heads 4"),
        ({"hidden_size": 36}, "hidden_size is 36; allowed: multiples of 8"),
        ({"dropout": 1.0}, "dropout is 1.0; allowed: at least 0 and below 1"),
        ({"backbone": "mamba"}, "backbone is 'mamba'; allowed: attention, ttt, alternating"),
        ({"width": 8}, "width is no option; allowed: embed_dim, hidden_size"),
    ],
)
def test_a_bad_option_is_refused_with_what_is_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TestTimeCompute(**SEED_OPTIONS | options)


@pytest.mark.parametrize(
    ("vocab_size", "inputs", "allowed"),
    [
        (None, torch.zeros(2, 8, dtype=torch.long), r"embeddings \(batch, seq_len, 32\)"),
        (None, torch.zeros(2, 8, 31), r"embeddings \(batch, seq_len, 32\)"),
        (7, torch.zeros(2, 8, 32), r"token ids \(batch, seq_len\) below 7"),
    ],
)
def test_other_inputs_are_refused(vocab_size: int | None, inputs: Tensor, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"allowed: {allowed}"):
        TestTimeCompute(**SEED_OPTIONS, vocab_size=vocab_size)(inputs)


@torch.inference_mode()
def test_a_later_token_changes_no_earlier_score(judge: TestTimeCompute, token_ids: Tensor) -> None:
    changed = token_ids.clone()
    changed[:, 21] = (changed[:, 21] + 1) % NUM_TOKENS
    before, after = judge(token_ids).scores[..., 0], judge(changed).scores[..., 0]
    torch.testing.assert_close(before[:, :21], after[:, :21], atol=1e-5, rtol=0.0)
    assert (before[:, 21:] != after[:, 21:]).any(dim=1).all()


@torch.inference_mode()
def test_a_text_read_in_pieces_scores_the_same(judge: TestTimeCompute, token_ids: Tensor) -> None:
    first = judge(token_ids[:, :10])
    second = judge(token_ids[:, 10:13], first.states)
    third = judge(token_ids[:, 13:], second.states)
    pieces = torch.cat([first.scores, second.scores, third.scores], dim=1)
    torch.testing.assert_close(pieces, judge(token_ids).scores, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize(("backbone", "expected"), list(zip(BACKBONES, ["AAAA", "TTTT", "ATAT"], strict=True)))
def test_the_backbone_says_which_layers_mix(backbone: str, expected: str) -> None:
    model = TestTimeCompute(embed_dim=8, hidden_size=8, backbone=backbone)
    assert "".join(type(layer.mixer).__name__[0] for layer in model.model.layers) == expected


@torch.inference_mode()
def test_a_saved_model_scores_the_same(judge: TestTimeCompute, token_ids: Tensor, tmp_path: Path) -> None:
    save_test_time_compute(judge, tmp_path)
    assert torch.equal(load_test_time_compute(tmp_path)(token_ids).scores, judge(token_ids).scores)


def change_config(**changes: Any) -> Callable[[Path], Any]:
    def change(directory: Path) -> None:
        file = directory / "config.json"
        fields = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({name: value for name, value in fields.items() if value != "left out"}))

    return change


def change_weights(change: Callable[[dict[str, Tensor]], Any]) -> Callable[[Path], Any]:
    def rewrite(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        change(tensors)
        save_file(tensors, directory / "model.safetensors")

    return rewrite


def truncate(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_config(embed_dim="left out"), r"config\.json: embed_dim is missing"),
        (change_config(num_heads=3), r"config\.json: num_kv_heads is 2; allowed: divisors of num_heads 3"),
        (change_config(width=3), r"config\.json: width is no option"),
        (change_config(architectures=["LlamaModel"]), r"config\.json: architectures is \['LlamaModel'\]"),
        (change_config(scorer_hidden=17), r"model\.safetensors: scorer\.0\.weight is \(16, 32\), not \(17, 32\)"),
        (change_config(num_layers=1), r"model\.safetensors: model\.layers\.1\.\S+ has no place in the model"),
        (change_weights(lambda weights: weights.pop("scorer.3.bias")), r"scorer\.3\.bias is missing"),
        (change_weights(lambda weights: weights["scorer.3.bias"].fill_(torch.nan)), r"scorer\.3\.bias holds NaN"),
        (truncate, r"model\.safetensors: cannot be read"),
        (lambda directory: (directory / "config.json").unlink(), r"config\.json: No such file"),
    ],
)
def test_a_broken_checkpoint_is_named(change: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    save_test_time_compute(TestTimeCompute(**SEED_OPTIONS), tmp_path)
    change(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load_test_time_compute(tmp_path)
