"""Loads exports with the real `datasets` and trains one step on each with TRL's own trainers; prints what came of it.

Run with the environment of `make test-trl`: `python train.py POLICY FOLDER`, where FOLDER holds a file for each format.
"""

import json
import sys
from pathlib import Path

import torch
from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.experimental.prm import PRMConfig, PRMTrainer

SHARED = {
    "max_steps": 1,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-3,
    "use_cpu": True,
    "bf16": False,
    "report_to": [],
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
    "gradient_checkpointing": False,
}


def load(file: Path) -> Dataset:
    kind = "parquet" if file.suffix == ".parquet" else "json"
    return load_dataset(kind, data_files=str(file), split="train", cache_dir=str(file.parent / "cache"))


def trained(trainer, model) -> dict:
    before = [parameter.detach().clone() for parameter in model.parameters()]
    loss = trainer.train().training_loss
    pairs = zip(before, trainer.model.parameters(), strict=True)
    moved = sum(float((new.detach() - old).abs().sum()) for old, new in pairs)
    return {"loss": loss, "moved": moved}


def main(policy: str, folder: Path) -> None:
    torch.manual_seed(0)
    found = {file.name: load(file) for file in sorted(folder.iterdir()) if file.is_file()}
    told = {"rows": {name: len(dataset) for name, dataset in found.items()}}
    tokenizer = AutoTokenizer.from_pretrained(policy)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token

    def arguments(kind, **own):
        return kind(output_dir=str(folder / "cache" / kind.__name__), **SHARED, **own)

    for name in ("trl-stepwise.jsonl", "trl-stepwise.parquet"):
        model = AutoModelForTokenClassification.from_pretrained(policy, num_labels=2)
        config = arguments(PRMConfig, step_separator="\n\n", max_length=512)
        trainer = PRMTrainer(model=model, args=config, train_dataset=found[name], processing_class=tokenizer)
        told["tokens"] = list(trainer.train_dataset[0]["input_ids"])
        told[f"PRMTrainer {name}"] = trained(trainer, model)
    for name in ("prompt-completion.jsonl", "prompt-completion-text.jsonl"):
        model = AutoModelForCausalLM.from_pretrained(policy)
        config = arguments(SFTConfig, max_length=512)
        trainer = SFTTrainer(model=model, args=config, train_dataset=found[name], processing_class=tokenizer)
        told[f"SFTTrainer {name}"] = trained(trainer, model)
    for name in ("preference.jsonl", "preference-steps.jsonl", "preference-steps-text.jsonl"):
        model = AutoModelForCausalLM.from_pretrained(policy)
        config = arguments(DPOConfig, max_length=512)
        trainer = DPOTrainer(model=model, args=config, train_dataset=found[name], processing_class=tokenizer)
        told[f"DPOTrainer {name}"] = trained(trainer, model)
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
