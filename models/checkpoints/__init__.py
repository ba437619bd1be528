"""Checkpoints on disk: what they hold, and the tokenizer and chat template that lie beside the weights."""
