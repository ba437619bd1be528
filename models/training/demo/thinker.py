"""The demo's thinker: the policy, trained on to think between marks before it answers, or to answer without.

It learns from thoughts that are whole, from thoughts that are cut anywhere (the end mark is then forced, as a budget
of thoughts forces it), and from the policy's own solutions behind an empty block of thoughts.
"""

from pathlib import Path
from random import Random

import torch
from torch import Tensor
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from models.training.demo.documents import encode_solution, random_system_prompt
from models.training.demo.tasks.solution import solve
from models.training.demo.tasks.stream import Task, training_tasks
from models.training.demo.tasks.thoughts import conclude, think
from models.training.demo.tokenizer import THINKING_MARKS, thinking_tokenizer
from models.training.documents import Batch, Batches, Document, encode_prompt
from models.training.losses import language_loss
from models.training.optimization import Schedule, fit

BATCH_SIZE = 32
NUM_PARTS = 4
LEARNING_RATE = 3e-3
HORIZON = 1_000
CHECKPOINT_EVERY = 50
COOLDOWN_SHARE = 0.25
"""Of the steps; a run can be made longer or shorter until it begins."""
WITHOUT_SHARE = 0.15
"""Of documents without thoughts."""
CUT_SHARE = 0.3
"""Of documents whose thoughts are cut."""

START, END = THINKING_MARKS


def train_thinker(
    policy: Path, num_steps: int, seed: int, checkpoint: Path
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """Train the policy on; goes on from `checkpoint` where there is one. Returns the thinker and its tokenizer."""
    torch.manual_seed(seed)
    tokenizer = thinking_tokenizer(AutoTokenizer.from_pretrained(policy))
    model = LlamaForCausalLM.from_pretrained(policy, dtype=torch.float32)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)

    def draw(rng: Random, step: int) -> Document:
        return thinker_document(tokenizer, rng)

    def losses(batch: Batch) -> dict[str, Tensor]:
        hidden = model.model(input_ids=batch.token_ids, use_cache=False).last_hidden_state
        return {"loss": language_loss(hidden, model.lm_head.weight, batch.next_tokens)}

    batches = Batches(draw, BATCH_SIZE, NUM_PARTS, num_steps, f"thinker {seed}")
    cooldown = round(COOLDOWN_SHARE * num_steps)
    schedule = Schedule(num_steps, LEARNING_RATE, num_cooldown_steps=cooldown, horizon=HORIZON)
    fit(model, batches, losses, schedule, checkpoint, CHECKPOINT_EVERY)
    return model, tokenizer


def thinker_document(tokenizer: PreTrainedTokenizerBase, rng: Random) -> Document:
    """What the thinker learns from: a response with thoughts, with thoughts that were cut, or without."""
    task = next(training_tasks(rng))
    system_prompt = random_system_prompt(rng)
    kind = rng.random()
    if kind < WITHOUT_SHARE:
        prompt = encode_prompt(tokenizer, task.problem, system_prompt, enable_thinking=False)
        return encode_solution(tokenizer, prompt, solve(task.exercise, rng))
    prompt = encode_prompt(tokenizer, task.problem, system_prompt)
    if kind < WITHOUT_SHARE + CUT_SHARE:
        return _cut(tokenizer, task, prompt, rng)
    thoughts = think(task.exercise, rng)
    thinking = tokenizer.encode(f"{START}\n{thoughts.text}{END}\n\n", add_special_tokens=False)
    answer = encode_solution(tokenizer, [*prompt, *thinking], conclude(task.exercise, thoughts.standings[-1][1], rng))
    return Document(answer.token_ids, len(prompt), answer.step_ends, answer.labels)


def _cut(tokenizer: PreTrainedTokenizerBase, task: Task, prompt: list[int], rng: Random) -> Document:
    """A response whose thoughts end at a random token; they are of the prompt, since nobody should learn to end so."""
    thoughts = think(task.exercise, rng)
    start = f"{START}\n"
    whole = tokenizer(start + thoughts.text, add_special_tokens=False, return_offsets_mapping=True)
    num_tokens = rng.randrange(1, len(whole.input_ids))
    num_characters = whole.offset_mapping[num_tokens - 1][1] - len(start)
    ending = tokenizer.encode(rng.choice((END, END, f"\n{END}")), add_special_tokens=False)
    cut = [*prompt, *whole.input_ids[:num_tokens], *ending]
    blank = tokenizer.encode("\n\n", add_special_tokens=False)
    solution = conclude(task.exercise, thoughts.standing(num_characters), rng)
    answer = encode_solution(tokenizer, [*cut, *blank], solution)
    return Document(answer.token_ids, len(cut), answer.step_ends, answer.labels)
