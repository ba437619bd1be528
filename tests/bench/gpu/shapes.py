"""Seeded checkpoints in the shapes of published models, whose policy writes steps and ends, though it was not trained.

    python -m tests.bench.gpu.shapes OUT [--policy llama-3.2-1b] [--verifier llama-3.1-8b] [--step-tokens 40]

Tokens are drawn as a world would draw them: after each one a step ends with probability 1 / `step_tokens` and the
response with probability 1 / `tokens`; else any visible token of the demo's tokenizer follows. For that one channel of
the residual stream is the same constant at every position, since no layer writes to it, so that a column of `lm_head`
becomes a bias for each token. The layers compute what they compute in the published model, on random weights.
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig

from models.checkpoints.tokenizer import ChatTokenizer
from models.interfaces import DELIMITER
from models.vllm.settings import ARCHITECTURE
from tests.conftest import DEMO

FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
TEMPERATURE = 0.8
NOISE = 1.0
"""Standard deviation of what the layers add to a visible token's logit."""
STD = 0.02
END_ID = 0
"""Of the demo's tokenizer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a Llama."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int


SHAPES = {
    "small": Shape(256, 512, 2, 4, 2, 1024),
    "medium": Shape(384, 1024, 4, 6, 2, 1024),
    "llama-3.2-1b": Shape(2048, 8192, 16, 32, 8, 128256),
    "llama-3.1-8b": Shape(4096, 14336, 32, 32, 8, 128256),
}


def config_of(shape: Shape) -> LlamaConfig:
    """The configuration of a Llama of that shape, which reads the demo's tokens."""
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=END_ID,
        pad_token_id=END_ID,
        dtype="bfloat16",
    )


def backbone(shape: Shape, device: str) -> dict[str, Tensor]:
    """Weights of the layers, (out, in), whose first residual channel is 1 everywhere."""
    torch.manual_seed(0)
    head_dim = shape.hidden // shape.heads

    def normal(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, dtype=torch.bfloat16, device=device) * STD

    weights = {"model.embed_tokens.weight": normal(shape.vocabulary, shape.hidden)}
    weights["model.embed_tokens.weight"][:, 0] = 1
    ones = torch.ones(shape.hidden, dtype=torch.bfloat16, device=device)
    for index in range(shape.layers):
        layer = {
            "self_attn.q_proj": normal(shape.hidden, shape.hidden),
            "self_attn.k_proj": normal(shape.kv_heads * head_dim, shape.hidden),
            "self_attn.v_proj": normal(shape.kv_heads * head_dim, shape.hidden),
            "self_attn.o_proj": normal(shape.hidden, shape.hidden),
            "mlp.gate_proj": normal(shape.intermediate, shape.hidden),
            "mlp.up_proj": normal(shape.intermediate, shape.hidden),
            "mlp.down_proj": normal(shape.hidden, shape.intermediate),
            "input_layernorm": ones,
            "post_attention_layernorm": ones,
        }
        layer["self_attn.o_proj"][0] = 0
        layer["mlp.down_proj"][0] = 0
        weights |= {f"model.layers.{index}.{name}.weight": weight for name, weight in layer.items()}
    return weights | {"model.norm.weight": ones}


def last_hidden(config: LlamaConfig, weights: dict[str, Tensor], token_ids: Tensor) -> Tensor:
    """Hidden states behind the last norm, (T, H), by plain transformers."""
    from transformers import LlamaModel

    with torch.device("meta"):
        model = LlamaModel(config)
    with torch.device(token_ids.device):
        model = model.bfloat16().to_empty(device=token_ids.device)
        model.rotary_emb = type(model.rotary_emb)(config)
    model.load_state_dict({name.removeprefix("model."): weight for name, weight in weights.items()}, strict=True)
    with torch.inference_mode():
        hidden: Tensor = model(token_ids[None]).last_hidden_state[0]
    return hidden.float()


def logit_biases(tokenizer: ChatTokenizer, size: int, step_tokens: int, num_tokens: int) -> Tensor:
    """Bias of each token's logit, (V,), for steps and responses of these lengths on the average."""
    biases = torch.full((size,), -40.0)
    newlines, texts = tokenizer.newline_ids, range(1, len(tokenizer.vocabulary))
    visible = [token for token in texts if token not in newlines and tokenizer.decode([token]).strip()]
    mass = math.log(len(visible)) + (NOISE / TEMPERATURE) ** 2 / 2
    biases[visible] = 0.0
    biases[tokenizer.ids_holding(DELIMITER)[0]] = TEMPERATURE * (mass - math.log(step_tokens))
    biases[END_ID] = TEMPERATURE * (mass - math.log(num_tokens))
    return biases


def save(directory: Path, config: LlamaConfig, weights: dict[str, Tensor]) -> None:
    """Write a checkpoint with the demo's tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(directory)
    save_file({name: weight.clone() for name, weight in weights.items()}, directory / "model.safetensors")
    for name in FILES:
        (directory / name).write_bytes((DEMO / "policy" / name).read_bytes())


def save_policy(directory: Path, shape: Shape, step_tokens: int, num_tokens: int, device: str) -> None:
    """Write a policy whose steps and responses have these lengths on the average."""
    tokenizer = ChatTokenizer(DEMO / "policy")
    config, weights = config_of(shape), backbone(shape, device)
    hidden = last_hidden(config, weights, torch.arange(20, 220, device=device))
    head = torch.randn(shape.vocabulary, shape.hidden, device=device)
    head[:, 0] = 0
    head *= NOISE / (hidden @ head[20:520].T).std()
    head[:, 0] = logit_biases(tokenizer, shape.vocabulary, step_tokens, num_tokens).to(device) / hidden[:, 0].mean()
    config.architectures = ["LlamaForCausalLM"]
    save(directory, config, weights | {"lm_head.weight": head.bfloat16()})
    (directory / "generation_config.json").write_text(json.dumps({"eos_token_id": END_ID, "pad_token_id": END_ID}))


def save_verifier(directory: Path, shape: Shape, device: str, scorer_hidden: int = 128) -> None:
    """Write a reward model."""
    config, weights = config_of(shape), backbone(shape, device)
    config.architectures, config.scorer_hidden = [ARCHITECTURE], scorer_hidden
    scorer = {
        "scorer.0.weight": torch.randn(scorer_hidden, shape.hidden, device=device) * 0.1,
        "scorer.0.bias": torch.zeros(scorer_hidden, device=device),
        "scorer.2.weight": torch.randn(1, scorer_hidden, device=device) * 0.1,
        "scorer.2.bias": torch.zeros(1, device=device),
    }
    save(directory, config, weights | scorer)


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--policy", choices=SHAPES, default="llama-3.2-1b")
    parser.add_argument("--verifier", choices=SHAPES, default="llama-3.1-8b")
    parser.add_argument("--step-tokens", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=400, help="Of a response, on the average.")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    save_policy(options.out / "policy", SHAPES[options.policy], options.step_tokens, options.tokens, device)
    save_verifier(options.out / "verifier", SHAPES[options.verifier], device)


if __name__ == "__main__":
    main()
