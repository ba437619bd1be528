"""Labelled responses and the formats that they are published in, a file and a row each. No torch, no tokenizer."""
